"""What goes wrong in a quarry: a clear message each, nothing lost, nothing half saved."""

import io
import zipfile
from functools import cache
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import openpyxl
import pytest
import sqlalchemy as sa
from PIL import Image

from app.extensions import db
from app.models import BookEntry, Material, Measurement, Photo, Pile, Survey, Toe, Upload
from app.services import flights
from tests.app import world
from tests.app.surveys import circle, ready_survey
from tests.app.test_uploads import jpeg, send

WILD = "<script>alert(1)</script>'; drop table site; --"


def picture(kind):
    file = io.BytesIO()
    Image.open(io.BytesIO(jpeg())).save(file, kind)
    return file.getvalue()


@cache
def zip_bomb():
    """A hundred megabytes of nothing in a hundred kilobytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", bytes(100 << 20))
    return file.getvalue()


def photo_at(latitude, longitude, seed):
    """A photo with a position in its EXIF."""
    values = np.random.default_rng(seed).integers(0, 255, (480, 640), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x8825] = {
        1: "N" if latitude >= 0 else "S",
        2: (abs(latitude), 0.0, 0.0),
        3: "E",
        4: (longitude, 0.0, 0.0),
    }
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", exif=exif)
    return file.getvalue()


def rows(*kinds):
    """How many rows there are of all of these kinds."""
    return sum(db.session.scalar(sa.select(sa.func.count()).select_from(kind)) for kind in kinds)


@pytest.fixture
def survey(app, people):
    """A survey that waits for its photos."""
    row = Survey(site_id=people["site"].id, name="Week 47", flown_on=world.DAY)
    db.session.add(row)
    db.session.commit()
    return row


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", zip_bomb, "not a JPEG, PNG or TIFF image"),
        ("a.zip", zip_bomb, "no file that this survey takes"),
        ("a.jpg", lambda: picture("PNG"), "a.jpg is a PNG and not what its name says"),
        ("a.png", lambda: picture("TIFF"), "a.png is a TIFF"),
        ("a.jpg", lambda: jpeg()[:-1000], "truncated"),
    ],
)
def test_a_file_that_is_no_photo_leaves_nothing_behind(
    app, client_of, survey, name, content, words
):
    answer = send(client_of("surveyor"), survey, name, content())
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert words in answer.json["detail"]
    assert answer.json["remedy"]
    assert rows(Photo, Upload) == 0
    storage = app.extensions["cairn_storage"]
    assert list(storage.photos(survey.id).iterdir()) == []
    assert [path for path in storage.root.glob("uploads/*") if path.is_file()] == []


def test_positions_that_cannot_be_are_told_and_the_photos_kept(client_of, survey):
    client = client_of("surveyor")
    for number in range(8):
        assert (
            send(
                client, survey, f"{number}.jpg", photo_at(50.0 + number * 1e-4, 9.0, number)
            ).status_code
            == 204
        )
    for name, place in (("nowhere", (999.0, 9.0)), ("far", (-33.0, 151.0)), ("nan", (1e9, 1e9))):
        content = photo_at(*place, seed=len(name))
        assert send(client, survey, f"{name}.jpg", content).status_code == 204
    listed = client.get(f"/api/v1/surveys/{survey.id}/photos").json["items"]
    positions = {row["name"]: row["position"] for row in listed}
    assert positions["1.jpg"] == pytest.approx([9.0, 50.0001])
    assert positions["nowhere.jpg"] is None
    assert positions["nan.jpg"] is None
    flights.judge(survey.id)
    verdict = client.get(f"/api/v1/surveys/{survey.id}/verdict").json["verdict"]
    found = {finding["code"]: finding for finding in verdict["findings"]}
    assert set(found["positions-missing"]["photos"]) == {"nowhere.jpg", "nan.jpg"}
    assert found["positions-wild"]["photos"] == ["far.jpg"]


def test_photos_that_were_left_on_the_card_are_told_and_kept(client_of, survey):
    client = client_of("surveyor")
    day = {"flown_on": "2026-11-27"}
    address = f"/api/v1/sites/{survey.site_id}/surveys"
    first, later, whole = (
        SimpleNamespace(**client.post(address, json=day | {"name": name}).json)
        for name in ("Week 47", "Week 48", "Again")
    )
    for number in range(3):
        for one, photo in ((first, number), (later, number + 2), (whole, number)):
            content = photo_at(50.0 + photo * 1e-4, 9.0, photo)
            assert send(client, one, f"{photo}.jpg", content).status_code == 204
    told = {}
    for one in (first, later, whole):
        flights.judge(one.id)
        verdict = client.get(f"/api/v1/surveys/{one.id}/verdict").json["verdict"]
        told[one.name] = [
            finding for finding in verdict["findings"] if finding["code"] == "earlier-survey"
        ]
    # The survey that has them first has no reason to tell.
    assert told.pop("Week 47") == []
    (some,), (every,) = told["Week 48"], told["Again"]
    words = "1 of 3 photos were uploaded before: earlier surveys have them (Week 47)."
    assert (some["message"], some["photos"], some["level"]) == (words, ["2.jpg"], "warn")
    assert "All 3 photos" in every["message"]
    assert every["photos"] == ["0.jpg", "1.jpg", "2.jpg"]
    assert len(client.get(f"/api/v1/surveys/{later.id}/photos").json["items"]) == 3


@pytest.mark.parametrize(
    ("toe", "words"),
    [
        (circle(count=10_000), "at most 2001"),
        ({"coordinates": [[[i % 7, i % 5, 0.0] for i in range(10_000)]]}, "at most 2001"),
        ({"coordinates": [[[1e9, 0, 0]] * 4]}, "less than or equal to 100000000"),
        (circle() | {"walls": [99]}, "99"),
    ],
)
def test_a_toe_that_cannot_be_measured_leaves_nothing_behind(app, people, client_of, toe, words):
    survey = ready_survey(app, people["site"])
    answer = client_of("surveyor").post(
        f"/api/v1/surveys/{survey.id}/toes", json={"name": "Heap", "toe": toe}
    )
    assert answer.status_code == 422, answer.text
    assert words in answer.json["detail"]
    assert rows(Pile, Toe, Measurement) == 0


def test_names_with_html_and_sql_are_names(app, people, client_of):
    client, site = client_of("admin"), people["site"]
    ids = world.fill(app, people, client_of("manager"))
    made = client.post("/api/v1/sites", json={"name": WILD})
    assert made.json["name"] == WILD
    client.post(f"/api/v1/periods/{ids['period_id']}/reopening", json={"reason": WILD})
    client.put(f"/api/v1/sites/{site.id}", json={"name": WILD + "2"})
    client.put(f"/api/v1/materials/{ids['material_id']}", json={"name": WILD})
    toe = client.get(f"/api/v1/toes/{ids['toe_id']}").json
    draft = {name: toe[name] for name in ("pile_id", "material_id", "toe")} | {"name": WILD}
    assert client.put(f"/api/v1/toes/{ids['toe_id']}", json=draft).status_code == 200
    form = {"name": WILD, "flown_on": world.DAY.isoformat()}
    client.post(f"/sites/{site.id}/surveys/new", data=form)
    client.post("/account", data={"name": WILD})
    pages = ["/sites", "/organisation", "/account"]
    pages += [f"/sites/{site.id}/{page}" for page in ("surveys", "materials", "book", "periods")]
    pages += [f"/sites/{site.id}/inventory?on={world.DAY}", f"/piles/{ids['pile_id']}"]
    pages += [f"/surveys/{ids['survey_id']}", f"/periods/{ids['period_id']}"]
    for page in pages:
        text = client.get(page).text
        assert "<script>alert" not in text, page
        assert "&lt;script&gt;alert" in text, page
    root = f"/api/v1/sites/{site.id}/inventory"
    kml = client.get(f"{root}.kml?on={world.DAY}").data
    assert WILD in "".join(ElementTree.fromstring(kml).itertext())
    book = openpyxl.load_workbook(io.BytesIO(client.get(f"{root}.xlsx?on={world.DAY}").data))
    assert book["Inventory"]["A2"].value == WILD
    assert client.get(f"{root}.pdf?on={world.DAY}").data.startswith(b"%PDF")
    assert client.get(f"{root}.dxf?on={world.DAY}").status_code == 200


def import_book(client, site, content):
    return client.post(f"/api/v1/sites/{site.id}/book", data=content, content_type="text/csv")


@pytest.fixture
def gravel(people):
    """A site with a material."""
    db.session.add(Material(site_id=people["site"].id, name="Gravel"))
    db.session.commit()
    return people["site"]


def test_a_book_as_european_spreadsheets_write_it_is_read(client_of, gravel):
    text = "\ufeffdate;material;kind;mass [t]\r\n20.11.2026;Gravel;Sale;1.234,56\r\n"
    assert import_book(client_of("manager"), gravel, text.encode()).json["added"] == 1
    assert db.session.scalar(sa.select(BookEntry.mass_t)) == 1234.56


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"date,material,kind,mass [lb]\n2026-11-20,Gravel,sale,3\n", "Masses in 'lb'"),
        (b"date,material,kind,mass (m3)\n2026-11-20,Gravel,sale,3\n", "Masses in 'm3'"),
        (b"date,material,kind,mass\n2026-11-20,Gravel,sale,3\n2026-11-20,Gravel,sale\n", "line 3"),
        (b"date,material,kind,mass\n2026-11-20,Gravel,sale,1e999\n", "no mass above 0"),
        (b"date,material,kind,mass\n0000-00-00,Gravel,sale,1\n", "no date like"),
        (b'date,material,kind,mass\n2026-11-20,"Gravel,sale,1\n', "too few columns"),
        (b"\x00\x01\x02", "no CSV text"),
        (b"\xff\xfed\x00a\x00t\x00e\x00", "no CSV text"),
        (b"", "no lines below its header"),
        (zip_bomb, "no CSV text"),
    ],
)
def test_a_book_that_cannot_be_read_is_refused_as_a_whole(client_of, gravel, content, words):
    answer = import_book(client_of("manager"), gravel, content() if callable(content) else content)
    assert (answer.status_code, answer.json["field"]) == (422, "file")
    assert words in answer.json["detail"]
    assert rows(BookEntry) == 0
