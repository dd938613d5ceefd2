"""Faults, each caused for real: the survey is finished all the same, and once."""

import json
import os
import shutil
import subprocess
import time
from uuid import UUID

import pytest
import sqlalchemy as sa

from app.extensions import db, redis
from app.models import Photo, Run, RunState, Survey, SurveyState
from app.storage import from_url
from scripts.services import PROGRAMS
from tests.app import live
from tests.app.store import BUCKET
from tests.app.test_runs import age_heartbeat, kill_family, start, state_of, wait_for

# One survey for all tests: what a test finished stays in storage and is not done again.
SURVEY = UUID("5a1f0000-0000-4000-8000-000000000001")
PRODUCTS = {"dsm.tif", "orthomosaic.tif", "survey.json", "model/tileset.json"}
OUTAGE_S = 60.0


@pytest.fixture(scope="module")
def flight():
    """Photos of a small rendered flight."""
    return sorted((live.small_flight() / "images").glob("*.JPG"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """Folder for what the workers of one machine write."""
    return tmp_path_factory.mktemp("machine")


def make_survey(site, flight):
    """Rows of a survey whose photos have arrived."""
    row = Survey(id=SURVEY, site_id=site.id, name="Week 47", flown_on=sa.func.current_date())
    db.session.add(row)
    for number, path in enumerate(flight):
        facts = {"name": path.name, "sha256": number.to_bytes(32, "big")}
        db.session.add(Photo(survey_id=SURVEY, size=path.stat().st_size, **facts))
    db.session.commit()
    return row


@pytest.fixture
def in_store(app, people, services, store, flight, machine, monkeypatch):
    """The survey in a store that speaks S3; yields storage and the environment of workers."""
    make_survey(people["site"], flight)
    environment = live.environment(*services, "nowhere", 80) | store.environment
    environment |= {"TMPDIR": str(machine), "SPREAD_PHOTOS": "1"}
    for name in (*store.environment, "TMPDIR"):
        monkeypatch.setenv(name, environment[name])
    monkeypatch.setattr("tempfile.tempdir", None)
    client = store.client()
    if not store.names("cairn/"):
        for path in flight:
            key = f"cairn/surveys/{SURVEY}/photos/{path.name}"
            client.upload_file(str(path), BUCKET, key)
    return from_url(environment["STORAGE_URL"]), environment


def log_of(storage):
    """Events of the survey's log, in order."""
    text = b"".join(storage.blocks(storage.product(SURVEY, "log.jsonl"))).decode()
    return [json.loads(line) for line in text.splitlines()]


def check_finished(storage, run_id):
    """The survey is ready, all its products are there, and people were told once."""
    run = state_of(run_id)
    assert (run.state, run.failure) == (RunState.DONE, {})
    assert storage.names(SURVEY) >= PRODUCTS
    row = db.session.get(Survey, SURVEY)
    assert (row.state, row.facts["registered_count"]) == (SurveyState.READY, 12)
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Run)) == 1
    assert [e["event"] for e in log_of(storage) if e["stage"] == "run"].count("finished") >= 1


def forget(store, *stages):
    """Remove stages from the store, so that they are done again."""
    for stage in stages:
        store.client().delete_object(Bucket=BUCKET, Key=f"cairn/surveys/{SURVEY}/work/{stage}.zip")


def test_another_machine_goes_on_where_a_killed_worker_was(in_store, client_of, machine, tmp_path):
    storage, environment = in_store
    run_id = start(client_of("surveyor"), db.session.get(Survey, SURVEY))
    with live.running(live.worker(environment, tmp_path / "first")) as first:
        wait_for(lambda: state_of(run_id).stage not in ("", "images", "pairs", "features"), 240)
        # Evicted, and the time to end was too short.
        first.process.terminate()
        kill_family(first)
    shutil.rmtree(machine / "cairn")
    age_heartbeat(run_id)
    with (
        live.running(live.clock(environment, tmp_path / "clock")),
        live.running(live.worker(environment, tmp_path / "second")),
        live.running(live.worker(environment, tmp_path / "third")),
    ):
        wait_for(lambda: state_of(run_id).state not in ("queued", "running"), 400)
    check_finished(storage, run_id)
    assert state_of(run_id).attempts == 2
    resumed = {e["stage"] for e in log_of(storage) if e["event"] == "resumed"}
    assert {"images", "pairs", "features"} <= resumed
    # The workers' disk is as it was.
    assert not (machine / "cairn" / "surveys" / str(SURVEY)).exists()


def test_a_worker_that_is_told_to_go_leaves_its_run_to_another(
    in_store, store, client_of, tmp_path
):
    storage, environment = in_store
    forget(store, "ties", "georeference", "dense", "dsm", "point_cloud", "orthomosaic", "model")
    run_id = start(client_of("surveyor"), db.session.get(Survey, SURVEY))
    with live.running(live.worker(environment, tmp_path / "first")) as first:
        wait_for(lambda: state_of(run_id).stage in ("ties", "georeference"), 240)
        first.process.terminate()
        assert first.process.wait(240) == 0
    run = state_of(run_id)
    assert (run.state, run.attempts, run.failure) == (RunState.QUEUED, 0, {})
    assert redis().lrange("rq:queue:survey", 0, -1) == [f"run-{run_id}-0".encode()]
    with live.running(live.worker(environment, tmp_path / "second")):
        wait_for(lambda: state_of(run_id).state not in ("queued", "running"), 400)
    check_finished(storage, run_id)
    assert state_of(run_id).attempts == 1
    # The stage that it was at was not lost, and it did not go on to the end.
    assert {("ties", "resumed"), ("model", "finished")} <= {
        (event["stage"], event["event"]) for event in log_of(storage)
    }


def test_a_run_outlives_its_queue_its_database_and_a_minute_without_storage(
    in_store, store, client_of, database_url, tmp_path
):
    storage, environment = in_store
    forget(store, "dense", "dsm", "point_cloud", "orthomosaic", "model")
    run_id = start(client_of("surveyor"), db.session.get(Survey, SURVEY))
    with live.running(live.worker(environment, tmp_path / "log")):
        wait_for(lambda: state_of(run_id).stage != "", 240)
        redis().flushall()
        store.process.kill()
        restart(database_url)
        time.sleep(OUTAGE_S)
        store.process.start()
        wait_for(lambda: state_of(run_id).state not in ("queued", "running"), 400)
    check_finished(storage, run_id)
    assert state_of(run_id).attempts == 1
    assert "the store does not answer" in (tmp_path / "log").read_text()


def restart(database_url):
    """End the database as a crash would, and start it again."""
    data = db.session.scalar(sa.text("show data_directory"))
    db.session.remove()
    db.engine.dispose()
    command = [
        str(PROGRAMS / "pg_ctl"),
        "-D",
        data,
        "-w",
        "-m",
        "immediate",
        "-l",
        f"{data}/log",
        "restart",
    ]
    account = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # No pipe: the database would hold it open for as long as it lives.
    subprocess.run([*account, *command], check=True, stdout=subprocess.DEVNULL, cwd="/")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of few megabytes, which can be made larger."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(folder)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_told_and_the_next_run_resumes(
    app, people, services, flight, client_of, small_disk, tmp_path
):
    make_survey(people["site"], flight)
    storage = from_url(f"file://{small_disk}")
    for path in flight:
        shutil.copy(path, storage.photos(SURVEY))
    environment = live.environment(*services, small_disk, 80)
    client = client_of("surveyor")
    with live.running(live.worker(environment, tmp_path / "log")):
        refused = start(client, db.session.get(Survey, SURVEY))
        wait_for(lambda: state_of(refused).state == RunState.FAILED, 240)
        assert "GB are free there" in state_of(refused).failure["reason"]
        subprocess.run(["mount", "-o", "remount,size=200m", str(small_disk)], check=True)
        first = start(client, db.session.get(Survey, SURVEY))
        wait_for(lambda: state_of(first).stage not in ("", "images", "pairs"), 240)
        # Somebody else fills it after the run has begun.
        filler = small_disk / "filler"
        subprocess.run(
            ["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], capture_output=True, check=False
        )
        wait_for(lambda: state_of(first).state == RunState.FAILED, 240)
        failure = state_of(first).failure
        assert "full" in failure["reason"] or "No space left on device" in failure["reason"]
        assert "The disk is full: free some space" in failure["remedy"]
        assert state_of(first).attempts == 1
        assert storage.names(SURVEY) == set()
        filler.unlink()
        second = start(client, db.session.get(Survey, SURVEY))
        wait_for(lambda: state_of(second).state not in ("queued", "running"), 400)
    assert state_of(second).state == RunState.DONE
    assert "resumed" in {e["event"] for e in log_of(storage)}
    assert storage.names(SURVEY) >= PRODUCTS
