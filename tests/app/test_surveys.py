"""Surveys tell where they lie and send their files, tiles, grids and profiles."""

import io
import json
import math
from datetime import date

import numpy as np
import pytest
from PIL import Image

from app.rasters import tile_bounds
from tests.app.surveys import CENTRE, GROUND_M, HEIGHT_M, NORTH, WEST, ready_survey


@pytest.fixture
def survey(app, people):
    return ready_survey(app, people["site"])


def tile_of(longitude, latitude, z):
    """The tile that a place lies in."""
    x = (longitude + 180.0) / 360.0 * 2**z
    y = (1.0 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2.0 * 2**z
    return x, y


def test_a_survey_tells_where_it_lies(app, people, client_of, survey):
    before = ready_survey(app, people["site"], flown_on=date(2026, 11, 13), name="Week 46")
    facts = client_of("viewer").get(f"/api/v1/surveys/{survey.id}").json
    assert (facts["epsg"], facts["cell_size_m"], facts["can_edit"]) == (25832, 0.1, False)
    assert facts["bounds"] == [WEST, NORTH - 60.0, WEST + 60.0, NORTH]
    assert facts["corners_lonlat"][3] == pytest.approx([9.0, 50.552], abs=0.01)
    assert facts["previous_id"] == str(before.id)
    assert facts["model_url"] is None
    assert facts["tiles_url"].endswith("/tiles/{layer}/{z}/{x}/{y}.webp")


def test_a_file_is_sent_in_ranges_and_only_from_the_folder(client_of, survey):
    client = client_of("viewer")
    address = f"/api/v1/surveys/{survey.id}/files/"
    part = client.get(address + "dsm.tif", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.data[:2]) == (206, b"II")
    whole = client.get(address + "survey.json")
    again = client.get(address + "survey.json", headers={"If-None-Match": whole.headers["ETag"]})
    assert again.status_code == 304
    for name in ("../../../secret", "..%2f..%2fsecret", "....//secret", "nothing"):
        assert client.get(address + name).status_code == 404


@pytest.mark.parametrize("layer", ["orthomosaic", "hillshade", "height"])
def test_a_tile_shows_the_survey_and_one_elsewhere_is_empty(client_of, survey, layer):
    client = client_of("viewer")
    facts = client.get(f"/api/v1/surveys/{survey.id}").json
    west, north = facts["corners_lonlat"][3]
    east, south = facts["corners_lonlat"][1]
    x, y = tile_of((west + east) / 2, (south + north) / 2, 20)
    root = f"/api/v1/surveys/{survey.id}/tiles/{layer}/20"
    answer = client.get(f"{root}/{int(x)}/{int(y)}.webp")
    picture = np.asarray(Image.open(io.BytesIO(answer.data)).convert("RGBA"))
    assert picture.shape == (256, 256, 4)
    assert picture[..., 3].max() == 255
    assert client.get(f"{root}/{int(x) + 50}/{int(y)}.webp").status_code == 204
    assert client.get(f"{root}/{2**20}/0.webp").status_code == 404


def test_the_cone_lies_in_the_right_place_of_its_tile(client_of, survey):
    client = client_of("viewer")
    facts = client.get(f"/api/v1/surveys/{survey.id}").json
    west, north = facts["corners_lonlat"][3]
    east, south = facts["corners_lonlat"][1]
    x, y = tile_of((west + east) / 2, (south + north) / 2, 20)
    answer = client.get(f"/api/v1/surveys/{survey.id}/tiles/orthomosaic/20/{int(x)}/{int(y)}.webp")
    picture = np.asarray(Image.open(io.BytesIO(answer.data)).convert("L")).astype(float)
    row, col = np.unravel_index(picture.argmax(), picture.shape)
    assert (col, row) == pytest.approx(((x % 1) * 256, (y % 1) * 256), abs=3.0)
    bounds = tile_bounds(20, int(x), int(y))
    assert bounds[0] < bounds[2]


def test_a_grid_is_the_surface_and_a_difference_is_what_changed(app, people, client_of, survey):
    before = ready_survey(
        app, people["site"], flown_on=date(2026, 11, 13), name="Week 46", height_m=HEIGHT_M - 1.0
    )
    client = client_of("viewer")
    east, north = CENTRE
    bounds = f"{east - 10},{north - 10},{east + 10},{north + 10}"
    address = f"/api/v1/surveys/{survey.id}/grid?bounds={bounds}&cells=100"
    for against, top, tolerance in (("none", GROUND_M + 0.3 + HEIGHT_M, 0.2), (before.id, 1, 0.1)):
        answer = client.get(f"{address}&against={against}")
        facts = json.loads(answer.headers["X-Grid"])
        values = np.frombuffer(answer.data, "<f4").reshape(facts["rows"], facts["cols"])
        assert values.shape == (100, 100)
        assert np.nanmax(values) == pytest.approx(top, abs=tolerance)


def test_a_profile_rises_over_the_cone(client_of, survey):
    east, north = CENTRE
    line = {"line": [[east - 20, north], [east + 20, north]]}
    answer = client_of("viewer").post(f"/api/v1/surveys/{survey.id}/profile", json=line).json
    assert answer["distance_m"][-1] == pytest.approx(40.0)
    assert max(answer["elevation_m"]) == pytest.approx(GROUND_M + 0.3 + HEIGHT_M, abs=0.1)
    assert answer["elevation_m"][0] == pytest.approx(GROUND_M + 0.1, abs=0.02)


@pytest.mark.parametrize(
    "query", ["bounds=1,2,3", "bounds=1,1,1,1", "bounds=nan,0,1,1", "bounds=0,0,1,1&cells=1e9", ""]
)
def test_a_bad_question_for_a_grid_is_refused(client_of, survey, query):
    answer = client_of("viewer").get(f"/api/v1/surveys/{survey.id}/grid?{query}")
    assert answer.status_code == 422


def test_a_profile_far_beyond_the_survey_has_holes_there(client_of, survey):
    east, north = CENTRE
    line = {"line": [[east - 40_000, north], [east + 40_000, north]]}
    address = f"/api/v1/surveys/{survey.id}/profile"
    answer = client_of("viewer").post(address, json=line)
    assert answer.json["elevation_m"][0] is None
    line = {"line": [[east - 20, north - 40_000], [east, north], [east + 20, north + 40_000]]}
    assert client_of("viewer").post(address, json=line).status_code == 200
    assert client_of("viewer").post(address, json={"line": [[1e300, 0], [0, 0]]}).status_code == 422
