"""DSM noise estimated from the ground around a pile, for a surface that states none.

The ground beside the piles, less its own running mean over some metres, is compared with itself at
all distances up to there. Roughness of the ground counts as noise, since a single survey cannot
tell them apart. At longer distances the same holds for the undulation of the ground, which is much
larger than any noise: there a component as large as the short ones together is assumed, reaching as
far as a stereo model does.

References
----------
Marcotte, D. (1996): Fast variogram computation with FFT. Computers & Geosciences 22(10),
1175-1186.

Hugonnet, R. et al. (2022): see `volumetrics.noise`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage, optimize

from volumetrics.base_surface import fit_plane
from volumetrics.errors import InputError
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise, NoiseComponent

_MIN_CELLS = 200
# Ground is taken as even over this distance, and noise as correlated up to the other one.
_LOCAL_M = 5.0
_ASSUMED_RANGE_M = 25.0
_MAX_SIDE = 400
_HIGH_PASS_STEPS = 41
_MAX_FIT_CELLS = 20_000
# Beyond this many sigma a cell is an object on the ground.
_OUTLIER_SIGMAS = 4.0


def estimate_noise(grid: Grid, is_ground: NDArray[np.bool_]) -> DsmNoise:
    """Estimate nested noise components from ground that should be plane.

    Parameters
    ----------
    grid : Grid
    is_ground : ndarray of bool, shape (rows, cols)
        Cells beside the piles.

    Returns
    -------
    DsmNoise
        With as many degrees of freedom as patches of the running mean fit on the ground, but at
        least four.

    Raises
    ------
    InputError
        When there is too little ground.
    """
    usable = is_ground & np.isfinite(grid.elevation_m)
    if int(usable.sum()) < _MIN_CELLS:
        raise InputError(
            f"Only {int(usable.sum())} cells of ground beside the pile are seen, too few to "
            "estimate the surface's noise.",
            "State it in the survey's accuracy.json, or with --noise, e.g. 0.02:0.5,0.01:20.",
        )
    residual = _without_plane(grid, usable)
    if grid.noise_factor is not None:
        residual /= grid.noise_factor
    inlier = usable & (np.abs(residual) <= _OUTLIER_SIGMAS * _spread(residual[usable]))
    residual -= _running_mean(residual, inlier, max(3, round(_LOCAL_M / grid.cell_size_m)))
    inlier &= np.abs(residual) <= _OUTLIER_SIGMAS * _spread(residual[inlier])
    lag_m, semivariance, _ = variogram(residual, inlier, grid.cell_size_m, _LOCAL_M)
    components = fit_components(lag_m, semivariance, grid.cell_size_m, _LOCAL_M)
    seen = DsmNoise(components)
    assumed = NoiseComponent(seen.sigma_m, _ASSUMED_RANGE_M)
    area_m2 = float(inlier.sum()) * grid.cell_area_m2
    dof = max(4.0, area_m2 / (0.25 * math.pi * _LOCAL_M**2))
    return DsmNoise(
        (*components, assumed),
        dof,
        f"estimated on the ground around the pile up to {_LOCAL_M:g} m, assumed as large again "
        f"up to {_ASSUMED_RANGE_M:g} m",
    )


def _running_mean(values: Array, is_valid: NDArray[np.bool_], width: int) -> Array:
    """Mean of the valid cells in a square of ``width`` cells about each cell."""
    total = ndimage.uniform_filter(np.where(is_valid, values, 0.0), width, mode="constant")
    share = ndimage.uniform_filter(is_valid.astype(np.float64), width, mode="constant")
    return np.asarray(total / np.maximum(share, 1e-9))


def _without_plane(grid: Grid, usable: NDArray[np.bool_]) -> Array:
    row, col = np.nonzero(usable)
    every = max(1, row.size // _MAX_FIT_CELLS)
    x, y = grid.x_m(), grid.y_m()
    place = np.column_stack((x[col[::every]], y[row[::every]]))
    plane = fit_plane(place, grid.elevation_m[row[::every], col[::every]])
    height, east, north = plane.coefficients
    trend = height + east * (x - plane.centre_m[0])[None, :]
    return np.asarray(grid.elevation_m - trend - north * (y - plane.centre_m[1])[:, None])


def _spread(values: Array) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) + 1e-12


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
    every = max(1, math.ceil(max(values.shape) / _MAX_SIDE))
    # Every n-th cell, not block means: those would average the short noise away.
    mask = is_valid[::every, ::every].astype(np.float64)
    field = np.where(mask > 0.0, values[::every, ::every], 0.0)
    step_m = cell_size_m * every
    # Far enough that pairs within reach do not meet again around the edge.
    reach = min(math.ceil(longest_m / step_m) + 1, max(field.shape))
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
    return lag[kept] / weight * step_m, half[kept] / weight, weight


def fit_components(
    lag_m: Array, semivariance_m2: Array, shortest_m: float, mean_width_m: float | None = None
) -> tuple[NoiseComponent, ...]:
    """Non-negative mixture of spherical models that fits a variogram best.

    Parameters
    ----------
    lag_m, semivariance_m2 : ndarrays, shape (k,)
    shortest_m : float
        The shortest range to consider.
    mean_width_m : float, optional
        Width of the running mean that was taken off before. It takes a part of the noise along,
        the more the longer its range; the components are those from before.

    Returns
    -------
    tuple of NoiseComponent
        Of the shortest range, then doubling up to the longest lag.
    """
    longest = float(lag_m[-1]) if lag_m.size else shortest_m
    steps = max(1, int(math.log2(max(longest / shortest_m, 2.0))))
    ranges = shortest_m * 2.0 ** np.arange(steps + 1)
    shapes = [_semivariance(float(reach), lag_m, mean_width_m) for reach in ranges]
    # Classes weigh alike: far pairs are many, but not independent of each other.
    variance = optimize.nnls(np.column_stack(shapes), np.maximum(semivariance_m2, 0.0))[0]
    return tuple(
        NoiseComponent(math.sqrt(part), float(reach))
        for part, reach in zip(variance, ranges, strict=True)
        if part > 1e-10
    )


def _semivariance(range_m: float, lag_m: Array, mean_width_m: float | None) -> Array:
    """Semivariance of a component of 1 m² with or without its running mean."""
    if mean_width_m is None:
        return np.asarray(1.0 - NoiseComponent(1.0, range_m).covariance(lag_m))
    curve = _high_pass(range_m, mean_width_m)
    return np.interp(lag_m, np.arange(curve.size) * mean_width_m / _HIGH_PASS_STEPS, curve)


@lru_cache(maxsize=64)
def _high_pass(range_m: float, mean_width_m: float) -> Array:
    """Semivariance of a component of 1 m² less its running mean, in steps along a row.

    Its power spectrum is that of the component times that of one less the mean.
    """
    width = _HIGH_PASS_STEPS
    step_m = mean_width_m / width
    size = fft.next_fast_len(4 * width + 2 * math.ceil(range_m / step_m), real=True)
    lags = np.minimum(np.arange(size), size - np.arange(size))
    distance = np.hypot(lags[:, None], lags[None, :]) * step_m
    power = fft.rfft2(NoiseComponent(1.0, range_m).covariance(distance)).real
    mean = (2 * lags < width) / np.count_nonzero(2 * lags < width)
    passed = (1.0 - fft.rfft2(np.outer(mean, mean)).real) ** 2
    along = fft.irfft2(power * passed, (size, size))[0, : 2 * width]
    return np.asarray(along[0] - along)
