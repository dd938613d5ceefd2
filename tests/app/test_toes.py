"""Piles are measured while they are drawn, saved, drawn again and removed."""

import math
from datetime import date

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import AuditEvent, Measurement, Pile, Toe
from tests.app.surveys import CENTRE, CONE_M3, GROUND_M, circle, ready_survey


@pytest.fixture
def survey(app, people):
    return ready_survey(app, people["site"])


def draft(name="Gravel", **more):
    return {"name": name, "toe": circle()} | more


def test_the_volume_of_a_drawn_cone_is_the_cones(client_of, survey):
    answer = client_of("viewer").post(
        f"/api/v1/surveys/{survey.id}/volume", json={"toe": circle(), "base": {"method": "plane"}}
    )
    volume = answer.json
    assert volume["net_m3"] == pytest.approx(CONE_M3, abs=volume["net_u95_m3"])
    assert 0.0 < volume["net_u95_m3"] < 0.02 * CONE_M3
    plane = volume["base_plane"]
    ground = plane["z0"] + (CENTRE[0] - plane["e0"]) * plane["dz_de"]
    assert ground == pytest.approx(GROUND_M + 0.01 * 30.0, abs=0.01)
    assert math.isclose(
        sum(term["sigma_m3"] ** 2 for term in volume["budget"]) ** 0.5 * 1.96,
        volume["net_u95_m3"],
        rel_tol=0.35,
    )


def test_while_it_is_dragged_a_toe_has_the_volume_that_it_will_have(client_of, survey):
    # Off the cone's foot, so that a base through the toe and a level one differ by much.
    question = {"toe": circle(radius_m=6.0, centre=(CENTRE[0] + 3.0, CENTRE[1]))}
    address = f"/api/v1/surveys/{survey.id}/volume"
    at_rest = client_of("viewer").post(address, json=question).json
    dragged = client_of("viewer").post(address, json=question | {"compares_bases": False}).json
    assert at_rest["warnings"]
    assert dragged == at_rest


@pytest.mark.parametrize("method", ["triangulated", "smooth", "lowest", "highest", "average"])
def test_every_base_measures(client_of, survey, method):
    answer = client_of("viewer").post(
        f"/api/v1/surveys/{survey.id}/volume", json={"toe": circle(), "base": {"method": method}}
    )
    assert answer.json["net_m3"] == pytest.approx(CONE_M3, rel=0.15)


def test_the_ground_of_a_survey_before_is_moved_as_it_lies_in_this_one(app, people, client_of):
    before = ready_survey(app, people["site"], flown_on=date(2026, 11, 1), height_m=0.0)
    survey = ready_survey(app, people["site"], raised_m=0.25)
    base = {"method": "survey", "survey_id": str(before.id)}
    question = {"toe": circle(), "base": base}
    volume = client_of("viewer").post(f"/api/v1/surveys/{survey.id}/volume", json=question).json
    assert volume["net_m3"] == pytest.approx(CONE_M3, abs=volume["net_u95_m3"])
    assert volume["net_u95_m3"] < 0.03 * CONE_M3


def test_a_pile_is_saved_drawn_again_and_removed(client_of, survey):
    client = client_of("surveyor")
    made = client.post(f"/api/v1/surveys/{survey.id}/toes", json=draft())
    assert made.status_code == 201
    assert made.json["drawn_by"] == "Surveyor"
    assert made.json["volume"]["net_m3"] == pytest.approx(CONE_M3, rel=0.02)
    again = client.put(
        f"/api/v1/toes/{made.json['id']}",
        json=draft(toe=circle(8.6), pile_id=made.json["pile_id"]),
        headers={"If-Match": made.headers["ETag"]},
    )
    assert again.status_code == 200
    assert again.json["pile_id"] == made.json["pile_id"]
    assert client.get(f"/api/v1/toes/{made.json['id']}").status_code == 404
    listed = client.get(f"/api/v1/surveys/{survey.id}/toes").json
    assert [toe["id"] for toe in listed] == [again.json["id"]]
    gone = client.delete(
        f"/api/v1/toes/{again.json['id']}", headers={"If-Match": again.headers["ETag"]}
    )
    assert gone.status_code == 204
    assert client.get(f"/api/v1/surveys/{survey.id}/toes").json == []
    # What was measured once stays on record.
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Measurement)) == 2
    actions = db.session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.at)).all()
    assert actions[-3:] == ["toe.draw", "toe.redraw", "toe.remove"]


def test_a_toe_that_is_drawn_again_stays_with_its_pile(client_of, survey):
    client, address = client_of("surveyor"), f"/api/v1/surveys/{survey.id}/toes"
    made, other = (client.post(address, json=draft(name)) for name in ("Gravel", "Sand"))
    renamed = client.put(
        f"/api/v1/toes/{made.json['id']}",
        json=draft("Gravel 0/32"),
        headers={"If-Match": made.headers["ETag"]},
    )
    assert (renamed.json["pile_id"], renamed.json["name"]) == (made.json["pile_id"], "Gravel 0/32")
    taken = client.put(
        f"/api/v1/toes/{renamed.json['id']}",
        json=draft("Sand", pile_id=other.json["pile_id"]),
        headers={"If-Match": renamed.headers["ETag"]},
    )
    assert taken.status_code == 409
    assert {toe["name"] for toe in client.get(address).json} == {"Gravel 0/32", "Sand"}


def test_what_somebody_else_changed_is_not_overwritten(client_of, survey):
    client = client_of("surveyor")
    made = client.post(f"/api/v1/surveys/{survey.id}/toes", json=draft())
    answer = client.put(
        f"/api/v1/toes/{made.json['id']}", json=draft(), headers={"If-Match": '"another"'}
    )
    assert answer.status_code == 412
    assert answer.content_type == "application/problem+json"


def test_a_pile_has_one_toe_in_a_survey(client_of, survey):
    client = client_of("surveyor")
    client.post(f"/api/v1/surveys/{survey.id}/toes", json=draft())
    answer = client.post(f"/api/v1/surveys/{survey.id}/toes", json=draft())
    assert answer.status_code == 409
    assert "Gravel has a toe" in answer.json["detail"]


def test_a_viewer_draws_nothing(client_of, survey):
    answer = client_of("viewer").post(f"/api/v1/surveys/{survey.id}/toes", json=draft())
    assert answer.status_code == 403
    assert answer.json["remedy"] == "Ask a manager of the site."


BOW_TIE = [
    [*CENTRE, 0.0],
    [CENTRE[0] + 10, CENTRE[1] + 10, 0.0],
    [CENTRE[0] + 10, CENTRE[1], 0.0],
    [CENTRE[0], CENTRE[1] + 10, 0.0],
    [*CENTRE, 0.0],
]


@pytest.mark.parametrize(
    ("toe", "words"),
    [
        ({"coordinates": [BOW_TIE]}, "Self-intersection"),
        ({"coordinates": [[[*CENTRE, 0.0]] * 4]}, "three different vertices"),
        (circle(0.1), "only"),
        (circle(centre=(0.0, 0.0)), "outside the survey"),
        (circle(count=2100), "at most 2001"),
        ({"coordinates": [[[1, 2]] * 4]}, "at least 3 items"),
        ({"coordinates": [[[1, 2, "x"]] * 4]}, "number"),
        ({"coordinates": []}, "at least 1"),
    ],
)
def test_a_bad_toe_is_refused_with_the_reason(client_of, survey, toe, words):
    client = client_of("surveyor")
    answer = client.post(f"/api/v1/surveys/{survey.id}/toes", json=draft(toe=toe))
    assert answer.status_code == 422
    assert words in answer.json["detail"]
    # Nothing is half saved.
    for row in (Pile, Toe, Measurement):
        assert db.session.scalar(sa.select(sa.func.count()).select_from(row)) == 0


def test_a_rough_line_snaps_to_the_toe(client_of, survey):
    answer = client_of("surveyor").post(
        f"/api/v1/surveys/{survey.id}/snap", json={"toe": circle(9.0)}
    )
    ring = answer.json["toe"]["coordinates"][0]
    reach = [math.hypot(e - CENTRE[0], n - CENTRE[1]) for e, n, _ in ring]
    assert sum(reach) / len(reach) == pytest.approx(8.0, abs=0.15)
    assert answer.json["confidence"] > 0.9
    assert all(abs(z - GROUND_M - 0.3) < 0.3 for _, _, z in ring)
