"""Which photo shows which piece of ground: seams that are few, and run where nobody sees them.

The choice is made on coarse cells. Each photo gets a cost there: small where it looks straight
down, in the middle of the image, with fine pixels, and where its colour agrees with the other
photos (what moved does not). Costs are averaged over a neighbourhood, so that the cheapest photo
is the same over large areas, and all of it depends on the near surroundings only: tiles that are
worked out independently fit together without a seam of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.exposure import THUMBNAIL
from reconstruction.photo_views import PhotoViews
from reconstruction.projection import Array, Window, local_affine, project, view_matrix
from reconstruction.rasters import Grid
from reconstruction.surface import Float32, fill_holes
from reconstruction.visibility import hidden

# Cells of context that a choice depends on: the neighbourhoods of costs and of weights together.
HALO = 12
_COST_REACH = 3
_FEATHER_SIGMA = 1.5
# What a hidden cell counts in the average of its neighbours: seams keep away from hidden ground.
_HIDDEN_COST = 0.3
# Photos differ by noise and by light; what differs by more in one of them has moved.
_SAME_COLOUR = 0.05
_MOVED_COST = 1.5


@dataclass(frozen=True)
class Choice:
    """The photos of a window of coarse cells.

    Parameters
    ----------
    shots : ndarray of int, shape (k,)
        Indices of the shots that see any of it.
    aspects : ndarray of float32, shape (k, rows, cols)
        How badly a shot looks on the cell, were nothing in between; infinite outside the photo.
    weights : ndarray of float32, shape (k, rows, cols)
        Shares of the shots; 0 for most. They add up to 1 where any shot sees the ground.
    """

    shots: NDArray[np.intp]
    aspects: Float32
    weights: Float32


@numba.njit(cache=True, nogil=True)
def _look(  # type: ignore[no-untyped-def]
    matrix,
    lens,
    up,
    buffer,
    scale,
    reach,
    cell_px,
    elevations_m,
    thumbnail,
    aspects,
    costs,
    colours,
):
    """Cost and colour of one shot on each coarse cell."""
    rows, cols = elevations_m.shape
    last_row, last_col = thumbnail.shape[0] - 1, thumbnail.shape[1] - 1
    for row in range(rows):
        for col in range(cols):
            x, y, depth = project(matrix, lens, col, row, elevations_m[row, col])
            margin = 2.0
            if (
                depth == 0.0
                or not margin <= x < lens[9] - 1.0 - margin
                or not margin <= y < lens[10] - 1.0 - margin
            ):
                continue
            a, b = (x - lens[1]) / lens[0], (y - lens[2]) / lens[0]
            cosine = -(a * up[0] + b * up[1] + up[2]) / np.sqrt(1.0 + a * a + b * b)
            edge = max(abs(2.0 * x / lens[9] - 1.0), abs(2.0 * y / lens[10] - 1.0))
            coarseness = max(0.0, np.log2(depth / (lens[0] * cell_px)))
            aspects[row, col] = 2.0 * (1.0 - cosine) + 0.1 * edge**8 + 0.2 * coarseness
            if hidden(buffer, scale, x, y, depth, reach[0], reach[1]):
                continue
            costs[row, col] = aspects[row, col]
            u = min(int((x + 0.5) / THUMBNAIL), last_col)
            v = min(int((y + 0.5) / THUMBNAIL), last_row)
            for channel in range(3):
                colours[row, col, channel] = thumbnail[v, u, channel]


def choose(views: PhotoViews, grid: Grid, window: Window, elevations_m: Float32) -> Choice:
    """Choose the photos of a window.

    Parameters
    ----------
    views : PhotoViews
    grid : Grid
        Coarse cells.
    window : Window
        Including `HALO` cells on each side, whose result is not to be used.
    elevations_m : ndarray of float32, shape (rows, cols)
        At the cells of the window; NaN where unknown.
    """
    visibility = views.visibility
    frame = visibility.block.frame
    elevations_m = fill_holes(elevations_m, HALO)
    shots = candidates(visibility.footprints, grid, window)
    shape = (len(shots), window.rows, window.cols)
    costs = np.full(shape, np.inf, dtype=np.float32)
    aspects = np.full(shape, np.inf, dtype=np.float32)
    colours = np.empty((*shape, 3), dtype=np.uint8)
    affine = local_affine(frame, grid, window, visibility.surface.mean_m)
    for k, index in enumerate(shots):
        shot = visibility.block.shots[index]
        preview = views.preview(int(index))
        _look(
            view_matrix(shot, affine),
            visibility.lenses[shot.camera],
            shot.rotation[:, 2],
            preview.depths,
            visibility.scale,
            (visibility.tolerance_m, visibility.step_m),
            grid.cell_size_m / THUMBNAIL,
            elevations_m,
            preview.thumbnail,
            aspects[k],
            costs[k],
            colours[k],
        )
    _add_moved(colours, costs)
    useful = np.isfinite(aspects).any(axis=(1, 2))
    return Choice(shots[useful], aspects[useful], _weights(costs[useful]))


def candidates(footprints: Array, grid: Grid, window: Window) -> NDArray[np.intp]:
    """Shots whose footprint touches a window."""
    size = grid.cell_size_m
    west, north = grid.west + window.col * size, grid.north - window.row * size
    east, south = west + window.cols * size, north - window.rows * size
    touches = (footprints[:, 0] < east) & (footprints[:, 2] > west)
    touches &= (footprints[:, 1] < north) & (footprints[:, 3] > south)
    return np.flatnonzero(touches)


@numba.njit(cache=True, nogil=True)
def _add_moved(colours, costs):  # type: ignore[no-untyped-def]
    """Raise costs where a shot's colour is not the median of all; needs three of them."""
    count = costs.shape[0]
    values = np.empty(count)
    seen = np.empty(count, np.int64)
    worst = np.empty(count)
    for row in range(costs.shape[1]):
        for col in range(costs.shape[2]):
            n = 0
            for k in range(count):
                if math.isfinite(costs[k, row, col]):
                    seen[n] = k
                    worst[n] = 0.0
                    n += 1
            if n < 3:
                continue
            for channel in range(3):
                for i in range(n):
                    values[i] = colours[seen[i], row, col, channel]
                ordered = np.sort(values[:n])
                median = (ordered[(n - 1) // 2] + ordered[n // 2]) / 2.0
                for i in range(n):
                    worst[i] = max(worst[i], abs(values[i] - median) / 255.0)
            for i in range(n):
                extra = min(max(worst[i] - _SAME_COLOUR, 0.0), 0.3)
                costs[seen[i], row, col] += _MOVED_COST * extra


def _weights(costs: Float32) -> Float32:
    """Feathered shares of the shots that are cheapest in their surroundings."""
    seen = np.isfinite(costs)
    reach = (2 * _COST_REACH + 1, 2 * _COST_REACH + 1)
    mean = np.empty_like(costs)
    for k in range(len(costs)):
        level = np.where(seen[k], np.minimum(costs[k], _HIDDEN_COST * 5), _HIDDEN_COST * 5)
        mean[k] = cv2.blur(level.astype(np.float32), reach)
    mean[~seen] = np.inf
    if not len(costs):
        return mean
    best = np.where(seen.any(axis=0), mean.argmin(axis=0), -1)
    shares = np.zeros_like(costs)
    for k in np.unique(best[best >= 0]):
        chosen = (best == k).astype(np.float32)
        shares[k] = cv2.GaussianBlur(chosen, (0, 0), _FEATHER_SIGMA) * seen[k]
    shares[shares < 0.02] = 0.0
    return shares / np.maximum(shares.sum(axis=0), np.float32(1e-6))
