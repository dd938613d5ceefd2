"""The local frame against PROJ."""

import numpy as np
import pyproj
import pytest

from reconstruction.frame import LocalFrame, utm_epsg

PLACES = [
    (46.8, -92.1, 32615),
    (46.8, -95.8, 32615),
    (-33.0, 151.2, 32756),
    (60.0, 24.9, 3067),
    (48.2, 2.3, 2154),
]


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1.0, 1.0, (500, 3)) * [700.0, 700.0, 150.0]


@pytest.mark.parametrize(("latitude", "longitude", "epsg"), PLACES)
def test_polynomial_is_proj_to_a_tenth_of_a_millimetre(latitude, longitude, epsg, points):
    frame = LocalFrame(epsg, latitude, longitude, 250.0)
    latitudes, longitudes, elevations = frame.to_geodetic(points)
    transformer = pyproj.Transformer.from_crs(4326, epsg, always_xy=True)
    easting, northing = transformer.transform(longitudes, latitudes)
    exact = np.column_stack((easting, northing, elevations))
    np.testing.assert_allclose(frame.to_map(points), exact, rtol=0, atol=1e-4)
    np.testing.assert_allclose(frame.from_map(exact), points, rtol=0, atol=1e-4)


def test_geodetic_round_trip(points):
    frame = LocalFrame(32615, 46.8, -95.0, 250.0)
    np.testing.assert_allclose(frame.from_geodetic(*frame.to_geodetic(points)), points, atol=1e-6)


def test_axes_are_grid_axes_in_true_metres():
    frame = LocalFrame(32615, 46.8, -95.9, 0.0)
    north = frame.to_map(np.array([[0.0, 100.0, 0.0]]))[0] - frame.map_origin
    factors = pyproj.Proj(32615).get_factors(-95.9, 46.8)
    assert abs(north[0]) < 1e-3
    assert north[1] == pytest.approx(100.0 * factors.meridional_scale, abs=1e-3)


@pytest.mark.parametrize(
    ("longitude", "zone"), [(-180.0, 1), (-0.001, 30), (0.0, 31), (179.9, 60), (180.0, 1)]
)
def test_utm_zones(longitude, zone):
    assert utm_epsg(10.0, longitude) == 32600 + zone
    assert utm_epsg(-10.0, longitude) == 32700 + zone
