"""Snapping: rough polygons come to the known toe; what gives no evidence stays."""

import numpy as np
import pytest
import shapely
from shapely import affinity

from volumetrics.snap import snap
from volumetrics.synthetic import random_pile
from volumetrics.toe import Toe
from volumetrics.volume import measure

CELL_M = 0.2

ROUGH = {
    "too wide": lambda toe: toe.buffer(1.5),
    "too narrow": lambda toe: toe.buffer(-1.2),
    "displaced": lambda toe: affinity.translate(toe, 1.2, -1.0),
    "few vertices": lambda toe: shapely.Polygon(toe.exterior.coords[:-1:12]).buffer(0.7),
}


def scene(seed, noise_m=0.02):
    generator = np.random.default_rng(seed)
    pile = random_pile(generator, 8.0)
    grid = pile.grid(36.0, CELL_M)
    noise = generator.normal(0.0, noise_m, grid.elevation_m.shape)
    return grid.with_elevation(grid.elevation_m + noise), pile.toe()


def distances_m(polygon, toe):
    return shapely.distance(shapely.points(np.array(polygon.exterior.coords)), toe.exterior)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("rough", ROUGH)
def test_a_rough_line_comes_to_the_toe(seed, rough):
    grid, toe = scene(seed)
    found = snap(grid, Toe("a", ROUGH[rough](toe.polygon)))
    rms_m = np.sqrt(np.mean(distances_m(found.toe.polygon, toe.polygon) ** 2))
    assert rms_m < 2.0 * CELL_M
    assert measure(grid, found.toe).net_m3 == pytest.approx(measure(grid, toe).net_m3, rel=0.01)
    assert found.confidence > 0.9


def test_the_valley_between_two_touching_piles_is_their_toe():
    grid, _ = scene(0)
    x, y = grid.x_m()[None, :], grid.y_m()[:, None]
    cones = [6.0 - 0.7 * np.hypot(x - at, y) for at in (-5.0, 5.0)]
    surface = np.maximum(np.maximum(*cones), 0.0)
    left = shapely.Point(-5.0, 0.0).buffer(6.0 / 0.7).intersection(shapely.box(-20, -20, 0, 20))
    rough = affinity.translate(left, 0.9, 0.4)
    found = snap(grid.with_elevation(surface), Toe("a", rough)).toe.polygon
    assert found.symmetric_difference(left).area < 0.03 * left.area


def test_flat_ground_holds_nothing_to_snap_to():
    grid, toe = scene(1)
    noise = np.random.default_rng(5).normal(0.0, 0.02, grid.elevation_m.shape)
    found = snap(grid.with_elevation(100.0 + noise), toe)
    assert found.confidence < 0.1


def test_walls_stay_where_they_are():
    grid, toe = scene(2)
    polygon = toe.polygon.buffer(1.0)
    corners = np.array(polygon.exterior.coords)
    wall = shapely.LineString(corners[5:30])
    found = snap(grid, Toe("a", polygon, shapely.MultiLineString([wall])))
    assert found.toe.polygon.exterior.buffer(1e-3).covers(wall)
    assert not found.toe.polygon.equals(polygon)


def test_holes_of_the_surface_and_its_border_are_no_evidence():
    grid, toe = scene(3)
    elevation = grid.elevation_m.copy()
    elevation[: elevation.shape[0] // 2] = np.nan
    found = snap(grid.with_elevation(elevation), Toe("a", toe.polygon.buffer(0.8)))
    assert 0.3 < found.confidence < 0.7


def test_snapping_moves_with_the_map():
    grid, toe = scene(1)
    rough = toe.polygon.buffer(1.0)
    here = snap(grid, Toe("a", rough)).toe.polygon
    east = type(grid)(grid.elevation_m, grid.west_m + 64.0, grid.north_m, CELL_M)
    there = snap(east, Toe("a", affinity.translate(rough, 64.0))).toe.polygon
    assert affinity.translate(here, 64.0).symmetric_difference(there).area < 0.05
