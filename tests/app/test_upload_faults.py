"""Uploads when something breaks: the line, the server, the disk, and two people with one card."""

import hashlib
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace

import pytest
import requests
import sqlalchemy as sa

from app.auth.tokens import new_token
from app.extensions import db
from app.models import ApiToken, Upload
from app.services import uploads
from app.storage import FolderStorage
from tests.app import live
from tests.app.test_faults import small_disk  # noqa: F401  (a fixture)
from tests.app.test_runs import wait_for
from tests.app.test_uploads import PART, TUS, b64, begin, jpeg, patch, photos, survey  # noqa: F401


@pytest.fixture
def token(people):
    """A token of a surveyor."""
    text, prefix, token_hash = new_token()
    owner = people["surveyor"]
    row = ApiToken(organisation_id=owner.organisation_id, user_id=owner.id, name="card reader")
    row.prefix, row.secret_hash, row.actions = prefix, token_hash, ["read", "write"]
    db.session.add(row)
    db.session.commit()
    return text


@pytest.fixture
def process(app, services, tmp_path):
    """The server as a process of its own."""
    port = live.free_port()
    environment = live.environment(*services, app.extensions["cairn_storage"].root, port)
    with live.running(live.web(environment, port, tmp_path / "log")) as running:
        running.address = f"http://127.0.0.1:{port}"
        yield running


@pytest.fixture
def server(process):
    """Its address."""
    return process.address


class Client:
    """What a program sends."""

    def __init__(self, server, token):
        self.server = server
        self.headers = {"Authorization": f"Bearer {token}"}

    def begin(self, survey, name, content):  # noqa: F811
        """Begin an upload; returns its address."""
        facts = {"Upload-Length": str(len(content)), "Upload-Metadata": f"filename {b64(name)}"}
        where = f"{self.server}/api/v1/surveys/{survey}/uploads"
        answer = requests.post(where, headers=self.headers | TUS | facts, timeout=60)
        assert answer.status_code == 201
        return answer.headers["Location"]

    @contextmanager
    def stalled(self, address, content, count):
        """Announce all of a file, and have sent only so many bytes."""
        host, _, port = self.server.removeprefix("http://").partition(":")
        said = self.headers | PART | {"Upload-Offset": "0", "Content-Length": str(len(content))}
        lines = [
            f"PATCH {address} HTTP/1.1",
            f"Host: {host}",
            *(f"{k}: {v}" for k, v in said.items()),
        ]
        with socket.create_connection((host, int(port))) as line:
            line.sendall("\r\n".join([*lines, "", ""]).encode() + content[:count])
            yield

    def offset(self, address):
        """How many bytes are safe."""
        answer = requests.head(self.server + address, headers=self.headers | TUS, timeout=60)
        return int(answer.headers["Upload-Offset"])

    def send(self, address, content, offset):
        """Send the rest; returns the status."""
        said = self.headers | PART | {"Upload-Offset": str(offset)}
        url = self.server + address
        return requests.patch(url, content[offset:], headers=said, timeout=60).status_code


def bytes_of(app, address):
    """The file that an upload's bytes lie in."""
    root, key = app.extensions["cairn_storage"].root, address.rsplit("/", 1)[-1]
    (lying,) = (path for path in root.rglob(f"*{key}*") if path.is_file())
    return lying


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_what_arrived_before_the_line_broke_is_not_sent_again(server, token, survey, share):  # noqa: F811
    client, content = Client(server, token), jpeg(4, 3000)
    address = client.begin(survey.id, "DJI_0001.JPG", content)
    count = int(share * len(content))
    with client.stalled(address, content, count):
        pass
    wait_for(lambda: client.offset(address) == count, 30)
    assert client.send(address, content, count) == 204
    (photo,) = photos()
    assert photo.sha256 == hashlib.sha256(content).digest()


def test_a_slow_line_holds_no_connection_to_the_database(app, server, token, survey):  # noqa: F811
    client, content = Client(server, token), jpeg(4, 3000)
    address = client.begin(survey.id, "DJI_0001.JPG", content)
    db.session.commit()
    lying = bytes_of(app, address)
    waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in transaction%'"
    )
    with client.stalled(address, content, len(content) // 2):
        wait_for(lambda: lying.stat().st_size, 30)
        assert db.session.scalar(waiting) == 0
    wait_for(lambda: client.offset(address) == len(content) // 2, 30)


def test_an_upload_goes_on_after_the_server_was_killed_within_a_part(app, process, token, survey):  # noqa: F811
    client, content = Client(process.address, token), jpeg(4, 3000)
    address = client.begin(survey.id, "DJI_0001.JPG", content)
    lying = bytes_of(app, address)
    # Other bytes, which nobody was told are safe: they must leave no trace.
    with client.stalled(address, bytes(len(content)), len(content) - 9):
        wait_for(lambda: lying.stat().st_size > len(content) // 2, 30)
        process.kill()
    process.start()
    assert client.offset(address) == 0
    assert client.send(address, content, 0) == 204
    (photo,) = photos()
    path = app.extensions["cairn_storage"].photos(survey.id) / photo.name
    assert path.read_bytes() == content
    assert photo.sha256 == hashlib.sha256(content).digest()


def test_of_two_requests_that_send_a_file_one_is_told(app, server, token, survey):  # noqa: F811
    client, content = Client(server, token), jpeg(4, 3000)
    address = client.begin(survey.id, "DJI_0001.JPG", content)
    lying, half = bytes_of(app, address), len(content) // 2
    with client.stalled(address, content, half):
        wait_for(lambda: lying.stat().st_size, 30)
        assert client.send(address, bytes(len(content)), 0) == 423
    wait_for(lambda: client.offset(address) == half, 30)
    assert client.send(address, content, half) == 204
    assert photos()[0].sha256 == hashlib.sha256(content).digest()


def test_a_request_that_waited_while_another_went_on_writes_nothing(app, client_of, survey):  # noqa: F811
    client, content = client_of("surveyor"), jpeg(4, 3000)
    address = begin(client, survey, "DJI_0001.JPG", content).headers["Location"]
    lying = bytes_of(app, address)
    upload = db.session.scalars(sa.select(Upload)).one()
    seen_before = SimpleNamespace(id=upload.id, length=upload.length, offset=0)
    assert patch(client, address, content[:5000], 0).status_code == 204
    with pytest.raises(uploads.WrongOffsetError, match="at byte 5000"):
        uploads.append(seen_before, 0, BytesIO(bytes(len(content))), None)
    assert lying.read_bytes() == content[:5000]


def test_two_tabs_that_send_the_same_photos_make_each_once(server, token, survey):  # noqa: F811
    client, contents = Client(server, token), [jpeg(seed) for seed in range(10, 16)]

    def send(number):
        content = contents[number]
        address = client.begin(key, f"DJI_{number}.JPG", content)
        return client.send(address, content, 0)

    key = survey.id
    with ThreadPoolExecutor(4) as pool:
        statuses = set(pool.map(send, 2 * list(range(len(contents)))))
    assert statuses == {204}
    assert [photo.name for photo in photos()] == [f"DJI_{n}.JPG" for n in range(len(contents))]
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Upload)) == 0


def test_a_full_disk_is_told_and_the_upload_goes_on(
    app,
    client_of,
    survey,  # noqa: F811
    small_disk,  # noqa: F811
    monkeypatch,
):
    monkeypatch.setitem(app.extensions, "cairn_storage", FolderStorage(small_disk))
    client, content = client_of("surveyor"), jpeg(4, 3000)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes((14 << 20) - len(content) // 2))
    address = begin(client, survey, "DJI_0001.JPG", content).headers["Location"]
    full = patch(client, address, content, 0)
    assert (full.status_code, full.json["title"]) == (507, "Storage is full")
    safe = int(client.head(address, headers=TUS).headers["Upload-Offset"])
    assert safe < len(content)
    subprocess.run(["mount", "-o", "remount,size=60m", str(small_disk)], check=True)
    assert patch(client, address, content[safe:], safe).status_code == 204
    (photo,) = photos()
    assert (FolderStorage(small_disk).photos(survey.id) / photo.name).read_bytes() == content
