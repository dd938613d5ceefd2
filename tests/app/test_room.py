"""Runs that begin at once on one disk: the second waits where both would fill it."""

import shutil
import threading
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from app import queues
from app.extensions import db, redis
from app.models import Photo, Run, RunState, StageRun, Survey
from app.services import room, runs
from reconstruction.room import needed_bytes

PHOTOS, PIXELS = 40, 12_000_000
NEEDED = needed_bytes(PHOTOS, PIXELS, "standard")


@pytest.fixture
def flights(app, people, client_of):
    """Three runs, each of a survey of its own, that wait."""
    found = []
    for number in range(3):
        survey = Survey(
            site_id=people["site"].id, name=f"Flight {number}", flown_on=sa.func.current_date()
        )
        db.session.add(survey)
        db.session.flush()
        for photo in range(PHOTOS):
            facts = {"width_px": 4000, "height_px": PIXELS // 4000}
            values = {"name": f"{photo}.jpg", "sha256": photo.to_bytes(32, "big"), "size": 1}
            db.session.add(Photo(survey_id=survey.id, facts=facts, **values))
        db.session.commit()
        answer = client_of("surveyor").post(f"/api/v1/surveys/{survey.id}/runs", json={})
        assert answer.status_code == 201, answer.text
        found.append(answer.json["id"])
    return found


@pytest.fixture
def free(monkeypatch):
    """Say how much of the disk is free, in what one flight needs."""

    def say(flights):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda folder: SimpleNamespace(free=flights * NEEDED)
        )

    return say


def run_of(run_id):
    db.session.rollback()
    return db.session.get_one(Run, run_id)


def test_a_run_waits_for_room_and_begins_when_another_has_ended(app, client_of, flights, free):
    free(1.5)
    first, second, _ = flights
    assert runs.claim(first, "host:1") is not None
    assert runs.claim(second, "other:2") is None
    run = run_of(second)
    assert (run.state, run.attempts, run.worker) == (RunState.QUEUED, 0, "")
    page = client_of("viewer").get(f"/surveys/{run.survey_id}").text
    for words in (run.message, page):
        assert (
            f"waits for room on the disk: it needs {NEEDED / 1e9:.1f} GB, the survey at work "
            f"{NEEDED / 1e9:.1f} GB more, and {1.5 * NEEDED / 1e9:.1f} GB are free" in words
        )
    # The job is over; whoever looks after the runs sends it again.
    redis().flushall()
    assert runs.rescue() == 2
    job = f"run-{second}-0"
    assert job.encode() in redis().lrange(f"rq:queue:{queues.SURVEY}", 0, -1)
    runs.fail(run_of(first).id, {}, RunState.CANCELLED)
    assert runs.claim(second, "other:2") is not None


def test_of_runs_that_begin_at_the_same_moment_as_many_do_as_fit(app, flights, free):
    free(2.5)
    ready = threading.Barrier(len(flights))

    def begin(run_id):
        with app.app_context():
            ready.wait()
            runs.claim(run_id, f"host:{run_id}")

    threads = [threading.Thread(target=begin, args=(run_id,)) for run_id in flights]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    states = sorted(run_of(run_id).state for run_id in flights)
    assert states == [RunState.QUEUED, RunState.RUNNING, RunState.RUNNING]


def test_a_run_that_is_alone_is_not_made_to_wait_for_ever(flights, free):
    free(0.5)
    assert runs.claim(flights[0], "host:1") is not None


def test_what_others_have_written_and_passed_counts_no_more(app, flights, free):
    free(1.2)
    first, second, third = flights
    assert runs.claim(first, "host:1") is not None
    folder = app.extensions["cairn_storage"].workspace(run_of(first).survey_id)
    # A sparse file has its size, and takes no room here.
    with (folder / "pairs.bin").open("wb") as file:
        file.truncate(int(0.9 * NEEDED))
    assert runs.claim(second, "host:2") is not None
    assert runs.claim(third, "host:3") is None
    for run_id in (first, second):
        db.session.add(StageRun(run_id=run_id, position=9, name="dense", state="done"))
    db.session.commit()
    assert runs.claim(third, "host:3") is not None


def test_workers_of_other_machines_count_where_they_share_the_disk(app, flights, free):
    free(1.5)
    first, second, _ = flights
    assert runs.claim(first, "north:1") is not None
    own = SimpleNamespace(
        disk=app.extensions["cairn_storage"].disk, is_shared=False, held_bytes=lambda survey: 0
    )
    assert room.shortage(run_of(second), "south:1", own) == ""
    assert "waits for room" in room.shortage(run_of(second), "north:2", own)
