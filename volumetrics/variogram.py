"""Variograms of gridded values, and the nested components that they are made of.

References
----------
Marcotte, D. (1996): Fast variogram computation with FFT. Computers & Geosciences 22(10),
1175-1186.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import fft, optimize

from volumetrics.grid import Array
from volumetrics.noise import NoiseComponent


def variogram(
    values: Array, is_valid: NDArray[np.bool_], cell_size_m: float, longest_m: float
) -> tuple[Array, Array, Array]:
    """Semivariance of all pairs of valid cells, by distance.

    Parameters
    ----------
    values : ndarray, shape (rows, cols)
    is_valid : ndarray of bool, shape (rows, cols)
    cell_size_m : float
    longest_m : float
        Pairs farther apart are left out.

    Returns
    -------
    lag_m, semivariance_m2, pairs : ndarrays, shape (k,)
        Mean distance, semivariance and number of pairs of each class; classes widen with
        distance.
    """
    mask = is_valid.astype(np.float64)
    field = np.where(is_valid, values, 0.0)
    # Far enough that pairs within reach do not meet again around the edge.
    reach = min(math.ceil(longest_m / cell_size_m) + 1, max(field.shape))
    shape = [fft.next_fast_len(side + reach, real=True) for side in field.shape]

    mask_wave, field_wave, square_wave = (
        fft.rfft2(part, shape) for part in (mask, field, field**2)
    )
    pairs = np.rint(fft.irfft2(np.abs(mask_wave) ** 2, shape))
    # Pairs count in both directions, so the two mixed terms are one doubled real part.
    mixed = (np.conj(mask_wave) * square_wave).real
    gamma = fft.irfft2(mixed - np.abs(field_wave) ** 2, shape)
    rows, cols = (np.minimum(np.arange(side), side - np.arange(side)) for side in shape)
    distance = np.hypot(rows[:, None], cols[None, :])
    edges = np.unique(np.concatenate(([0.5], 1.5 * 1.35 ** np.arange(40))))
    edges = edges[edges <= reach]
    number = np.digitize(distance, edges)
    chosen = (pairs > 0.0) & (number > 0) & (number < len(edges))
    count = np.bincount(number[chosen], weights=pairs[chosen], minlength=len(edges))
    lag = np.bincount(number[chosen], weights=(distance * pairs)[chosen], minlength=len(edges))
    half = np.bincount(number[chosen], weights=gamma[chosen], minlength=len(edges))
    kept = count > 0.0
    weight: Array = count[kept].astype(np.float64)
    return lag[kept] / weight * cell_size_m, half[kept] / weight, weight


def fit_components(
    lag_m: Array, semivariance_m2: Array, shortest_m: float
) -> tuple[NoiseComponent, ...]:
    """Non-negative mixture of spherical models that fits a variogram best.

    Parameters
    ----------
    lag_m, semivariance_m2 : ndarrays, shape (k,)
    shortest_m : float
        The shortest range to consider.

    Returns
    -------
    tuple of NoiseComponent
        Of the shortest range, then doubling up to the longest lag.
    """
    longest = float(lag_m[-1]) if lag_m.size else shortest_m
    steps = max(1, int(math.log2(max(longest / shortest_m, 2.0))))
    ranges = shortest_m * np.exp2(np.arange(steps + 1, dtype=np.float64))
    shapes = [1.0 - NoiseComponent(1.0, float(reach)).covariance(lag_m) for reach in ranges]
    return mixture(shapes, semivariance_m2, ranges)


def mixture(
    shapes: list[Array], semivariance_m2: Array, ranges_m: Array
) -> tuple[NoiseComponent, ...]:
    """Components of the first shapes in the non-negative mixture of all that fits best."""
    # Classes weigh alike: far pairs are many, but not independent of each other.
    variance = optimize.nnls(np.column_stack(shapes), np.maximum(semivariance_m2, 0.0))[0]
    return tuple(
        NoiseComponent(math.sqrt(part), float(reach))
        for part, reach in zip(variance, ranges_m, strict=False)
        if part > 1e-10
    )
