"""Piles found by a program, and piles carried over from the survey before."""

from datetime import date

import pytest
import sqlalchemy as sa

from app import jobs, queues
from app.extensions import db
from app.models import AuditEvent
from app.services import carrying, proposing
from tests.app.surveys import CONE_M3, HEIGHT_M, circle, ready_survey

FIRST, SECOND = date(2026, 11, 13), date(2026, 11, 20)


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
    return before, after, made.json


def test_a_program_finds_the_cone_and_knows_it_again(client_of, week):
    _, after, made = week
    client = client_of("viewer")
    assert client.get(f"/api/v1/surveys/{after.id}/proposals").json == []
    assert proposing.propose(after.id) == 1
    db.session.commit()
    (found,) = client.get(f"/api/v1/surveys/{after.id}/proposals").json
    assert (found["pile_id"], found["name"]) == (made["pile_id"], "Gravel")
    assert found["change"] == "unchanged"
    assert 0.3 <= found["confidence"] <= 1.0
    volume = client.post(
        f"/api/v1/surveys/{after.id}/volume", json={"toe": found["toe"], "base": {}}
    ).json
    assert volume["net_m3"] == pytest.approx(1.1 * CONE_M3, rel=0.03)


@pytest.mark.parametrize("is_found", [True, False])
def test_piles_are_carried_over_and_count_once_confirmed(client_of, week, is_found):
    before, after, made = week
    if is_found:
        proposing.propose(after.id)
        db.session.commit()
    assert carrying.carry(after) == 1
    client = client_of("surveyor")
    (toe,) = client.get(f"/api/v1/surveys/{after.id}/toes").json
    assert (toe["pile_id"], toe["is_confirmed"], toe["drawn_by"]) == (made["pile_id"], False, "")
    assert toe["base"]["method"] == "triangulated"
    assert toe["carried"]["from_survey_id"] == str(before.id)
    assert toe["volume"]["net_m3"] == pytest.approx(1.1 * CONE_M3, rel=0.03)
    # What is carried over is no proposal any more.
    assert client.get(f"/api/v1/surveys/{after.id}/proposals").json == []
    refused = client_of("viewer").post(f"/api/v1/toes/{toe['id']}/confirm")
    assert refused.status_code == 403
    done = client.post(f"/api/v1/toes/{toe['id']}/confirm")
    assert (done.status_code, done.json["is_confirmed"]) == (200, True)
    assert done.json["drawn_by"] == "Surveyor"
    assert client.post(f"/api/v1/toes/{toe['id']}/confirm").status_code == 409
    actions = db.session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.at)).all()
    assert [action for action in actions if action in ("toe.carry", "toe.confirm")] == [
        "toe.carry",
        "toe.confirm",
    ]
    # A second time there is nothing left to carry over.
    assert carrying.carry(after) == 0


def test_what_somebody_leaves_out_is_proposed_no_more(client_of, week):
    _, after, _ = week
    proposing.propose(after.id)
    db.session.commit()
    (found,) = client_of("viewer").get(f"/api/v1/surveys/{after.id}/proposals").json
    address = f"/api/v1/surveys/{after.id}/proposals/{found['number']}"
    assert client_of("viewer").delete(address).status_code == 403
    client = client_of("surveyor")
    assert client.delete(address).status_code == 204
    assert client.get(f"/api/v1/surveys/{after.id}/proposals").json == []
    assert client.delete(f"/api/v1/surveys/{after.id}/proposals/7").status_code == 404
    # Whoever looks again sees it again.
    proposing.propose(after.id)
    db.session.commit()
    assert len(client.get(f"/api/v1/surveys/{after.id}/proposals").json) == 1


def test_what_was_left_out_last_week_stays_out_while_it_stands_there(app, people, client_of):
    first, second, moved = (
        ready_survey(app, people["site"], flown_on=date(2026, 11, day), name=f"day {day}")
        for day in (6, 13, 20)
    )
    client = client_of("surveyor")
    proposing.propose(first.id)
    db.session.commit()
    (found,) = client.get(f"/api/v1/surveys/{first.id}/proposals").json
    client.delete(f"/api/v1/surveys/{first.id}/proposals/{found['number']}")
    proposing.propose(second.id)
    db.session.commit()
    assert client.get(f"/api/v1/surveys/{second.id}/proposals").json == []
    # The week after it stands elsewhere, and whoever looks again sees everything.
    away = [[[x + 8.0, y, z] for x, y, z in ring] for ring in found["toe"]["coordinates"]]
    second.proposals = second.proposals | {
        "items": [{"coordinates": away, "walls": [], "confidence": 0.8, "reasons": []}]
    }
    db.session.commit()
    proposing.propose(moved.id)
    db.session.commit()
    assert len(client.get(f"/api/v1/surveys/{moved.id}/proposals").json) == 1
    proposing.propose(second.id)
    db.session.commit()
    assert len(client.get(f"/api/v1/surveys/{second.id}/proposals").json) == 1


def test_a_carried_pile_that_somebody_takes_out_does_not_come_back_as_a_proposal(client_of, week):
    _, after, _ = week
    proposing.propose(after.id)
    db.session.commit()
    carrying.carry(after)
    client = client_of("surveyor")
    (toe,) = client.get(f"/api/v1/surveys/{after.id}/toes").json
    headers = {"If-Match": f'"{toe["etag"]}"'}
    assert client.delete(f"/api/v1/toes/{toe['id']}", headers=headers).status_code == 204
    assert client.get(f"/api/v1/surveys/{after.id}/proposals").json == []
    proposing.propose(after.id)
    db.session.commit()
    assert len(client.get(f"/api/v1/surveys/{after.id}/proposals").json) == 1


def test_a_pile_that_is_gone_is_not_carried_over(app, people, client_of, week):
    gone = ready_survey(app, people["site"], flown_on=date(2026, 11, 21), name="gone", height_m=0.0)
    assert carrying.carry(gone) == 0


def test_a_pile_that_was_split_is_proposed_in_its_parts(client_of, week):
    _, after, _ = week
    ring = circle()["coordinates"][0]
    half = len(ring) // 2
    parts = [[*ring[: half + 1], ring[0]], [*ring[half:-1], ring[0], ring[half]]]
    after.proposals = {
        "found_at": "2026-11-20T12:00:00+00:00",
        "items": [
            {"coordinates": [part], "walls": [], "confidence": 0.8, "reasons": []} for part in parts
        ],
    }
    db.session.commit()
    assert carrying.carry(after) == 0
    found = client_of("viewer").get(f"/api/v1/surveys/{after.id}/proposals").json
    assert [(item["change"], item["was"], item["pile_id"]) for item in found] == [
        ("split", ["Gravel"], None)
    ] * 2


def test_looking_for_piles_is_work_for_a_worker(client_of, week):
    _, after, _ = week
    assert client_of("surveyor").post(f"/api/v1/surveys/{after.id}/proposals").status_code == 202
    assert [depth.waiting for depth in queues.depths() if depth.name == queues.SHORT] == [1]
    assert callable(jobs.propose)
