import numpy as np
import pytest
import shapely
from scipy.ndimage import gaussian_filter

from volumetrics.detect import propose
from volumetrics.grid import Grid, area_fraction
from volumetrics.synthetic import Pile
from volumetrics.synthetic_site import random_site

CELL_M = 0.25


def level(side_m=60.0, cell_m=CELL_M, noise_m=0.02):
    count = round(side_m / cell_m)
    noise = np.random.default_rng(0).normal(0.0, noise_m, (count, count))
    return Grid(100.0 + noise, 0.0, side_m, cell_m)


def lifted(grid, shape, height_m):
    inside = area_fraction(shape, grid)
    return grid.with_elevation(grid.elevation_m + height_m * inside)


def overlap(one, other):
    return one.intersection(other).area / one.union(other).area


def cone(grid, centre_m, radius_m):
    pile = Pile(centre_m, radius_m, 1.0, 0.0, 0.65 * radius_m, 0.0, (0.0, 0.0, 0.0))
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    return grid.with_elevation(grid.elevation_m + pile.elevation_m(x, y)), pile.toe().polygon


def test_most_piles_of_unlike_sites_are_found_and_little_else():
    piles = found = others = 0
    for seed in range(3):
        site = random_site(np.random.default_rng(1000 + seed), 5, 80.0, CELL_M)
        proposals = propose(site.grid, min_confidence=0.5)
        for toe in site.toes:
            piles += 1
            found += any(overlap(toe.polygon, one.toe.polygon) > 0.5 for one in proposals)
        for one in proposals:
            others += not any(one.toe.polygon.intersects(toe.polygon) for toe in site.toes)
    assert piles >= 9
    assert found >= 0.8 * piles
    assert others <= 1


def test_a_cone_has_its_toe():
    grid, toe = cone(level(), (30.0, 30.0), 8.0)
    (proposal,) = propose(grid)
    assert proposal.confidence > 0.9
    assert proposal.height_m == pytest.approx(5.2, abs=0.4)
    # Everywhere within two cells of the true toe.
    assert toe.exterior.hausdorff_distance(proposal.toe.polygon.exterior) < 2.0 * CELL_M + 0.1


def test_touching_piles_are_two():
    grid, first = cone(level(), (22.0, 30.0), 8.0)
    grid, second = cone(grid, (37.0, 30.0), 8.0)
    found = propose(grid)
    assert len(found) == 2
    for toe in (first, second):
        assert max(overlap(toe, one.toe.polygon) for one in found) > 0.85


@pytest.mark.parametrize(
    "shape",
    [
        shapely.box(20.0, 20.0, 28.0, 23.0),  # a machine
        shapely.box(10.0, 30.0, 50.0, 30.8),  # a wall
        shapely.Point(30.0, 30.0).buffer(6.0),  # a tank
    ],
)
def test_what_stands_upright_is_no_pile(shape):
    assert propose(lifted(level(), shape, 3.0), min_confidence=0.3) == ()


def test_a_highwall_is_no_pile():
    grid = level()
    y = grid.y_m()[:, None]
    face = 10.0 * np.clip((y - 40.0) / 3.0, 0.0, 1.0)
    assert propose(grid.with_elevation(grid.elevation_m + face)) == ()


def test_level_ground_holds_none_and_neither_does_a_hole():
    grid = level()
    assert propose(grid) == ()
    assert propose(grid.with_elevation(np.full(grid.elevation_m.shape, np.nan))) == ()


def test_a_pile_in_a_bunker_has_walls():
    grid = level()
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    inside = (x > 20.0) & (x < 32.0) & (y > 25.0) & (y < 45.0)
    heap = np.where(inside, np.clip(0.6 * (y - 27.0), 0.0, 3.5), 0.0)
    walls = shapely.union_all(
        [
            shapely.box(19.2, 25.0, 20.0, 45.8),
            shapely.box(32.0, 25.0, 32.8, 45.8),
            shapely.box(19.2, 45.0, 32.8, 45.8),
        ]
    )
    on_wall = area_fraction(walls, grid) > 0.5
    grid = grid.with_elevation(np.where(on_wall, 104.5, grid.elevation_m + heap))
    found = propose(grid)
    assert len(found) == 1
    truth = shapely.box(20.0, 27.0, 32.0, 45.0)
    assert overlap(found[0].toe.polygon, truth) > 0.75
    # Three of its four sides.
    assert found[0].toe.walls.length > 0.6 * truth.length


def test_a_pile_half_outside_the_survey_is_less_certain():
    grid, _ = cone(level(), (30.0, 30.0), 8.0)
    elevation = grid.elevation_m.copy()
    elevation[:, :118] = np.nan
    found = propose(grid.with_elevation(elevation), min_confidence=0.0)
    assert len(found) == 1
    assert found[0].confidence < 0.6
    assert any("not seen" in reason for reason in found[0].reasons)


def heaped(grid, shape, height_m, slope=0.7):
    """The grid with loose material on a shape, up to a height."""
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    depth_m = shapely.distance(shapely.points(x, y), shape.exterior)
    inside = shapely.contains_xy(shape, x, y)
    heap = np.where(inside, np.minimum(slope * depth_m, height_m), 0.0)
    return grid.with_elevation(grid.elevation_m + heap)


def test_a_low_plateau_is_as_certain_as_a_cone():
    (proposal,) = propose(heaped(level(), shapely.box(15.0, 20.0, 45.0, 38.0), 1.5))
    assert proposal.confidence > 0.9


def test_a_pile_on_a_slope_is_judged_from_that_slope():
    grid, _ = cone(level(), (30.0, 30.0), 8.0)
    slope = 0.18 * (grid.x_m() - 30.0)[None, :]
    (proposal,) = propose(grid.with_elevation(grid.elevation_m + slope))
    assert proposal.confidence > 0.7
    assert proposal.height_m == pytest.approx(5.2, abs=0.4)


def test_a_machine_that_matching_smeared_is_no_pile():
    grid = lifted(level(noise_m=0.0), shapely.box(28.0, 28.0, 32.0, 31.0), 2.2)
    smeared = grid.with_elevation(gaussian_filter(grid.elevation_m, 0.45 / CELL_M))
    assert propose(smeared, min_confidence=0.3) == ()


def test_a_spur_of_a_bench_is_no_pile():
    grid = level()
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    edge_m = 40.0 - 7.0 * np.exp(-(((x - 30.0) / 3.0) ** 2))
    bench = 1.4 * np.clip((y - edge_m) / 2.0, 0.0, 1.0)
    behind = np.where((y > 40.0) & (np.abs(x - 30.0) < 4.0), 0.5 * np.sin(3.0 * x), 0.0)
    assert propose(grid.with_elevation(grid.elevation_m + bench + behind), min_confidence=0.3) == ()


def test_a_wall_that_a_pile_nearly_reaches_is_a_wall_all_along():
    grid = level()
    wall = shapely.box(15.0, 40.0, 45.0, 40.75)
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    front_m = np.minimum.reduce([y - 30.0, x - 17.0, 43.0 - x])
    heap = np.where(y < 40.0, np.clip(0.7 * front_m, 0.0, 2.55), 0.0)
    on_wall = area_fraction(wall, grid) > 0.5
    (proposal,) = propose(
        grid.with_elevation(np.where(on_wall, 103.0, grid.elevation_m + heap)), min_confidence=0.5
    )
    assert proposal.toe.polygon.bounds[3] < 40.75
    assert proposal.toe.walls.length > 0.85 * 26.0
