"""Inventory, piles, books and periods by the API: the numbers of the files and pages."""

import subprocess
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import Material, MaterialValue, Measurement
from app.services.seals import seal_of
from tests.app.surveys import CONE_M3, HEIGHT_M, circle, ready_survey

FIRST, SECOND = date(2026, 11, 13), date(2026, 11, 20)
CLOSING = {"name": "November", "ends_on": SECOND.isoformat()}


@pytest.fixture
def root(app, people, client_of):
    """Address of a site with a cone that grew by a fifth within a week."""
    material = Material(site_id=people["site"].id, name="Gravel")
    value = {"density_t_m3": 1.6, "density_sigma_t_m3": 0.05, "price_per_t": 10.0}
    material.values.append(MaterialValue(valid_from=date(2026, 1, 1), **value))
    db.session.add(material)
    db.session.commit()
    client = client_of("surveyor")
    for day, height_m in ((FIRST, HEIGHT_M), (SECOND, 1.2 * HEIGHT_M)):
        survey = ready_survey(app, people["site"], flown_on=day, name=str(day), height_m=height_m)
        body = {"name": "Cone", "toe": circle(), "material_id": str(material.id)}
        assert client.post(f"/api/v1/surveys/{survey.id}/toes", json=body).status_code == 201
    return f"/api/v1/sites/{people['site'].id}"


def test_the_inventory_has_units_and_intervals(client_of, root):
    found = client_of("viewer").get(f"{root}/inventory?on={SECOND}").json
    (line,) = found["lines"]
    assert (found["currency"], line["material"]["name"]) == ("EUR", "Gravel")
    volume, change = line["volume_m3"], line["change_m3"]
    assert volume["value"] == pytest.approx(1.2 * CONE_M3, abs=volume["u95"])
    assert change["value"] == pytest.approx(0.2 * CONE_M3, abs=change["u95"])
    assert line["since"] == FIRST.isoformat()
    assert line["mass_t"]["value"] == pytest.approx(1.6 * volume["value"])
    assert line["value"]["value"] == pytest.approx(16.0 * volume["value"])
    assert found["volume_m3"] == found["materials"][0]["volume_m3"]
    empty = client_of("viewer").get(f"{root}/inventory?on=2020-01-01").json
    assert (empty["survey"], empty["lines"], empty["mass_t"]) == (None, [], None)
    assert client_of("viewer").get(f"{root}/inventory?on=yesterday").status_code == 422


def test_a_pile_is_followed_through_time(client_of, root):
    client = client_of("viewer")
    (pile,) = client.get(f"{root}/piles").json
    history = client.get(f"/api/v1/piles/{pile['id']}").json["history"]
    assert [moment["day"] for moment in history] == [SECOND.isoformat(), FIRST.isoformat()]
    trend = client.get(f"{root}/trend").json
    assert [point["volume_m3"] for point in reversed(trend)] == [
        moment["volume_m3"] for moment in history
    ]


def test_books_are_imported_once_checked_and_removed(client_of, root):
    client, made_t = client_of("manager"), 0.2 * CONE_M3 * 1.6
    text = f"date,material,kind,mass [t],reference\n2026-11-16,Gravel,production,{made_t:.4f},A1\n"
    sent = {"data": text, "content_type": "text/csv; charset=utf-8"}
    assert client.post(f"{root}/book", **sent).json == {"added": 1, "known": 0}
    assert client.post(f"{root}/book", **sent).json == {"added": 0, "known": 1}
    span = {"start": FIRST.isoformat(), "end": SECOND.isoformat()}
    (check,) = client.get(f"{root}/book/check", query_string=span).json
    assert check["is_beyond"] is False
    assert check["produced_t"] == pytest.approx(made_t, abs=1e-3)
    (entry,) = client.get(f"{root}/book").json["items"]
    assert client.delete(f"/api/v1/book/{entry['id']}").status_code == 204
    (check,) = client.get(f"{root}/book/check", query_string=span).json
    assert check["is_beyond"] is True
    assert check["difference_t"]["value"] == pytest.approx(made_t, abs=check["difference_t"]["u95"])
    backwards = {"start": span["end"], "end": span["start"]}
    assert client.get(f"{root}/book/check", query_string=backwards).status_code == 422
    wrong = client.post(f"{root}/book", data=text, content_type="application/json")
    assert wrong.status_code == 415


def test_a_period_is_closed_verified_and_amended(client_of, root):
    client = client_of("manager")
    closed = client.post(f"{root}/periods", json=CLOSING)
    assert closed.status_code == 201
    address = f"/api/v1/periods/{closed.json['id']}"
    # Whoever has the document can make the seal anew.
    assert seal_of(closed.json["document"]).hex() == closed.json["seal"]
    assert client.get(f"{address}/verification").json == {"is_intact": True, "differences": []}
    assert client.post(f"{root}/periods", json=CLOSING).status_code == 409
    assert client.post(f"{address}/reopening", json={"reason": "no"}).status_code == 422
    done = client.post(f"{address}/reopening", json={"reason": "the toe missed the foot"})
    assert done.json["reopening_reason"] == "the toe missed the foot"
    amended = client.post(f"{root}/periods", json=CLOSING).json
    assert amended["amends_id"] == closed.json["id"]
    assert amended["reason"] == "the toe missed the foot"
    listed = client.get(f"{root}/periods").json
    assert [row["id"] for row in listed] == [amended["id"], closed.json["id"]]
    db.session.execute(sa.update(Measurement).values(net_m3=Measurement.net_m3 * 1.1))
    db.session.commit()
    checked = client.get(f"/api/v1/periods/{amended['id']}/verification").json
    assert checked["is_intact"] is False
    assert checked["differences"][0].startswith("volume, mass")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (CLOSING | {"ends_on": (date.today() + timedelta(days=2)).isoformat()}, "ends_on"),
        (CLOSING | {"ends_on": "2020-01-01"}, "ends_on"),
        (CLOSING | {"name": "  "}, "name"),
    ],
)
def test_a_period_that_cannot_be_closed_is_refused(client_of, root, body, field):
    answer = client_of("manager").post(f"{root}/periods", json=body)
    assert (answer.status_code, answer.json["field"]) == (422, field)


def test_the_pdf_of_a_closed_period_bears_its_seal_while_it_fits(client_of, root, tmp_path):
    client = client_of("manager")

    def words():
        path = tmp_path / "inventory.pdf"
        path.write_bytes(client.get(f"{root}/inventory.pdf?on={SECOND}").data)
        command = ["pdftotext", "-layout", path, "-"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "sealed" not in words()
    seal = client.post(f"{root}/periods", json=CLOSING).json["seal"]
    assert f"sealed {seal}" in words()
    db.session.execute(sa.update(Measurement).values(net_m3=Measurement.net_m3 * 1.1))
    db.session.commit()
    assert "sealed" not in words()
