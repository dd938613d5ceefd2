"""Footprints of described flights: planted places, sizes and overlaps come back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconstruction.coverage import measure_coverage
from reconstruction.layout import lay_out


def pair(layout):
    return layout.overlap(np.array([0]), np.array([1]))[0]


def test_planted_places_and_sizes_come_back(photo):
    layout = lay_out((photo("a", 0.0, 0.0), photo("b", 30.0, 40.0), photo("c")))
    np.testing.assert_allclose(layout.xy[1] - layout.xy[0], [30.0, 40.0], rtol=1e-4)
    assert layout.spread_m == pytest.approx(50.0, rel=1e-4)
    np.testing.assert_allclose(layout.gsd_m, 0.01)
    np.testing.assert_allclose(layout.size_m, [[40.0, 30.0]] * 3)
    assert layout.placed.tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("east_m", "north_m", "yaw_deg", "overlap"),
    [
        (0.0, 0.0, 0.0, 1.0),
        (0.0, 6.0, 0.0, 0.8),
        (12.0, 0.0, 0.0, 0.7),
        (12.0, 6.0, 0.0, 0.56),
        (0.0, 8.0, 90.0, 0.8),
        (6.0, 0.0, 90.0, 0.8),
        (0.0, -6.0, 180.0, 0.8),
        (0.0, 31.0, 0.0, 0.0),
        (0.0, 6.0, None, 1.0 - 6.0 / np.sqrt(1200.0)),
    ],
)
def test_planted_overlap_comes_back(photo, east_m, north_m, yaw_deg, overlap):
    layout = lay_out(
        (photo("a", 0.0, 0.0, yaw_deg=yaw_deg), photo("b", east_m, north_m, yaw_deg=yaw_deg))
    )
    assert pair(layout) == pytest.approx(overlap, abs=2e-4)


def test_oblique_footprint_lies_ahead(photo):
    layout = lay_out((photo("a", 0.0, 0.0, pitch_deg=-60.0, yaw_deg=90.0), photo("b", 0.0, 0.0)))
    ahead_m = 30.0 * np.tan(np.deg2rad(30.0))
    np.testing.assert_allclose(layout.centre[0] - layout.xy[0], [ahead_m, 0.0], atol=1e-9)
    assert layout.gsd_m[0] == pytest.approx(0.01 / np.cos(np.deg2rad(30.0)))


@pytest.mark.parametrize("height_m", [None, 0.0, -5.0, 1e5])
def test_no_height_no_footprint(photo, height_m):
    layout = lay_out((photo("a", 0.0, 0.0, height_m), photo("b", 1.0, 0.0, height_m)))
    assert np.isnan(layout.gsd_m).all()
    assert np.isnan(pair(layout))
    assert layout.placed.all()


def test_wild_positions_are_found(strips):
    photos = list(strips())
    away = replace(photos[5].position, latitude_deg=47.5)
    antipode = replace(photos[9].position, latitude_deg=-46.5, longitude_deg=-171.8)
    photos[5], photos[9] = (
        replace(photos[5], position=away),
        replace(photos[9], position=antipode),
    )
    assert np.flatnonzero(lay_out(tuple(photos)).wild).tolist() == [5, 9]


def test_two_sites_are_not_wild(strips):
    photos = strips() + strips(prefix="q", east_m=2000.0)
    assert not lay_out(photos).wild.any()


def test_dense_strips_and_corridors_are_not_wild(strips):
    assert not lay_out(strips(16, 60, 0.98, 0.2)).wild.any()
    assert not lay_out(strips(1, 200, 0.8)).wild.any()


def test_date_line(photo):
    photos = (photo("a", 0.0, 0.0), photo("b", 0.0, 0.0))
    east = replace(photos[0].position, longitude_deg=179.99999)
    west = replace(photos[1].position, longitude_deg=-179.99999)
    layout = lay_out((replace(photos[0], position=east), replace(photos[1], position=west)))
    assert layout.spread_m == pytest.approx(2e-5 * 111_195 * np.cos(np.deg2rad(46.5)), rel=1e-3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.floats(-60.0, 60.0), st.floats(-60.0, 60.0), st.floats(0.0, 360.0))
def test_overlap_is_symmetric_and_a_share(photo, east_m, north_m, yaw_deg):
    photos = (photo("a", 0.0, 0.0, yaw_deg=yaw_deg), photo("b", east_m, north_m, yaw_deg=yaw_deg))
    there, back = pair(lay_out(photos)), pair(lay_out(photos[::-1]))
    assert there == pytest.approx(back, abs=1e-9)
    assert 0.0 <= there <= 1.0


@pytest.mark.parametrize(("forward", "side"), [(0.8, 0.7), (0.6, 0.3), (0.3, 0.1)])
def test_coverage_of_a_planted_flight(strips, forward, side):
    layout = lay_out(strips(8, 12, forward, side))
    coverage = measure_coverage(layout, np.arange(96), 0.05)
    assert np.median(coverage.best_overlap) == pytest.approx(max(forward, side), abs=1e-3)
    assert (coverage.group == 0).all()
    width_m = 40.0 + 7 * 40.0 * (1.0 - side)
    length_m = 30.0 + 11 * 30.0 * (1.0 - forward)
    assert coverage.area_m2 == pytest.approx(width_m * length_m, rel=0.03)


def test_views_in_the_middle_are_one_over_the_advance(strips):
    coverage = measure_coverage(lay_out(strips(20, 40, 0.8, 0.75)), np.arange(800), 0.2)
    assert coverage.median_views == pytest.approx(1.0 / 0.2 / 0.25, rel=0.15)
    assert coverage.thin_fraction == 0.0


def test_groups_are_numbered_by_size(strips):
    photos = strips(2, 4) + strips(3, 6, prefix="q", east_m=500.0)
    coverage = measure_coverage(lay_out(photos), np.arange(26), 0.2)
    assert coverage.group.tolist() == [1] * 8 + [0] * 18
