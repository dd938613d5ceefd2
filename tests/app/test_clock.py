"""The clock rings, workers hear it, and nothing is done by two at once."""

import time
from datetime import timedelta

import pytest
import sqlalchemy as sa

from app import chores, clock, queues, turns
from app.extensions import db, redis
from app.models import Survey
from tests.app import live
from tests.app.surveys import ready_survey


def test_every_chore_is_rung_for_and_waits_in_the_short_queue(app):
    found = clock.scheduler(redis())
    assert len(found.enqueue_jobs()) == len(clock.EVERY)
    # Only after its time the next ring.
    assert found.enqueue_jobs() == []
    names = {job.func_name for job in map(_job, redis().lrange("rq:queue:short", 0, -1))}
    assert names == {f"app.chores.{chore.__name__}" for chore in clock.EVERY}
    public = {name for name, value in vars(chores).items() if hasattr(value, "__wrapped__")}
    assert {chore.__name__ for chore in clock.EVERY} == public


def _job(identifier):
    from rq.job import Job

    return Job.fetch(identifier.decode(), connection=redis())


def test_the_page_of_workers_says_when_nobody_does_chores(client_of, monkeypatch):
    admin = client_of("admin")
    assert "not seen to yet: see whether python -m app.clock runs" in admin.get("/workers").text
    queues.tell_done("take_flights")
    page = admin.get("/workers").text
    assert "mails were last seen to" in page
    assert "app.clock" not in page
    monkeypatch.setattr("app.pages.workers._STILL", timedelta())
    assert "see whether python -m app.clock runs" in admin.get("/workers").text


def test_one_does_it_and_another_leaves_it(app):
    with (
        turns.alone("work") as first,
        turns.alone("work") as second,
        turns.alone("other") as other,
    ):
        assert (first, second, other) == (True, False, True)
    with turns.alone("work") as again:
        assert again
    with pytest.raises(ValueError, match="broken"), turns.alone("work"):
        raise ValueError("broken")
    with turns.alone("work") as after:
        assert after


def test_a_clock_and_a_worker_do_what_follows_a_survey(app, services, people, tmp_path):
    survey = ready_survey(app, people["site"])
    environment = live.environment(*services, app.extensions["cairn_storage"].root, 80)
    ringing = live.clock(environment, tmp_path / "clock")
    with live.running(ringing), live.running(live.worker(environment, tmp_path / "worker")):
        until = time.monotonic() + 120
        followed = sa.select(Survey.followed_at).where(Survey.id == survey.id)
        while db.session.scalar(followed) is None:
            assert time.monotonic() < until, (tmp_path / "worker").read_text()[-2000:]
            db.session.rollback()
            time.sleep(0.2)
    assert "follow_surveys" in queues.chores_done()
    assert ringing.process.returncode == 0
