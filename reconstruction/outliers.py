"""Outliers of a point cloud: points that have no company."""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

# Neighbours are counted in cubes of this many mean point distances.
_NEIGHBOURHOOD = 6.0
# The cubes of a tile are counted in an array of at most this many to a side, and so many high.
_MOST_CELLS = 400
_LAYERS = 128


def regular(offsets: NDArray[np.float32], sparse_share: float) -> NDArray[np.bool_]:
    """Which points have company.

    Points are counted in cubes a few point distances wide, together with the 26 cubes around: on
    a surface that is some tens of points, around a mismatch in the air hardly any.

    Parameters
    ----------
    offsets : ndarray of float32, shape (n, 3)
        Metres.
    sparse_share : float
        Of the median count; points with fewer are not regular.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if len(offsets) < 3 or sparse_share == 0.0:
        return np.ones(len(offsets), dtype=np.bool_)
    low = offsets.min(axis=0)
    span = _span_m(offsets)
    size = max(_NEIGHBOURHOOD * spacing_m(offsets), float(span[:2].max()) / _MOST_CELLS)
    bottom = np.array([low[0], low[1], np.median(offsets[::16, 2]) - size * _LAYERS / 2])
    cells = (math.ceil(span[0] / size) + 3, math.ceil(span[1] / size) + 3, _LAYERS)
    counts = _count(offsets, bottom, size, np.zeros(cells, dtype=np.int32))
    result: NDArray[np.bool_] = counts >= sparse_share * np.median(counts[::16])
    return result


def spacing_m(offsets: NDArray[np.float32]) -> float:
    """Mean distance of points of a surface, as if they covered the rectangle around them."""
    east_m, north_m, _ = _span_m(offsets)
    return math.sqrt(east_m * north_m / len(offsets))


def _span_m(offsets: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.maximum(np.ptp(offsets, axis=0), 1e-3).astype(np.float64)


@numba.njit(cache=True, nogil=True, inline="always")
def _cell(offset, bottom, size, last):  # type: ignore[no-untyped-def]
    return min(max(int((offset - bottom) / size) + 1, 1), last)


@numba.njit(cache=True, nogil=True)
def _count(offsets, bottom, size, cubes):  # type: ignore[no-untyped-def]
    """For each point, how many are in its cube and the 26 around it.

    What is higher or lower than the cubes reach counts in the last layer.
    """
    last = (cubes.shape[0] - 2, cubes.shape[1] - 2, cubes.shape[2] - 2)
    for i in range(len(offsets)):
        x = _cell(offsets[i, 0], bottom[0], size, last[0])
        y = _cell(offsets[i, 1], bottom[1], size, last[1])
        z = _cell(offsets[i, 2], bottom[2], size, last[2])
        cubes[x, y, z] += 1
    around = np.zeros(cubes.shape, np.int32)
    found = np.empty(len(offsets), np.int32)
    for i in range(len(offsets)):
        x = _cell(offsets[i, 0], bottom[0], size, last[0])
        y = _cell(offsets[i, 1], bottom[1], size, last[1])
        z = _cell(offsets[i, 2], bottom[2], size, last[2])
        if around[x, y, z] == 0:
            around[x, y, z] = cubes[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].sum()
        found[i] = around[x, y, z]
    return found
