"""The surface as triangles: few where it is flat, the finest where it is steep, never off by more
than a stated distance.

A square window of the DSM becomes a right-triangulated irregular network: two triangles that are
halved, and halved again, until each lies close enough to the surface. The distance is measured
along the triangle's normal, for every cell below it: a vertical measure would spend nearly all
triangles on the last decimetre of a highwall, and would still not say where the wall stands.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Heights = NDArray[np.float32]

# One step along a row, a column or a diagonal: the four lines on which a hole can be bridged.
_LINES = np.array([[0, 1], [1, 0], [1, 1], [1, -1]])
# A thinned node that has no height takes the mean of its neighbours when so many of the 8 have one.
_NEIGHBOURS_NEEDED = 5
# A neighbour that is higher by so many steps stands there like a wall.
_WALL = 2.0


@dataclass(frozen=True)
class GridMesh:
    """Triangles whose corners are nodes of a square grid.

    Parameters
    ----------
    nodes : ndarray of int32, shape (n, 2)
        ``row, col`` in the grid.
    faces : ndarray of int32, shape (m, 3)
        Indices into ``nodes``, counter-clockwise seen from above (rows count southwards).
    """

    nodes: NDArray[np.int32]
    faces: NDArray[np.int32]


def triangulate(heights: Heights, step_m: float, tolerance_m: float) -> GridMesh:
    """Fewest triangles of the halving hierarchy that stay within a distance of all nodes.

    Parameters
    ----------
    heights : ndarray of float32, shape (2**k + 1, 2**k + 1)
        Elevation at the nodes, metres; NaN where there is no surface, and so no triangle.
    step_m : float
        Distance of neighbouring nodes.
    tolerance_m : float
        Largest distance of a node from the plane of the triangle that covers it.

    References
    ----------
    .. [1] W. Evans, D. Kirkpatrick, G. Townsend, "Right-triangulated irregular networks",
       Algorithmica 30, 2001.

    Examples
    --------
    >>> mesh = triangulate(np.zeros((9, 9), np.float32), 0.1, 0.01)
    >>> len(mesh.nodes), len(mesh.faces)
    (4, 2)
    """
    split = _split_nodes(heights, step_m, tolerance_m)
    nodes, faces = _faces(heights, split)
    return GridMesh(nodes, faces)


@njit(cache=True, nogil=True)
def _split_nodes(heights, step_m, tolerance_m):  # type: ignore[no-untyped-def]
    """Which nodes halve the triangles whose longest side they are the middle of.

    From the smallest triangles up: halving a triangle needs all its ancestors halved, and what
    is halved anyway needs no measurement.
    """
    size = heights.shape[0] - 1
    split = np.zeros(heights.shape, np.bool_)
    side = 2
    while side <= size:
        half = side // 2
        for row in range(0, size + 1, half):
            start = half if (row // half) % 2 == 0 else 0
            for col in range(start, size + 1, side):
                split[row, col] = _edge_splits(heights, split, row, col, half, step_m, tolerance_m)
        for row in range(half, size, side):
            for col in range(half, size, side):
                split[row, col] = _square_splits(
                    heights, split, row, col, half, step_m, tolerance_m
                )
        side *= 2
    return split


@njit(cache=True, nogil=True)
def _edge_splits(heights, split, row, col, half, step_m, tolerance_m):  # type: ignore[no-untyped-def]
    """Whether the triangles on both sides of a grid edge must be halved; their right angles lie at
    the centres of squares. ``row, col`` is the middle of the edge, ``half`` half its length.
    """
    size = heights.shape[0] - 1
    quarter = half // 2
    if quarter > 0:
        for down in (-quarter, quarter):
            for right in (-quarter, quarter):
                r, c = row + down, col + right
                if 0 <= r <= size and 0 <= c <= size and split[r, c]:
                    return True
    along_row = (row // half) % 2 == 0
    dr, dc = (0, half) if along_row else (half, 0)
    for sign in (-1, 1):
        r, c = row + sign * dc, col + sign * dr
        if (
            0 <= r <= size
            and 0 <= c <= size
            and _off(heights, row - dr, col - dc, row + dr, col + dc, r, c, step_m, tolerance_m)
        ):
            return True
    return False


@njit(cache=True, nogil=True)
def _square_splits(heights, split, row, col, half, step_m, tolerance_m):  # type: ignore[no-untyped-def]
    """Whether the two triangles that share a square's diagonal must be halved."""
    for down, right in ((-half, 0), (half, 0), (0, -half), (0, half)):
        if split[row + down, col + right]:
            return True
    # The diagonal leads to the centre of the next larger square.
    side = 2 * half
    turn = 1 if ((row // side) + (col // side)) % 2 == 0 else -1
    for sign in (-1, 1):
        if _off(
            heights,
            row - half,
            col - turn * half,
            row + half,
            col + turn * half,
            row + sign * half,
            col - sign * turn * half,
            step_m,
            tolerance_m,
        ):
            return True
    return False


@njit(cache=True, nogil=True)
def _off(heights, ar, ac, br, bc, cr, cc, step_m, tolerance_m):  # type: ignore[no-untyped-def]
    """Whether any node under the triangle a, b, c is too far from it, or missing beside others."""
    za, zb, zc = heights[ar, ac], heights[br, bc], heights[cr, cc]
    there = not np.isnan(za)
    if np.isnan(zb) == there or np.isnan(zc) == there:
        return True
    twice_area = (bc - ac) * (cr - ar) - (cc - ac) * (br - ar)
    slope_c = ((zb - za) * (cr - ar) - (zc - za) * (br - ar)) / twice_area
    slope_r = ((zc - za) * (bc - ac) - (zb - za) * (cc - ac)) / twice_area
    limit_m = tolerance_m * np.sqrt(1.0 + (slope_c * slope_c + slope_r * slope_r) / step_m**2)
    for row in range(min(ar, br, cr), max(ar, br, cr) + 1):
        first, last = _span(row, ar, ac, br, bc, cr, cc)
        plane = za + slope_r * (row - ar) + slope_c * (first - ac)
        for col in range(first, last + 1):
            z = heights[row, col]
            if np.isnan(z) == there or abs(z - plane) > limit_m:
                return True
            plane += slope_c
    return False


@njit(cache=True, nogil=True)
def _span(row, ar, ac, br, bc, cr, cc):  # type: ignore[no-untyped-def]
    """First and last column of a triangle in a row; sides run along rows, columns, diagonals."""
    first, last = 1 << 30, -1
    for pr, pc, qr, qc in ((ar, ac, br, bc), (br, bc, cr, cc), (cr, cc, ar, ac)):
        if min(pr, qr) <= row <= max(pr, qr):
            if pr == qr:
                first, last = min(first, pc, qc), max(last, pc, qc)
            else:
                col = pc + (qc - pc) * (row - pr) // (qr - pr)
                first, last = min(first, col), max(last, col)
    return first, last


@njit(cache=True, nogil=True)
def _faces(heights, split):  # type: ignore[no-untyped-def]
    """Walk the hierarchy and collect the triangles that are not halved."""
    size = heights.shape[0] - 1
    index = np.full(heights.shape, -1, np.int32)
    nodes = np.empty((heights.size, 2), np.int32)
    faces = np.empty((2 * size * size, 3), np.int32)
    node_count = face_count = 0
    # A halved triangle leaves one half waiting at each of at most 2 log2(size) + 2 depths.
    stack = np.empty((128, 6), np.int64)
    stack[0] = (0, 0, size, size, size, 0)
    stack[1] = (size, size, 0, 0, 0, size)
    waiting = 2
    while waiting > 0:
        waiting -= 1
        ar, ac, br, bc, cr, cc = stack[waiting]
        if abs(ar - cr) + abs(ac - cc) > 1 and split[(ar + br) // 2, (ac + bc) // 2]:
            mr, mc = (ar + br) // 2, (ac + bc) // 2
            stack[waiting] = (cr, cc, ar, ac, mr, mc)
            stack[waiting + 1] = (br, bc, cr, cc, mr, mc)
            waiting += 2
            continue
        if np.isnan(heights[ar, ac] + heights[br, bc] + heights[cr, cc]):
            continue
        for corner, (row, col) in enumerate(((ar, ac), (cr, cc), (br, bc))):
            if index[row, col] < 0:
                index[row, col] = node_count
                nodes[node_count] = row, col
                node_count += 1
            faces[face_count, corner] = index[row, col]
        face_count += 1
    return nodes[:node_count].copy(), faces[:face_count].copy()


def skirt(mesh: GridMesh, heights: Heights, drop_m: float, reach: int) -> tuple[GridMesh, Heights]:
    """A curtain below the border of a window, that hides the gap to a coarser neighbour.

    Parameters
    ----------
    mesh : GridMesh
        Of the window.
    heights : ndarray of float32, shape (2**k + 1, 2**k + 1)
    drop_m : float
        How far the curtain hangs at least, metres.
    reach : int
        Nodes along the border within which the neighbour's surface may stand elsewhere, as
        beside a wall: the curtain hangs as low as the lowest of them.

    Returns
    -------
    curtain : GridMesh
        Its first half of nodes are nodes of the border, its second half the same, hanging.
    elevation : ndarray of float32, shape (n,)
        Of its nodes.
    """
    size = heights.shape[0] - 1
    low = np.full(heights.shape, np.nan, np.float32)
    for border in (np.s_[0, :], np.s_[size, :], np.s_[:, 0], np.s_[:, size]):
        low[border] = np.fmin(low[border], _lowest(heights[border], reach) - np.float32(drop_m))
    start, end = mesh.faces.ravel(), np.roll(mesh.faces, -1, axis=1).ravel()
    on_border = np.zeros(len(start), np.bool_)
    for axis in (0, 1):
        for side in (0, size):
            on_border |= (mesh.nodes[start, axis] == side) & (mesh.nodes[end, axis] == side)
    used, corner = np.unique(
        np.concatenate((start[on_border], end[on_border])), return_inverse=True
    )
    first, second = corner.reshape(2, -1)
    count = len(used)
    faces = np.vstack(
        (
            np.column_stack((second, first, first + count)),
            np.column_stack((second, first + count, second + count)),
        )
    )
    nodes = mesh.nodes[used]
    rows, cols = nodes.T
    elevation = np.concatenate((heights[rows, cols], low[rows, cols]))
    return GridMesh(np.vstack((nodes, nodes)), faces.astype(np.int32)), elevation


def _lowest(profile: Heights, reach: int) -> Heights:
    """Lowest height within ``reach`` nodes of each node of a profile; NaN counts as none."""
    padded = np.pad(profile, reach, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1)
    return np.asarray(np.fmin.reduce(windows, axis=1))


def bridge(heights: Heights, radius: int) -> Heights:
    """A copy of a window in which narrow holes are closed; wide ones stay open, rounded.

    What is closed are the missing cells that no disc of the radius reaches without touching the
    surface: slits and small holes, not the middle of large ones. Their elevation is the mean of
    the straight connections between both sides (along the row, column and diagonals), the shorter
    ones counting more.

    Parameters
    ----------
    heights : ndarray of float32, shape (rows, cols)
        Elevation in metres, NaN in holes.
    radius : int
        Of the disc, in cells. The result depends on nothing further away than `bridge_reach`.

    Examples
    --------
    >>> bridge(np.array([[1, 2, 3], [1, np.nan, 3], [1, 2, 3]], np.float32), 2)[1, 1]
    np.float32(2.0)
    """
    missing = np.isnan(heights)
    if not missing.any() or missing.all():
        return heights
    inside = cv2.distanceTransform(missing.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    disc_fits = (inside > radius).astype(np.uint8)
    if disc_fits.any():
        away = cv2.distanceTransform(1 - disc_fits, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        missing &= away > radius
    return np.asarray(_bridge(heights, missing, bridge_reach(radius), _LINES))


def bridge_reach(radius: int) -> int:
    """Cells around a window that `bridge` must know to agree with other windows."""
    return 5 * radius // 2


@njit(cache=True, nogil=True)
def _bridge(heights, wanted, width, lines):  # type: ignore[no-untyped-def]
    """Close the wanted cells, as far as lines cross them."""
    rows, cols = heights.shape
    bridged = heights.copy()
    for row in range(rows):
        for col in range(cols):
            if not wanted[row, col]:
                continue
            total = weights = 0.0
            for line in range(lines.shape[0]):
                dr, dc = lines[line]
                ahead = _steps_to_surface(heights, row, col, dr, dc, width)
                behind = _steps_to_surface(heights, row, col, -dr, -dc, width)
                gap = ahead + behind
                if ahead == 0 or behind == 0 or gap > width:
                    continue
                z_ahead = heights[row + ahead * dr, col + ahead * dc]
                z_behind = heights[row - behind * dr, col - behind * dc]
                weight = 1.0 / (gap * gap * (dr * dr + dc * dc))
                total += weight * (z_ahead * behind + z_behind * ahead) / gap
                weights += weight
            if weights > 0.0:
                bridged[row, col] = total / weights
    return bridged


@njit(cache=True, nogil=True)
def _steps_to_surface(heights, row, col, dr, dc, limit):  # type: ignore[no-untyped-def]
    """Steps from a cell to the first one with a height; 0 when there is none within the limit."""
    rows, cols = heights.shape
    for steps in range(1, limit):
        r, c = row + steps * dr, col + steps * dc
        if r < 0 or c < 0 or r >= rows or c >= cols:
            return 0
        if not np.isnan(heights[r, c]):
            return steps
    return 0


def thin(heights: Heights, step_m: float) -> Heights:
    """Every second node of a window, for the next coarser level.

    Nodes are picked, not averaged, so that walls stay steep and a coarse border passes through
    nodes of the fine one. Two things are made up: beside a node that stands above it like a wall,
    a picked node is as high as that, lest a wall that is thinner than a step becomes a row of
    teeth; and a picked node without height takes the mean of its neighbours, where most have one.

    Parameters
    ----------
    heights : ndarray of float32, shape (2 n + 1, 2 m + 1)
    step_m : float
        Distance of its nodes.

    Returns
    -------
    ndarray of float32, shape (n + 1, m + 1)
    """
    picked = heights[::2, ::2].copy()
    highest = cv2.dilate(np.where(np.isnan(heights), -np.inf, heights), np.ones((3, 3)))[::2, ::2]
    below_wall = highest - picked > _WALL * step_m
    picked[below_wall] = highest[below_wall]
    missing = np.argwhere(np.isnan(picked))
    if len(missing) == 0:
        return picked
    padded = np.pad(heights, 1, constant_values=np.nan)
    rows, cols = 2 * missing.T + 1
    around = np.stack(
        [padded[rows + dr, cols + dc] for dr in (-1, 0, 1) for dc in (-1, 0, 1) if dr or dc]
    )
    known = ~np.isnan(around)
    count = known.sum(axis=0)
    mean = np.where(known, around, 0.0).sum(axis=0) / np.maximum(count, 1)
    enough = count >= _NEIGHBOURS_NEEDED
    picked[tuple(missing[enough].T)] = mean[enough]
    return picked
