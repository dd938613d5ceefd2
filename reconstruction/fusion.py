"""One elevation a cell from the many that stereo pairs give.

The values of a cell are sorted and parted where they break. Of the groups that enough pairs
support, the highest is the visible surface; within it a median and a clipped weighted mean give
the elevation. So neither a single spike nor the mean of a wall's top and bottom gets in, and the
order of the pairs cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

Layer = NDArray[np.float32]

# Values of one cell that are farther apart than this many sigma belong to different surfaces.
_BREAK_SIGMAS = 4.0
_BREAK_CELLS = 0.6
# The highest group must have this share of the best supported group's weight.
_UPPER_SHARE = 0.4
_CLIP = 3.0
MIN_PAIRS = 2


@dataclass(frozen=True)
class FusedCells:
    """The surface of a window of cells; NaN (and 0) where it is not known.

    Parameters
    ----------
    elevation_m, spread_m, sigma_m : ndarray of float32, shape (rows, cols)
        The elevation; one standard deviation of the single matches; and that of the elevation.
    count : ndarray of uint8, shape (rows, cols)
        Matches that agree.
    rgb : ndarray of uint8, shape (rows, cols, 3)
    half_difference_m : ndarray of float32, shape (rows, cols)
        Elevation from pairs within the one half of the photos minus that from the other half;
        NaN where one has none.
    """

    elevation_m: Layer
    spread_m: Layer
    sigma_m: Layer
    count: NDArray[np.uint8]
    rgb: NDArray[np.uint8]
    half_difference_m: Layer


def fuse(
    elevations_m: Layer,
    sigmas_m: Layer,
    colors: NDArray[np.uint8],
    halves: NDArray[np.int8],
    cell_size_m: float,
) -> FusedCells:
    """Fuse the surfaces of several pairs.

    Parameters
    ----------
    elevations_m, sigmas_m : ndarray of float32, shape (pairs, rows, cols)
        NaN elevations for none; sigma as the match sees it.
    colors : ndarray of uint8, shape (pairs, rows, cols, 3)
    halves : ndarray of int8, shape (pairs,)
        0 or 1 for pairs within one half of the photos, -1 for others.
    cell_size_m : float

    Returns
    -------
    FusedCells
        Cells where fewer than two pairs agree are holes.
    """
    rows, cols = elevations_m.shape[1:]
    fused = FusedCells(
        np.full((rows, cols), np.nan, dtype=np.float32),
        np.full((rows, cols), np.nan, dtype=np.float32),
        np.full((rows, cols), np.nan, dtype=np.float32),
        np.zeros((rows, cols), dtype=np.uint8),
        np.zeros((rows, cols, 3), dtype=np.uint8),
        np.full((rows, cols), np.nan, dtype=np.float32),
    )
    _fuse(
        elevations_m,
        sigmas_m,
        colors,
        halves,
        np.float32(cell_size_m),
        fused.elevation_m,
        fused.spread_m,
        fused.sigma_m,
        fused.count,
        fused.rgb,
        fused.half_difference_m,
    )
    return fused


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fuse(  # type: ignore[no-untyped-def]
    z, s, colors, halves, cell, elevation, spread, sigma, count, rgb, difference
):
    pairs, rows, cols = z.shape
    values = np.empty(pairs, dtype=np.float32)
    sigmas = np.empty(pairs, dtype=np.float32)
    owner = np.empty(pairs, dtype=np.int64)
    for row in range(rows):
        for col in range(cols):
            n = 0
            for k in range(pairs):
                if not np.isnan(z[k, row, col]):
                    values[n] = z[k, row, col]
                    sigmas[n] = s[k, row, col]
                    owner[n] = k
                    n += 1
            if n < MIN_PAIRS:
                continue
            order = np.argsort(values[:n], kind="mergesort")
            v, g, who = values[:n][order], sigmas[:n][order], owner[:n][order]
            typical = np.median(g)
            g = np.minimum(np.maximum(g, np.float32(0.5) * typical), np.float32(3.0) * typical)
            w = np.float32(1.0) / (g * g)
            first, last = _upper_group(v, w, _BREAK_SIGMAS * typical + _BREAK_CELLS * cell)
            if last - first < MIN_PAIRS:
                continue
            first, last = _clip(v, first, last, typical)
            weight = w[first:last].sum()
            mean = (w[first:last] * (v[first:last] - v[first])).sum() / weight + v[first]
            used = last - first
            variance = (w[first:last] * (v[first:last] - mean) ** 2).sum() / weight
            elevation[row, col] = mean
            spread[row, col] = np.sqrt(variance * used / (used - 1))
            # Pairs share photos: about half of them bring independent news.
            sigma[row, col] = np.sqrt((variance + 1.0 / weight * used) / max(0.5 * used, 1.0))
            count[row, col] = min(used, 255)
            for band in range(3):
                total = np.float32(0.0)
                for i in range(first, last):
                    total += w[i] * colors[who[i], row, col, band]
                rgb[row, col, band] = np.uint8(total / weight + np.float32(0.5))
            difference[row, col] = _half_difference(v, w, who, halves, first, last)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _upper_group(v, w, gap):  # type: ignore[no-untyped-def]
    """Bounds of the highest group of sorted values that is well supported."""
    n = len(v)
    best = np.float32(0.0)
    start = 0
    for i in range(1, n + 1):
        if i == n or v[i] - v[i - 1] > gap:
            if i - start >= MIN_PAIRS:
                best = max(best, w[start:i].sum())
            start = i
    end = n
    for i in range(n - 1, -1, -1):
        if i == 0 or v[i] - v[i - 1] > gap:
            if end - i >= MIN_PAIRS and w[i:end].sum() >= _UPPER_SHARE * best:
                return i, end
            end = i
    return 0, 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _clip(v, first, last, typical):  # type: ignore[no-untyped-def]
    """Bounds without the values far from the median of the group."""
    middle = np.median(v[first:last])
    limit = _CLIP * max(
        np.float32(1.4826) * np.median(np.abs(v[first:last] - middle)), np.float32(typical)
    )
    low, high = first, last
    while high - low > MIN_PAIRS and middle - v[low] > limit:
        low += 1
    while high - low > MIN_PAIRS and v[high - 1] - middle > limit:
        high -= 1
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _half_difference(v, w, who, halves, first, last):  # type: ignore[no-untyped-def]
    sums = np.zeros(2, dtype=np.float64)
    weights = np.zeros(2, dtype=np.float64)
    for i in range(first, last):
        half = halves[who[i]]
        if half >= 0:
            sums[half] += w[i] * (v[i] - v[first])
            weights[half] += w[i]
    if weights[0] == 0.0 or weights[1] == 0.0:
        return np.float32(np.nan)
    return np.float32(sums[0] / weights[0] - sums[1] / weights[1])
