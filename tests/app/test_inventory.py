"""The inventory of a day, its files, the books and closed periods: the same numbers everywhere."""

import csv
import io
import json
import subprocess
import zipfile
from datetime import date, timedelta
from xml.etree import ElementTree

import openpyxl
import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import BookEntry, Material, MaterialValue, Measurement, Period, Toe
from app.services.seals import seal_of
from tests.app.surveys import CONE_M3, HEIGHT_M, circle, ready_survey

# Columns that tables did not have at first.
LATER = ("ground_u95", "area_u95", "height_u95")
FIRST, SECOND = date(2026, 11, 13), date(2026, 11, 20)


@pytest.fixture
def site(app, people):
    """A site with a material, and a cone that grew by a fifth within a week."""
    site = people["site"]
    material = Material(site_id=site.id, name="Gravel, 0/32")
    material.values.append(
        MaterialValue(
            valid_from=date(2026, 1, 1),
            density_t_m3=1.6,
            density_sigma_t_m3=0.05,
            price_per_t=10.0,
        )
    )
    db.session.add(material)
    db.session.commit()
    return site


@pytest.fixture
def measured(app, site, client_of):
    """Two surveys with the cone drawn in both."""
    material = db.session.scalar(sa.select(Material))
    client = client_of("surveyor")
    for day, height_m in ((FIRST, HEIGHT_M), (SECOND, 1.2 * HEIGHT_M)):
        survey = ready_survey(app, site, flown_on=day, name=str(day), height_m=height_m)
        body = {"name": "=Cone", "toe": circle(), "material_id": str(material.id)}
        answer = client.post(f"/api/v1/surveys/{survey.id}/toes", json=body)
        assert answer.status_code == 201, answer.text
    return site


def get(client, site, format, day=SECOND):
    answer = client.get(f"/api/v1/sites/{site.id}/inventory.{format}?on={day}")
    assert answer.status_code == 200, answer.text
    return answer.data


def table(client, site, day=SECOND):
    text = get(client, site, "csv", day).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_the_inventory_of_a_day_is_that_of_the_newest_survey_up_to_it(client_of, measured):
    client = client_of("viewer")
    for day, factor in ((FIRST, 1.0), (SECOND - timedelta(days=1), 1.0), (SECOND, 1.2)):
        row = table(client, measured, day)[0]
        assert float(row["volume [m³]"]) == pytest.approx(factor * CONE_M3, rel=0.01)
    row = table(client, measured)[0]
    change, u95 = float(row["change [m³]"]), float(row["change ± 95 % [m³]"])
    assert change == pytest.approx(0.2 * CONE_M3, abs=u95)
    assert u95 > float(row["volume ± 95 % [m³]"])
    assert float(row["mass [t]"]) == pytest.approx(1.6 * float(row["volume [m³]"]), abs=0.02)
    by_density = 1.96 * 0.05 * float(row["volume [m³]"])
    by_volume = 1.6 * float(row["volume ± 95 % [m³]"])
    assert float(row["mass ± 95 % [t]"]) == pytest.approx(
        (by_density**2 + by_volume**2) ** 0.5, rel=1e-3
    )
    page = client.get(f"/sites/{measured.id}/inventory?on={SECOND}").text
    assert "=Cone" in page
    assert '<polyline class="line"' in page
    before = client.get(f"/sites/{measured.id}/inventory?on=2020-01-01").text
    assert "Nothing to count yet" in before


def test_what_the_ground_may_hide_is_told_beside_the_interval(client_of, measured):
    client = client_of("viewer")
    page = f"/sites/{measured.id}/inventory?on={SECOND}"
    assert "ground ±" not in client.get(page).text
    for measurement in db.session.scalars(sa.select(Measurement)):
        measurement.details = measurement.details | {"ground_u95_m3": 51.3}
    db.session.commit()
    # Of the pile, of the total, and what it means, once.
    assert client.get(page).text.count("ground ± 51") == 2
    assert client.get(page).text.count("No photo shows it") == 1


def test_every_file_has_the_same_numbers(client_of, measured, tmp_path):
    client = client_of("viewer")
    row = table(client, measured)[0]
    # A name that a spreadsheet would take for a formula is a name.
    assert row["pile"] == "'=Cone"
    volume = float(row["volume [m³]"])
    sheet = openpyxl.load_workbook(io.BytesIO(get(client, measured, "xlsx")))["Inventory"]
    cells = dict(zip([c.value for c in sheet[1]], [c.value for c in sheet[2]], strict=True))
    assert cells["pile"] == "=Cone"
    assert cells["volume [m³]"] == volume
    feature = json.loads(get(client, measured, "geojson"))["features"][0]
    assert feature["properties"]["net_m3"] == pytest.approx(volume, abs=0.01)
    measurement = {item.area.value: item for item in db.session.scalars(sa.select(Measurement))}
    drawn = measurement[feature["properties"]["area_m2"]]
    for name, amount in (("area [m²]", drawn.area), ("greatest height [m]", drawn.height)):
        pair = (row[name], row[name.replace(" [", " ± 95 % [")])
        assert [float(cell) for cell in pair] == pytest.approx([amount.value, amount.u95], abs=0.01)
        assert cells[name] == float(row[name])
    assert feature["properties"]["height_max_u95_m"] == drawn.height.u95 > 0.0
    assert float(row["ground below ± 95 % [m³]"]) >= 0.0
    root = ElementTree.fromstring(get(client, measured, "kml"))
    assert f"{volume:.1f}" in "".join(root.itertext())
    import ezdxf

    path = tmp_path / "piles.dxf"
    path.write_bytes(get(client, measured, "dxf"))
    space = ezdxf.readfile(path).modelspace()
    assert f"{volume:.1f}" in space.query("TEXT").first.dxf.text
    assert len(list(space.query("POLYLINE").first.vertices)) == 48
    path = tmp_path / "inventory.pdf"
    path.write_bytes(get(client, measured, "pdf"))
    command = ["pdftotext", "-layout", path, "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert f"{volume:.1f}"[:-1] in text
    assert "Checked by: name, date, signature" in text


def test_units_of_the_site_are_used(client_of, measured):
    manager = client_of("manager")
    body = {"name": "Pit 1", "volume_unit": "yd3", "mass_unit": "short_ton", "currency": "USD"}
    assert manager.put(f"/api/v1/sites/{measured.id}", json=body).status_code == 200
    row = table(manager, measured, FIRST)[0]
    assert float(row["volume [yd³]"]) == pytest.approx(CONE_M3 / 0.764554857984, rel=0.01)
    assert float(row["mass [short tons]"]) == pytest.approx(1.6 * CONE_M3 / 0.90718474, rel=0.01)


def test_products_come_as_a_zip(client_of, measured):
    survey = db.session.scalar(sa.select(Toe.survey_id))
    content = client_of("viewer").get(f"/api/v1/surveys/{survey}/products.zip").data
    names = zipfile.ZipFile(io.BytesIO(content)).namelist()
    assert "dsm.tif" in names
    assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None


def upload(client, site, content):
    file = (io.BytesIO(content), "book.csv")
    return client.post(
        f"/sites/{site.id}/book", data={"file": file}, content_type="multipart/form-data"
    )


def test_books_are_held_against_what_was_measured(client_of, measured):
    client = client_of("manager")
    made = f"{0.2 * CONE_M3 * 1.6 + 50:.1f}".replace(".", ",")
    german = (
        "\ufeffdate;material;kind;mass [t];reference\r\n"
        f"16.11.2026;gravel, 0/32;production;{made};A1\r\n"
        "17.11.2026;Gravel, 0/32;sale;50,0;A2\r\n"
    )
    answer = upload(client, measured, german.encode("utf-8"))
    assert answer.headers["Location"].endswith("added=2&known=0")
    assert upload(client, measured, german.encode()).headers["Location"].endswith("added=0&known=2")
    assert "within ±" in client.get(f"/sites/{measured.id}/book").text
    upload(client, measured, b'date,material,kind,mass\n2026-11-18,"Gravel, 0/32",sale,300\n')
    assert ">more<" in client.get(f"/sites/{measured.id}/book").text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"date,material,kind,mass\n", "no lines below its header"),
        (b"date,kind,mass\n2026-11-18,sale,3\n", "lacks material"),
        (b"date;material;kind;mass\n2026-11-18;Coal;sale;3\n", "no material &#39;Coal&#39;"),
        (b'date,material,kind,mass\n2026-13-18,"Gravel, 0/32",sale,3\n', "no date like"),
        (b'date,material,kind,mass\n2026-11-18,"Gravel, 0/32",gift,3\n', "neither production"),
        (b'date,material,kind,mass\n2026-11-18,"Gravel, 0/32",sale,-3\n', "no mass above 0"),
        (b"date;material;kind;mass\n18.11.2026;Gravel, 0/32;sale;1.234\n", "may be 1234 or"),
    ],
)
def test_a_bad_book_is_refused_as_a_whole(client_of, site, content, words):
    answer = upload(client_of("manager"), site, content)
    assert answer.status_code == 422
    assert words in answer.text
    assert db.session.scalar(sa.select(sa.func.count()).select_from(BookEntry)) == 0


def test_a_closed_period_keeps_what_it_rests_on(client_of, measured):
    client = client_of("manager")
    toe = db.session.scalar(
        sa.select(Toe).where(Toe.superseded_at.is_(None)).order_by(Toe.created_at.desc())
    )
    form = {"name": "November", "ends_on": SECOND.isoformat()}
    closed = client.post(f"/sites/{measured.id}/periods", data=form)
    page = client.get(closed.headers["Location"])
    assert "all as they were sealed" in page.text
    body = {"name": "=Cone", "toe": circle(8.8), "pile_id": str(toe.pile_id)}
    refused = client.put(f"/api/v1/toes/{toe.id}", json=body)
    assert refused.status_code == 409
    assert "November" in refused.json["detail"]
    facts = client.get(f"/api/v1/surveys/{toe.survey_id}").json
    assert (facts["can_edit"], facts["closed_in"]) == (False, "November")
    period = db.session.scalar(sa.select(Period))
    again = client.post(f"/sites/{measured.id}/periods", data=form)
    assert again.status_code == 409
    assert client.post(f"/periods/{period.id}/reopen", data={"reason": ""}).status_code == 422
    client.post(f"/periods/{period.id}/reopen", data={"reason": "the toe missed the foot"})
    assert client.put(f"/api/v1/toes/{toe.id}", json=body).status_code == 200
    page = client.get(f"/periods/{period.id}").text
    assert (
        "as it was sealed: material, mass, value, area of =Cone; mass, value in total; toes."
        in page
    )
    amended = client.post(f"/sites/{measured.id}/periods", data=form)
    assert "Amendment: the toe missed the foot" in client.get(amended.headers["Location"]).text
    assert ">amended<" in client.get(f"/sites/{measured.id}/periods").text
    # What was sealed first is still there, unchanged.
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Period)) == 2


def test_a_table_that_was_sealed_before_columns_had_keys_is_read_by_its_own_rules(
    client_of, measured
):
    client = client_of("manager")
    form = {"name": "November", "ends_on": SECOND.isoformat()}
    address = client.post(f"/sites/{measured.id}/periods", data=form).headers["Location"]
    period = db.session.scalar(sa.select(Period))
    new = dict(period.document)
    kept = [n for n, key in enumerate(new["keys"]) if key not in LATER]
    old = {part: value for part, value in new.items() if part not in ("keys", "units")}
    old["columns"] = [new["columns"][n] for n in kept]
    old["lines"] = [[line[n] for n in kept] for line in new["lines"]]
    area = old["columns"].index("area [m²]")
    measurement = db.session.scalar(
        sa.select(Measurement).join(Toe).order_by(Toe.created_at.desc()).limit(1)
    )
    old["lines"][0][area] = round(measurement.area_m2, 1)
    period.document, period.seal = old, seal_of(old)
    db.session.commit()
    page = client.get(address).text
    assert "all as they were sealed" in page
    # Each number stands beside its ±.
    assert "olume ± 95 %" not in page
    measurement.area_m2 += 0.2
    db.session.commit()
    assert "No longer as it was sealed: area of =Cone." in client.get(address).text


def test_a_seal_holds_when_the_site_reads_other_units(client_of, measured):
    client = client_of("manager")
    form = {"name": "November", "ends_on": SECOND.isoformat()}
    address = client.post(f"/sites/{measured.id}/periods", data=form).headers["Location"]
    measured.volume_unit, measured.mass_unit = "yd3", "short_ton"
    db.session.commit()
    page = client.get(address).text
    assert "all as they were sealed" in page
    assert "Volume [m³]" in page


def test_a_seal_that_was_tampered_with_is_noticed(client_of, measured):
    client = client_of("manager")
    form = {"name": "November", "ends_on": SECOND.isoformat()}
    closed = client.post(f"/sites/{measured.id}/periods", data=form)
    db.session.execute(sa.update(Measurement).values(net_m3=Measurement.net_m3 * 1.1))
    db.session.commit()
    assert "No longer as it was sealed: volume, mass" in client.get(closed.headers["Location"]).text
