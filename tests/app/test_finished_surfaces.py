"""Surfaces of lidar and of other programs: uploaded like photos, checked, measured like others."""

import io
import json
from datetime import date

import cv2
import laspy
import numpy as np
import pyproj
import pytest
import rasterio
import sqlalchemy as sa
from affine import Affine
from scipy.spatial import cKDTree

from app import jobs
from app.extensions import db
from app.models import Photo, Run, RunState, Survey, Upload
from reconstruction.gltf import read_glb
from tests.app.surveys import CENTRE, CONE_M3, GROUND_M, HEIGHT_M, NORTH, RADIUS_M, WEST, circle
from tests.app.test_uploads import send

SIDE_M = 40.0


def height(x, y):
    """A cone on level ground."""
    reach = np.hypot(x - CENTRE[0], y - CENTRE[1])
    return GROUND_M + np.clip(1 - reach / RADIUS_M, 0, 1) * HEIGHT_M


def raster(cell_m=0.1, epsg=25832, dtype="float32", scale=1.0, **profile):
    """The cone as a GeoTIFF."""
    count = round(SIDE_M / cell_m)
    west, north = CENTRE[0] - SIDE_M / 2, CENTRE[1] + SIDE_M / 2
    x = west + (np.arange(count) + 0.5) * cell_m
    y = north - (np.arange(count) + 0.5) * cell_m
    values = (height(x[None, :], y[:, None]) / scale).astype(dtype)
    settings = {
        "driver": "GTiff", "width": count, "height": count, "count": 1, "dtype": dtype,
        "transform": Affine(cell_m, 0.0, west, 0.0, -cell_m, north),
        "crs": None if epsg is None else f"EPSG:{epsg}",
    }  # fmt: skip
    with rasterio.MemoryFile() as file:
        with file.open(**settings | profile) as target:
            for band in range(1, target.count + 1):
                target.write(values, band)
            target.scales = [scale] * target.count
        return file.read()


def cloud(epsg=25832, count=160_000, suffix="laz", point_format=6, brightest=0):
    """The cone as a point cloud with 2 cm of noise, and birds above it; green east, red west."""
    rng = np.random.default_rng(7)
    x, y = (centre + SIDE_M * (rng.random(count) - 0.5) for centre in CENTRE)
    z = height(x, y) + rng.normal(0.0, 0.02, count)
    header = laspy.LasHeader(point_format=point_format, version="1.4")
    header.offsets, header.scales = [x.min(), y.min(), 0.0], [0.001] * 3
    if epsg is not None:
        header.add_crs(pyproj.CRS.from_user_input(epsg))
    file = laspy.LasData(header)
    file.x, file.y, file.z = x, y, z
    file.classification = np.ones(count, dtype=np.uint8)
    if brightest:
        file.red, file.green = brightest * (x < CENTRE[0]), brightest * (x >= CENTRE[0])
    file.z[:500] = z[:500] + 40.0
    file.classification[:500] = 18
    target = io.BytesIO()
    file.write(target, do_compress=suffix == "laz")
    return target.getvalue()


@pytest.fixture
def survey(people):
    """A survey that waits for its surface."""
    row = Survey(
        site_id=people["site"].id, name="Lidar", flown_on=date(2026, 11, 20), kind="surface"
    )
    db.session.add(row)
    db.session.commit()
    return row


@pytest.fixture
def process(app, client_of, monkeypatch):
    """Start a survey as a surveyor and do the job here; the run as the API tells it."""
    monkeypatch.setattr(jobs, "_app", lambda: app)

    def run(survey, **choice):
        client = client_of("surveyor")
        started = client.post(f"/api/v1/surveys/{survey.id}/runs", json=choice)
        assert started.status_code == 201, started.text
        jobs.process(started.json["id"])
        db.session.rollback()
        return client.get(f"/api/v1/runs/{started.json['id']}").json

    return run


def volume(client, survey):
    answer = client.post(f"/api/v1/surveys/{survey.id}/toes", json={"name": "A", "toe": circle()})
    assert answer.status_code == 201, answer.text
    return answer.json["volume"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("dsm.tif", raster),
        ("centimetres.tif", lambda: raster(dtype="uint16", scale=0.01)),
        ("scan.las", lambda: cloud(suffix="las")),
        ("scan.laz", cloud),
    ],
)
def test_a_surface_of_another_program_is_measured(app, client_of, survey, process, name, content):
    client = client_of("surveyor")
    assert send(client, survey, name, content()).status_code == 204
    run = process(survey)
    assert (run["state"], [stage["name"] for stage in run["stages"]]) == ("done", ["surface"])
    facts = client.get(f"/api/v1/surveys/{survey.id}").json
    assert (facts["state"], facts["epsg"]) == ("ready", 25832)
    measured = volume(client, survey)
    assert measured["net_m3"] == pytest.approx(CONE_M3, abs=max(measured["net_u95_m3"], 1.0))
    assert measured["coverage"] > 0.99
    products = app.extensions["cairn_storage"].products(survey.id)
    with rasterio.open(products / "dsm.tif") as dsm:
        assert dsm.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    told = json.loads((products / "survey.json").read_text())
    assert told["source"]["name"] == name
    paths = {product["path"] for product in told["products"]}
    assert {"dsm.tif", "accuracy.json", "model/tileset.json"} <= paths
    assert "relief.tif" not in client.get(f"/surveys/{survey.id}").text
    tile = client.get(f"/surveys/{survey.id}/picture.webp")
    assert (tile.status_code, tile.content_type) == (200, "image/webp")
    for page in ("", "/view", "/map"):
        assert client.get(f"/surveys/{survey.id}{page}").status_code == 200


def test_a_cloud_keeps_its_points_and_tells_how_they_spread(app, client_of, survey, process):
    content = cloud(point_format=7, brightest=200)
    send(client_of("surveyor"), survey, "scan.laz", content)
    assert process(survey)["state"] == "done"
    products = app.extensions["cairn_storage"].products(survey.id)
    given = laspy.read(io.BytesIO(content))
    is_surface = given.classification != 18
    with laspy.CopcReader.open(products / "point_cloud.copc.laz") as reader:
        points = reader.query()
        assert reader.header.parse_crs().to_epsg() == 25832
    assert len(points) == is_surface.sum()
    apart_m, _ = cKDTree(np.column_stack([points.x, points.y, points.z])).query(
        given.xyz[is_surface]
    )
    assert apart_m.max() < 1e-3
    west = np.asarray(points.x) < CENTRE[0] - 1.0
    assert points.red[west].mean() > 4 * points.green[west].mean()
    with rasterio.open(products / "dsm_quality.tif") as quality:
        count, spread_m = quality.read(masked=True)
        assert quality.descriptions == ("matches", "spread_m")
    assert count.sum() == len(points)
    # On the level, around the cone, nothing but the noise spreads them.
    assert np.ma.median(spread_m[:20]) == pytest.approx(0.02, rel=0.1)
    told = json.loads((products / "survey.json").read_text())["products"]
    assert {"dsm_quality.tif", "point_cloud.copc.laz"} <= {product["path"] for product in told}
    assert not list(products.glob("*bucket*"))


def orthomosaic(epsg=25832, **profile):
    """A picture of the cone's surroundings whose western half is red and eastern half blue."""
    cells = 200
    values = np.zeros((3, cells, cells), np.uint8)
    values[0, :, : cells // 2] = values[2, :, cells // 2 :] = 200
    west, north = CENTRE[0] - SIDE_M / 2, CENTRE[1] + SIDE_M / 2
    settings = {
        "driver": "GTiff", "width": cells, "height": cells, "count": 3, "dtype": "uint8",
        "transform": Affine(SIDE_M / cells, 0.0, west, 0.0, -SIDE_M / cells, north),
        "crs": None if epsg is None else f"EPSG:{epsg}",
    }  # fmt: skip
    with rasterio.MemoryFile() as file:
        with file.open(**settings | profile) as target:
            target.write(values)
        return file.read()


def model_colours(app, client, survey):
    """Mean colour of the model west and east of its middle."""
    model = app.extensions["cairn_storage"].products(survey.id) / "model"
    mesh = read_glb((model / "0" / "0_0.glb").read_bytes())
    picture = cv2.imdecode(np.frombuffer(mesh.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    height, width = picture.shape[:2]
    col, row = np.clip(mesh.uv * [width, height], 0, [width - 1, height - 1]).astype(int).T
    x = mesh.points[:, 0]
    return [picture[row[half], col[half]].mean(axis=0) for half in (x < -2.0, x > 2.0)]


@pytest.mark.parametrize("order", [("dsm.tif", "ortho.tif"), ("ortho.tif", "dsm.tif")])
def test_an_orthomosaic_beside_the_surface_colours_the_model(
    app, client_of, survey, process, order
):
    client = client_of("surveyor")
    content = {"dsm.tif": raster(), "ortho.tif": orthomosaic()}
    for name in order:
        assert send(client, survey, name, content[name]).status_code == 204
    assert process(survey)["state"] == "done"
    west, east = model_colours(app, client, survey)
    assert (west[0] > 150, west[2] < 50, east[0] < 50, east[2] > 150) == (True,) * 4
    products = app.extensions["cairn_storage"].products(survey.id)
    with rasterio.open(products / "orthomosaic.tif") as found:
        assert (found.count, found.crs.to_epsg(), found.res) == (4, 25832, (0.2, 0.2))
        assert found.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert client.get(f"/api/v1/surveys/{survey.id}").json["tiles_url"]
    again = send(client, survey, "another.tif", orthomosaic(epsg=4326))
    assert (again.status_code, "already" in again.json["detail"]) == (409, True)


def test_an_orthomosaic_in_another_crs_is_warped_to_the_surface(app, client_of, survey, process):
    client = client_of("surveyor")
    send(client, survey, "dsm.tif", raster())
    to_globe = pyproj.Transformer.from_crs(25832, 4326, always_xy=True)
    west, north = to_globe.transform(CENTRE[0] - SIDE_M / 2, CENTRE[1] + SIDE_M / 2)
    east, south = to_globe.transform(CENTRE[0] + SIDE_M / 2, CENTRE[1] - SIDE_M / 2)
    step = ((east - west) / 200, (north - south) / 200)
    in_degrees = orthomosaic(4326, transform=Affine(step[0], 0.0, west, 0.0, -step[1], north))
    assert send(client, survey, "ortho.tif", in_degrees).status_code == 204
    assert process(survey)["state"] == "done"
    left, right = model_colours(app, client, survey)
    assert (left[0] > 150, right[2] > 150) == (True, True)


@pytest.mark.parametrize("brightest", [200, 200 * 256])
def test_points_that_have_colours_give_them_to_the_model(
    app, client_of, survey, process, brightest
):
    content = cloud(point_format=7, brightest=brightest)
    send(client_of("surveyor"), survey, "scan.laz", content)
    assert process(survey)["state"] == "done"
    west, east = model_colours(app, client_of("surveyor"), survey)
    assert (west[0] > 150, west[1] < 50, east[0] < 50, east[1] > 150) == (True,) * 4
    assert client_of("surveyor").get(f"/api/v1/surveys/{survey.id}").json["tiles_url"]


def test_a_surface_alone_is_coloured_by_its_relief(app, client_of, survey, process):
    send(client_of("surveyor"), survey, "dsm.tif", raster())
    process(survey)
    west, east = model_colours(app, client_of("surveyor"), survey)
    # Light comes from the west.
    assert west.mean() > east.mean() + 5.0


def test_an_accuracy_that_is_stated_is_that_of_the_volume(client_of, survey, process):
    client = client_of("surveyor")
    send(client, survey, "dsm.tif", raster())
    process(survey, noise_sigma_m=0.05, noise_range_m=3.0, vertical_sigma_m=0.1)
    rough = volume(client, survey)
    process(survey, noise_sigma_m=0.001, noise_range_m=0.5)
    fine = client.post(f"/api/v1/surveys/{survey.id}/volume", json={"toe": circle()}).json
    assert fine["net_u95_m3"] < 0.5 * rough["net_u95_m3"]
    half = {"noise_sigma_m": 0.05}
    answer = client.post(f"/api/v1/surveys/{survey.id}/runs", json=half)
    assert answer.status_code == 422
    assert "go together" in answer.json["detail"]


def test_a_missing_crs_is_stated(client_of, survey, process):
    send(client_of("surveyor"), survey, "scan.laz", cloud(epsg=None))
    failed = process(survey)
    assert failed["state"] == "failed"
    assert "names no CRS" in failed["failure"]["reason"]
    assert process(survey, epsg=25832)["state"] == "done"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tif", lambda: b"II*\x00" + bytes(100), "not a raster that can be read"),
        ("a.tif", lambda: raster()[:3000], "not a raster that can be read"),
        ("a.tif", lambda: raster(count=3), "more than elevations"),
        ("a.tif", lambda: raster(dtype="uint8"), "a picture"),
        (
            "a.tif",
            lambda: cv2.imencode(".tif", np.zeros((9, 9, 3), np.uint8))[1].tobytes(),
            "without a place",
        ),
        ("a.tif", lambda: raster(epsg=4326), "in degrees"),
        ("a.tif", lambda: raster(epsg=3857), "times their size"),
        ("a.tif", lambda: raster(epsg=2225), "not in metres"),
        (
            "a.tif",
            lambda: raster(transform=Affine(0.1, 0.02, WEST, 0, -0.1, NORTH)),
            "not square",
        ),
        ("a.las", lambda: b"PK\x03\x04" + bytes(100), "no LAS or LAZ file"),
        ("a.jpg", raster, "no file that this survey takes"),
    ],
)
def test_what_is_no_surface_is_refused_at_once(client_of, survey, name, content, words):
    answer = send(client_of("surveyor"), survey, name, content())
    assert answer.status_code == 422, answer.text
    assert words in answer.json["detail"]
    assert "/tmp" not in answer.json["detail"]
    counts = (sa.select(sa.func.count()).select_from(row) for row in (Photo, Upload))
    assert [db.session.scalar(count) for count in counts] == [0, 0]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.laz", lambda: cloud()[:-20_000], "cannot be read"),
        ("a.laz", lambda: cloud(epsg=2225), "not in metres"),
        ("a.tif", lambda: raster(epsg=25833), "the site in EPSG:25832"),
    ],
)
def test_what_turns_out_bad_later_fails_the_run_with_a_remedy(
    client_of, survey, process, name, content, words
):
    assert send(client_of("surveyor"), survey, name, content()).status_code == 204
    run = process(survey)
    assert run["state"] == RunState.FAILED
    assert words in run["failure"]["reason"]
    assert run["failure"]["remedy"]
    assert db.session.get(Survey, survey.id).state == "failed"


def test_a_survey_has_one_surface_and_starts_with_it(client_of, survey):
    client = client_of("surveyor")
    none = client.post(f"/api/v1/surveys/{survey.id}/runs", json={})
    assert (none.status_code, db.session.scalar(sa.select(sa.func.count(Run.id)))) == (422, 0)
    assert "no surface yet" in none.json["detail"]
    assert send(client, survey, "a.tif", raster()).status_code == 204
    second = send(client, survey, "b.tif", raster(cell_m=0.2))
    assert (second.status_code, "a surface already" in second.json["detail"]) == (409, True)
    assert db.session.scalar(sa.select(sa.func.count(Upload.id))) == 0
