"""What Prometheus and readers of logs see; alerts and dashboard ask for nothing else."""

import json
import logging
import os
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app import logs, memory, queues
from app.extensions import db, redis
from app.models import Run, RunState, StageRun, Survey, WorkerNode
from reconstruction import room

ROOT = Path(__file__).parents[2]
FILES = ROOT / "helm" / "cairn" / "files"


@pytest.fixture
def busy(app, people):
    """Runs, stages, a waiting job and a worker."""
    survey = Survey(site_id=people["site"].id, name="Week 47", flown_on=sa.func.current_date())
    db.session.add(survey)
    db.session.flush()
    failed = {"survey_id": survey.id, "state": RunState.FAILED}
    done = Run(survey_id=survey.id, state=RunState.DONE)
    db.session.add_all(
        [done, Run(**failed, failure={"cause": "storage"}), Run(**failed, failure={"cause": "sfm"})]
    )
    db.session.flush()
    now = datetime.now(UTC)
    times = {"started_at": now - timedelta(seconds=90), "ended_at": now}
    db.session.add(StageRun(run_id=done.id, position=0, name="dense", state="done", **times))
    facts = {"architecture": "aarch64", "cores": 8, "queues": ["shard", "survey"], "versions": {}}
    moments = {"started_at": now, "heartbeat_at": now}
    db.session.add(
        WorkerNode(name="pod-1:7", host="pod-1", memory_bytes=16 << 30, **facts, **moments)
    )
    db.session.commit()
    queues.tell_memory("pod-1:7", 4 << 30)
    queues.tell_done("take_flights")
    queues.enqueue(queues.SURVEY, "app.jobs.process", "1", job_id="waits")
    hour_ago = (now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    redis().hset("rq:job:waits", "enqueued_at", hour_ago)
    return app.test_client()


def samples(client):
    """Values by name and labels."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.mimetype == "text/plain"
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_queues_runs_and_workers_are_told(busy):
    found = samples(busy)
    assert found["cairn_queue_waiting", "survey"] == 1
    assert found["cairn_queue_waiting", "short"] == 0
    assert 3600 <= found["cairn_queue_age_seconds", "survey"] < 3700
    assert found["cairn_runs", "done"] == 1
    assert found["cairn_runs", "queued"] == 0
    assert found["cairn_run_failures_total", "storage"] == 1
    assert found["cairn_run_failures_total", "sfm"] == 1
    assert found["cairn_stage_seconds_count", "dense"] == 1
    assert found["cairn_stage_seconds_sum", "dense"] == pytest.approx(90.0)
    assert found["cairn_worker_memory_bytes", "pod-1:7"] == 4 << 30
    assert found["cairn_worker_memory_limit_bytes", "pod-1:7"] == 16 << 30
    age_s = time.time() - found["cairn_chore_done_timestamp_seconds", "take_flights"]
    assert 0 <= age_s < 60
    assert (found["cairn_workers", "shard"], found["cairn_workers", "short"]) == (1, 0)


def test_nobody_sees_them_through_the_proxy(busy):
    assert busy.get("/metrics", headers={"X-Forwarded-For": "198.51.100.7"}).status_code == 404


def expressions():
    """All that the dashboard and the alerts ask."""
    for panel in json.loads((FILES / "dashboard.json").read_text())["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    for group in yaml.safe_load((FILES / "alerts.yaml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])


def test_dashboard_and_alerts_ask_for_metrics_that_exist(busy):
    known = {name for name, *_ in samples(busy)}
    asked = {name for text in expressions() for name in re.findall(r"\bcairn_\w+", text)}
    assert asked
    assert asked <= known


def test_alerts_are_raised_when_they_should_be_and_only_then(tmp_path):
    rules = FILES / "alerts.yaml"
    cases = tmp_path / "cases.yaml"
    cases.write_text((ROOT / "tests/helm/alerts.yaml").read_text().replace("RULES", str(rules)))
    for command in (["check", "rules", rules], ["test", "rules", cases]):
        words = ["promtool", *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    tested = cases.read_text()
    names = [r["alert"] for g in yaml.safe_load(rules.read_text())["groups"] for r in g["rules"]]
    assert all(tested.count(f"alertname: {name}") >= 2 for name in names if name != "CairnAway")


def test_readiness_says_what_is_away(app, monkeypatch):
    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    everything = {"status": "ok", "database": "ok", "queue": "ok", "storage": "ok"}
    assert client.get("/readyz").json == everything

    def away():
        raise OSError("gone")

    monkeypatch.setattr(app.extensions["cairn_storage"], "check", away)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json["storage"]) == (503, "does not answer")


@pytest.fixture
def lines():
    """What is logged, as it would be written."""
    written = []

    class Kept(logging.Handler):
        def emit(self, record):
            written.append(json.loads(logs.JsonLines().format(record)))

    handler, root = Kept(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield written
    root.removeHandler(handler)
    root.setLevel(before)


def test_a_request_is_logged_with_its_identifier_and_without_its_secrets(app, lines):
    client = app.test_client()
    headers = {"X-Request-ID": "edge-12345678", "Authorization": "Bearer top.secret"}
    answer = client.get("/api/v1/sites?token=hidden", headers=headers)
    assert answer.headers["X-Request-ID"] == "edge-12345678"
    (line,) = [line for line in lines if line["message"] == "request"]
    assert (line["request_id"], line["route"]) == ("edge-12345678", "/api/v1/sites")
    assert (line["status"], line["method"]) == (answer.status_code, "GET")
    assert "hidden" not in json.dumps(lines)
    assert "top.secret" not in json.dumps(lines)
    # What is no identifier is replaced, not repeated.
    forged = client.get("/", headers={"X-Request-ID": 'x" level="error'}).headers["X-Request-ID"]
    assert re.fullmatch("[0-9a-f]{32}", forged)


def test_a_link_that_lets_somebody_in_is_not_logged(app, lines):
    app.test_client().get("/welcome/very-secret-token-0123456789")
    assert "very-secret" not in json.dumps(lines)


def test_a_run_and_an_error_are_logged(lines):
    token = logs.run_id.set("4711")
    try:
        raise ValueError("postgresql://cairn:pit@db/x")
    except ValueError:
        logging.getLogger("app").exception("failed")
    finally:
        logs.run_id.reset(token)
    assert lines[-1]["run_id"] == "4711"
    assert "ValueError: postgresql://cairn:***@db/x" in lines[-1]["exception"]


def test_memory_counts_children():
    mine = memory.held_bytes()
    block = "bytearray(200_000_000)"
    code = f"import sys; b = {block}; print(len(b), flush=True); sys.stdin.read()"
    words = ["python3", "-c", code]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        # Freshly zeroed pages count once they are written, which bytearray does not do by itself.
        assert memory.held_bytes(child.pid) > 1_000_000
        assert memory.held_bytes() > mine
        child.stdin.close()
    assert memory.held_bytes(child.pid) == 0
    assert 0 < mine < memory.limit_bytes()


@pytest.mark.parametrize(
    ("limit", "expected"), [("1000000", 1_000_000), ("max", None), (None, None)]
)
def test_a_container_holds_what_either_version_of_cgroups_allows(
    tmp_path, monkeypatch, limit, expected
):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    path = tmp_path / "limit"
    if limit is not None:
        path.write_text(f"{limit}\n")
    monkeypatch.setattr(memory, "_LIMITS", (tmp_path / "missing", path))
    assert memory.limit_bytes() == (expected or machine)


def test_a_survey_gets_the_cores_that_its_memory_allows():
    flight = (200, 20_000_000, "standard")
    on = {cores: memory.needed_bytes(*flight, cores) for cores in (1, 8, 9)}
    assert memory.cores_for(*flight, 9, int(on[9])) == 9
    assert memory.cores_for(*flight, 9, int(on[9]) - 1) == 8
    assert memory.cores_for(*flight, 9, int(on[1]) - 1) == 1
    # Kept photos are bounded, so a large flight is no hundred gigabytes.
    assert memory.needed_bytes(1000, *flight[1:], 8) < 16e9


@pytest.mark.parametrize(
    ("photo_count", "quality", "queue"),
    [
        (500, "standard", queues.SURVEY),
        # It would fit into memory, and not on the disk.
        (3000, "standard", queues.LARGE),
        (1500, "high", queues.LARGE),
        (5000, "preview", queues.LARGE),
    ],
)
def test_a_survey_waits_for_workers_that_can_hold_it(photo_count, quality, queue):
    flight = (photo_count, 20_000_000, quality)
    memory_bytes = memory.needed_bytes(*flight, cores=1)
    assert queues.survey_queue(memory_bytes, room.needed_bytes(*flight)) == queue


@pytest.mark.parametrize(
    ("flight", "cores", "peak_gb"),
    [
        ((12, 1_500_000, "preview"), 2, 1.0),
        ((40, 1_500_000, "preview"), 2, 1.1),
        ((18, 6_000_000, "standard"), 2, 1.33),
        ((18, 6_000_000, "standard"), 8, 1.88),
        ((50, 20_000_000, "preview"), 2, 2.64),
    ],
)
def test_predicted_memory_held_what_workers_held_and_not_twice_as_much(flight, cores, peak_gb):
    assert peak_gb < memory.needed_bytes(*flight, cores) / 1e9 < 2.0 * peak_gb
