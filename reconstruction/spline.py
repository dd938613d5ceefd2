"""Cubic B-spline interpolation: the pixels of a photo as a smooth function.

Interpolation by local cubics attenuates fine texture depending on the fraction of a pixel, and
matching reads that as a shift of up to 0.03 pixels. Splines through the pixels do it far less.

References
----------
.. [1] M. Unser, "Splines: a perfect fit for signal and image processing", IEEE Signal Processing
   Magazine 16(6), 1999.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_POLE = np.sqrt(3.0) - 2.0
# The pole to this power is below 1e-8.
_REACH = 14


def coefficients_2d(image: NDArray[Any]) -> NDArray[np.float32]:
    """B-spline coefficients of a picture, shape (rows, cols)."""
    out = coefficients_1d(image)
    _filter_down(out)
    return out


def coefficients_1d(image: NDArray[Any]) -> NDArray[np.float32]:
    """B-spline coefficients of every row by itself, shape (rows, cols)."""
    out = image.astype(np.float32)
    _filter_along(out)
    return out


@numba.njit(cache=True, nogil=True)
def _filter_along(values):  # type: ignore[no-untyped-def]
    """Filter each row forwards and backwards, in place."""
    pole = np.float32(_POLE)
    gain = np.float32(6.0)
    rows, cols = values.shape
    for row in range(rows):
        line = values[row]
        first = np.float32(0.0)
        power = np.float32(1.0)
        for k in range(min(_REACH, cols)):
            first += power * line[k]
            power *= pole
        # Mirrored at the ends: what the sum runs over again has the pole's higher powers.
        line[0] = gain * first
        for col in range(1, cols):
            line[col] = gain * line[col] + pole * line[col - 1]
        last = line[cols - 1] + pole * line[max(cols - 2, 0)]
        line[cols - 1] = pole / (pole * pole - np.float32(1.0)) * last
        for col in range(cols - 2, -1, -1):
            line[col] = pole * (line[col + 1] - line[col])


@numba.njit(cache=True, nogil=True)
def _filter_down(values):  # type: ignore[no-untyped-def]
    """Filter each column, in place, all columns at once."""
    pole = np.float32(_POLE)
    gain = np.float32(6.0)
    rows, cols = values.shape
    first = np.zeros(cols, dtype=np.float32)
    power = np.float32(1.0)
    for k in range(min(_REACH, rows)):
        for col in range(cols):
            first[col] += power * values[k, col]
        power *= pole
    for col in range(cols):
        values[0, col] = gain * first[col]
    for row in range(1, rows):
        for col in range(cols):
            values[row, col] = gain * values[row, col] + pole * values[row - 1, col]
    above = max(rows - 2, 0)
    for col in range(cols):
        last = values[rows - 1, col] + pole * values[above, col]
        values[rows - 1, col] = pole / (pole * pole - np.float32(1.0)) * last
    for row in range(rows - 2, -1, -1):
        for col in range(cols):
            values[row, col] = pole * (values[row + 1, col] - values[row, col])


@numba.njit(cache=True, nogil=True, inline="always")
def weights(t):  # type: ignore[no-untyped-def]
    """Weights of the four coefficients around fraction t."""
    sixth = np.float32(1.0 / 6.0)
    s = np.float32(1.0) - t
    t2 = t * t
    s2 = s * s
    return (
        s2 * s * sixth,
        np.float32(2.0 / 3.0) - t2 + np.float32(0.5) * t2 * t,
        np.float32(2.0 / 3.0) - s2 + np.float32(0.5) * s2 * s,
        t2 * t * sixth,
    )


@numba.njit(cache=True, nogil=True, inline="always")
def value_and_slope(before, left, right, after, t):  # type: ignore[no-untyped-def]
    """Value and derivative at fraction t between the middle two of four coefficients.

    As one polynomial in t, which takes fewer multiplications than four weights for each.
    """
    half, third, sixth = np.float32(0.5), np.float32(1.0 / 3.0), np.float32(1.0 / 6.0)
    cubic = (after - before) * sixth + (left - right) * half
    square = (before + right) * half - left
    linear = (right - before) * half
    constant = left + square * third
    value = ((cubic * t + square) * t + linear) * t + constant
    slope = (np.float32(3.0) * cubic * t + np.float32(2.0) * square) * t + linear
    return value, slope
