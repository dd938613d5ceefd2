"""Bays: material between walls on three sides, whose toe on the ground is one straight line."""

import numpy as np
import pytest
import shapely
from shapely import affinity

from volumetrics.budget import Accuracy
from volumetrics.extreme_base import Extreme
from volumetrics.grid import Grid
from volumetrics.level_base import Average
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.toe import Toe
from volumetrics.volume import measure

CELL_M, WALL_M = 0.05, 3.0
TURNS_DEG = (0.0, 30.0)
# 6 m wide, 5 m deep: 2 m high along the back wall, from 2 m in front of it falling to nothing.
VOLUME_M3 = 6.0 * (2.0 * 2.0 + 0.5 * 3.0 * 2.0)


def bay(turn_deg, fat_m=0.0, hidden_m=0.0):
    """The surface of a bay and its toe, its left wall seen too fat and hiding what is beside it."""
    count = round(16.0 / CELL_M)
    empty = Grid(np.zeros((count, count)), -8.01, 8.02, CELL_M)
    east, north = np.meshgrid(empty.x_m(), empty.y_m())
    turn = np.deg2rad(turn_deg)
    x = east * np.cos(turn) + north * np.sin(turn)
    y = north * np.cos(turn) - east * np.sin(turn)
    surface = 2.0 * np.clip((5.0 - y) / 3.0, 0.0, 1.0)
    surface[(np.abs(x) > 3.0) | (y < 0.0)] = 0.0
    walls = (np.abs(x) < 3.6) & (y > -0.6) & (y < 6.0) & ((np.abs(x) > 3.0) | (y < 0.0))
    walls |= (np.abs(x + 3.0) < fat_m) & (y > 0.0) & (y < 6.0)
    surface[walls] = WALL_M
    surface[(x > -3.0 + fat_m) & (x < -3.0 + fat_m + hidden_m) & (y > 0.0) & (y < 6.0)] = np.nan
    lines = shapely.MultiLineString([[(-3, 5), (-3, 0), (3, 0), (3, 5)]])
    toe, marked = (
        affinity.rotate(shape, turn_deg, origin=(0, 0))
        for shape in (shapely.box(-3, 0, 3, 5), lines)
    )
    return empty.with_elevation(100.0 + surface), Toe("bay", toe, marked)


@pytest.mark.parametrize("turn_deg", TURNS_DEG)
@pytest.mark.parametrize("hidden_m", [0.0, 0.3])
def test_a_fat_wall_is_no_material_and_no_bridge_rests_on_it(turn_deg, hidden_m):
    grid, toe = bay(turn_deg, fat_m=0.15, hidden_m=hidden_m)
    volume = measure(grid, toe, Average())
    assert volume.net_m3 == pytest.approx(VOLUME_M3, rel=0.005)
    assert abs(volume.net_m3 - VOLUME_M3) < volume.net_u95_m3
    assert 1.0 - volume.coverage == pytest.approx((0.15 + hidden_m) / 6.0, abs=0.005)


@pytest.mark.parametrize("turn_deg", TURNS_DEG)
def test_a_wall_as_it_is_hides_nothing(turn_deg):
    volume = measure(*bay(turn_deg), Average())
    assert volume.coverage == pytest.approx(1.0, abs=1e-9)
    assert volume.net_m3 == pytest.approx(VOLUME_M3, rel=0.005)


@pytest.mark.parametrize("is_lowest", [True, False])
@pytest.mark.parametrize("turn_deg", TURNS_DEG)
def test_the_lowest_ground_along_one_straight_line(turn_deg, is_lowest):
    grid, toe = bay(turn_deg)
    noise = DsmNoise((NoiseComponent(0.01, 0.3),))
    drawn = np.random.default_rng(1).normal(0.0, 0.01, grid.elevation_m.shape)
    noisy = grid.with_elevation(grid.elevation_m + drawn)
    volume = measure(noisy, toe, Extreme(is_lowest), Accuracy(noise))
    assert volume.net_m3 == pytest.approx(VOLUME_M3, abs=30.0 * 0.01)
    assert volume.base_facts["base_elevation_m"] == pytest.approx(100.0, abs=0.01)
