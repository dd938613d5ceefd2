"""What follows a survey, the schedule, and the notices of both: done once, told once."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.extensions import db, redis
from app.models import (
    Delivery,
    Notice,
    Photo,
    Run,
    RunState,
    Survey,
    SurveyState,
    Webhook,
    WebhookDelivery,
)
from app.services import following, notices, runs, schedule
from app.services.webhooks import EVENTS
from tests.app.post import post
from tests.app.surveys import CONE_M3, HEIGHT_M, circle, ready_survey

FIRST, SECOND = date(2026, 11, 13), date(2026, 11, 20)


@pytest.fixture
def server(app, monkeypatch):
    """A mail server that the application sends by."""
    with post() as found:
        config = replace(app.extensions["cairn_config"], mail_url=found.url)
        monkeypatch.setitem(app.extensions, "cairn_config", config)
        yield found


@pytest.fixture
def hooked(people):
    """An address that wants to know everything."""
    row = Webhook(
        organisation_id=people["site"].organisation_id,
        url="https://example.org/cairn",
        secret="s",
        events=list(EVENTS),
    )
    db.session.add(row)
    db.session.commit()


def text(message):
    return message.get_payload(decode=True).decode().replace("\r\n", "\n")


def events():
    db.session.rollback()
    query = sa.select(WebhookDelivery.event).order_by(WebhookDelivery.created_at)
    return [event for event in db.session.scalars(query) if event != "measurement.changed"]


@pytest.fixture
def week(app, people, client_of):
    """A survey with the cone drawn, and one a week later in which it grew by a tenth."""
    before = ready_survey(app, people["site"], flown_on=FIRST, name="first")
    draft = {"name": "Gravel", "toe": circle(), "base": {"method": "triangulated"}}
    made = client_of("surveyor").post(f"/api/v1/surveys/{before.id}/toes", json=draft)
    assert made.status_code == 201, made.text
    after = ready_survey(
        app, people["site"], flown_on=SECOND, name="second", height_m=1.1 * HEIGHT_M
    )
    return before, after


def test_a_survey_is_aligned_carried_over_measured_and_told_once(
    client_of, people, week, server, hooked
):
    before, after = week
    assert following.follow(before.id) is True
    assert following.follow(after.id) is True
    assert following.follow(after.id) is False
    survey = db.session.get(Survey, after.id)
    assert survey.alignment["against"] == str(before.id)
    assert survey.alignment["vertical_m"] == pytest.approx(0.0, abs=0.005)
    (toe,) = client_of("viewer").get(f"/api/v1/surveys/{after.id}/toes").json
    assert (toe["name"], toe["is_confirmed"]) == ("Gravel", False)
    assert toe["volume"]["net_m3"] == pytest.approx(1.1 * CONE_M3, rel=0.03)
    assert events() == ["survey.measured", "survey.measured"]
    assert notices.send_due() == 4
    assert notices.send_due() == 0
    to = sorted(address for addresses, _ in server.mails for address in addresses)
    assert to == 2 * ["manager@example.org"] + 2 * ["surveyor@example.org"]
    (mail,) = {text(message) for _, message in server.mails if str(SECOND) in message["Subject"]}
    subjects = {str(message["Subject"]) for _, message in server.mails}
    assert f"Pit 1: the survey of {FIRST} is measured" in subjects
    assert f"Pit 1: 1 pile of {SECOND} to review" in subjects
    net_m3, u95_m3 = (round(toe["volume"][name]) for name in ("net_m3", "net_u95_m3"))
    assert f"Gravel: {net_m3} m³ ± {u95_m3} m³ (unchanged)" in mail
    assert re.search(r"Over unchanged ground it lies [+-]0\.00\d m ± 0\.\d{3} m in height", mail)
    assert f"http://localhost/surveys/{after.id}/view" in mail
    page = client_of("viewer").get(f"/surveys/{after.id}").text
    assert re.search(r"<dt>In height</dt><dd>−?0\.\d+ <span class=\"pm\">± 0\.\d+</span> cm", page)
    assert "Beside the survey before" not in client_of("viewer").get(f"/surveys/{before.id}").text


def test_what_a_dead_worker_left_out_is_done_again(week, monkeypatch):
    _, after = week

    def dies(*_arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("app.services.carrying.carry", dies)
        with pytest.raises(KeyboardInterrupt):
            following.follow(after.id)
    db.session.rollback()
    redis().flushall()
    assert following.send_all() == 2
    following.send_all()
    jobs = redis().lrange("rq:queue:short", 0, -1)
    assert f"follow-{after.id}".encode() in jobs
    assert len(jobs) == 2
    assert following.follow(after.id) is True
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Notice)) > 0


def test_another_survey_of_elsewhere_is_said_not_to_align(app, people, week):
    _, after = week
    after.flown_on = FIRST + timedelta(days=3)
    other = ready_survey(app, people["site"], flown_on=SECOND, name="third", epsg=25833)
    db.session.commit()
    assert following.follow(other.id) is True
    assert (
        "25833" in db.session.get(Survey, other.id).alignment["problem"]
        or "zone 33" in (db.session.get(Survey, other.id).alignment["problem"])
    )


def test_a_failed_run_is_told_once_with_its_remedy(people, server, hooked):
    survey = Survey(site_id=people["site"].id, name="Week 47", flown_on=SECOND)
    db.session.add(survey)
    db.session.flush()
    run = Run(survey_id=survey.id, options={}, state=RunState.RUNNING)
    db.session.add(run)
    db.session.commit()
    for _twice in range(2):
        runs.fail(run.id, {"reason": "Too dark.", "remedy": "Fly by day."})
    assert events() == ["survey.failed"]
    assert notices.send_due() == 2
    assert "Too dark.\nFly by day." in text(server.mails[0][1])


def test_a_refusing_mail_server_is_tried_again(people, server):
    survey = Survey(site_id=people["site"].id, name="Week 47", flown_on=SECOND)
    db.session.add(survey)
    db.session.flush()
    run = Run(survey_id=survey.id, options={}, state=RunState.RUNNING)
    db.session.add(run)
    db.session.commit()
    runs.fail(run.id, {"reason": "Too dark."})
    server.is_refusing = True
    assert notices.send_due() == 0
    assert notices.send_due() == 0
    attempts = db.session.scalars(sa.select(Notice.attempts).where(Notice.user_id.is_not(None)))
    assert set(attempts) == {1}
    server.is_refusing = False
    then = datetime.now(UTC) - timedelta(seconds=1)
    waiting = sa.update(Notice).where(Notice.next_try_at.is_not(None))
    db.session.execute(waiting.values(next_try_at=then))
    db.session.commit()
    assert notices.send_due() == 2
    assert len(server.mails) == 2


@pytest.mark.parametrize(
    ("newest", "told"),
    [
        (date(2026, 11, 20), False),
        (date(2026, 11, 14), False),
        (date(2026, 11, 13), True),
        (None, True),
    ],
)
def test_an_overdue_survey_alerts_once(people, hooked, newest, told):
    site = people["site"]
    site.survey_weekday = 4
    site.created_at = datetime(2026, 1, 1, tzinfo=UTC)
    if newest is not None:
        db.session.add(
            Survey(site_id=site.id, name="last", flown_on=newest, state=SurveyState.READY)
        )
    db.session.commit()
    on_friday = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    # A week ago all was well, and the day itself is not over.
    before = schedule.tell_overdue(on_friday)
    assert before == (1 if newest is None else 0)
    saturday = on_friday + timedelta(hours=2)
    assert schedule.tell_overdue(saturday) == int(told)
    assert schedule.tell_overdue(saturday + timedelta(days=3)) == 0
    assert events() == ["survey.overdue"] * (before + int(told))


def test_a_site_that_is_new_or_has_no_day_is_not_overdue(people):
    now = datetime.now(UTC)
    assert schedule.tell_overdue(now) == 0
    people["site"].survey_weekday = now.weekday()
    db.session.commit()
    assert schedule.tell_overdue(now + timedelta(days=1)) == 0


def test_a_flight_that_stopped_arriving_alerts_once(people, hooked):
    survey = Survey(site_id=people["site"].id, name="Week 47", flown_on=SECOND)
    db.session.add(survey)
    db.session.flush()
    files = [{"name": f"{n}.jpg", "size": 1, "sha256": f"{n:064x}"} for n in range(3)]
    delivery = Delivery(
        site_id=people["site"].id,
        survey_id=survey.id,
        source="upload",
        key="k",
        files=files,
        options={"quality": "standard"},
        changed_at=datetime.now(UTC) - timedelta(hours=5),
    )
    photo = Photo(survey_id=survey.id, name="1.jpg", sha256=(1).to_bytes(32, "big"), size=1)
    db.session.add_all([delivery, photo])
    db.session.commit()
    now = datetime.now(UTC)
    assert schedule.tell_stalled(now) == 0
    assert schedule.tell_stalled(now + timedelta(hours=2)) == 1
    assert schedule.tell_stalled(now + timedelta(hours=9)) == 0
    told = db.session.scalars(sa.select(Notice.text).limit(1)).one()
    assert "1 of 3 files are there" in told
    assert events() == ["delivery.stalled"]
