"""Try the stack of `compose.yaml`, and the chart's pods of web and worker on its services.

A flight goes in by `cairn upload` through the proxy. While it is computed every service is
restarted, and the worker killed; the survey must be finished, once.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from scripts.containers import FOLDER, ROOT, START_S, compose, podman, run, told, wait

_PORT = 8088
_SURVEY_S = 3600.0
# Of the stack: one for surveys, one for what is short.
_WORKERS = 2
_HELM = ROOT / "build" / "chart-tools" / "helm4"
# Everything that a surveyor has made in a browser before the first flight.
_PREPARE = """
from flask import g
from app import create_app
from app.auth.actor import Actor
from app.config import Config
from app.services import accounts, sites, tokens
import os
app = create_app(Config.from_environment(os.environ))
with app.test_request_context():
    user = accounts.create_organisation("Pits", "pits@example.org", "P", "gravel by the tonne")
    g.actor = Actor(user)
    sites.create(g.actor, {"name": "Pit"})
    print("token", tokens.create(g.actor, "check", [], ["read", "write"], 1))
"""


def check(flight: Path) -> None:
    """Everything, in a project of its own that is gone afterwards.

    Parameters
    ----------
    flight : Path
        A folder of photos.
    """
    folder = FOLDER / "stack"
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
        compose(folder, "up", "--detach")
        wait(f"http://localhost:{_PORT}/readyz")
        told("compose: the whole stack is ready behind the proxy")
        _open_an_organisation(folder)
        _wait_for_workers(folder, _WORKERS)
        told(f"compose: {_WORKERS} workers registered themselves")
        _survive(folder, flight)
        _check_pods(folder, words)
    finally:
        compose(folder, "down", "--volumes")


def _open_an_organisation(folder: Path) -> None:
    words = compose(
        folder, "exec", "-T", "web", "flask", "--app", "wsgi", "open-organisation", "Quarries",
        "you@example.org",
    )  # fmt: skip
    link = next(line for line in words.splitlines() if line.startswith("http://localhost"))
    page = urllib.request.urlopen(link.strip(), timeout=20)
    assert page.status == 200
    told("compose: the first administrator's link leads to a page")


def _wait_for_workers(folder: Path, count: int) -> None:
    query = "select count(*) from worker_node where heartbeat_at > now() - interval '20 seconds'"
    until = time.monotonic() + START_S
    found = -1
    while found != count:
        if time.monotonic() > until:
            raise SystemExit(f"{found} workers registered themselves instead of {count}")
        time.sleep(2)
        command = f'psql -h /tmp -U cairn -tAc "{query}" cairn'
        words = compose(
            folder,
            "exec",
            "-T",
            "postgis",
            "sh",
            "-c",
            f'PGPASSWORD="$POSTGRES_PASSWORD" {command}',
        )
        found = next((int(line) for line in words.splitlines() if line.strip().isdigit()), -1)


def _survive(folder: Path, flight: Path) -> None:
    """A flight is processed while everything is restarted below it."""
    prepared = compose(folder, "exec", "-T", "web", "python", "-W", "ignore", "-c", _PREPARE)
    token = next(line.split()[1] for line in prepared.splitlines() if line.startswith("token"))
    run(
        sys.executable, "-m", "app.cli", "upload", str(flight), "--site", "Pit", "--settle", "0",
        "--quality", "preview",
        environment=os.environ | {"CAIRN_URL": f"http://localhost:{_PORT}", "CAIRN_TOKEN": token},
    )  # fmt: skip
    (site,) = _get("/sites", token)["items"]
    surveys = f"/sites/{site['id']}/surveys"
    began = time.monotonic()
    _wait_for_state(surveys, token, "processing")
    for service in ("valkey", "postgis", "web", "clock", "proxy", "worker"):
        name = f"{folder.name}_{service}_1"
        if service == "worker":
            # One that is told to go ends its job first; this one has no time to.
            podman("kill", "--signal", "KILL", name)
            podman("start", name)
        else:
            podman("restart", name)
        wait(f"http://localhost:{_PORT}/readyz")
        (survey,) = _get(surveys, token)["items"]
        told(
            f"compose: {service} restarted after {time.monotonic() - began:.0f} s,", survey["state"]
        )
    survey = _wait_for_state(surveys, token, "ready")
    runs = _get(f"/surveys/{survey['id']}/runs", token)
    if [found["state"] for found in runs] != ["done"]:
        raise SystemExit(f"the survey has these runs: {runs}")
    if len(_fetched(f"/surveys/{survey['id']}/files/dsm.tif", token)) < 10_000:
        raise SystemExit("the surface is no surface")
    told(f"compose: the survey was finished, once, after {time.monotonic() - began:.0f} s")


def _wait_for_state(surveys: str, token: str, state: str) -> dict[str, Any]:
    until = time.monotonic() + _SURVEY_S
    while True:
        (survey,) = _get(surveys, token)["items"]
        if survey["state"] in (state, "ready"):
            return dict(survey)
        if survey["state"] == "failed" or time.monotonic() > until:
            raise SystemExit(f"the survey is {survey['state']}")
        time.sleep(1)


def _get(path: str, token: str) -> Any:
    return json.loads(_fetched(path, token))


def _fetched(path: str, token: str) -> bytes:
    """An answer of the API, asked again while nobody is there to give it."""
    url = f"http://localhost:{_PORT}/api/v1{path}"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return bytes(answer.read())
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() > until:
                raise SystemExit(f"{url}: {error}") from error
        time.sleep(1)


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
    rendered = run(
        str(_HELM), "template", "cairn", "helm/cairn", "--values", "helm/cairn/ci/site.yaml",
        *(word for key, value in values.items() for word in ("--set", f"{key}={value}")),
    )  # fmt: skip
    kinds = ("Deployment", "ConfigMap", "PersistentVolumeClaim")
    chosen = [d for d in yaml.safe_load_all(rendered) if d and d["kind"] in kinds]
    pods = folder / "pods.yaml"
    pods.write_text(yaml.safe_dump_all([_forpodman(document) for document in chosen]))
    network = f"--network={folder.name}_default"
    volumes = [d["metadata"]["name"] for d in chosen if d["kind"] == "PersistentVolumeClaim"]
    # Left behind by a trial that was cut off.
    podman("volume", "rm", "--force", *volumes, may_fail=True)
    for name, entries in kept.items():
        text = {key: base64.b64encode(value.encode()).decode() for key, value in entries.items()}
        podman("secret", "rm", name, may_fail=True)
        podman("secret", "create", name, "-", given=json.dumps(text))
    try:
        podman("play", "kube", network, str(pods))
        running = [d["metadata"]["name"] for d in chosen if d["kind"] == "Deployment"]
        web = f"{next(name for name in running if name.endswith('-web'))}-pod-0-web"
        ready = (
            "import urllib.request as u; print(u.urlopen('http://localhost:8000/readyz').read())"
        )
        until = time.monotonic() + START_S
        while not (answer := podman("exec", web, "python", "-c", ready, may_fail=True)):
            if time.monotonic() > until:
                raise SystemExit(podman("logs", web, may_fail=True))
            time.sleep(2)
        told("chart: the pod of the web answers", answer)
        pools = sum("-worker-" in name for name in running)
        _wait_for_workers(folder, _WORKERS + pools)
        told(f"chart: {pools} pods of workers registered themselves")
    finally:
        podman("play", "kube", "--down", str(pods), may_fail=True)
        podman("volume", "rm", "--force", *volumes, may_fail=True)
        for name in kept:
            podman("secret", "rm", name, may_fail=True)


def _forpodman(document: dict[str, Any]) -> dict[str, Any]:
    """Without what podman 4 cannot do: preparing memory for a node that is larger than this one."""
    if document["kind"] == "Deployment":
        for container in document["spec"]["template"]["spec"]["containers"]:
            container.pop("resources", None)
    return document
