"""Rough lines beside walls that nobody marked: brought to the wall, and marked there."""

import math

import numpy as np
import pytest
import shapely
from shapely import affinity

from volumetrics.grid import Grid, area_fraction
from volumetrics.snap import snap
from volumetrics.toe import Toe
from volumetrics.volume import measure
from volumetrics.walls import beside_walls

CELL_M, RADIUS_M, HEIGHT_M = 0.1, 8.0, 4.0
# A cone cut in half by a wall through its tip.
VOLUME_M3 = math.pi / 6.0 * RADIUS_M**2 * HEIGHT_M


def scene(turn_deg):
    """Half a cone against a wall of 6 m, and its true toe."""
    count = round(36.0 / CELL_M)
    empty = Grid(np.zeros((count, count)), -18.0, 18.0, CELL_M)
    x, y = np.meshgrid(empty.x_m(), empty.y_m())
    half = shapely.Point(0, 0).buffer(RADIUS_M, quad_segs=64) & shapely.box(-20, -20, 20, 0)
    toe, wall = (
        affinity.rotate(part, turn_deg, origin=(0, 0))
        for part in (half, shapely.box(-11.0, 0.0, 11.0, 0.7))
    )
    cone = HEIGHT_M * np.clip(1.0 - np.hypot(x, y) / RADIUS_M, 0.0, None)
    beyond = affinity.rotate(shapely.box(-20.0, 0.0, 20.0, 20.0), turn_deg, origin=(0, 0))
    cone[area_fraction(beyond, empty) > 0.5] = 0.0
    surface = np.where(area_fraction(wall, empty) > 0.5, 6.0, cone)
    noise = np.random.default_rng(1).normal(0.0, 0.01, surface.shape)
    return empty.with_elevation(100.0 + surface + noise), toe


@pytest.mark.parametrize("turn_deg", [0.0, 30.0, 78.0])
@pytest.mark.parametrize("drawn_m", [0.6, 0.0, -0.6], ids=["on the wall", "true", "off the wall"])
def test_a_wall_that_nobody_marked_is_found(turn_deg, drawn_m):
    grid, toe = scene(turn_deg)
    rough = Toe("half", toe.buffer(drawn_m, join_style="mitre"))
    found = snap(grid, beside_walls(grid, rough), 2.0)
    # The sharp tip, 2 m wide and 0.4 m deep, looks like a part of the wall that it leans on: 3 %.
    # The wall goes on for 3 m at either end of the pile, and the line may follow it.
    along = affinity.rotate(shapely.LineString([(-RADIUS_M, 0), (RADIUS_M, 0)]), turn_deg, (0, 0))
    assert along.intersection(found.toe.walls.buffer(0.25)).length > 0.8 * along.length
    assert found.toe.walls.length < 24.0
    assert found.confidence > 0.8
    assert measure(grid, found.toe).net_m3 == pytest.approx(VOLUME_M3, rel=0.05)
    unmarked = measure(grid, snap(grid, rough, 2.0).toe).net_m3
    assert abs(unmarked - VOLUME_M3) > 0.1 * VOLUME_M3


def test_a_pile_in_the_open_stays_as_it_was_drawn():
    grid, _ = scene(0.0)
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    free = grid.with_elevation(100.0 + np.clip(4.0 - 0.6 * np.hypot(x, y), 0.0, None))
    toe = Toe("cone", shapely.Point(0, 0).buffer(7.5))
    assert beside_walls(free, toe) is toe


def test_walls_that_somebody_marked_stay():
    grid, toe = scene(0.0)
    marked = Toe("half", toe, shapely.MultiLineString([[(-8.0, 0.0), (8.0, 0.0)]]))
    assert beside_walls(grid, marked) is marked
