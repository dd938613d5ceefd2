"""Uploads by tus: interrupted anywhere, continued, checked, taken once."""

import base64
import hashlib
import io
import re
import time
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from PIL import Image

from app.auth.tokens import new_token
from app.extensions import db
from app.models import ApiToken, Photo, Survey, Upload
from tests.app import live

TUS = {"Tus-Resumable": "1.0.0"}
PART = TUS | {"Content-Type": "application/offset+octet-stream"}


@cache
def jpeg(seed=0, side=640):
    """A photo that is complete, of some 100 kB."""
    values = np.random.default_rng(seed).integers(0, 255, (side, side), dtype=np.uint8)
    noise = Image.fromarray(values)
    file = io.BytesIO()
    noise.save(file, "JPEG", quality=90)
    return file.getvalue()


def b64(text):
    return base64.b64encode(text.encode()).decode()


@pytest.fixture
def survey(app, people):
    row = Survey(site_id=people["site"].id, name="Week 47", flown_on=sa.func.current_date())
    db.session.add(row)
    db.session.commit()
    return row


def begin(client, survey, name, content, **headers):
    return client.post(
        f"/api/v1/surveys/{survey.id}/uploads",
        headers=TUS
        | {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {b64(name)}"}
        | headers,
    )


def patch(client, address, content, offset, **headers):
    return client.patch(
        address, data=content, headers=PART | {"Upload-Offset": str(offset)} | headers
    )


def send(client, survey, name, content):
    """Upload a file in one part; the answer to that part."""
    made = begin(client, survey, name, content)
    if made.status_code != 201:
        return made
    return patch(client, made.headers["Location"], content, 0)


def photos():
    return db.session.scalars(sa.select(Photo).order_by(Photo.name)).all()


def test_a_photo_arrives_in_parts(app, client_of, survey):
    client, content = client_of("surveyor"), jpeg()
    address = begin(client, survey, "DJI_0001.JPG", content).headers["Location"]
    assert patch(client, address, content[:1000], 0).headers["Upload-Offset"] == "1000"
    assert client.head(address, headers=TUS).headers["Upload-Offset"] == "1000"
    wrong = patch(client, address, content[1000:], 500)
    assert (wrong.status_code, wrong.json["title"]) == (409, "Conflict")
    assert patch(client, address, content[1000:], 1000).status_code == 204
    (photo,) = photos()
    path = app.extensions["cairn_storage"].photos(survey.id) / photo.name
    assert path.read_bytes() == content
    assert photo.sha256 == hashlib.sha256(content).digest()
    assert client.head(address, headers=TUS).status_code == 404
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Upload)) == 0


def test_the_same_photo_twice_is_one_and_the_same_name_is_two(client_of, survey):
    client = client_of("surveyor")
    repeats = []
    for name, content in (("DJI_0001.JPG", 1), ("copy.jpg", 1), ("DJI_0001.JPG", 2)):
        answer = send(client, survey, name, jpeg(content))
        assert answer.status_code == 204
        repeats.append(answer.headers.get("Upload-Repeats"))
    assert repeats == [None, "DJI_0001.JPG", None]
    assert [photo.name for photo in photos()] == ["DJI_0001.JPG", "DJI_0001_2.JPG"]


def test_a_part_that_arrives_damaged_is_not_taken(client_of, survey):
    client, content = client_of("surveyor"), jpeg()
    address = begin(client, survey, "a.jpg", content).headers["Location"]
    good = base64.b64encode(hashlib.sha256(content).digest()).decode()
    bad = base64.b64encode(hashlib.sha256(b"other").digest()).decode()
    answer = patch(client, address, content, 0, **{"Upload-Checksum": f"sha256 {bad}"})
    assert answer.status_code == 460
    assert client.head(address, headers=TUS).headers["Upload-Offset"] == "0"
    answer = patch(client, address, content, 0, **{"Upload-Checksum": f"sha256 {good}"})
    assert answer.status_code == 204


def test_the_server_takes_parts_as_large_as_browsers_send(app, client_of, survey):
    script = (Path(app.root_path) / "frontend/src/survey/uploads.ts").read_text()
    side = re.search(r"PART_BYTES = (\d+) \* 1024 \* 1024", script)
    content, part = jpeg() + bytes(20 << 20), int(side[1]) << 20
    client = client_of("surveyor")
    address = begin(client, survey, "a.jpg", content).headers["Location"]
    app.config["WTF_CSRF_ENABLED"] = True
    page = client.get(f"/surveys/{survey.id}").text
    token = page.split('name="csrf-token" content="')[1].split('"')[0]
    answer = patch(client, address, content[:part], 0, **{"X-CSRF-Token": token})
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(part))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jpg", b"", "empty (0 bytes)"),
        ("a.jpg", jpeg()[:5000], "truncated"),
        ("a.jpg", b"PK\x03\x04" + bytes(100), "not a JPEG, PNG or TIFF image"),
        ("a.zip", b"PK\x03\x04" + bytes(100), "no file that this survey takes"),
        ("a.dng", bytes(100), "no file that this survey takes"),
        ("<script>.jpg", bytes(100), "not a JPEG"),
    ],
)
def test_a_bad_file_is_refused_with_the_reason(client_of, survey, name, content, words):
    answer = send(client_of("surveyor"), survey, name, content)
    assert answer.status_code == 422
    assert words in answer.json["detail"]
    assert photos() == []
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Upload)) == 0


def test_a_decompression_bomb_is_refused(client_of, survey):
    file = io.BytesIO()
    Image.new("1", (40000, 40000)).save(file, "PNG")
    answer = send(client_of("surveyor"), survey, "bomb.png", file.getvalue())
    assert answer.status_code == 422
    assert "megapixels" in answer.json["detail"]


@pytest.mark.parametrize("name", ["../../etc/pw.jpg", "..\\..\\x.jpg", "/abs.jpg", "a\x00b.jpg"])
def test_no_name_leads_out_of_the_folder(app, client_of, survey, name):
    assert send(client_of("surveyor"), survey, name, jpeg()).status_code == 204
    (photo,) = photos()
    folder = app.extensions["cairn_storage"].photos(survey.id)
    assert [path.name for path in folder.iterdir()] == [photo.name]


def test_too_large_is_refused_before_a_byte_is_sent(client_of, survey):
    client = client_of("surveyor")
    answer = client.post(
        f"/api/v1/surveys/{survey.id}/uploads",
        headers=TUS | {"Upload-Length": "900000000", "Upload-Metadata": f"filename {b64('a.jpg')}"},
    )
    assert answer.status_code == 413
    assert "200 MB" in answer.json["detail"]


def test_an_older_protocol_is_told_so(client_of, survey):
    answer = client_of("surveyor").post(f"/api/v1/surveys/{survey.id}/uploads")
    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")


# The foreign client leaves its files and sockets open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_nobody_here_wrote_continues_after_the_server_was_killed(
    app, services, people, survey, tmp_path
):
    from tusclient.client import TusClient

    token, prefix, token_hash = new_token()
    owner = people["surveyor"]
    db.session.add(
        ApiToken(
            organisation_id=owner.organisation_id,
            user_id=owner.id,
            name="card reader",
            prefix=prefix,
            secret_hash=token_hash,
            actions=["read", "write"],
        )
    )
    db.session.commit()
    port = live.free_port()
    storage = app.extensions["cairn_storage"].root
    environment = live.environment(*services, storage, port)
    content = jpeg(3, 3000)
    path = tmp_path / "DJI_0007.JPG"
    path.write_bytes(content)
    with live.running(live.web(environment, port, tmp_path / "log")) as server:
        client = TusClient(
            f"http://127.0.0.1:{port}/api/v1/surveys/{survey.id}/uploads",
            headers={"Authorization": f"Bearer {token}"},
        )
        upload = client.uploader(
            str(path),
            chunk_size=200_000,
            metadata={"filename": path.name},
            retries=20,
            retry_delay=1,
        )
        upload.upload_chunk()
        upload.upload_chunk()
        server.kill()
        server.start()
        time.sleep(0.1)
        upload.upload()
    (photo,) = photos()
    assert photo.sha256 == hashlib.sha256(content).digest()
