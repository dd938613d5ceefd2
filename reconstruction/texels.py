"""Texels of a tile's picture: where each is in space, and what the empty ones show."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconstruction.charts import BLOCK_TEXELS, Atlas

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]
Image = NDArray[np.uint8]

# Where a block is probed for visibility: its middle and its corners, in texels from its corner.
_PROBES = np.array([[3, 3], [0, 0], [0, 7], [7, 0], [7, 7]])
# Texels over which the places on a wall are smoothed: less than what lies between charts.
_STRAIGHTEN = (7, 7)
# Empty texels take colours from up to 2 to this power texels away: enough for any mipmap, and not
# so far that an unseen wall takes those of another chart.
_CONTINUED_LEVELS = 4


@dataclass(frozen=True)
class TexelPlaces:
    """Texels in space.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        Coordinates that the others count from.
    texels : ndarray of float32, shape (height, width, 3)
        NaN where there is no surface.
    probes : ndarray of float32, shape (block rows, block cols, 5, 3)
        Some texels of each block.
    normals : ndarray of float32, shape (block rows, block cols, 3)
    """

    origin: Array
    texels: Float32
    probes: Float32
    normals: Float32


def places_of(points: Array, atlas: Atlas) -> TexelPlaces:
    """Where the texels of a layout are.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Mesh points, in whichever metric frame the places are wanted.
    atlas : Atlas
        Their layout.
    """
    origin = points.mean(axis=0)
    shape = (atlas.height, atlas.width)
    padded = tuple(size + -size % BLOCK_TEXELS for size in shape)
    texels = np.full((*padded, 3), np.nan, np.float32)
    normals = np.zeros((padded[0] // BLOCK_TEXELS, padded[1] // BLOCK_TEXELS, 3), np.float32)
    corners = (points - origin)[atlas.point_index].astype(np.float32)
    sides = np.full(padded, -1, np.int8)
    _draw(atlas.texels, corners, atlas.faces, atlas.side, texels, normals, sides)
    if (atlas.side >= 0).any():
        _straighten(texels, sides)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    normals /= np.where(length > 0.0, length, 1.0)
    return TexelPlaces(origin, texels, _probe(texels, _PROBES), normals)


@njit(cache=True, nogil=True)
def _draw(uv, points, faces, face_sides, texels, normals, sides):  # type: ignore[no-untyped-def]
    """Give each texel whose middle lies in a face its place and side; sum up normals of blocks."""
    height, width = texels.shape[:2]
    for face in range(faces.shape[0]):
        a, b, c = faces[face]
        ax, ay = uv[a, 0] - 0.5, uv[a, 1] - 0.5
        ux, uy = uv[b, 0] - 0.5 - ax, uv[b, 1] - 0.5 - ay
        vx, vy = uv[c, 0] - 0.5 - ax, uv[c, 1] - 0.5 - ay
        area = ux * vy - uy * vx
        if area == 0.0:
            continue
        side_b, side_c = points[b] - points[a], points[c] - points[a]
        normal = np.cross(side_b, side_c)
        normal /= np.sqrt((normal * normal).sum())
        first_row = max(int(np.ceil(ay + min(0.0, uy, vy) - 1e-6)), 0)
        last_row = min(int(np.floor(ay + max(0.0, uy, vy) + 1e-6)), height - 1)
        first_col = max(int(np.ceil(ax + min(0.0, ux, vx) - 1e-6)), 0)
        last_col = min(int(np.floor(ax + max(0.0, ux, vx) + 1e-6)), width - 1)
        for row in range(first_row, last_row + 1):
            for col in range(first_col, last_col + 1):
                dx, dy = col - ax, row - ay
                wb = (dx * vy - dy * vx) / area
                wc = (ux * dy - uy * dx) / area
                if wb < -1e-6 or wc < -1e-6 or wb + wc > 1.0 + 1e-6:
                    continue
                for axis in range(3):
                    texels[row, col, axis] = points[a, axis] + wb * side_b[axis] + wc * side_c[axis]
                    normals[row // 8, col // 8, axis] += normal[axis]
                sides[row, col] = face_sides[face]


def _straighten(texels: Float32, sides: NDArray[np.int8]) -> None:
    """Smooth how far out the texels of upright charts lie.

    On a grid, a wall that is not parallel to it has steps of a cell. A photo from above would show
    each of them another strip of the wall, and the picture on the wall would have teeth.
    """
    for axis, pair in ((0, (0, 2)), (1, (1, 3))):
        there = (sides == pair[0]) | (sides == pair[1])
        out = np.where(there, texels[..., axis], 0.0).astype(np.float32)
        mean = cv2.blur(out, _STRAIGHTEN) / np.maximum(
            cv2.blur(there.astype(np.float32), _STRAIGHTEN), 1e-6
        )
        texels[..., axis][there] = mean[there]


@njit(cache=True, nogil=True)
def _probe(texels, offsets):  # type: ignore[no-untyped-def]
    """Texels at the wanted places of each block, or any others of it instead of missing ones."""
    rows, cols = texels.shape[0] // 8, texels.shape[1] // 8
    probes = np.full((rows, cols, offsets.shape[0], 3), np.nan, np.float32)
    for row in range(rows):
        for col in range(cols):
            block = texels[8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
            for index in range(offsets.shape[0]):
                down, right = offsets[index]
                # From a wanted corner towards the middle, until there is surface.
                for _ in range(4):
                    if not np.isnan(block[down, right, 0]):
                        probes[row, col, index] = block[down, right]
                        break
                    down += 1 if down < 3 else (-1 if down > 4 else 0)
                    right += 1 if right < 3 else (-1 if right > 4 else 0)
            if np.isnan(probes[row, col, :, 0]).all():
                for place in range(64):
                    if not np.isnan(block[place // 8, place % 8, 0]):
                        probes[row, col, 0] = block[place // 8, place % 8]
    return probes


def continued(total: Float32) -> Image:
    """Colours from sums of weighted colours; the empty texels continue those near them.

    Parameters
    ----------
    total : ndarray of float32, shape (height, width, 4)
        Sums of red, green and blue, and of the weights. Overwritten.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
    """
    levels = [_normalize(total)]
    for _ in range(_CONTINUED_LEVELS):
        rows, cols = levels[-1].shape[:2]
        half = ((cols + 1) // 2, (rows + 1) // 2)
        levels.append(_normalize(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA)))
    widest = levels[-1]
    seen = widest[..., 3] > 0.0
    widest[~seen] = widest[seen].mean(axis=0) if seen.any() else 0.0
    for fine, coarse in zip(levels[-2::-1], levels[:0:-1], strict=True):
        _fill(fine, coarse)
    return cv2.convertScaleAbs(levels[0][..., :3]).astype(np.uint8, copy=False)


@njit(cache=True, nogil=True)
def _normalize(sums):  # type: ignore[no-untyped-def]
    """Weighted sums, divided by their weights in place; empty texels stay zero."""
    for row in range(sums.shape[0]):
        for col in range(sums.shape[1]):
            weight = sums[row, col, 3]
            if weight > 0.0:
                for band in range(4):
                    sums[row, col, band] /= weight
    return sums


@njit(cache=True, nogil=True)
def _fill(fine, coarse):  # type: ignore[no-untyped-def]
    """Give empty texels the colour of the wider average they lie in."""
    for row in range(fine.shape[0]):
        for col in range(fine.shape[1]):
            if fine[row, col, 3] == 0.0:
                for band in range(4):
                    fine[row, col, band] = coarse[row // 2, col // 2, band]
