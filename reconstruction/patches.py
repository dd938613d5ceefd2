"""Patches: a small window of one photo found again in another to a fraction of a pixel (numba).

References
----------
.. [1] W. Foerstner, "On the geometric precision of digital correlation", International Archives of
   Photogrammetry 24(3), 1982.
"""

from __future__ import annotations

import numba
import numpy as np

_ITERATIONS = 12
_STILL_PX = 0.01
_LEAST_CONTRAST = 0.5  # standard deviation of grey values: below it only rounding is left
_LEAST_CORNER = 1e-3  # determinant over squared trace of the gradients: an edge slides along itself


@numba.njit(cache=True, nogil=True, inline="always")
def _sample(image, x, y):  # type: ignore[no-untyped-def]
    """Bilinear grey value; NaN outside."""
    rows, columns = image.shape
    if not (x >= 0.0 and y >= 0.0 and x < columns - 1 and y < rows - 1):
        return np.nan
    column, row = int(x), int(y)
    a, b = x - column, y - row
    upper = (1.0 - a) * image[row, column] + a * image[row, column + 1]
    lower = (1.0 - a) * image[row + 1, column] + a * image[row + 1, column + 1]
    return (1.0 - b) * upper + b * lower


@numba.njit(cache=True, nogil=True)
def cut(image, pixels, half, patches):  # type: ignore[no-untyped-def]
    """Standardised patches (n, size, size) around pixels (n, 2); NaN where there is no contrast.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, cols)
    pixels : ndarray, shape (n, 2)
    half : int
        ``size`` is ``2 * half + 1``.
    patches : ndarray of float32, shape (n, size, size)
        Output: mean 0, standard deviation 1.
    """
    size = 2 * half + 1
    for index in range(len(pixels)):
        for row in range(size):
            for column in range(size):
                patches[index, row, column] = _sample(
                    image, pixels[index, 0] + column - half, pixels[index, 1] + row - half
                )
        spread = patches[index].std()
        if spread >= _LEAST_CONTRAST:
            patches[index] = (patches[index] - patches[index].mean()) / spread
        else:
            patches[index] = np.nan


@numba.njit(cache=True, nogil=True)
def find(image, patches, warps, starts, reach, least_likeness, found, noise):  # type: ignore[no-untyped-def]
    """Where patches lie in another photo, by least squares with free brightness and contrast.

    Parameters
    ----------
    image : ndarray of float32, shape (rows, cols)
    patches : ndarray of float32, shape (n, size, size)
        From `cut`.
    warps : ndarray, shape (n, 2, 2)
        Steps in this photo by steps in the patch.
    starts : ndarray, shape (n, 2)
    reach : float
        Farthest from its start that a patch may be found, pixels.
    least_likeness : float
        Least correlation of a patch with what is found.
    found : ndarray, shape (n, 2)
        Output: pixels, NaN where the patch is not there.
    noise : ndarray, shape (n,)
        Output: standard deviation of a coordinate of what was found, pixels, by how much is left
        between patch and photo and by the patch's gradients [1]_, as if pixels were independent.
    """
    size = patches.shape[1]
    values = np.empty((3, size * size))
    for index in range(len(starts)):
        found[index] = np.nan
        x, y = starts[index, 0], starts[index, 1]
        for _ in range(_ITERATIONS):
            likeness, right, down, sigma = _step(image, patches[index], warps[index], x, y, values)
            x += right
            y += down
            # Also turns NaN away.
            if not (abs(x - starts[index, 0]) + abs(y - starts[index, 1]) < reach):
                break
            if abs(right) + abs(down) < _STILL_PX:
                if likeness >= least_likeness:
                    found[index, 0], found[index, 1] = x, y
                    noise[index] = sigma
                break


@numba.njit(cache=True, nogil=True)
def _step(image, patch, warp, x, y, values):  # type: ignore[no-untyped-def]
    """Correlation here, the step that lessens the difference most and its noise; NaN for none."""
    half = patch.shape[0] // 2
    at = 0
    for row in range(-half, half + 1):
        for column in range(-half, half + 1):
            px = x + warp[0, 0] * column + warp[0, 1] * row
            py = y + warp[1, 0] * column + warp[1, 1] * row
            values[0, at] = _sample(image, px, py)
            values[1, at] = 0.5 * (_sample(image, px + 1.0, py) - _sample(image, px - 1.0, py))
            values[2, at] = 0.5 * (_sample(image, px, py + 1.0) - _sample(image, px, py - 1.0))
            at += 1
    for line in range(3):
        values[line] -= values[line].mean()
    spread = values[0].std()
    xx = (values[1] * values[1]).sum()
    xy = (values[1] * values[2]).sum()
    yy = (values[2] * values[2]).sum()
    determinant = xx * yy - xy * xy
    # Also turns NaN away.
    if not (spread >= _LEAST_CONTRAST and determinant > _LEAST_CORNER * (xx + yy) ** 2):
        return np.nan, np.nan, np.nan, np.nan
    template = patch.ravel()
    likeness = (template * values[0]).mean() / spread
    difference = spread * template - values[0]
    right, down = (values[1] * difference).sum(), (values[2] * difference).sum()
    return (
        likeness,
        (yy * right - xy * down) / determinant,
        (xx * down - xy * right) / determinant,
        np.sqrt((difference * difference).mean() * (xx + yy) / (2.0 * determinant)),
    )
