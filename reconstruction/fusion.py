"""One elevation a cell from the many that stereo pairs give.

The values of a cell are sorted and parted where they break. The highest group that has far more
pairs than any below it is the visible surface; within it a median and a clipped weighted mean give
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
# An upper group must have so many times the pairs of any below it. Matching makes objects fat,
# whatever sigma it states, while a pair that shows the ground has looked through what stands there.
_UPPER_SHARE = 2.0
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
    noise_m : ndarray of float32, shape (rows, cols)
        A sample of the elevation's noise: what pairs within the one half of the photos give
        minus what those within the other half give, scaled to the variance of
        the elevation; NaN where one half has none.
    """

    elevation_m: Layer
    spread_m: Layer
    sigma_m: Layer
    count: NDArray[np.uint8]
    rgb: NDArray[np.uint8]
    noise_m: Layer


def fuse(
    elevations_m: Layer,
    sigmas_m: Layer,
    colors: NDArray[np.uint8],
    photos: NDArray[np.int64],
    halves: NDArray[np.int8],
    cell_size_m: float,
) -> FusedCells:
    """Fuse the surfaces of several pairs.

    Parameters
    ----------
    elevations_m, sigmas_m : ndarray of float32, shape (pairs, rows, cols)
        NaN elevations for none; sigma as the match sees it.
    colors : ndarray of uint8, shape (pairs, rows, cols, 3)
    photos : ndarray of int, shape (pairs, 2)
        Numbers of the pairs' photos.
    halves : ndarray of int8, shape (pairs,)
        0 or 1 for pairs within one half of the photos, -1 for others.
    cell_size_m : float

    Returns
    -------
    FusedCells
        Cells where fewer than two pairs agree are holes.
    """
    rows, cols = elevations_m.shape[1:]
    numbers, photos = np.unique(photos, return_inverse=True)
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
        photos.reshape(-1, 2),
        halves,
        np.zeros(len(numbers), dtype=np.int64),
        np.float32(cell_size_m),
        fused.elevation_m,
        fused.spread_m,
        fused.sigma_m,
        fused.count,
        fused.rgb,
        fused.noise_m,
    )
    return fused


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fuse(  # type: ignore[no-untyped-def]
    z, s, colors, photos, halves, stamps, cell, elevation, spread, sigma, count, rgb, noise
):
    pairs, rows, cols = z.shape
    # Reused for all cells: there are millions, and memory would cost more than the arithmetic.
    v, g = np.empty((2, pairs), dtype=np.float32)
    w, away, scratch = np.empty((3, pairs), dtype=np.float64)
    who = np.empty(pairs, dtype=np.int64)
    for row in range(rows):
        for col in range(cols):
            n = _sorted_values(z[:, row, col], s[:, row, col], v, g, who)
            if n < MIN_PAIRS:
                continue
            typical = _median(g[:n], scratch)
            for i in range(n):
                bounded = min(max(g[i], np.float32(0.5) * typical), np.float32(3.0) * typical)
                w[i] = 1.0 / (bounded * bounded)
            first, last = _upper_group(v[:n], _BREAK_SIGMAS * typical + _BREAK_CELLS * cell)
            if last - first < MIN_PAIRS:
                continue
            first, last = _clip(v, first, last, typical, away, scratch)
            weight = shift = square = 0.0
            for i in range(first, last):
                weight += w[i]
                shift += w[i] * (v[i] - v[first])
            mean = shift / weight + v[first]
            used = last - first
            for i in range(first, last):
                square += w[i] * (v[i] - mean) ** 2
            variance = square / weight
            noise[row, col], independent = _noise(
                v, w, who[first:last], photos, halves, stamps, first, last
            )
            elevation[row, col] = mean
            spread[row, col] = np.sqrt(variance * used / (used - 1))
            # What the pairs say of each other, tempered by what each match says of itself.
            sigma[row, col] = np.sqrt((variance + used / weight) / independent)
            count[row, col] = min(used, 255)
            for band in range(3):
                total = np.float32(0.0)
                for i in range(first, last):
                    total += w[i] * colors[who[i], row, col, band]
                rgb[row, col, band] = np.uint8(total / weight + np.float32(0.5))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sorted_values(z, s, values, sigmas, owner):  # type: ignore[no-untyped-def]
    """Put a cell's values in order, with their sigmas and pairs; the number of them."""
    n = 0
    for k in range(len(z)):
        if np.isnan(z[k]):
            continue
        i = n
        while i > 0 and values[i - 1] > z[k]:
            values[i], sigmas[i], owner[i] = values[i - 1], sigmas[i - 1], owner[i - 1]
            i -= 1
        values[i], sigmas[i], owner[i] = z[k], s[k], k
        n += 1
    return n


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _median(values, scratch):  # type: ignore[no-untyped-def]
    """Of a few values."""
    n = len(values)
    for k in range(n):
        i = k
        while i > 0 and scratch[i - 1] > values[k]:
            scratch[i] = scratch[i - 1]
            i -= 1
        scratch[i] = values[k]
    return 0.5 * (scratch[(n - 1) // 2] + scratch[n // 2])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _upper_group(v, gap):  # type: ignore[no-untyped-def]
    """Bounds of the highest group of sorted values that is well supported."""
    n = len(v)
    first = last = start = most = 0
    for i in range(1, n + 1):
        if i == n or v[i] - v[i - 1] > gap:
            count = i - start
            if count >= MIN_PAIRS:
                if count >= _UPPER_SHARE * most:
                    first, last = start, i
                most = max(most, count)
            start = i
    return first, last


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _clip(v, first, last, typical, away, scratch):  # type: ignore[no-untyped-def]
    """Bounds without the values far from the median of the group, which is sorted."""
    middle = 0.5 * (v[(first + last - 1) // 2] + v[(first + last) // 2])
    for i in range(first, last):
        away[i] = abs(v[i] - middle)
    limit = _CLIP * max(
        np.float32(1.4826) * _median(away[first:last], scratch), np.float32(typical)
    )
    low, high = first, last
    while high - low > MIN_PAIRS and middle - v[low] > limit:
        low += 1
    while high - low > MIN_PAIRS and v[high - 1] - middle > limit:
        high -= 1
    return low, high


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _noise(v, w, who, photos, halves, stamps, first, last):  # type: ignore[no-untyped-def]
    """A sample of the mean's noise, and the number of independent parallaxes behind the mean.

    ``n`` pairs between ``p`` photos are no more than ``p - 1`` independent measurements. The
    difference of the halves' means has the variance of both means together; it is scaled to that
    of the mean of all pairs.
    """
    sums = np.zeros(3, dtype=np.float64)
    weights = np.zeros(3, dtype=np.float64)
    counts = np.zeros(3, dtype=np.int64)
    for i in range(first, last):
        half = halves[who[i - first]]
        sums[half] += w[i] * (v[i] - v[first])
        weights[half] += w[i]
        counts[half] += 1
    used = last - first
    independent = min(used, max(_photo_count(who, photos, halves, stamps, -1) - 1, 1))
    if counts[0] == 0 or counts[1] == 0:
        return np.float32(np.nan), independent
    own = np.zeros(2, dtype=np.float64)
    for half in range(2):
        fresh = min(counts[half], _photo_count(who, photos, halves, stamps, half) - 1)
        own[half] = weights[half] * fresh / counts[half]
    together = weights.sum() * independent / used
    ratio = (1.0 / together) / (1.0 / own[0] + 1.0 / own[1])
    difference = sums[0] / weights[0] - sums[1] / weights[1]
    return np.float32(difference * np.sqrt(ratio)), independent


@numba.njit(cache=True, nogil=True)
def _photo_count(who, photos, halves, stamps, half):  # type: ignore[no-untyped-def]
    """Number of photos in the pairs of one half, or in all of them (half -1)."""
    count = 0
    stamps[:] = 0
    for pair in who:
        if half >= 0 and halves[pair] != half:
            continue
        for photo in photos[pair]:
            count += 1 - stamps[photo]
            stamps[photo] = 1
    return count
