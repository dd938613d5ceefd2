"""A site that counts cubic yards reads feet; rows, API and files for programs are in SI."""

import csv
import io
import json
import subprocess
from datetime import date
from xml.etree import ElementTree

import ezdxf
import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import Measurement, Period, Site, Toe
from app.services import aligning, following
from app.services.seals import seal_of
from app.units import Units
from tests.app.surveys import CONE_M3, HEIGHT_M, circle, ready_survey

DAY = date(2026, 11, 20)
METRIC = Units("m³", "t", "EUR", "m")
YARDS = Units("yd³", "short tons", "USD", "ft")


@pytest.fixture
def quarry(app, people):
    """The site, which counts in cubic yards and short tons."""
    site = people["site"]
    site.volume_unit, site.mass_unit, site.currency = "yd3", "short_ton", "USD"
    db.session.commit()
    return site


@pytest.fixture
def survey(app, quarry):
    """A survey of it."""
    return ready_survey(app, quarry, flown_on=DAY)


@pytest.fixture
def toe(client_of, survey):
    """The cone, drawn."""
    body = {"name": "Cone", "toe": circle()}
    answer = client_of("surveyor").post(f"/api/v1/surveys/{survey.id}/toes", json=body)
    return db.session.get_one(Toe, answer.json["id"])


def test_factors_are_those_of_the_international_units():
    assert (1.0 / YARDS.per_m, 1.0 / YARDS.per_m3) == pytest.approx((0.3048, 0.764554857984))
    assert 1.0 / YARDS.per_t == pytest.approx(0.90718474)
    assert 1.0 / YARDS.small_per_m == pytest.approx(0.0254)
    assert YARDS.per_m2 / YARDS.land_per_m2 == pytest.approx(43_560.0)
    assert METRIC.per_m == METRIC.per_m2 == METRIC.per_m3 == METRIC.per_t == 1.0


@pytest.mark.parametrize(
    ("words", "read"),
    [
        ("below the pile it may hold ±8.0 m³ of 764.6 m³", "±10.5 yd³ of 1000.1 yd³"),
        ("it lies 2.4 m above; over 12 m² in all", "7.9 ft above; over 129 ft² in all"),
        ("its skin is rough by 27 cm", "rough by 11 in"),
        ("good to 3 cm.", "good to 1 in."),
        ("over 1,234 m and 12,345.6 m³", "over 4,049 ft and 16,147.4 yd³"),
        ("as 40 mm per metre, 5 minutes, 80 m/s, Sand 0-4", "as 40 mm per metre, 5 minutes"),
    ],
)
def test_sentences_of_the_libraries_are_read_in_the_units_of_the_site(words, read):
    assert read in YARDS.sentence(words)
    assert METRIC.sentence(words) == words


def test_pages_and_tables_read_feet(client_of, quarry, survey, toe):
    client, measured = client_of("viewer"), toe.measurement
    height_ft, area_ft2 = (
        measured.height_max_m / 0.3048,
        measured.area_m2 / 0.3048**2,
    )
    assert height_ft == pytest.approx(HEIGHT_M / 0.3048, rel=0.03)
    text = client.get(f"/api/v1/sites/{quarry.id}/inventory.csv?on={DAY}").data.decode("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text)))
    assert "[m" not in text.splitlines()[0]
    shown = (row["greatest height [ft]"], row["area [ft²]"], row["area ± 95 % [ft²]"])
    assert [float(cell) for cell in shown] == pytest.approx(
        [height_ft, area_ft2, measured.area.u95 / 0.3048**2], abs=0.01
    )
    page = client.get(f"/piles/{toe.pile_id}").text
    assert f">{height_ft:.2f}"[:6] in page
    for heading in ("Volume, yd³", "Area, ft²", "Height, ft"):
        assert heading in page
    page = client.get(f"/surveys/{survey.id}").text
    assert "Height, ft" in page
    assert "1 sigma in m" not in page
    assert ">50 ft</text>" in client.get(f"/sites/{quarry.id}/inventory?on={DAY}").text


def test_files_for_programs_and_the_api_stay_in_si(client_of, quarry, survey, toe):
    client = client_of("viewer")
    address = f"/api/v1/sites/{quarry.id}/inventory"
    known = json.loads(client.get(f"{address}.geojson?on={DAY}").data)["features"][0]["properties"]
    assert known["net_m3"] == pytest.approx(CONE_M3, rel=0.01)
    assert known["height_max_m"] == pytest.approx(HEIGHT_M, rel=0.03)
    line = client.get(f"{address}?on={DAY}").json["lines"][0]
    assert line["height_m"]["value"] == known["height_max_m"]
    units = client.get(f"/api/v1/surveys/{survey.id}").json["units"]
    assert (units["length"], units["area"], units["small"]) == ("ft", "ft²", "in")
    assert units["per_m"] * 0.3048 == pytest.approx(1.0)


def test_words_in_drawings_are_for_people(client_of, quarry, toe, tmp_path):
    client = client_of("viewer")
    volume = f"{toe.measurement.net_m3 / 0.764554857984:.1f}"
    kml = client.get(f"/api/v1/sites/{quarry.id}/inventory.kml?on={DAY}").data
    said = "".join(ElementTree.fromstring(kml).itertext())
    assert f"{volume} ± " in said
    assert "yd³" in said
    path = tmp_path / "piles.dxf"
    path.write_bytes(client.get(f"/api/v1/sites/{quarry.id}/inventory.dxf?on={DAY}").data)
    drawing = ezdxf.readfile(path)
    assert f"{volume} ± " in drawing.modelspace().query("TEXT").first.dxf.text
    # What is drawn stays in the CRS, which is in metres.
    assert drawing.units == 6


def test_warnings_and_reasons_are_in_the_units_of_the_site(client_of, survey, toe):
    measured = toe.measurement
    words = "the ground is uneven: below the pile it may hold ±10.0 m³ of it"
    measured.details = measured.details | {"warnings": [words]}
    db.session.commit()
    client = client_of("viewer")
    saved = client.get(f"/api/v1/toes/{toe.id}").json
    assert "±13.1 yd³" in saved["volume"]["warnings"][0]
    assert "±13.1 yd³" in client.get(f"/piles/{toe.pile_id}").text
    survey.verdict = {
        "findings": [{"level": "info", "message": "Good to 3 cm.", "remedy": "", "photos": []}]
    }
    db.session.commit()
    verdict = client.get(f"/api/v1/surveys/{survey.id}/verdict").json["verdict"]
    assert verdict["findings"][0]["message"] == "Good to 1 in."


def test_mails_are_in_the_units_of_the_site(quarry, survey, toe):
    survey.alignment = {"against": "x", "vertical_m": 0.03048, "vertical_sigma_m": 0.003048}
    said = following._measured(survey, quarry).text
    assert f"{toe.measurement.net_m3 / 0.764554857984:,.0f} yd³ ± " in said
    assert "+0.100 ft ± 0.020 ft in height" in said
    assert "+0.030 m ± 0.006 m in height" in aligning.statement(survey.alignment, METRIC)


def test_noise_is_stated_in_feet(client_of, quarry, monkeypatch):
    made = {"name": "Lidar", "flown_on": str(DAY), "kind": "surface"}
    client = client_of("surveyor")
    survey = client.post(f"/api/v1/sites/{quarry.id}/surveys", json=made).json["id"]
    started = []
    monkeypatch.setattr("app.services.runs.start", lambda _, choice: started.append(choice))
    stated = {"noise_sigma": "0.1", "noise_range": "10", "vertical_sigma": ""}
    assert client.post(f"/surveys/{survey}/start", data=stated).status_code == 302
    choice = started[0]
    assert (choice.noise_sigma_m, choice.noise_range_m) == pytest.approx((0.03048, 3.048))
    assert choice.vertical_sigma_m is None
    refused = client.post(f"/surveys/{survey}/start", data=stated | {"noise_range": ""})
    assert refused.status_code == 422


def test_a_period_that_was_sealed_with_heights_in_metres_stays_so(client_of, quarry, toe):
    client = client_of("manager")
    form = {"name": "November", "ends_on": str(DAY)}
    address = client.post(f"/sites/{quarry.id}/periods", data=form).headers["Location"]
    assert "Greatest height [ft]" in client.get(address).text
    # As it was sealed before lengths had a unit of the site.
    period = db.session.scalar(sa.select(Period))
    old = json.loads(json.dumps(period.document))
    del old["units"]["length"]
    row = db.session.scalar(sa.select(Measurement))
    for place, key in enumerate(old["keys"]):
        old["columns"][place] = old["columns"][place].replace("[ft", "[m")
        if key.startswith(("area", "height")):
            values = {"area": row.area, "height": row.height}[key.split("_")[0]]
            value = values.u95 if key.endswith("_u95") else values.value
            old["lines"][0][place] = round(value, 2)
    period.document, period.seal = old, seal_of(old)
    db.session.commit()
    page = client.get(address).text
    assert "all as they were sealed" in page
    assert "Greatest height [m]" in page
    assert "Volume [yd³]" in page


def test_the_pdf_of_a_sealed_day_is_in_the_units_of_the_seal(client_of, quarry, toe, tmp_path):
    client = client_of("manager")
    client.post(f"/sites/{quarry.id}/periods", data={"name": "November", "ends_on": str(DAY)})
    site = db.session.get_one(Site, quarry.id)
    site.volume_unit, site.mass_unit = "m3", "t"
    db.session.commit()
    path = tmp_path / "inventory.pdf"
    path.write_bytes(client.get(f"/api/v1/sites/{quarry.id}/inventory.pdf?on={DAY}").data)
    command = ["pdftotext", "-layout", path, "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"sealed {db.session.scalar(sa.select(Period.seal)).hex()}" in text
    assert "Volume, yd³" in text
    assert "m³" not in text
