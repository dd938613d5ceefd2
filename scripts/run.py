"""The whole application on one machine, with the demo quarry.

    make run

Starts a private PostGIS and Valkey, migrates, starts the web server, two workers and the clock, and
on the first start fills in the demo: two flights of a simulated quarry, a week apart. Everything
lies in `build/run`; delete that folder to begin anew.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.programs import ROOT
from scripts.services import services

_START_S = 60


def main() -> int:
    """Run until Ctrl-C; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.run", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "run")
    parser.add_argument("--no-demo", action="store_true", help="start empty")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = chosen.folder.resolve()
    cluster = _cluster(folder)
    if not folder.exists():
        # It was deleted, to begin anew; rows of surveys that are gone would be half of a state.
        shutil.rmtree(cluster, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        url = f"http://127.0.0.1:{chosen.port}"
        with services(folder, url, cluster) as environment:
            _step("migrating", ["-m", "flask", "--app", "wsgi", "db", "upgrade"], environment)
            with (
                _process(_web(chosen.port), environment),
                _process(["-m", "app.worker"], environment),
                # What somebody waits for, and chores, while the other is at a survey.
                _process(["-m", "app.worker", "--queues", "short"], environment),
                _process(["-m", "app.clock"], environment),
            ):
                _wait(chosen.port)
                print(f"\n  Cairn runs: {url}\n", flush=True)
                if not chosen.no_demo:
                    subprocess.run([sys.executable, "-m", "scripts.fill_demo"], env=environment)
                print("  Ctrl-C ends it.", flush=True)
                signal.pause()
    except KeyboardInterrupt:
        print("\nStopped; `make run` goes on from here.")
    return 0


def _cluster(folder: Path) -> Path:
    """Folder of the cluster: where its account may go, which a home folder often is not."""
    if os.geteuid() != 0:
        return folder / "postgis"
    place = Path("/var/lib/cairn-demo") / folder.as_posix().strip("/").replace("/", "-")
    place.parent.mkdir(mode=0o755, exist_ok=True)
    return place


def _web(port: int) -> list[str]:
    return [
        "-m", "gunicorn", "wsgi:application", "--bind", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--workers", "2", "--threads", "16",
    ]  # fmt: skip


def _step(what: str, arguments: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *arguments], env=environment, cwd=ROOT, capture_output=True, text=True
    )
    if done.returncode:
        raise SystemExit(f"{what} failed:\n{done.stdout}{done.stderr}")


@contextlib.contextmanager
def _process(arguments: list[str], environment: dict[str, str]) -> Iterator[None]:
    log = Path(environment["STORAGE_URL"].removeprefix("file://")).parent / f"{arguments[1]}.log"
    with log.open("a") as output:
        # In a group of its own: Ctrl-C is for us, and we end it in order.
        process = subprocess.Popen(
            [sys.executable, *arguments],
            env=environment,
            cwd=ROOT,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            # A run in progress resumes at the next start.
            os.killpg(process.pid, signal.SIGKILL)


def _wait(port: int) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, TimeoutError):
            if time.monotonic() > until:
                raise SystemExit("The server did not start; see build/run/gunicorn.log.") from None
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
