"""Vertical datums: a planted geoid grid is applied, and without one mixing is refused."""

from dataclasses import replace

import numpy as np
import pyproj
import pytest
import rasterio
from rasterio import Affine

from reconstruction.control import Control, ControlPoint
from reconstruction.errors import InputError
from reconstruction.vertical_datum import ellipsoid_above_m, in_one_datum

SEA = "EGM96 height"
GEOID_M = -27.25


@pytest.fixture
def geoid_grid(tmp_path):
    """The grid that PROJ looks for, with a constant undulation around the flight."""
    path = tmp_path / "us_nga_egm96_15.tif"
    profile = {
        "driver": "GTiff", "width": 40, "height": 40, "count": 1, "dtype": "float32",
        "crs": "EPSG:4979", "transform": Affine(0.25, 0.0, -97.0, 0.0, -0.25, 52.0),
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as grid:
        grid.write(np.full((1, 40, 40), GEOID_M, np.float32))
        grid.update_tags(TYPE="VERTICAL_OFFSET_GEOGRAPHIC_TO_VERTICAL", area_of_use="test")
        grid.set_band_description(1, "geoid_undulation")
        grid.units = ("metre",)
    before = pyproj.datadir.get_data_dir()
    pyproj.datadir.append_data_dir(str(tmp_path))
    yield
    pyproj.datadir.set_data_dir(before)


def control(datum, points=3):
    point = ControlPoint("a", 46.5, -92.0, 200.0, 0.02, 0.03, ())
    return Control((point,) * points, (), None, datum)


def photo_at(described, altitude_m, datum, vertical_sigma_m=0.05):
    photo = described("a.jpg", 0.0, 0.0)
    position = replace(
        photo.position,
        latitude_deg=46.5,
        longitude_deg=-92.0,
        altitude_m=altitude_m,
        vertical_sigma_m=vertical_sigma_m,
        source="rtk",
    )
    return replace(photo, position=position, altitude_datum=datum)


def test_altitudes_come_into_the_datum_of_the_control_points(geoid_grid, photo):
    (moved,), notes = in_one_datum((photo_at(photo, 300.0, "ellipsoidal"),), control(SEA))
    assert moved.position.altitude_m == pytest.approx(300.0 - GEOID_M, abs=1e-3)
    assert moved.altitude_datum == SEA
    assert "of 1 photo (" in notes[0]


def test_elevations_above_the_sea_come_back_to_the_ellipsoid(geoid_grid, photo):
    (moved,), _ = in_one_datum((photo_at(photo, 300.0, SEA),), control("ellipsoidal"))
    assert moved.position.altitude_m == pytest.approx(300.0 + GEOID_M, abs=1e-3)


def test_without_a_grid_mixing_is_refused_with_its_name(photo):
    with pytest.raises(InputError) as refused:
        in_one_datum((photo_at(photo, 300.0, "ellipsoidal"),), control(SEA))
    assert "us_nga_egm96_15.tif" in refused.value.hint
    assert SEA in refused.value.reason


@pytest.mark.parametrize(
    ("datum", "sigma_m", "points", "target"),
    [
        ("unknown", 0.05, 3, SEA),
        ("ellipsoidal", 8.0, 3, SEA),
        ("ellipsoidal", 0.05, 2, SEA),
        ("ellipsoidal", 0.05, 3, "unknown"),
        ("ellipsoidal", 0.05, 3, "ellipsoidal"),
    ],
)
def test_what_bears_no_other_datum_stays(photo, datum, sigma_m, points, target):
    photos = (photo_at(photo, 300.0, datum, sigma_m),)
    assert in_one_datum(photos, control(target, points)) == (photos, ())


@pytest.mark.parametrize("datum", ["unknown", "no such datum", SEA])
def test_height_above_the_ellipsoid_is_not_guessed(datum):
    assert ellipsoid_above_m(datum, np.array([46.5]), np.array([-92.0])) is None
