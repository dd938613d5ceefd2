"""Watched folders and FlightHub: whole flights are taken once, half ones wait and say for what."""

import hashlib
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import Delivery, Photo, Run, Survey, Upload
from app.services import flighthub, inboxes, uploads
from tests.app.photos import write_photo
from tests.app.store import BUCKET


class Folder:
    """An inbox in a folder."""

    def __init__(self, root):
        self.root, self.url, self.prefix = root, f"file://{root}", ""

    def put(self, name, content):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def remove(self, name):
        (self.root / name).unlink()


class Bucket:
    """An inbox in a store."""

    def __init__(self, store):
        self.client, self.prefix = store.client(), f"in-{uuid4()}/"
        self.url = f"s3://{BUCKET}/{self.prefix}"

    def put(self, name, content):
        self.client.put_object(Bucket=BUCKET, Key=self.prefix + name, Body=content)

    def remove(self, name):
        self.client.delete_object(Bucket=BUCKET, Key=self.prefix + name)


@pytest.fixture(params=["folder", "store"])
def inbox(request, app, tmp_path, monkeypatch):
    """Where flights arrive; the application watches it."""
    if request.param == "folder":
        found = Folder(tmp_path / "inbox")
    else:
        store = request.getfixturevalue("store")
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        found = Bucket(store)
    config = replace(app.extensions["cairn_config"], inbox_url=found.url)
    monkeypatch.setitem(app.extensions, "cairn_config", config)
    return found


@pytest.fixture
def site(people, inbox, client_of):
    """A site whose folder is watched."""
    answer = client_of("manager").put(
        f"/api/v1/sites/{people['site'].id}/inbox", json={"quiet_minutes": 10}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json["address"] == f"{inbox.url.rstrip('/')}/{people['site'].id}"
    return people["site"]


@pytest.fixture
def flight(tmp_path):
    """Contents of five photos by name."""
    for number in range(5):
        write_photo(tmp_path / "card" / f"DJI_{number:04}.JPG", number)
    return {path.name: path.read_bytes() for path in sorted((tmp_path / "card").iterdir())}


def let_pass(minutes):
    """Let time pass since anything changed."""
    then = datetime.now(UTC) - timedelta(minutes=minutes)
    db.session.execute(sa.update(Delivery).values(changed_at=then))
    db.session.commit()


def count(row):
    db.session.rollback()
    return db.session.scalar(sa.select(sa.func.count()).select_from(row))


def problem():
    db.session.rollback()
    return db.session.scalars(sa.select(Delivery.problem)).one()


def sums(flight):
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in flight.items()]
    return "".join(lines).encode()


def test_a_folder_is_taken_after_a_quiet_time_and_only_once(inbox, site, flight, client_of):
    for name, content in list(flight.items())[:3]:
        inbox.put(f"{site.id}/monday/100MEDIA/{name}", content)
    inbox.put(f"{site.id}/monday/100MEDIA/DJI_0009.MP4", b"a film")
    assert inboxes.scan() == 0
    assert problem() == "3 files so far; taken once nothing has changed for 10 minutes."
    let_pass(9)
    assert inboxes.scan() == 0
    for name, content in list(flight.items())[3:]:
        inbox.put(f"{site.id}/monday/100MEDIA/{name}", content)
    # What came just now begins the quiet time anew.
    let_pass(11)
    assert inboxes.scan() == 0
    (told,) = client_of("viewer").get(f"/api/v1/sites/{site.id}/deliveries").json["items"]
    assert (told["state"], told["expected"], told["arrived"]) == ("waiting", None, 5)
    assert "5 files so far" in told["problem"]
    page = client_of("viewer").get(f"/sites/{site.id}/surveys").text
    assert "5 files so far; taken once nothing has changed for 10 minutes." in page
    assert (count(Survey), count(Photo)) == (0, 0)
    let_pass(11)
    assert inboxes.scan() == 1
    assert inboxes.scan() == 0
    survey = db.session.scalars(sa.select(Survey)).one()
    assert (survey.name, survey.created_by) == ("Flight of 2026-11-24", None)
    assert (count(Photo), count(Run)) == (5, 1)
    (told,) = client_of("viewer").get(f"/api/v1/sites/{site.id}/deliveries").json["items"]
    assert (told["state"], told["problem"]) == ("complete", "")
    assert "On their way" not in client_of("viewer").get(f"/sites/{site.id}/surveys").text
    # The same card under another name.
    for name, content in flight.items():
        inbox.put(f"{site.id}/again/{name}", content)
    inboxes.scan()
    let_pass(11)
    assert inboxes.scan() == 1
    assert (count(Survey), count(Photo), count(Run)) == (1, 5, 1)


def test_a_list_of_files_is_waited_for_to_the_last_byte(inbox, site, flight, client_of):
    inbox.put(f"{site.id}/monday/SHA256SUMS", sums(flight))
    names = list(flight)
    for name in names[:4]:
        inbox.put(f"{site.id}/monday/{name}", flight[name])
    let_pass(10_000)
    assert inboxes.scan() == 0
    assert problem() == ("SHA256SUMS lists 5 files; 1 are missing, the first of them DJI_0004.JPG.")
    let_pass(10_000)
    assert inboxes.scan() == 0
    inbox.put(f"{site.id}/monday/{names[4]}", flight[names[4]][:-1000])
    assert inboxes.scan() == 0
    assert "DJI_0004.JPG is not what its list says" in problem()
    assert count(Run) == 0
    (told,) = client_of("viewer").get(f"/api/v1/sites/{site.id}/deliveries").json["items"]
    assert (told["expected"], told["arrived"]) == (5, 5)
    inbox.put(f"{site.id}/monday/{names[4]}", flight[names[4]])
    assert inboxes.scan() == 1
    assert (count(Survey), count(Photo), count(Run)) == (1, 5, 1)


@pytest.mark.parametrize("name", [".DJI_0009.JPG.x7Ykz2", "DJI_0009.JPG.part"])
def test_a_file_that_is_being_written_is_waited_for(inbox, site, flight, name):
    for photo, content in flight.items():
        inbox.put(f"{site.id}/monday/{photo}", content)
        # What macOS leaves everywhere is none.
        inbox.put(f"{site.id}/monday/._{photo}", b"resource fork")
    inbox.put(f"{site.id}/monday/{name}", b"half")
    inboxes.scan()
    let_pass(60)
    assert inboxes.scan() == 0
    assert "still being written" in problem()
    inbox.remove(f"{site.id}/monday/{name}")
    inboxes.scan()
    let_pass(60)
    assert inboxes.scan() == 1
    assert count(Photo) == 5


def test_a_damaged_photo_waits_until_it_is_replaced(inbox, site, flight):
    for name, content in flight.items():
        inbox.put(f"{site.id}/monday/{name}", content)
    inbox.put(f"{site.id}/monday/DJI_0002.JPG", flight["DJI_0002.JPG"][:9000])
    inboxes.scan()
    let_pass(60)
    assert inboxes.scan() == 0
    assert "truncated" in problem()
    assert count(Run) == 0
    inbox.put(f"{site.id}/monday/DJI_0002.JPG", flight["DJI_0002.JPG"])
    assert inboxes.scan() == 0
    let_pass(60)
    assert inboxes.scan() == 1
    assert (count(Survey), count(Photo), count(Run)) == (1, 5, 1)


def test_a_worker_that_dies_while_taking_leaves_nothing_doubled(inbox, site, flight, monkeypatch):
    for name, content in flight.items():
        inbox.put(f"{site.id}/monday/{name}", content)
    inboxes.scan()
    let_pass(60)
    append, calls = uploads.append, []

    def dies(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return append(*arguments)

    monkeypatch.setattr(uploads, "append", dies)
    with pytest.raises(KeyboardInterrupt):
        inboxes.scan()
    assert (count(Photo), count(Upload), count(Run)) == (2, 1, 0)
    assert inboxes.scan() == 1
    assert (count(Survey), count(Photo), count(Upload), count(Run)) == (1, 5, 0, 1)


def test_links_lead_nowhere(people, site, inbox, flight, tmp_path):
    if not isinstance(inbox, Folder):
        pytest.skip("a store has no links")
    other = tmp_path / "of somebody else"
    write_photo(other / "secret.jpg", 70)
    folder = inbox.root / str(site.id)
    folder.mkdir(parents=True)
    os.symlink(other, folder / "linked")
    for number in range(3):
        inbox.put(f"{site.id}/monday/{number}.jpg", flight[f"DJI_000{number}.JPG"])
    os.symlink(other / "secret.jpg", folder / "monday" / "secret.jpg")
    inboxes.scan()
    let_pass(60)
    inboxes.scan()
    assert count(Photo) == 3
    assert [d.key for d in db.session.scalars(sa.select(Delivery))] == ["monday"]


def test_an_inbox_is_opened_and_closed_on_the_settings_page(people, inbox, client_of):
    client, page = client_of("manager"), f"/sites/{people['site'].id}/settings"
    assert "Open the inbox" in client.get(page).text
    client.post(f"{page}/inbox", data={"quality": "preview", "quiet_minutes": "5"})
    text = client.get(page).text
    assert f"{inbox.url.rstrip('/')}/{people['site'].id}" in text
    assert 'value="5"' in text
    address = client.post(f"{page}/inbox/secret").text.split("<pre>")[1].split("</pre>")[0]
    body = reported(f"{inbox.prefix}{people['site'].id}/flighthub/a.jpg", 1, 1)
    assert client.post(address, json=body).status_code == 200
    assert address not in client.get(page).text
    client.post(f"{page}/inbox/close")
    assert "Open the inbox" in client.get(page).text
    assert client.post(address, json=body).status_code == 401


def test_names_of_another_encoding_are_taken(site, inbox, flight):
    if not isinstance(inbox, Folder):
        pytest.skip("a store has names in one encoding")
    folder = os.fsencode(inbox.root / str(site.id)) + b"/S\xfcd"
    os.makedirs(folder)
    for number, content in enumerate(flight.values()):
        with open(folder + f"/{number}_".encode() + b"\xe4.jpg", "wb") as file:
            file.write(content)
    inboxes.scan()
    let_pass(60)
    assert inboxes.scan() == 1
    assert db.session.scalars(sa.select(Delivery.key)).one() == "S\ufffdd"
    assert count(Photo) == 5


def test_an_inbox_is_not_changed_unseen_and_can_be_closed(site, client_of):
    client, address = client_of("manager"), f"/api/v1/sites/{site.id}/inbox"
    stale = client.put(address, json={"quiet_minutes": 5}, headers={"If-Match": '"another"'})
    assert stale.status_code == 412
    version = client.get(address).headers["ETag"]
    fresh = client.put(address, json={"quiet_minutes": 5}, headers={"If-Match": version})
    assert (fresh.status_code, fresh.json["quiet_minutes"]) == (200, 5)
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_without_a_folder_of_the_installation_no_inbox_is_opened(app, people, client_of):
    answer = client_of("manager").put(f"/api/v1/sites/{people['site'].id}/inbox", json={})
    assert answer.status_code == 422
    assert "watches no folder" in answer.json["detail"]
    assert inboxes.scan() == 0


def reported(key, uploaded, expected):
    """A report as a dock sends it."""
    return {
        "bid": str(uuid4()),
        "tid": str(uuid4()),
        "gateway": "4TADKAQ000002J",
        "method": "file_upload_callback",
        "need_reply": 1,
        "timestamp": 1795600000000,
        "data": {
            "file": {
                "cloud_to_cloud_id": "quarry-bucket",
                "ext": {
                    "drone_model_key": "0-67-0",
                    "flight_id": "d5c40d6f-9a4f-4c3c-a46c-3b4a1a2e2f6f",
                    "is_original": True,
                    "payload_model_key": "1-53-0",
                },
                "metadata": {
                    "absolute_altitude": 156.311,
                    "create_time": "2026-11-24T10:15:00+01:00",
                    "gimbal_yaw_degree": "-91.40",
                    "relative_altitude": 71.124,
                    "shoot_position": {"lat": 51.1, "lng": 9.5},
                },
                "name": key.rsplit("/", 1)[-1],
                "object_key": key,
                "path": "DJI_202611241015_001",
            },
            "flight_task": {
                "expected_file_count": expected,
                "uploaded_file_count": uploaded,
                "flight_type": 0,
            },
        },
    }


def reported_by_flighthub(key, uploaded, expected):
    """A report as FlightHub 2 sends it."""
    return {
        "notify_type": "way_line_file_upload_complete",
        "org_id": "5a6f9d4b",
        "org_name": "North Quarries",
        "prj_id": "cd4cc626",
        "prj_name": "Pit 1",
        "sn": "4TADKAQ000002J",
        "task_info": {"task_type": "wayline", "tags": ["weekly"]},
        "files": [{"name": key.rsplit("/", 1)[-1], "key": key}],
        "folder_info": {
            "expected_file_count": expected,
            "uploaded_file_count": uploaded,
            "folder_id": 4711,
        },
    }


@pytest.fixture
def secret(site, client_of):
    return client_of("manager").post(f"/api/v1/sites/{site.id}/inbox/secret").json["secret"]


@pytest.mark.parametrize("report", [reported, reported_by_flighthub])
def test_a_flight_of_flighthub_starts_with_its_last_file(app, inbox, site, flight, secret, report):
    client = app.test_client()
    files = dict(flight) | {"DJI_0005.MP4": b"a film"}
    folder = f"{site.id}/flighthub/project/DJI_202611241015_001"
    # Reports come out of order, and some twice.
    order = [0, 2, 1, 1, 3, 5]
    for uploaded, number in enumerate(order, 1):
        name = list(files)[number]
        inbox.put(f"{folder}/{name}", files[name])
        body = report(f"{inbox.prefix}{folder}/{name}", min(uploaded, 5), 6)
        answer = client.post("/api/v1/flighthub", json=body, headers={"X-Auth-Token": secret})
        assert (answer.status_code, answer.json["code"]) == (200, 0), answer.text
        assert flighthub.take_whole() == 0
    # The quiet period is not for it.
    let_pass(1000)
    assert inboxes.scan() == 0
    assert count(Survey) == 0
    name = list(files)[4]
    inbox.put(f"{folder}/{name}", files[name])
    body = report(f"{inbox.prefix}{folder}/{name}", 6, 6)
    for _twice in range(2):
        client.post("/api/v1/flighthub", json=body, headers={"X-Auth-Token": secret})
    assert flighthub.take_whole() == 1
    assert flighthub.take_whole() == 0
    assert (count(Survey), count(Photo), count(Run)) == (1, 5, 1)


def test_only_the_secret_of_the_site_is_believed(app, inbox, site, secret, client_of):
    client = app.test_client()
    body = reported(f"{inbox.prefix}{site.id}/flighthub/a.jpg", 1, 1)
    address = "/api/v1/flighthub"
    for headers in ({}, {"X-Auth-Token": "guessed"}, {"X-Auth-Token": ""}):
        assert client.post(address, json=body, headers=headers).status_code == 401
    right = {"X-Auth-Token": secret}
    stolen = reported(f"{inbox.prefix}{uuid4()}/flighthub/a.jpg", 1, 1)
    assert client.post(address, json=stolen, headers=right).status_code == 422
    above = reported(f"{inbox.prefix}{site.id}/flighthub/../../x/a.jpg", 1, 1)
    assert client.post(address, json=above, headers=right).status_code == 422
    assert client.post(address, json={"data": {"file": {}}}, headers=right).status_code == 422
    assert count(Delivery) == 0
    client_of("manager").post(f"/api/v1/sites/{site.id}/inbox/secret")
    assert client.post(address, json=body, headers=right).status_code == 401


def test_flighthub_shows_its_secret_in_the_address(app, inbox, site, secret):
    client, address = app.test_client(), "/api/v1/flighthub"
    body = reported_by_flighthub(f"{inbox.prefix}{site.id}/flighthub/a.jpg", 1, 2)
    assert client.post(f"{address}?token=guessed", json=body).status_code == 401
    assert count(Delivery) == 0
    assert client.post(f"{address}?token={secret}", json=body).json["code"] == 0
    assert count(Delivery) == 1
    # It tells of more than of files.
    other = {"notify_type": "flighttask_progress", "sn": "4TADKAQ000002J", "status": 5}
    assert client.post(f"{address}?token={secret}", json=other).json["code"] == 0
    assert count(Delivery) == 1


def test_a_report_of_a_file_that_is_not_there_waits(app, inbox, site, secret):
    body = reported(f"{inbox.prefix}{site.id}/flighthub/a.jpg", 1, 1)
    answer = app.test_client().post(
        "/api/v1/flighthub", json=body, headers={"X-Auth-Token": secret}
    )
    assert answer.status_code == 200
    assert flighthub.take_whole() == 0
    assert problem() == "a.jpg was reported, but is not in the store."
