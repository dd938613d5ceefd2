"""Volumes and surfaces of the truth against closed forms and against PROJ."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
import shapely
import shapely.affinity

from reconstruction.synthetic.grid import Grid
from reconstruction.synthetic.materials import INDEX
from reconstruction.synthetic.piles import Pile, Wall, smooth_height, stock, wall_edges
from reconstruction.synthetic.quarry import (
    USUAL_YARD,
    Quarry,
    Stockpile,
    build_quarry,
    quarry_frame,
)
from reconstruction.synthetic.truth import CELL_SIZE_M, map_elevation, measure

GRID = Grid(-12.0, -12.0, 0.05, 481, 481)


def quarry_of(surface: np.ndarray, ground: np.ndarray) -> Quarry:
    nothing = np.zeros((*GRID.shape, 3), dtype=np.uint8)
    return Quarry(quarry_frame(), GRID, surface, ground, nothing, nothing[..., 0], (), ())


def test_cone_on_a_tilted_plane_has_its_volume() -> None:
    ground = (0.03 * GRID.x - 0.02 * GRID.y + 4.0).astype(np.float32)
    pile = Pile("cone", "sand", ((0.3, -0.2),), 5.0, 0.7)
    surface = ground + np.maximum(smooth_height(pile, GRID.x, GRID.y), 0.0)
    toe = shapely.Point(0.3, -0.2).buffer(5.0 / 0.7 + 0.3)
    result = measure(quarry_of(surface, ground), Stockpile("cone", "sand", toe))
    expected = np.pi / 3.0 * (5.0 / 0.7) ** 2 * 5.0
    assert result["volume_m3"] == pytest.approx(expected, rel=2e-4)
    assert result["height_max_m"] == pytest.approx(5.0, abs=0.03)


def test_windrow_has_its_volume() -> None:
    ground = np.zeros(GRID.shape, dtype=np.float32)
    pile = Pile("windrow", "sand", ((-4.0, 0.0), (4.0, 0.0)), 3.0, 0.6)
    surface = np.maximum(smooth_height(pile, GRID.x, GRID.y), 0.0)
    toe = shapely.LineString(pile.crest).buffer(5.2)
    result = measure(quarry_of(surface, ground), Stockpile("windrow", "sand", toe))
    expected = 8.0 * 3.0 * 5.0 + np.pi / 3.0 * 25.0 * 3.0
    assert result["volume_m3"] == pytest.approx(expected, rel=2e-4)


def test_volume_counts_only_what_is_inside() -> None:
    surface = np.ones(GRID.shape, dtype=np.float32)
    square = shapely.box(-2.013, -1.027, 3.011, 2.009)
    result = measure(quarry_of(surface, 0.0 * surface), Stockpile("s", "sand", square))
    assert result["volume_m3"] == pytest.approx(square.area, rel=2e-3)


def test_map_volume_has_the_scale_of_the_map() -> None:
    surface = np.ones(GRID.shape, dtype=np.float32)
    square = shapely.box(-10.0, -10.0, 10.0, 10.0)
    result = measure(quarry_of(surface, 0.0 * surface), Stockpile("s", "sand", square))
    frame = quarry_frame()
    factors = pyproj.Proj(frame.epsg).get_factors(frame.longitude_deg, frame.latitude_deg)
    # The height over the ellipsoid shortens the map's metre as well.
    scale = factors.areal_scale * (1.0 + 612.0 / 6.378e6) ** -2
    assert result["map_volume_m3"] / result["volume_m3"] == pytest.approx(scale, abs=2e-5)


def test_map_elevation_of_a_plane_is_exact() -> None:
    plane = (0.3 * GRID.x + 0.2 * GRID.y).astype(np.float32)
    quarry = quarry_of(plane, plane)
    frame = quarry.frame
    easting, northing = frame.map_origin[:2]
    cells = (float(easting) - 8.0, float(northing) + 8.0, 300, 310)
    found = map_elevation(quarry, plane, cells)
    rows, cols = np.array([0, 17, 150, 299]), np.array([3, 250, 101, 309])
    map_xy = np.column_stack(
        (cells[0] + (cols + 0.5) * CELL_SIZE_M, cells[1] - (rows + 0.5) * CELL_SIZE_M)
    )
    local = frame.from_map(np.column_stack((map_xy, found[rows, cols])))
    expected = 0.3 * local[:, 0] + 0.2 * local[:, 1]
    np.testing.assert_allclose(local[:, 2], expected, atol=1e-4)


def test_weeks_differ_in_their_piles_only() -> None:
    bounds = (-56.0, -42.0, -8.0, 27.0)
    first, second = (build_quarry(3, week, bounds, 0.1) for week in (0, 1))
    np.testing.assert_array_equal(first.ground, second.ground)
    volumes = [
        {pile.name: measure(quarry, pile)["volume_m3"] for pile in quarry.stockpiles}
        for quarry in (first, second)
    ]
    assert "Fill sand" in volumes[0]
    assert "Fill sand" not in volumes[1]
    assert volumes[1]["Gravel 16-32"] < 0.75 * volumes[0]["Gravel 16-32"]
    assert volumes[1]["Limestone 0-32"] > 1.2 * volumes[0]["Limestone 0-32"]


@pytest.mark.parametrize("week", [0, 1])
def test_outlines_do_not_overlap_and_hold_their_piles(week: int) -> None:
    quarry = build_quarry(2, week, (-62.0, -50.0, 62.0, 50.0), 0.1)
    assert len(quarry.stockpiles) == len(stock(2, week, USUAL_YARD))
    outlines = [pile.toe for pile in quarry.stockpiles]
    for i, outline in enumerate(outlines):
        assert outline.is_valid
        assert all(outline.intersection(other).area < 1e-6 for other in outlines[:i])
    assert sum(measure(quarry, pile)["volume_m3"] > 100.0 for pile in quarry.stockpiles) >= 6


def test_edges_along_a_wall_are_marked_and_no_others():
    wall = Wall((0.0, 0.0), (-20.0, 0.0))
    toe = shapely.Polygon([(-2, -0.1), (-12, -0.1), (-13, 4), (-7, 6), (-1, 4)])
    assert wall_edges(toe, wall) == [[0, 1]]
    assert wall_edges(shapely.affinity.translate(toe, 0.0, 1.0), wall) == []
    # Its end may reach over the wall's.
    assert wall_edges(shapely.affinity.translate(toe, 4.0, 0.0), wall) == [[0, 1]]


def test_what_is_built_looks_built_down_to_its_foot() -> None:
    quarry = build_quarry(2, 0, (-62.0, -50.0, 62.0, 50.0), 0.1)
    step = np.abs(np.diff(quarry.surface, axis=0))
    for kind in ("concrete", "paint"):
        built = quarry.material == INDEX[kind]
        upright = step > 1.0
        touches = built[:-1] | built[1:]
        assert upright[touches].any()
        assert (built[:-1] & built[1:])[upright & touches].all()
