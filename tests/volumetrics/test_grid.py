import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from volumetrics.errors import InputError
from volumetrics.grid import Grid, area_fraction

GRID = Grid(np.zeros((40, 50)), 100.0, 210.0, 0.25)


def area_m2(geometry, grid=GRID):
    return area_fraction(geometry, grid).sum() * grid.cell_area_m2


@pytest.mark.parametrize("shift_m", [0.0, 0.1, 0.125, 0.2499])
def test_a_square_bin_has_its_exact_area_wherever_it_lies(shift_m):
    grid = Grid(np.zeros((60, 60)), 0.0, 15.0, 0.25)
    bin_ = shapely.box(2.0 + shift_m, 2.0 + shift_m, 12.0 + shift_m, 12.0 + shift_m)
    assert area_m2(bin_, grid) == pytest.approx(100.0, abs=1e-9)


def test_each_cell_has_the_area_of_its_intersection():
    polygon = shapely.Polygon(
        [(101.3, 201.1), (109.9, 203.7), (105.2, 209.4), (104.0, 204.1)],
        [[(105.0, 204.0), (106.1, 204.2), (105.7, 205.9)]],
    )
    fraction = area_fraction(polygon, GRID)
    for row in range(40):
        for col in range(50):
            west, north = 100.0 + 0.25 * col, 210.0 - 0.25 * row
            cell = shapely.box(west, north - 0.25, west + 0.25, north)
            expected = polygon.intersection(cell).area / cell.area
            assert fraction[row, col] == pytest.approx(expected, abs=1e-9)


def test_what_lies_outside_the_grid_is_left_out():
    for shift in ((-6.0, 0.0), (7.0, 0.0), (0.0, 6.0), (0.0, -6.0), (-6.0, -6.0)):
        disc = shapely.Point(106.0 + shift[0], 205.0 + shift[1]).buffer(3.0)
        inside = disc.intersection(shapely.box(100.0, 200.0, 112.5, 210.0))
        assert area_m2(disc) == pytest.approx(inside.area, abs=1e-9)


def test_multiparts_and_winding_make_no_difference():
    parts = [shapely.box(101, 201, 103, 204), shapely.box(106, 202, 110, 209)]
    assert area_m2(shapely.MultiPolygon(parts)) == pytest.approx(6.0 + 28.0, abs=1e-9)
    assert area_m2(parts[0].reverse()) == pytest.approx(6.0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.05, 12.4), st.floats(0.05, 9.9)), min_size=3, max_size=12),
)
def test_the_fractions_of_any_polygon_sum_to_its_area(corners):
    hull = shapely.MultiPoint([(100.0 + x, 200.0 + y) for x, y in corners]).convex_hull
    if hull.geom_type == "Polygon":
        assert area_m2(hull) == pytest.approx(hull.area, abs=1e-7)


def test_bilinear_samples_of_a_plane_are_exact():
    x, y = GRID.x_m()[None, :], GRID.y_m()[:, None]
    plane = GRID.with_elevation(3.0 + 0.1 * x - 0.2 * y)
    points = np.random.default_rng(1).uniform([100.2, 200.2], [112.3, 209.8], (50, 2))
    expected = 3.0 + 0.1 * points[:, 0] - 0.2 * points[:, 1]
    assert np.allclose(plane.stencil(points).sample(plane.elevation_m), expected, atol=1e-9)


def test_samples_outside_and_beside_holes_are_nan():
    elevation = np.ones((40, 50))
    elevation[20, 20] = np.nan
    points = np.array([[99.0, 205.0], [105.1, 204.9], [104.6, 204.6]])
    sampled = GRID.stencil(points).sample(elevation)
    assert np.isnan(sampled[:2]).all()
    assert math.isclose(sampled[2], 1.0)


def test_spreading_a_load_is_the_transpose_of_sampling():
    generator = np.random.default_rng(2)
    points = generator.uniform([100.5, 200.5], [112.0, 209.5], (30, 2))
    stencil = GRID.stencil(points)
    values, load = generator.normal(size=(40, 50)), generator.normal(size=30)
    left = load @ stencil.sample(values)
    assert left == pytest.approx((stencil.spread(load, (40, 50)) * values).sum(), rel=1e-12)


def test_no_grid():
    with pytest.raises(InputError, match="not a grid"):
        Grid(np.zeros(5), 0.0, 0.0, 1.0)
    with pytest.raises(InputError, match="cell size of 0"):
        Grid(np.zeros((2, 2)), 0.0, 0.0, 0.0)


def test_a_part_of_a_grid_and_a_larger_one_keep_cells_in_place():
    x, y = GRID.x_m()[None, :], GRID.y_m()[:, None]
    plane = GRID.with_elevation(0.1 * x - 0.2 * y)
    for grid in (
        plane.around((103.1, 203.0, 106.2, 207.7), 0.3),
        plane.containing((98, 198, 120, 215)),
    ):
        expected = 0.1 * grid.x_m()[None, :] - 0.2 * grid.y_m()[:, None]
        seen = np.isfinite(grid.elevation_m)
        assert np.allclose(grid.elevation_m[seen], expected[seen])
    assert np.isfinite(grid.elevation_m).sum() == 2000
    assert plane.around((103.1, 203.0, 106.2, 207.7), 0.3).elevation_m.shape == (22, 15)
    assert plane.containing((100.5, 200.5, 112.0, 209.0)) is plane
