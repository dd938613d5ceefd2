"""Objects are planted on a smooth pile and come back, on its flank and on its tip."""

import numpy as np
import pytest
import shapely

from volumetrics.grid import area_fraction
from volumetrics.objects import propose_objects
from volumetrics.synthetic import Pile

CONE = Pile((0.0, 0.0), 7.0, 0.9, 0.4, 4.5, 0.0, (100.0, 0.02, -0.01))
RIM_M = 0.4


def surface(*objects, cell_m=0.2, height_m=2.0):
    """The cone with boxes on it, and a survey's noise."""
    grid = CONE.grid(24.0, cell_m)
    elevation = grid.elevation_m + np.random.default_rng(0).normal(
        0.0, 0.015, grid.elevation_m.shape
    )
    for box in objects:
        elevation[area_fraction(box, grid) > 0.5] += height_m
    return grid.with_elevation(elevation)


def test_a_smooth_pile_has_none():
    assert propose_objects(surface(), CONE.toe()) == ()


@pytest.mark.parametrize(
    "box",
    [
        shapely.box(-1.5, -0.5, 1.5, 0.5),  # across the tip
        shapely.box(-3.0, -1.0, 3.0, 1.0),  # along both flanks
        shapely.box(-2.0, 2.4, 3.0, 3.4),
        shapely.box(1.0, 0.5, 5.0, 4.0),  # nearly as wide as can be told
        shapely.box(4.0, -0.6, 9.0, 0.6),  # over the toe
    ],
)
def test_an_object_is_found_as_large_as_it_is(box):
    (found,) = propose_objects(surface(box), CONE.toe())
    with_rim = box.buffer(RIM_M, join_style="mitre")
    # Cells and the rim's round corners: a cell along the outline.
    assert found.polygon.symmetric_difference(with_rim).area < 0.2 * with_rim.length
    assert found.confidence > 0.5
    # The skin below it is stretched between its rims, a tip cut off.
    assert 1.7 < found.height_m < 2.0 + 0.7 * 0.5 * 4.0


def test_several_objects_are_several_and_the_highest_comes_first():
    grid = surface(shapely.box(-4.4, -0.6, -3.0, 0.6), height_m=1.0)
    other = shapely.box(2.4, -0.6, 3.8, 0.6)
    grid = grid.with_elevation(grid.elevation_m + 3.0 * (area_fraction(other, grid) > 0.5))
    high, low = propose_objects(grid, CONE.toe())
    assert high.polygon.intersects(other)
    assert high.height_m > low.height_m


def test_small_bumps_and_gentle_ones_are_part_of_the_pile():
    grid = surface(shapely.box(2.0, 0.0, 2.6, 0.6), height_m=1.0)
    assert propose_objects(grid, CONE.toe()) == ()
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    heap = np.clip(0.8 - 0.5 * np.hypot(x - 3.0, y), 0.0, None)
    assert propose_objects(surface().with_elevation(surface().elevation_m + heap), CONE.toe()) == ()


def test_holes_are_no_objects():
    grid = surface()
    elevation = grid.elevation_m.copy()
    elevation[50:60, 50:60] = np.nan
    assert propose_objects(grid.with_elevation(elevation), CONE.toe()) == ()
    nothing = grid.with_elevation(np.full_like(elevation, np.nan))
    assert propose_objects(nothing, CONE.toe()) == ()
