"""Which photo shows which piece of ground: seams that are few, and run where nobody sees them.

The choice is made on coarse cells. Each photo gets a cost there: small where it looks straight
down, in the middle of the image, with fine pixels, and where its colour agrees with the other
photos (what moved does not). Costs are averaged over a neighbourhood, so that the cheapest photo
is the same over large areas, and all of it depends on the near surroundings only: tiles that are
worked out independently fit together without a seam of their own.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.exposure import THUMBNAIL
from reconstruction.photo_views import PhotoViews
from reconstruction.rasters import Grid
from reconstruction.visibility import (
    Array,
    Float32,
    Window,
    fill_holes,
    hidden,
    local_affine,
    project,
    view_matrix,
)

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
    costs : ndarray of float32, shape (k, rows, cols)
        Infinite where a shot does not see the cell.
    weights : ndarray of float32, shape (k, rows, cols)
        Shares of the shots; 0 for most. They add up to 1 where any shot sees the ground.
    """

    shots: NDArray[np.intp]
    costs: Float32
    weights: Float32


@numba.njit(cache=True, nogil=True)
def _look(  # type: ignore[no-untyped-def]
    matrix, lens, up, buffer, scale, reach, cell_px, elevations_m, thumbnail, costs, colours
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
                or hidden(buffer, scale, x, y, depth, reach[0], reach[1])
            ):
                continue
            a, b = (x - lens[1]) / lens[0], (y - lens[2]) / lens[0]
            cosine = -(a * up[0] + b * up[1] + up[2]) / np.sqrt(1.0 + a * a + b * b)
            edge = max(abs(2.0 * x / lens[9] - 1.0), abs(2.0 * y / lens[10] - 1.0))
            coarseness = max(0.0, np.log2(depth / (lens[0] * cell_px)))
            costs[row, col] = 2.0 * (1.0 - cosine) + 0.1 * edge**8 + 0.2 * coarseness
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
    shots = _candidates(visibility.footprints, grid, window)
    shape = (len(shots), window.rows, window.cols)
    costs = np.full(shape, np.inf, dtype=np.float32)
    colours = np.full((*shape, 3), np.nan, dtype=np.float32)
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
            costs[k],
            colours[k],
        )
    costs += _moved(colours)
    useful = np.isfinite(costs).any(axis=(1, 2))
    return Choice(shots[useful], costs[useful], _weights(costs[useful]))


def _candidates(footprints: Array, grid: Grid, window: Window) -> NDArray[np.intp]:
    """Shots whose footprint touches a window."""
    size = grid.cell_size_m
    west, north = grid.west + window.col * size, grid.north - window.row * size
    east, south = west + window.cols * size, north - window.rows * size
    touches = (footprints[:, 0] < east) & (footprints[:, 2] > west)
    touches &= (footprints[:, 1] < north) & (footprints[:, 3] > south)
    return np.flatnonzero(touches)


def _moved(colours: Float32) -> Float32:
    """Extra cost where a shot's colour is not that of the others; needs three of them."""
    count = np.isfinite(colours[..., 0]).sum(axis=0)
    if len(colours) < 3:
        return np.zeros(colours.shape[:3], np.float32)
    order = np.sort(colours, axis=0)
    middle = np.maximum(count - 1, 0)[None, ..., None]
    low = np.take_along_axis(order, middle // 2, axis=0)
    high = np.take_along_axis(order, (middle + 1) // 2, axis=0)
    difference = np.abs(colours - (low + high) / 2).max(axis=3) / 255.0
    extra = _MOVED_COST * np.clip(difference - _SAME_COLOUR, 0.0, 0.3)
    return np.where((count >= 3) & np.isfinite(extra), extra, 0.0).astype(np.float32)


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
