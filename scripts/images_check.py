"""Try the images as they will run.

    make images-check ARCHITECTURES="amd64 arm64"

For each architecture: nobody in them is root, the root is read-only, no compiler is there, every
package imports, and the worker reconstructs a small flight. For this machine's own also the whole
stack of `compose.yaml`, and the chart's pods of web and worker as `podman play kube` runs them.
"""

from __future__ import annotations

import argparse
import base64
import json
import platform
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
_FOLDER = ROOT / "build" / "containers"
_NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
_PORT = 8088
_START_S = 180.0
_HELM = ROOT / "build" / "chart-tools" / "helm4"
# As compose.yaml and the chart run them.
_BOUNDS = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_IS_BOUND = """
test "$(id -u)" = 10001
! touch /srv/cairn/x 2>/dev/null
for name in cc gcc c++ g++ clang ld make; do ! command -v $name; done
"""
_IMPORT_ALL = """
import importlib, importlib.metadata, pkgutil, shutil, sys
sys.path.insert(0, ".")
names = {n for n in importlib.metadata.packages_distributions() if n.isidentifier()}
for package in ("app", "reconstruction", "volumetrics"):
    names |= {m.name for m in pkgutil.walk_packages([package], package + ".")}
failed = []
for name in sorted(n for n in names if n.split(".")[-1] != "__main__"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        # Where the library has no wheel, COLMAP is a program.
        if error.name != "pycolmap" or not shutil.which("colmap"):
            failed.append(f"{name}: {error}")
sys.exit("\\n".join(failed)) if failed else print(len(names), "modules")
"""


def main() -> int:
    """Try all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.images_check", description=__doc__)
    parser.add_argument("architectures", nargs="*", default=[_NATIVE])
    architectures = parser.parse_args().architectures
    for architecture in architectures:
        _check_images(architecture)
    if _NATIVE in architectures:
        _check_stack()
    return 0


def _check_images(architecture: str) -> None:
    for target in ("web", "worker"):
        image = _image(target, architecture)
        _podman("run", "--rm", "--network=none", *_BOUNDS, image, "sh", "-euc", _IS_BOUND)
        facts = json.loads(_podman("image", "inspect", image))[0]
        assert facts["Architecture"] == architecture, facts["Architecture"]
        _told(f"{architecture} {target}: {facts['Size'] / 1e6:.0f} MB, not root, read-only")
    _told(f"{architecture} worker imports", _python(_image("worker", architecture), _IMPORT_ALL))
    flight, survey = _FOLDER / "flight", _FOLDER / f"survey-{architecture}"
    _run(
        sys.executable,
        "-m",
        "reconstruction.synthetic",
        str(flight),
        "--size",
        "small",
        "--photos",
        "5",
    )
    _run("rm", "-rf", str(survey))
    survey.mkdir()
    survey.chmod(0o777)
    began = time.monotonic()
    _podman(
        "run", "--rm", "--network=none", *_BOUNDS, f"--volume={flight}:/flight:ro",
        f"--volume={survey}:/survey", _image("worker", architecture), "python", "-m",
        "reconstruction", "/flight/images", "/survey", "--quality", "preview",
    )  # fmt: skip
    _told(f"{architecture} worker reconstructed a small flight in {time.monotonic() - began:.0f} s")
    facts = json.loads((survey / "survey.json").read_text())
    assert (survey / "dsm.tif").stat().st_size > 10_000
    _told(f"{architecture} software", str(facts.get("software")))


def _check_stack() -> None:
    """The stack of compose.yaml; then the chart's pods on its database and queue."""
    folder = _FOLDER / "stack"
    folder.mkdir(parents=True, exist_ok=True)
    words = {name: secrets.token_urlsafe(40) for name in ("SECRET_KEY", "POSTGRES", "VALKEY")}
    settings = {
        "SECRET_KEY": words["SECRET_KEY"],
        "POSTGRES_PASSWORD": words["POSTGRES"],
        "VALKEY_PASSWORD": words["VALKEY"],
        "PUBLIC_URL": f"http://localhost:{_PORT}",
        "CAIRN_PORT": str(_PORT),
        "MAIL_URL": "",
    }
    (folder / ".env").write_text("".join(f"{k}={v}\n" for k, v in settings.items()))
    (folder / "compose.yaml").write_text((ROOT / "compose.yaml").read_text())
    try:
        _compose(folder, "up", "--detach")
        _wait(f"http://localhost:{_PORT}/readyz")
        _told("compose: the whole stack is ready behind the proxy")
        _open_an_organisation(folder)
        _wait_for_workers(folder, 1)
        _told("compose: a worker registered itself")
        _check_pods(folder, words)
    finally:
        _compose(folder, "down", "--volumes")


def _open_an_organisation(folder: Path) -> None:
    told = _compose(
        folder, "exec", "-T", "web", "flask", "--app", "wsgi", "open-organisation", "Quarries",
        "you@example.org",
    )  # fmt: skip
    link = next(line for line in told.splitlines() if line.startswith("http://localhost"))
    page = urllib.request.urlopen(link.strip(), timeout=20)
    assert page.status == 200
    _told("compose: the first administrator's link leads to a page")


def _wait_for_workers(folder: Path, count: int) -> None:
    query = "select count(*) from worker_node where heartbeat_at > now() - interval '20 seconds'"
    until = time.monotonic() + _START_S
    found = -1
    while found != count:
        if time.monotonic() > until:
            raise SystemExit(f"{found} workers registered themselves instead of {count}")
        time.sleep(2)
        command = f'psql -h /tmp -U cairn -tAc "{query}" cairn'
        told = _compose(
            folder,
            "exec",
            "-T",
            "postgis",
            "sh",
            "-c",
            f'PGPASSWORD="$POSTGRES_PASSWORD" {command}',
        )
        found = next((int(line) for line in told.splitlines() if line.strip().isdigit()), -1)


def _check_pods(folder: Path, words: dict[str, str]) -> None:
    """The Deployments of web and worker, as the chart renders them for one box."""
    database = f"postgresql://cairn:{words['POSTGRES']}@postgis:5432/cairn"
    kept = {
        "cairn-application": {"SECRET_KEY": words["SECRET_KEY"]},
        "cairn-database": {"DATABASE_URL": database},
        "cairn-queue": {"REDIS_URL": f"redis://:{words['VALKEY']}@valkey:6379/0"},
    }
    values = {
        "queue.kind": "external",
        "queue.external.name": "cairn-queue",
        "queue.external.address": "valkey:6379",
    }
    rendered = _run(
        str(_HELM), "template", "cairn", "helm/cairn", "--values", "helm/cairn/ci/site.yaml",
        *(word for key, value in values.items() for word in ("--set", f"{key}={value}")),
    )  # fmt: skip
    kinds = ("Deployment", "ConfigMap", "PersistentVolumeClaim")
    chosen = [d for d in yaml.safe_load_all(rendered) if d and d["kind"] in kinds]
    pods = folder / "pods.yaml"
    pods.write_text(yaml.safe_dump_all([_for_podman(document) for document in chosen]))
    network = f"--network={folder.name}_default"
    for name, entries in kept.items():
        text = {key: base64.b64encode(value.encode()).decode() for key, value in entries.items()}
        _podman("secret", "rm", name, may_fail=True)
        _podman("secret", "create", name, "-", given=json.dumps(text))
    try:
        _podman("play", "kube", network, str(pods))
        running = [d["metadata"]["name"] for d in chosen if d["kind"] == "Deployment"]
        web = f"{next(name for name in running if name.endswith('-web'))}-pod-0-web"
        ready = (
            "import urllib.request as u; print(u.urlopen('http://localhost:8000/readyz').read())"
        )
        until = time.monotonic() + _START_S
        while not (told := _podman("exec", web, "python", "-c", ready, may_fail=True)):
            if time.monotonic() > until:
                raise SystemExit(_podman("logs", web, may_fail=True))
            time.sleep(2)
        _told("chart: the pod of the web answers", told)
        pools = sum("-worker-" in name for name in running)
        _wait_for_workers(folder, 1 + pools)
        _told(f"chart: {pools} pods of workers registered themselves")
    finally:
        _podman("play", "kube", "--down", str(pods), may_fail=True)
        for name in kept:
            _podman("secret", "rm", name, may_fail=True)


def _for_podman(document: dict[str, Any]) -> dict[str, Any]:
    """Without what podman 4 cannot do: preparing memory for a node that is larger than this one."""
    if document["kind"] == "Deployment":
        for container in document["spec"]["template"]["spec"]["containers"]:
            container.pop("resources", None)
    return document


def _image(target: str, architecture: str) -> str:
    of_other = "" if architecture == _NATIVE else f"-{architecture}"
    return f"cairn-{target}:{metadata.version('cairn')}{of_other}"


def _python(image: str, code: str) -> str:
    return _podman(
        "run", "--rm", "--network=none", *_BOUNDS, image, "python", "-W", "ignore", "-c", code
    )


def _podman(*words: str, given: str = "", may_fail: bool = False) -> str:
    return _run("podman", *words, given=given, may_fail=may_fail)


def _compose(folder: Path, *words: str) -> str:
    return _run("podman-compose", *words, cwd=folder)


def _run(*words: str, cwd: Path = ROOT, given: str = "", may_fail: bool = False) -> str:
    done = subprocess.run(words, cwd=cwd, input=given, text=True, capture_output=True)
    if done.returncode and not may_fail:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done.stdout if not done.returncode else ""


def _wait(url: str) -> None:
    until = time.monotonic() + _START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() > until:
                raise SystemExit(f"{url}: {error}") from error
        time.sleep(1)


def _told(*words: str) -> None:
    print("  " + " ".join(word.strip() for word in words), flush=True)


if __name__ == "__main__":
    sys.exit(main())
