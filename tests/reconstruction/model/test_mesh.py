"""Triangulation of height grids: distances, borders, walls and holes with known answers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconstruction.mesh import bridge, bridge_reach, skirt, thin, triangulate

STEP_M = 0.1


def terrain(size=128, seed=0):
    """Waves, a cone and a wall that is not parallel to the grid."""
    rows, cols = np.mgrid[: size + 1, : size + 1].astype(np.float64)
    heights = 0.3 * np.sin(rows / 9.0) * np.cos(cols / 13.0)
    heights += np.maximum(0.0, 3.0 - 0.09 * np.hypot(rows - 80, cols - 50))
    heights[(cols + 0.3 * rows > 100) & (cols + 0.3 * rows < 112)] += 4.0
    heights += np.random.default_rng(seed).normal(0.0, 0.005, heights.shape)
    return heights.astype(np.float32)


def corners_of(mesh, heights):
    """Corners of each face, x east, y north, z up, metres, shape (m, 3, 3)."""
    rows, cols = mesh.nodes.T
    points = np.column_stack((cols * STEP_M, -rows * STEP_M, heights[rows, cols]))
    return points[mesh.faces]


def distances(mesh, heights):
    """Distance of each node from the plane of every face that covers it, metres."""
    found = []
    for a, b, c in corners_of(mesh, heights):
        normal = np.cross(b - a, c - a)
        normal /= np.linalg.norm(normal)
        low, high = np.min([a, b, c], axis=0), np.max([a, b, c], axis=0)
        cols = np.arange(round(low[0] / STEP_M), round(high[0] / STEP_M) + 1)
        rows = np.arange(round(-high[1] / STEP_M), round(-low[1] / STEP_M) + 1)
        row, col = (axis.ravel() for axis in np.meshgrid(rows, cols))
        nodes = np.column_stack((col * STEP_M, -row * STEP_M, heights[row, col]))
        weights = np.linalg.solve(
            np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1.0, 1.0, 1.0]]),
            np.column_stack((nodes[:, :2], np.ones(len(nodes)))).T,
        )
        under = (weights > -1e-6).all(axis=0)
        found.append(np.abs((nodes[under] - a) @ normal))
    return np.concatenate(found)


def lonely_sides(mesh):
    """Sides of faces that no other face shares, as pairs of (row, col)."""
    sides = np.sort(mesh.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(sides, axis=0, return_counts=True)
    assert count.max() <= 2
    return mesh.nodes[unique[count == 1]]


@pytest.mark.parametrize("slope", [0.0, 0.4])
def test_a_plane_is_two_triangles(slope):
    rows, cols = np.mgrid[:65, :65]
    mesh = triangulate((slope * (rows - 2 * cols)).astype(np.float32), STEP_M, 0.01)
    assert len(mesh.faces) == 2


@pytest.mark.parametrize("tolerance_m", [0.02, 0.05, 0.2])
def test_no_node_is_farther_from_its_triangle_than_the_tolerance(tolerance_m):
    heights = terrain()
    mesh = triangulate(heights, STEP_M, tolerance_m)
    assert distances(mesh, heights).max() <= tolerance_m * (1 + 1e-4)


def test_triangles_cover_the_window_once_and_share_their_sides():
    heights = terrain()
    mesh = triangulate(heights, STEP_M, 0.05)
    a, b, c = np.moveaxis(corners_of(mesh, heights), 1, 0)
    doubled = np.cross(b - a, c - a)[:, 2]
    assert (doubled > 0.0).all()
    assert doubled.sum() / 2.0 == pytest.approx((128 * STEP_M) ** 2)
    border = lonely_sides(mesh)
    on_border = ((border == 0) | (border == 128)).all(axis=1).any(axis=1)
    assert on_border.all()


def test_a_wall_stays_as_steep_as_its_cells_and_takes_few_triangles_beside():
    heights = np.zeros((129, 129), np.float32)
    heights[:, 70:] = 5.0
    mesh = triangulate(heights, STEP_M, 0.5 * STEP_M)
    corners = corners_of(mesh, heights)
    rising = np.ptp(corners[:, :, 2], axis=1) > 0.0
    width = np.ptp(corners[rising][:, :, 0], axis=1)
    # Half a cell on either side is the tolerance, measured along the normal of the wall.
    assert width.max() <= 2.0 * STEP_M + 1e-9
    assert len(mesh.faces) < 10 * 128


def test_the_triangles_are_fewest_where_it_is_flat():
    heights = terrain()
    heights[:, :40] = 0.0
    mesh = triangulate(heights, STEP_M, 0.02)
    left = mesh.nodes[mesh.faces, 1].max(axis=1) <= 39
    assert left.mean() < 0.1


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.01, 0.2), st.floats(-900.0, 900.0))
def test_a_larger_tolerance_or_another_datum_never_needs_more_triangles(seed, tolerance_m, shift):
    heights = terrain(64, seed)
    fine = triangulate(heights, STEP_M, tolerance_m)
    assert len(triangulate(heights, STEP_M, 2.0 * tolerance_m).faces) <= len(fine.faces)
    # Single precision rounds heights by up to a share of the tolerance, and triangles go with it.
    rounding = float(np.spacing(np.float32(abs(shift)))) / tolerance_m
    moved = triangulate(heights + np.float32(shift), STEP_M, tolerance_m)
    assert len(moved.faces) <= (1.01 + 2.0 * rounding) * len(fine.faces)


def test_holes_stay_holes_with_the_outline_of_their_cells():
    heights = terrain()
    heights[30:50, 20:77] = np.nan
    mesh = triangulate(heights, STEP_M, 0.05)
    corners = corners_of(mesh, heights)
    assert np.isfinite(corners).all()
    a, b, c = np.moveaxis(corners, 1, 0)
    area_m2 = np.cross(b - a, c - a)[:, 2].sum() / 2.0
    # The surface ends at the last nodes with a height, a step before the first without; at each
    # corner of the hole there may be half a cell more.
    assert area_m2 == pytest.approx((128**2 - 21 * 58 + 1) * STEP_M**2, abs=STEP_M**2)


def test_nothing_has_no_triangles():
    assert len(triangulate(np.full((33, 33), np.nan, np.float32), STEP_M, 0.1).faces) == 0


def test_the_curtain_hangs_outside_below_the_whole_border():
    heights = terrain()
    mesh = triangulate(heights, STEP_M, 0.05)
    curtain, elevation = skirt(mesh, heights, 0.3, 4)
    half = len(curtain.nodes) // 2
    rows, cols = curtain.nodes.T
    assert np.array_equal(elevation[:half], heights[rows[:half], cols[:half]])
    assert (elevation[half:] <= elevation[:half] - 0.3 + 1e-5).all()
    points = np.column_stack((cols * STEP_M, -rows * STEP_M, elevation))
    a, b, c = (points[curtain.faces[:, corner]] for corner in range(3))
    middle = (a + b + c) / 3.0
    outward = middle[:, :2] - [64 * STEP_M, -64 * STEP_M]
    assert ((np.cross(b - a, c - a)[:, :2] * outward).sum(axis=1) > 0.0).all()
    # Two faces for each side of a triangle on the border.
    assert len(curtain.faces) == 2 * len(lonely_sides(mesh))


def test_beside_a_wall_the_curtain_reaches_its_foot():
    heights = np.zeros((65, 65), np.float32)
    heights[:, 30:] = 5.0
    curtain, elevation = skirt(triangulate(heights, STEP_M, 0.05), heights, 0.1, 4)
    half = len(curtain.nodes) // 2
    top = np.flatnonzero((curtain.nodes[:half] == [0, 30]).all(axis=1))[0]
    assert elevation[half + top] == pytest.approx(-0.1)


def test_narrow_holes_are_bridged_by_straight_lines_and_wide_ones_left_open():
    rows, cols = np.mgrid[:200, :200]
    plane = (0.3 * rows - 0.2 * cols).astype(np.float32)
    holes = plane.copy()
    holes[20:26, 30:38] = np.nan
    holes[40:110, 60:64] = np.nan  # a long slit
    holes[120:180, 20:80] = np.nan  # too wide
    bridged = bridge(holes, 10)
    assert bridged[20:26, 30:38] == pytest.approx(plane[20:26, 30:38], abs=1e-4)
    assert bridged[40:110, 60:64] == pytest.approx(plane[40:110, 60:64], abs=1e-4)
    # A disc of 10 cells reaches all of a wide hole, but its corners.
    closed = np.isfinite(bridged[120:180, 20:80])
    assert not closed[10:-10].any()
    assert not closed[:, 10:-10].any()
    known = ~np.isnan(holes)
    assert np.array_equal(bridged[known], holes[known])


def test_overlapping_windows_bridge_the_same():
    generator = np.random.default_rng(3)
    heights = generator.normal(size=(300, 300)).astype(np.float32)
    for row, col in generator.integers(10, 280, (60, 2)):
        heights[row : row + 6, col : col + 9] = np.nan
    reach = bridge_reach(10)
    whole = bridge(heights, 10)
    part = bridge(heights[:, 100:], 10)
    assert np.isnan(heights[:, 100 + reach :]).sum() > np.isnan(whole[:, 100 + reach :]).sum()
    assert np.array_equal(whole[:, 100 + reach :], part[:, reach:], equal_nan=True)


def test_thinning_picks_every_second_node_and_mends_single_ones():
    heights = np.arange(81, dtype=np.float32).reshape(9, 9)
    expected = heights[::2, ::2].copy()
    heights[4, 4] = np.nan
    assert thin(heights, 10.0) == pytest.approx(expected)
    heights[3:6, 3:6] = np.nan
    assert np.isnan(thin(heights, 10.0)[2, 2])


def test_a_wall_thinner_than_a_step_does_not_become_teeth():
    rows, cols = np.mgrid[:65, :65]
    # One and a half nodes thick, not parallel to the grid.
    wall = np.abs(cols - 0.4 * rows - 15.0) < 0.8
    coarse = np.where(wall, 3.0, 0.0).astype(np.float32)
    for step_m in (0.1, 0.2, 0.4):
        coarse = thin(coarse, step_m)
    crest = coarse.max(axis=1)
    assert crest.min() == 3.0
    assert (coarse > 0.0).sum(axis=1).max() <= 3
