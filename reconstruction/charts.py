"""Where each triangle lies in a tile's picture: the tile seen from above and from its four sides.

Nearly all of a quarry is seen best from above, so one chart in the ground plane holds it, without
seams. Steep faces would be smeared there: they get charts in upright planes, facing east, north,
west or south, at the same texel size. Chart coordinates are metres on the chart's plane, so that
no face is shown smaller than 0.6 of its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

Array = NDArray[np.float64]
Index = NDArray[np.int64]

# Steeper than a pile's angle of repose and than most benches' debris.
_STEEP = np.tan(np.deg2rad(52.0))
# Directions of the four sides (east, north, west, south), and which way is right on each of them
# for somebody who looks at it from outside.
_OUTWARD = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
_RIGHT = np.array([[0.0, 1.0], [-1.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
# Steep patches smaller than this many texels stay in the ground chart, where nobody sees them.
_SMALLEST_TEXELS = 400.0
# Steep charts are cut to pieces of this size: they pack better and cannot fold over themselves.
_PIECE_TEXELS = 160.0
# Empty texels around each chart.
PAD_TEXELS = 4
# Charts fill whole blocks of so many texels, each of which is textured from one photo.
BLOCK_TEXELS = 8


@dataclass(frozen=True)
class Atlas:
    """Triangles laid out in a picture.

    Parameters
    ----------
    point_index : ndarray of int, shape (n,)
        Which mesh point each atlas corner is; a point on the border of charts is several corners.
    texels : ndarray, shape (n, 2)
        ``x, y`` of each corner; texel ``i`` reaches from i to i + 1.
    faces : ndarray of int, shape (m, 3)
        Indices of corners, in the order of the mesh's faces.
    side : ndarray of int, shape (m,)
        Which side shows the face: -1 for above, 0 to 3 for east, north, west, south.
    width, height : int
        Size of the picture.
    """

    point_index: Index
    texels: Array
    faces: Index
    side: Index
    width: int
    height: int


def lay_out(points: Array, faces: Index, texel_m: float, limit_texels: int) -> Atlas:
    """Cut a mesh into charts and pack them.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        x east, y north, z up, metres.
    faces : ndarray of int, shape (m, 3)
        Counter-clockwise seen from above.
    texel_m : float
        Size of a texel on the ground, and on upright charts as long as they fit.
    limit_texels : int
        Largest height of the picture. Upright charts get larger texels until it is kept.
    """
    side = _sides(points, faces, texel_m)
    chart, chart_side = _charts(points, faces, side, texel_m)
    corner, corner_of = np.unique(
        np.repeat(chart, 3) * len(points) + faces.ravel(), return_inverse=True
    )
    corner_chart, point_index = np.divmod(corner, len(points))
    plane = _on_planes(points[point_index], chart_side[corner_chart])
    low = np.full((len(chart_side), 2), np.inf)
    high = np.full((len(chart_side), 2), -np.inf)
    np.minimum.at(low, corner_chart, plane)
    np.maximum.at(high, corner_chart, plane)
    scale = np.full(len(chart_side), 1.0 / texel_m)
    while True:
        sizes = np.ceil((high - low) * scale[:, None]).astype(np.int64) + 2 * PAD_TEXELS
        sizes += -sizes % BLOCK_TEXELS
        corners, width, height = _shelves(sizes)
        if height <= limit_texels or len(scale) == 1:
            break
        scale[chart_side >= 0] *= 0.8
    texels = (plane - low[corner_chart]) * scale[corner_chart, None] + (
        corners[corner_chart] + PAD_TEXELS
    )
    return Atlas(point_index, texels, corner_of.reshape(-1, 3), side, width, height)


def _sides(points: Array, faces: Index, texel_m: float) -> Index:
    """The side that each face belongs to: -1 above, 0 to 3 for `_OUTWARD`, shape (m,)."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    normal = np.cross(b - a, c - a)
    steep = np.hypot(normal[:, 0], normal[:, 1]) > _STEEP * normal[:, 2]
    side = np.full(len(faces), -1, dtype=np.int64)
    if not steep.any():
        return side
    neighbours = _neighbours(faces)
    # A rough wall faces every way in detail: what counts is where its surroundings face.
    facing, near = normal * steep[:, None], neighbours[steep]
    for _ in range(4):
        around = np.where(near[..., None] >= 0, facing[near], 0.0).sum(axis=1)
        facing[steep] += around
    side[steep] = np.argmax(facing[steep, :2] @ _OUTWARD.T, axis=1)
    # A face that is surrounded joins its neighbours.
    for _ in range(3):
        a, b, c = np.where(neighbours >= 0, side[neighbours], -2).T
        # What two of three have is the middle one in their order.
        middle = np.maximum(np.minimum(a, b), np.minimum(np.maximum(a, b), c))
        joins = ((a == b) | (b == c) | (a == c)) & (middle != -2)
        side[joins] = middle[joins]
    group = _connected(neighbours, side)
    area = np.bincount(group, np.linalg.norm(normal, axis=1) / 2.0)
    side[area[group] < _SMALLEST_TEXELS * texel_m**2] = -1
    return side


def _neighbours(faces: Index) -> Index:
    """The face across each side of each face, -1 where there is none, shape (m, 3)."""
    start, end = faces.ravel(), np.roll(faces, -1, axis=1).ravel()
    key = np.minimum(start, end) * (int(faces.max()) + 1) + np.maximum(start, end)
    order = np.argsort(key, kind="stable")
    shared = np.flatnonzero(key[order][1:] == key[order][:-1])
    first, second = order[shared], order[shared + 1]
    across = np.full(len(start), -1, dtype=np.int64)
    across[first], across[second] = second // 3, first // 3
    return across.reshape(-1, 3)


def _connected(neighbours: Index, label: Index) -> Index:
    """Number of the patch of equal labels that each face belongs to."""
    count = len(neighbours)
    face, other = np.repeat(np.arange(count), 3), neighbours.ravel()
    linked = (other >= 0) & (label[face] == label[other])
    graph = coo_matrix((np.ones(linked.sum()), (face[linked], other[linked])), (count, count))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _charts(points: Array, faces: Index, side: Index, texel_m: float) -> tuple[Index, Index]:
    """Chart of each face, and side of each chart. All of the ground is one chart, the first."""
    chart = np.zeros(len(faces), dtype=np.int64)
    steep = np.flatnonzero(side >= 0)
    if len(steep) == 0:
        return chart, np.array([-1])
    centre = points[faces[steep]].mean(axis=1) - points.min(axis=0)
    piece = (centre[:, :2] // (_PIECE_TEXELS * texel_m)).astype(np.int64)
    labels = np.full(len(faces), -1, dtype=np.int64)
    labels[steep] = (piece[:, 0] * (piece[:, 1].max() + 1) + piece[:, 1]) * 4 + side[steep]
    group = _connected(_neighbours(faces), labels)[steep]
    _, first, number = np.unique(group, return_index=True, return_inverse=True)
    chart_side = side[steep][first]
    if len(steep) == len(faces):
        return number.ravel(), chart_side
    chart[steep] = number.ravel() + 1
    return chart, np.concatenate(([-1], chart_side))


def _on_planes(points: Array, side: Index) -> Array:
    """Metres to the right and down on the plane of each point's side, shape (n, 2)."""
    ground = np.column_stack((points[:, 0], -points[:, 1]))
    right = (points[:, :2] * _RIGHT[side]).sum(axis=1)
    return np.where(side[:, None] < 0, ground, np.column_stack((right, -points[:, 2])))


def _shelves(sizes: Index) -> tuple[Index, int, int]:
    """Pack rectangles on shelves, the tallest first.

    Parameters
    ----------
    sizes : ndarray of int, shape (n, 2)
        Width and height.

    Returns
    -------
    corners : ndarray of int, shape (n, 2)
        Upper left corners.
    width, height : int
        Of the whole.
    """
    width = int(max(sizes[:, 0].max(), np.ceil(np.sqrt(sizes.prod(axis=1).sum()))))
    corners = np.zeros_like(sizes)
    x = y = shelf = 0
    for index in np.argsort(-sizes[:, 1], kind="stable"):
        chart_width, chart_height = sizes[index]
        if x + chart_width > width:
            x, y, shelf = 0, y + shelf, 0
        corners[index] = x, y
        x += int(chart_width)
        shelf = max(shelf, int(chart_height))
    return corners, width, y + shelf
