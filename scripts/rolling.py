"""The web tier behind nginx, updated and scaled while requests come in.

    python -m scripts.rolling --old REVISION

Web processes are the real ones, of two versions: the working tree and an earlier revision. What
Kubernetes does with pods is done to them in the same order: a new one gets requests when it says
that it is ready; an old one gets none any more, serves on for the seconds of ``preStop``, is told
to go, and ends what it has. Migrations run in between. wrk asks all the time, nothing may fail.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.programs import ROOT
from scripts.services import services

_NGINX = ROOT / "containers" / "nginx.conf"
_START_S = 120.0
_PREPARE = """
import os
from app import create_app
from app.auth.actor import ACTIONS, Actor
from app.config import Config
from app.services import accounts, sites, tokens
app = create_app(Config.from_environment(os.environ))
with app.test_request_context():
    from flask import g
    user = accounts.create_organisation("Rolling", "r@example.org", "R", "gravel by the tonne")
    g.actor = actor = Actor(user)
    site = sites.create(actor, {"name": "Pit"})
    print(site.id, tokens.create(actor, "load", [], list(ACTIONS), None))
"""
_COUNT = """
import os
from sqlalchemy import func, select
from app import core
from app.config import Config
from app.extensions import db
from app.models import Material
with core(Config.from_environment(os.environ)).app_context():
    print(db.session.scalar(select(func.count()).select_from(Material)))
"""


def free_port() -> int:
    """A port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@dataclass
class Web:
    """A web process of one version."""

    version: Path
    environment: dict[str, str]
    log: Path
    port: int = field(default_factory=free_port)

    def __post_init__(self) -> None:
        command = [
            sys.executable, "-m", "gunicorn", "wsgi:application",
            "--config", str(ROOT / "containers" / "gunicorn.conf.py"),
            "--bind", f"127.0.0.1:{self.port}", "--workers", "1",
        ]  # fmt: skip
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=self.version,
                env=self.environment | {"PYTHONPATH": str(self.version)},
                stdout=log,
                stderr=log,
            )

    def wait(self) -> None:
        """Return when it is ready."""
        until = time.monotonic() + _START_S
        while not _answers(f"http://127.0.0.1:{self.port}/readyz"):
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"The web did not start: {self.log.read_text()[-2000:]}")
            time.sleep(0.1)

    def end(self) -> None:
        """Tell it to go, and wait until it went."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(_START_S)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


class Tier:
    """Web processes behind the nginx of the proxy image.

    Parameters
    ----------
    folder : Path
        For configurations and logs.
    environment : dict of str to str
        The application's.
    drain_s : float
        How long a process that gets no more requests serves on: ``web.drainSeconds`` of the chart.
    """

    def __init__(self, folder: Path, environment: dict[str, str], drain_s: float) -> None:
        self.folder, self.environment, self.drain_s = folder, environment, drain_s
        self.port = free_port()
        self.webs: list[Web] = []
        self._nginx: subprocess.Popen[bytes] | None = None

    def add(self, version: Path, ready: bool = True) -> None:
        """One web more, which gets requests when it is ready."""
        web = Web(version, self.environment, self.folder / "web.log")
        self.webs.append(web)
        if ready:
            web.wait()
        self._route(self.webs)

    def remove(self) -> None:
        """The oldest web goes, without losing a request."""
        web = self.webs.pop(0)
        self._route(self.webs)
        time.sleep(self.drain_s)
        web.end()

    def update(self, version: Path) -> None:
        """All webs become those of a version: one more, one less, until none is old."""
        for _ in range(len(self.webs)):
            self.add(version)
            self.remove()

    def close(self) -> None:
        """End everything."""
        for web in self.webs:
            web.process.terminate()
        for web in self.webs:
            web.process.wait(_START_S)
        if self._nginx is not None:
            self._nginx.terminate()
            self._nginx.wait(_START_S)

    def _route(self, webs: list[Web]) -> None:
        path = self.folder / "nginx.conf"
        path.write_text(self._configuration(webs))
        if self._nginx is not None:
            self._nginx.send_signal(signal.SIGHUP)
            return
        user = ["-g", "user root;"] if os.geteuid() == 0 else []
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self._nginx = subprocess.Popen([program, "-c", str(path), *user])
        until = time.monotonic() + _START_S
        while not _answers(f"http://127.0.0.1:{self.port}/healthz"):
            if time.monotonic() > until:
                raise RuntimeError("nginx did not start")
            time.sleep(0.1)

    def _configuration(self, webs: list[Web]) -> str:
        """The image's own, with several processes in place of a name, and other folders."""
        text = _NGINX.read_text()
        servers = " ".join(f"server 127.0.0.1:{web.port};" for web in webs)
        # Kept for a shorter time than gunicorn does, so that nginx closes first.
        group = f"upstream web {{ {servers} keepalive 32; keepalive_timeout 60s; }}"
        text = text.replace("include /tmp/resolver.conf;", group)
        text = text.replace("set $web web:8000;", "set $web web;")
        text = text.replace("listen 8080;", f"listen 127.0.0.1:{self.port};")
        text = text.replace("listen [::]:8080;", "")
        text = text.replace("/tmp/", f"{self.folder}/")
        return "daemon off;\n" + text.replace("/dev/stderr", str(self.folder / "nginx.log"))


class Load:
    """wrk, from now on until it is stopped."""

    def __init__(self, tier: Tier, site: str, token: str, connections: int) -> None:
        command = ["wrk", "--threads", "2", "--connections", str(connections)]
        command += ["--duration", "3600", "--timeout", "30", "--script"]
        command += [str(ROOT / "scripts" / "rolling_load.lua"), f"http://127.0.0.1:{tier.port}"]
        environment = os.environ | {"ROLLING_SITE": site, "ROLLING_TOKEN": token}
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment
        )

    def stop(self) -> dict[str, Any]:
        """What came of it: requests, what was created, refusals, errors of the socket."""
        self._process.send_signal(signal.SIGINT)
        output, _ = self._process.communicate(timeout=120)
        found = re.search(r"^RESULT (.*)$", output, re.MULTILINE)
        if found is None:
            raise RuntimeError(f"wrk said: {output}")
        return dict(json.loads(found[1]))


def failures(result: dict[str, Any]) -> int:
    """How many requests failed."""
    errors = sum(result[kind] for kind in ("connect", "read", "write", "timeout"))
    return errors + len(result["refused"].split())


def python(version: Path, environment: dict[str, str], *arguments: str) -> str:
    """What a command of a version prints."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=version,
        env=environment | {"PYTHONPATH": str(version)},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def migrate(version: Path, environment: dict[str, str]) -> None:
    """Bring the tables to what a version wants."""
    python(version, environment, "-m", "flask", "--app", "wsgi", "db", "upgrade")


def prepare(version: Path, environment: dict[str, str]) -> list[str]:
    """A site, and a token that may write to it."""
    return python(version, environment, "-c", _PREPARE).splitlines()[-1].split()


def count_created(environment: dict[str, str]) -> int:
    """Rows that the load made."""
    return int(python(ROOT, environment, "-c", _COUNT).splitlines()[-1])


def earlier(revision: str, folder: Path) -> Path:
    """An earlier version, taken from the repository."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", revision], check=True, capture_output=True
    ).stdout
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
    # Pages are built, not committed.
    shutil.copytree(ROOT / "app" / "static" / "dist", folder / "app" / "static" / "dist")
    return folder


def main() -> int:
    """Roll over, grow and shrink under load; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.rolling")
    parser.add_argument("--old", default="HEAD~1", help="revision that is replaced")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--drain", type=float, default=5.0, help="seconds of preStop")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cairn-", dir="/tmp")))
        folder.chmod(0o755)
        environment = stack.enter_context(services(folder, "http://127.0.0.1"))
        old = earlier(chosen.old, folder / "old")
        migrate(old, environment)
        site, token = prepare(old, environment)
        tier = Tier(folder, environment, chosen.drain)
        stack.callback(tier.close)
        for _ in range(2):
            tier.add(old)
        load = Load(tier, site, token, chosen.connections)
        for what, act in (
            ("migrate", lambda: migrate(ROOT, environment)),
            ("roll over 2 pods", lambda: tier.update(ROOT)),
            ("scale up to 4", lambda: [tier.add(ROOT) for _ in range(2)]),
            ("scale down to 1", lambda: [tier.remove() for _ in range(3)]),
            ("roll back 1 pod", lambda: tier.update(old)),
        ):
            start = time.monotonic()
            act()
            print(f"{what:20} {time.monotonic() - start:6.1f} s", flush=True)
        result = load.stop()
        made = count_created(environment)
    print(json.dumps(result))
    print(f"created {result['created']} by the answers, {made} in the database")
    failed = failures(result)
    print(f"{failed} of {result['requests']} requests failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
