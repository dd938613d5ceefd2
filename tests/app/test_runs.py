"""Runs on real workers: watched, killed, cancelled, resumed; the queue is emptied under them."""

import json
import os
import shutil
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from app import jobs, queues
from app.extensions import db, redis
from app.models import Photo, Run, RunState, StageRun, Survey, SurveyState, WorkerNode
from app.services import runs
from tests.app import live

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def flight():
    """A small rendered flight."""
    return live.small_flight()


@pytest.fixture
def survey(app, people, flight):
    """A survey whose photos have arrived."""
    row = Survey(site_id=people["site"].id, name="Week 47", flown_on=sa.func.current_date())
    db.session.add(row)
    db.session.commit()
    folder = app.extensions["cairn_storage"].photos(row.id)
    for number, path in enumerate(sorted((flight / "images").glob("*.JPG"))):
        shutil.copy(path, folder)
        digest = number.to_bytes(32, "big")
        values = {"name": path.name, "sha256": digest, "size": path.stat().st_size}
        db.session.add(Photo(survey_id=row.id, **values))
    db.session.commit()
    return row


@pytest.fixture
def environment(app, services):
    """Of workers beside the test."""
    return live.environment(*services, app.extensions["cairn_storage"].root, 80)


def start(client, survey, quality="preview"):
    answer = client.post(f"/api/v1/surveys/{survey.id}/runs", json={"quality": quality})
    assert answer.status_code == 201, answer.text
    return answer.json["id"]


def state_of(run_id):
    db.session.rollback()
    return db.session.get(Run, run_id)


def wait_for(condition, seconds):
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it took too long"
        time.sleep(0.1)


def age_heartbeat(run_id):
    """Let a minute of silence pass."""
    then = datetime.now(UTC) - timedelta(minutes=2)
    db.session.execute(sa.update(Run).where(Run.id == run_id).values(heartbeat_at=then))
    db.session.commit()


def test_a_killed_worker_is_noticed_and_the_run_resumes(
    app, client_of, survey, environment, tmp_path
):
    client = client_of("surveyor")
    run_id = start(client, survey)
    first = live.worker(environment, tmp_path / "first")
    wait_for(lambda: db.session.scalar(sa.select(sa.func.count()).select_from(WorkerNode)), 30)
    wait_for(lambda: state_of(run_id).stage not in ("", "images", "pairs", "features"), 90)
    kill_family(first)
    finished = {path.name for path in (workspace(app, survey) / "work").iterdir()}
    assert "features" in finished
    age_heartbeat(run_id)
    with (
        live.running(live.clock(environment, tmp_path / "clock")),
        live.running(live.worker(environment, tmp_path / "second")),
    ):
        wait_for(lambda: state_of(run_id).state == RunState.DONE, 180)
    run = state_of(run_id)
    assert run.attempts == 2
    log = (app.extensions["cairn_storage"].products(survey.id) / "log.jsonl").read_text()
    events = [json.loads(line) for line in log.splitlines()]
    assert {"stage": "features", "event": "resumed"}.items() <= next(
        event for event in events if event["event"] == "resumed" and event["stage"] == "features"
    ).items()
    row = db.session.get(Survey, survey.id)
    assert (row.state, row.facts["registered_count"]) == (SurveyState.READY, 12)
    states = db.session.scalars(sa.select(StageRun.state).where(StageRun.run_id == run_id)).all()
    assert set(states) == {"done"}
    facts = client.get(f"/api/v1/surveys/{survey.id}").json
    assert facts["model_url"].endswith("model/tileset.json")
    assert client.get(facts["model_url"]).status_code == 200
    events = client.get(f"/api/v1/runs/{run_id}/events").text
    assert '"state": "done"' in events


def test_a_running_run_is_cancelled_and_another_goes_on_from_there(
    app, client_of, survey, environment, tmp_path
):
    client = client_of("surveyor")
    run_id = start(client, survey)
    assert client.post(f"/api/v1/surveys/{survey.id}/runs", json={}).status_code == 409
    with live.running(live.worker(environment, tmp_path / "log")):
        wait_for(lambda: state_of(run_id).stage not in ("", "images", "pairs", "features"), 90)
        assert client.post(f"/api/v1/runs/{run_id}/cancel").json["state"] == "cancelling"
        wait_for(lambda: state_of(run_id).state == RunState.CANCELLED, 60)
    assert db.session.get(Survey, survey.id).state == SurveyState.COLLECTING
    assert (workspace(app, survey) / "work" / "features" / "manifest.json").is_file()
    assert client.post(f"/api/v1/runs/{run_id}/cancel").status_code == 409


def test_an_emptied_queue_is_filled_again_from_the_rows(client_of, survey):
    run_id = start(client_of("surveyor"), survey)
    redis().flushall()
    assert runs.rescue() == 1
    waiting = redis().lrange("rq:queue:survey", 0, -1)
    assert waiting == [f"run-{run_id}-0".encode()]
    # Sent once, however often somebody looks after it.
    runs.rescue()
    assert len(redis().lrange("rq:queue:survey", 0, -1)) == 1


def test_a_job_that_died_with_its_worker_before_it_began_is_sent_again(client_of, survey):
    run_id = start(client_of("surveyor"), survey)
    assert redis().lpop("rq:queue:survey") == f"run-{run_id}-0".encode()
    assert runs.rescue() == 1
    assert redis().lrange("rq:queue:survey", 0, -1) == [f"run-{run_id}-0".encode()]


def test_a_worker_killed_while_it_gives_its_run_back_is_noticed(
    client_of, survey, environment, tmp_path
):
    run_id = start(client_of("surveyor"), survey)
    worker = live.worker(environment, tmp_path / "log")
    wait_for(lambda: state_of(run_id).stage != "", 90)
    worker.process.terminate()
    wait_for(lambda: queues.is_ending(state_of(run_id).worker), 30)
    # From now on nothing can be written to the queue: the row is given back, the job is not.
    redis().client_pause(60_000, all=False)
    wait_for(lambda: state_of(run_id).state == RunState.QUEUED, 90)
    kill_family(worker)
    redis().client_unpause()
    job = f"run-{run_id}-0"
    assert (redis().hget(f"rq:job:{job}", "status"), runs.rescue()) == (b"started", 0)
    then = datetime.now(UTC) - timedelta(minutes=2)
    redis().hset(f"rq:job:{job}", "last_heartbeat", then.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))
    assert runs.rescue() == 1
    assert redis().lrange("rq:queue:survey", 0, -1) == [job.encode()]
    # Nothing of the first attempt is left that RQ might clean up while the second is at work.
    assert redis().zcard("rq:wip:survey") == 0
    assert runs.rescue() == 0


def test_a_run_whose_workers_keep_dying_fails_with_a_remedy(client_of, survey):
    run_id = start(client_of("surveyor"), survey)
    values = {"state": RunState.RUNNING, "attempts": 3, "stage": "dense"}
    db.session.execute(sa.update(Run).where(Run.id == run_id).values(values))
    age_heartbeat(run_id)
    runs.rescue()
    run = state_of(run_id)
    assert run.state == RunState.FAILED
    assert "died 3 times, last in the stage dense" in run.failure["reason"]
    assert db.session.get(Survey, survey.id).state == SurveyState.FAILED


def test_a_job_that_is_delivered_twice_is_done_once(client_of, survey):
    run_id = start(client_of("surveyor"), survey)
    assert runs.claim(state_of(run_id).id, "first") is not None
    assert runs.claim(state_of(run_id).id, "second") is None


def test_a_run_that_is_given_back_was_no_attempt_and_a_cancelled_one_stays(client_of, survey):
    client = client_of("surveyor")
    run_id = state_of(start(client, survey)).id
    assert runs.claim(run_id, "first") is not None
    assert runs.give_back(run_id)
    assert (state_of(run_id).state, state_of(run_id).attempts) == (RunState.QUEUED, 0)
    assert runs.claim(run_id, "second") is not None
    assert client.post(f"/api/v1/runs/{run_id}/cancel").json["state"] == "cancelling"
    assert not runs.give_back(run_id)
    assert state_of(run_id).state == RunState.CANCELLING


def test_a_survey_that_the_disk_cannot_hold_fails_with_what_is_missing(
    app, client_of, survey, monkeypatch
):
    monkeypatch.setattr(jobs, "_app", lambda: app)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.02e9))
    run_id = start(client_of("surveyor"), survey)
    jobs.process(run_id)
    run = state_of(run_id)
    assert (run.state, run.failure["cause"]) == (RunState.FAILED, "storage")
    assert "and 0.0 GB are free there" in run.failure["reason"]
    assert "Free some space" in run.failure["remedy"]
    assert {path.name for path in (workspace(app, survey) / "work").iterdir()} == {"images"}


def test_too_few_photos_are_refused_at_once(app, client_of, people):
    row = Survey(site_id=people["site"].id, name="Empty", flown_on=sa.func.current_date())
    db.session.add(row)
    db.session.commit()
    answer = client_of("surveyor").post(f"/api/v1/surveys/{row.id}/runs", json={})
    assert answer.status_code == 422
    assert "0 photos" in answer.json["detail"]


def workspace(app, survey):
    return app.extensions["cairn_storage"].workspace(survey.id)


def kill_family(process):
    """Kill a worker with the child that does the job, which leads a group of its own."""
    command = ["ps", "-o", "pid=", "--ppid", str(process.process.pid)]
    children = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()
    process.kill()
    for child in children:
        os.kill(int(child), signal.SIGKILL)
