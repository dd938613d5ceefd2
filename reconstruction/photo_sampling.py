"""Taking colours out of a photo for the cells of a tile: the inner loop of the orthomosaic."""

from __future__ import annotations

import math

import numba
import numpy as np

from reconstruction.projection import project
from reconstruction.visibility import hidden


@numba.njit(cache=True, nogil=True, inline="always")
def _bilinear(values, u, v):  # type: ignore[no-untyped-def]
    col, row = int(u), int(v)
    a, b = u - col, v - row
    above = (1.0 - a) * values[row, col] + a * values[row, col + 1]
    below = (1.0 - a) * values[row + 1, col] + a * values[row + 1, col + 1]
    return (1.0 - b) * above + b * below


@numba.njit(cache=True, nogil=True, inline="always")
def _cubic(t, taps):  # type: ignore[no-untyped-def]
    """Catmull-Rom weights of four neighbours, ``t`` from the second."""
    taps[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    taps[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    taps[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    taps[3] = t * t * (-0.5 + 0.5 * t)


@numba.njit(cache=True, nogil=True, inline="always")
def _tolerance(lens, slack, x, y):  # type: ignore[no-untyped-def]
    """Depth within which a ray stays as close to a plumb line as ``slack`` (a vector) is long."""
    length = math.sqrt(slack[0] ** 2 + slack[1] ** 2 + slack[2] ** 2)
    if length == 0.0:
        return 0.0
    a, b = (x - lens[1]) / lens[0], (y - lens[2]) / lens[0]
    plumb = (a * slack[0] + b * slack[1] + slack[2]) / length
    return length / math.sqrt(max(1.0 + a * a + b * b - plumb * plumb, 1e-12))


@numba.njit(cache=True, nogil=True, inline="always")
def _sample(image, s, t, across, down, colour):  # type: ignore[no-untyped-def]
    """Colour at column ``s``, row ``t`` from the 16 pixels around."""
    left, top = int(s) - 1, int(t) - 1
    _cubic(s - int(s), across)
    _cubic(t - int(t), down)
    for channel in range(3):
        value = 0.0
        for i in range(4):
            line = 0.0
            for j in range(4):
                line += across[j] * image[top + i, left + j, channel]
            value += down[i] * line
        colour[channel] = value


@numba.njit(cache=True, nogil=True)
def accumulate(  # type: ignore[no-untyped-def]
    matrix,
    lens,
    buffer,
    buffer_scale,
    reach,
    slack,
    image,
    image_scale,
    correction,
    elevations_m,
    weights,
    coarse,
    total,
):
    """Add a shot's colour times its share to a tile, where it sees the cell.

    Parameters
    ----------
    matrix : ndarray, shape (3, 4)
        `visibility.view_matrix` of the tile's cells.
    lens : ndarray
        `visibility.lens`.
    buffer, buffer_scale
        Depth buffer of the shot, and its size relative to the photo.
    reach : tuple of float
        ``tolerance_m`` and ``step_m`` of `visibility.hidden`.
    slack : ndarray, shape (3,)
        Up in the camera's axes, as long as a surface may be aside of a cell without hiding it.
    image : ndarray of uint8, shape (rows, cols, 3)
    image_scale : float
        Its size relative to the photo.
    correction : ndarray of float32, shape (steps, 3)
        `exposure.Exposures.correction`.
    elevations_m : ndarray of float32, shape (rows, cols)
        NaN where nothing is to be added.
    weights : ndarray of float32
        Shares on coarse cells.
    coarse : tuple of int
        Tile cells to a coarse cell, and coarse cells before the tile's first.
    total : ndarray of float32, shape (rows, cols, 4)
        Red, green, blue, share; added to.
    """
    rows, cols = elevations_m.shape
    half_x, half_y = lens[9] / 2.0, lens[10] / 2.0
    per_r2 = (len(correction) - 1) / (half_x * half_x + half_y * half_y)
    across, down, colour = np.empty(4), np.empty(4), np.empty(3)
    for row in range(rows):
        v = (row + 0.5) / coarse[0] - 0.5 + coarse[1]
        for col in range(cols):
            if math.isnan(elevations_m[row, col]):
                continue
            share = _bilinear(weights, (col + 0.5) / coarse[0] - 0.5 + coarse[1], v)
            if share < 1e-3:
                continue
            x, y, depth = project(matrix, lens, col, row, elevations_m[row, col])
            if depth == 0.0:
                continue
            s = (x + 0.5) * image_scale - 0.5
            t = (y + 0.5) * image_scale - 0.5
            if not (1.0 <= s < image.shape[1] - 2.0 and 1.0 <= t < image.shape[0] - 2.0):
                continue
            aside = _tolerance(lens, slack, x, y)
            if hidden(buffer, buffer_scale, x, y, depth, reach[0] + aside, reach[1]):
                continue
            _sample(image, s, t, across, down, colour)
            dx, dy = x + 0.5 - half_x, y + 0.5 - half_y
            step = min(int((dx * dx + dy * dy) * per_r2 + 0.5), len(correction) - 1)
            for channel in range(3):
                total[row, col, channel] += share * colour[channel] * correction[step, channel]
            total[row, col, 3] += share
