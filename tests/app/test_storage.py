"""The same questions to a folder and to a store that speaks S3."""

import io
import json
import shutil
import threading
import time
import urllib.error
import urllib.request
import zipfile
from dataclasses import replace
from uuid import uuid4

import numpy as np
import pytest
import rasterio
import sqlalchemy as sa

from app.errors import NotFound
from app.extensions import db
from app.models import Survey, SurveyState
from app.services import archives
from app.storage import FAILURES, from_url
from tests.app.store import BUCKET
from tests.app.surveys import CENTRE, CONE_M3, GROUND_M, HEIGHT_M, NORTH, WEST, circle, write_survey
from tests.app.test_runs import wait_for

MIB = 1 << 20


@pytest.fixture(params=["folder", "store"])
def url(request, tmp_path, monkeypatch):
    """Where to keep things."""
    if request.param == "folder":
        return f"file://{tmp_path / 'storage'}"
    store = request.getfixturevalue("store")
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return f"s3://{BUCKET}/{uuid4()}"


@pytest.fixture
def storage(url):
    return from_url(url)


def elsewhere(storage):
    """The same storage on another machine, which has no file of it yet."""
    if hasattr(storage, "scratch"):
        shutil.rmtree(storage.scratch, ignore_errors=True)
    return storage


def noise(size, seed=0):
    return np.random.default_rng(seed).bytes(size)


def send(storage, upload, content, start, end, *, is_last=False):
    """One request of an upload."""
    with storage.go_on(upload, lambda: start) as partial:
        for at in range(start, end, MIB):
            partial.write(content[at : min(at + MIB, end)])
        partial.make_safe()
        if is_last:
            partial.complete()


def make(storage, survey_id, **files):
    """Put files into the workspace, as the recipe does: renamed into their places."""
    workspace = storage.workspace(survey_id)
    for name, content in files.items():
        (workspace / "fresh").write_bytes(content)
        (workspace / "fresh").replace(workspace / name)


def published(storage, survey_id, **files):
    """Publish files of a workspace."""
    make(storage, survey_id, **files)
    storage.publish(survey_id, list(files))


def read(storage, survey_id, name):
    return b"".join(storage.blocks(storage.product(survey_id, name)))


def test_an_upload_goes_on_after_each_interruption(storage):
    upload, survey, content = uuid4(), uuid4(), noise(21 * MIB + 5)
    storage.begin(upload)
    send(storage, upload, content, 0, 3 * MIB)
    send(storage, upload, content, 3 * MIB, 12 * MIB + 1)
    # These bytes arrived, and the row never said so: the client sends them again.
    send(storage, upload, noise(20 * MIB, 1), 12 * MIB + 1, 20 * MIB)
    send(storage, upload, content, 12 * MIB + 1, len(content), is_last=True)
    with storage.arrived(upload) as path:
        assert path.read_bytes() == content
    storage.take(upload, survey, "a.jpg")
    storage.give_up(upload)
    assert (elsewhere(storage).photos(survey) / "a.jpg").read_bytes() == content


@pytest.mark.parametrize("safe", [2 * MIB, 9 * MIB])
def test_an_upload_goes_on_after_a_last_request_whose_row_was_not_written(storage, safe):
    upload, survey, content = uuid4(), uuid4(), noise(13 * MIB + 5)
    storage.begin(upload)
    send(storage, upload, content, 0, safe)
    send(storage, upload, content, safe, len(content), is_last=True)
    send(storage, upload, content, safe, len(content), is_last=True)
    storage.take(upload, survey, "a.jpg")
    assert (storage.photos(survey) / "a.jpg").read_bytes() == content


def test_nothing_stays_of_an_upload_that_is_given_up(storage, url, request):
    upload = uuid4()
    storage.begin(upload)
    send(storage, upload, noise(9 * MIB), 0, 9 * MIB)
    storage.give_up(upload)
    with pytest.raises(NotFound, match="Begin it again"), storage.go_on(upload, lambda: 0):
        pass
    if url.startswith("s3:"):
        prefix = url.removeprefix(f"s3://{BUCKET}/")
        assert request.getfixturevalue("store").names(prefix) == []
    else:
        assert list((storage.root / "uploads").iterdir()) == []


def test_photos_keep_the_times_that_stages_know_them_by(storage):
    upload, survey = uuid4(), uuid4()
    storage.begin(upload)
    send(storage, upload, b"photo", 0, 5, is_last=True)
    storage.take(upload, survey, "a.jpg")
    first = (storage.photos(survey) / "a.jpg").stat().st_mtime_ns
    assert (elsewhere(storage).photos(survey) / "a.jpg").stat().st_mtime_ns == first


def test_a_photo_is_sent_as_it_was_uploaded(storage):
    content, upload, survey = noise(100_000), uuid4(), uuid4()
    storage.begin(upload)
    send(storage, upload, content, 0, len(content), is_last=True)
    storage.take(upload, survey, "a b.jpg")
    original = storage.original(survey, "a b.jpg")
    assert (original.size, b"".join(storage.blocks(original))) == (len(content), content)
    assert b"".join(storage.blocks(original, 10, 20)) == content[10:20]
    with pytest.raises(NotFound):
        storage.original(survey, "c.jpg")


def test_products_come_all_at_once(storage):
    survey = uuid4()
    assert storage.names(survey) == set()
    published(storage, survey, one=b"1", two=b"22")
    before = storage.product(survey, "two")
    # The second publication stops at a file that cannot be sent.
    make(storage, survey, one=b"other")
    with pytest.raises(OSError, match="three"):
        storage.publish(survey, ["one", "three"])
    assert (storage.names(survey), read(storage, survey, "one")) == ({"one", "two"}, b"1")
    # The third is whole; who had begun to read reads on.
    published(storage, survey, one=b"111", four=b"4")
    assert (storage.names(survey), read(storage, survey, "one")) == ({"one", "four"}, b"111")
    assert b"".join(storage.blocks(before)) == b"22"
    assert storage.product(survey, "one").version != before.version


def test_products_are_always_there_while_others_are_published(storage):
    survey, seen, ended = uuid4(), set(), threading.Event()
    published(storage, survey, one=b"0" * 100)

    def watch():
        while not ended.is_set():
            seen.add((frozenset(storage.names(survey)), read(storage, survey, "one")[:1]))

    watcher = threading.Thread(target=watch)
    watcher.start()
    published(storage, survey, one=b"1" * 100)
    ended.set()
    watcher.join()
    assert {names for names, _ in seen} == {frozenset({"one"})}


def test_ranges_of_products_are_read(storage):
    survey, content = uuid4(), noise(3 * MIB)
    published(storage, survey, one=content)
    product = storage.product(survey, "one")
    assert b"".join(storage.blocks(product, 5, 2 * MIB)) == content[5 : 2 * MIB]
    assert b"".join(storage.blocks(product, 3 * MIB)) == b""
    with pytest.raises(NotFound, match=r"no file '\.\./one'"):
        storage.product(survey, "../one")


def test_a_stage_is_fetched_by_another_worker(storage):
    survey = uuid4()
    stage = storage.workspace(survey) / "work" / "features"
    (stage / "deep").mkdir(parents=True)
    (stage / "manifest.json").write_text('{"fingerprint": "1"}')
    (stage / "deep" / "file").write_bytes(b"features")
    storage.keep(survey, "features")
    storage.release(survey)
    found = elsewhere(storage).workspace(survey) / "work" / "features"
    assert (found / "deep" / "file").read_bytes() == b"features"
    # Made anew of other options, it is kept anew.
    (found / "manifest.json").write_text('{"fingerprint": "2"}')
    storage.keep(survey, "features")
    found = elsewhere(storage).workspace(survey) / "work" / "features"
    assert json.loads((found / "manifest.json").read_text()) == {"fingerprint": "2"}


def test_only_what_a_shard_reads_is_fetched(storage):
    survey = uuid4()
    for name in ("one.jpg", "two.jpg"):
        upload = uuid4()
        storage.begin(upload)
        send(storage, upload, b"jpeg", 0, 4, is_last=True)
        storage.take(upload, survey, name)
    names = ("one.jpg", "two.jpg", "features/manifest.json", "dsm/manifest.json")
    files = [storage.photos(survey) / name for name in names[:2]]
    files += [storage.workspace(survey) / "work" / name for name in names[2:]]
    for path in files[2:]:
        path.parent.mkdir(parents=True)
        path.write_text("1")
        storage.keep(survey, path.parent.name)
    elsewhere(storage).bring(survey, files[1:3])
    is_store = hasattr(storage, "scratch")
    assert [path.is_file() for path in files] == [not is_store, True, True, not is_store]
    # A stage of an earlier run lies there still.
    files[2].write_text("2")
    storage.keep(survey, "features")
    files[2].write_text("1" if is_store else "2")
    storage.bring(survey, files[2:3])
    assert files[2].read_text() == "2"
    if is_store:
        with pytest.raises(ValueError, match="not in the subpath"):
            storage.bring(survey, [storage.photos(uuid4()) / "of-others.jpg"])


def test_windows_of_rasters_are_read_where_they_lie(storage):
    survey = uuid4()
    write_survey(storage.workspace(survey))
    storage.publish(survey, ["dsm.tif", "survey.json", "accuracy.json"])
    window = rasterio.windows.Window(200, 250, 64, 32)
    with rasterio.open(storage.workspace(survey) / "dsm.tif") as raster:
        truth = raster.read(1, window=window)
    with rasterio.open(storage.product(survey, "dsm.tif").path) as raster:
        np.testing.assert_array_equal(raster.read(1, window=window), truth)
    folder = elsewhere(storage).on_disk(survey)
    assert json.loads((folder / "survey.json").read_text())["epsg"] == 25832


def test_a_survey_is_removed_with_everything(storage, url, request):
    survey = uuid4()
    published(storage, survey, one=b"1")
    storage.on_disk(survey)
    storage.remove_survey(survey)
    assert not list(elsewhere(storage).photos(survey).iterdir())
    if url.startswith("s3:"):
        assert request.getfixturevalue("store").names(url.removeprefix(f"s3://{BUCKET}/")) == []


def test_what_cannot_be_kept_is_told(storage, url, request):
    storage.check()
    if url.startswith("s3:"):
        gone = from_url("s3://no-such-bucket/cairn")
    else:
        gone = storage
        shutil.rmtree(storage.root)
    with pytest.raises(FAILURES):
        gone.check()


@pytest.fixture
def application(make_app, app, url, people):
    """An application on the same rows with this storage, and a survey with a surface."""
    other = make_app(STORAGE_URL=url)
    other.config["WTF_CSRF_ENABLED"] = False
    row = Survey(
        site_id=people["site"].id, name="Week 47", flown_on=sa.func.current_date(),
        state=SurveyState.READY,
    )  # fmt: skip
    db.session.add(row)
    db.session.commit()
    storage = other.extensions["cairn_storage"]
    write_survey(storage.workspace(row.id))
    storage.publish(row.id, ["dsm.tif", "orthomosaic.tif", "survey.json", "accuracy.json"])
    client = other.test_client()
    values = {"email": people["surveyor"].email, "password": "gravel by the tonne"}
    assert client.post("/sign-in", data=values).status_code == 302
    return other, client, row.id


def test_a_product_is_sent_whole_in_ranges_and_once(application):
    other, client, survey = application
    address = f"/api/v1/surveys/{survey}/files/dsm.tif"
    content = read(other.extensions["cairn_storage"], survey, "dsm.tif")
    whole = client.get(address)
    assert (whole.status_code, whole.data) == (200, content)
    part = client.get(address, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, content[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(content)}"
    assert client.get(address, headers={"Range": "bytes=-10"}).data == content[-10:]
    beyond = client.get(address, headers={"Range": f"bytes={len(content)}-"})
    assert beyond.status_code == 416
    again = client.get(address, headers={"If-None-Match": whole.headers["ETag"]})
    assert again.status_code == 304
    head = client.head(address)
    assert (int(head.headers["Content-Length"]), head.data) == (len(content), b"")
    assert client.get(f"/api/v1/surveys/{survey}/files/none.tif").status_code == 404


def test_pages_are_made_of_it(application):
    other, client, survey = application
    document = client.get(f"/api/v1/surveys/{survey}").json
    assert document["epsg"] == 25832
    # A tile of the whole world, which the survey's projection does not cover, is an empty one.
    assert client.get(f"/api/v1/surveys/{survey}/tiles/hillshade/0/0/0.webp").status_code == 204
    profile = client.post(
        f"/api/v1/surveys/{survey}/profile", json={"line": [[WEST + 1, NORTH - 30], CENTRE]}
    )
    assert profile.status_code == 200, profile.text
    assert profile.json["elevation_m"][-1] == pytest.approx(GROUND_M + 0.3 + HEIGHT_M, abs=0.1)
    with other.app_context():
        archive = b"".join(archives.stream(other.extensions["cairn_storage"], survey))
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        assert files.testzip() is None
        assert "dsm.tif" in files.namelist()


def test_a_cone_is_measured_on_it(application):
    _, client, survey = application
    body = {"toe": circle(), "base": {"method": "plane"}}
    answer = client.post(f"/api/v1/surveys/{survey}/volume", json=body)
    assert answer.status_code == 200, answer.text
    # Cells of a decimetre cut the cone's foot and top.
    assert answer.json["fill_m3"] == pytest.approx(CONE_M3, rel=2e-3)


@pytest.mark.parametrize("url", ["store"], indirect=True)
def test_a_browser_is_sent_to_the_store_itself_where_it_may(make_app, application, url):
    other, client, survey = application
    address = f"/api/v1/surveys/{survey}/files/dsm.tif"
    content = client.get(address).data
    config = other.extensions["cairn_config"]
    other.extensions["cairn_config"] = replace(config, has_direct_downloads=True)
    sent = client.get(address, headers={"Sec-Fetch-Mode": "navigate"})
    assert sent.status_code == 302
    # Whoever has the address needs no key.
    with urllib.request.urlopen(sent.headers["Location"]) as answer:
        assert answer.read() == content
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(sent.headers["Location"].split("?")[0])
    # Scripts of a page talk to nobody but the server.
    assert client.get(address, headers={"Sec-Fetch-Mode": "cors"}).data == content


@pytest.mark.parametrize("url", ["store"], indirect=True)
def test_people_are_told_while_the_store_is_away(application, store):
    _, client, survey = application
    address = f"/api/v1/surveys/{survey}/files/dsm.tif"
    assert client.get(address).status_code == 200
    store.process.kill()
    try:
        # Long enough for the server to forget what it knew of the survey.
        time.sleep(2.5)
        answer = client.get(address)
        ready = client.get("/readyz")
    finally:
        store.process.start()
    assert (answer.status_code, answer.json["title"]) == (503, "Storage is away")
    assert (ready.status_code, ready.json["storage"]) == (503, "does not answer")
    wait_for(lambda: client.get(address).status_code == 200, 60)
