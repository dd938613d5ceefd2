"""DSM noise estimated from the ground around a pile, for a surface that states none.

The ground beside the piles, less its own trend over some metres, is compared with itself at all
distances up to there. What it shows is noise and the undulation of the ground. They differ in
how they begin: noise is rough, its semivariance rises linearly from the smallest distances (the
spherical model), and the ground rolls smoothly, so its semivariance starts as a parabola (the
Gaussian model). Both are fitted together, and the undulation is left out. Roughness of the ground
counts as noise, since a single survey cannot tell them apart.

At longer distances even that is impossible: there a component as large as the seen ones together
is assumed, reaching as far as a stereo model does.

References
----------
Chilès, J.-P., Delfiner, P. (2012): Geostatistics, 2nd ed., section 2.3, behaviour at the origin.

Hugonnet, R. et al. (2022): see `volumetrics.noise`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from volumetrics.base_surface import fit_plane
from volumetrics.errors import InputError
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.relative_noise import Patch
from volumetrics.variogram import mixture, variogram

_MIN_CELLS = 200
# Noise and ground are told apart up to this distance; farther noise is assumed up to the other one.
_LOCAL_M = 7.0
_ASSUMED_RANGE_M = 25.0
# Ranges of the ground's waves, in local distances; shorter ones would take noise for ground.
_WAVES = (1.0, 2.0, 4.0)
_MAX_SIDE = 400
_HIGH_PASS_STEPS = 41
_MAX_FIT_CELLS = 20_000
# Beyond this many sigma a cell is an object on the ground.
_OUTLIER_SIGMAS = 4.0


def estimate_noise(patches: Iterable[Patch]) -> DsmNoise:
    """Estimate nested noise components from the ground beside piles.

    Parameters
    ----------
    patches : iterable of Patch
        Of one survey.

    Returns
    -------
    DsmNoise
        With as many degrees of freedom as pieces of the local trend fit on the ground, but at
        least four.

    Raises
    ------
    InputError
        When there is too little ground.
    """
    count, area_m2, step_m = 0, 0.0, 0.0
    lags, semivariances = [np.zeros(0)], [np.zeros(0)]
    for patch in patches:
        grid, usable = _thinned(patch)
        count += int(usable.sum())
        if usable.sum() < _MIN_CELLS:
            continue
        residual, is_ground = _residual(grid, usable)
        lag_m, semivariance, _ = variogram(residual, is_ground, grid.cell_size_m, _LOCAL_M)
        lags.append(lag_m)
        semivariances.append(semivariance)
        area_m2 += float(is_ground.sum()) * grid.cell_area_m2
        step_m = max(step_m, grid.cell_size_m)
    if not area_m2:
        raise InputError(
            f"Only {count} cells of ground beside the piles are seen, too few to estimate the "
            "surface's noise.",
            "State it in the survey's accuracy.json, or with --noise, e.g. 0.02:0.5,0.01:20.",
        )
    components = _rough_components(np.concatenate(lags), np.concatenate(semivariances), step_m)
    assumed = NoiseComponent(DsmNoise(components).sigma_m, _ASSUMED_RANGE_M)
    return DsmNoise(
        (*components, assumed),
        max(4.0, area_m2 / (0.25 * math.pi * _LOCAL_M**2)),
        f"estimated on the ground around the piles up to {_LOCAL_M:g} m, assumed as large again "
        f"up to {_ASSUMED_RANGE_M:g} m",
    )


def _thinned(patch: Patch) -> tuple[Grid, NDArray[np.bool_]]:
    """Every n-th cell of a large patch, with its ground."""
    grid = patch.grid
    every = max(1, math.ceil(max(grid.elevation_m.shape) / _MAX_SIDE))
    # Not block means: those would average the short noise away.
    factor = grid.noise_factor
    few = Grid(
        grid.elevation_m[::every, ::every],
        grid.west_m,
        grid.north_m,
        every * grid.cell_size_m,
        None if factor is None else factor[::every, ::every],
    )
    return few, patch.is_ground[::every, ::every] & np.isfinite(few.elevation_m)


def _residual(grid: Grid, usable: NDArray[np.bool_]) -> tuple[Array, NDArray[np.bool_]]:
    """Departures of the ground from its local trend, and which cells are ground."""
    residual = _without_plane(grid, usable)
    if grid.noise_factor is not None:
        residual /= grid.noise_factor
    is_ground = usable & (np.abs(residual) <= _OUTLIER_SIGMAS * _spread(residual[usable]))
    residual -= _local_trend(residual, is_ground, max(3, round(_LOCAL_M / grid.cell_size_m)))
    is_ground &= np.abs(residual) <= _OUTLIER_SIGMAS * _spread(residual[is_ground])
    return residual, is_ground


def _local_trend(values: Array, is_valid: NDArray[np.bool_], width: int) -> Array:
    """The plane through the valid cells in a square of ``width`` cells about each cell.

    A running mean would turn the slope of the ground into steps beside piles, where only one side
    of the square is ground.
    """
    weight = is_valid.astype(np.float64)
    known = np.where(is_valid, values, 0.0)
    rows, cols = values.shape
    # In widths, so that a small regularisation is one of slopes that nothing determines.
    x, y = np.arange(cols)[None, :] / width, np.arange(rows)[:, None] / width

    def mean(field: Array) -> Array:
        return ndimage.uniform_filter(field, width, mode="constant")

    share = np.maximum(mean(weight), 1e-9)
    mx, my, mz = (mean(weight * f) / share for f in (x, y, known))
    xx = mean(weight * x * x) / share - mx * mx + 1e-3
    yy = mean(weight * y * y) / share - my * my + 1e-3
    xy = mean(weight * x * y) / share - mx * my
    xz = mean(known * x) / share - mx * mz
    yz = mean(known * y) / share - my * mz
    determinant = xx * yy - xy * xy
    east, south = (xz * yy - yz * xy) / determinant, (yz * xx - xz * xy) / determinant
    return np.asarray(mz + east * (x - mx) + south * (y - my))


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


def _rough_components(
    lag_m: Array, semivariance_m2: Array, shortest_m: float
) -> tuple[NoiseComponent, ...]:
    """The spherical part of a variogram of residuals from a local trend."""
    steps = max(1, round(math.log2(max(_LOCAL_M / shortest_m, 2.0))))
    ranges = shortest_m * np.exp2(np.arange(steps + 1, dtype=np.float64))
    curves = [_high_pass(float(reach), is_smooth=False) for reach in ranges]
    curves += [_high_pass(share * _LOCAL_M, is_smooth=True) for share in _WAVES]
    step_m = _LOCAL_M / _HIGH_PASS_STEPS
    shapes = [np.interp(lag_m, np.arange(curve.size) * step_m, curve) for curve in curves]
    return mixture(shapes, semivariance_m2, ranges)


@lru_cache(maxsize=64)
def _high_pass(range_m: float, *, is_smooth: bool) -> Array:
    """Semivariance of 1 m² less its local trend, in steps along a row.

    In the middle of a square the trend is the mean. So the power spectrum is that of the spherical
    (or the Gaussian) model times that of one less the mean.
    """
    width = _HIGH_PASS_STEPS
    step_m = _LOCAL_M / width
    size = fft.next_fast_len(4 * width + 3 * math.ceil(range_m / step_m), real=True)
    lags = np.minimum(np.arange(size), size - np.arange(size))
    distance = np.hypot(lags[:, None], lags[None, :]) * step_m
    if is_smooth:
        covariance = np.exp(-3.0 * (distance / range_m) ** 2)
    else:
        covariance = NoiseComponent(1.0, range_m).covariance(distance)
    mean = (2 * lags < width) / np.count_nonzero(2 * lags < width)
    passed = (1.0 - fft.rfft2(np.outer(mean, mean)).real) ** 2
    along = fft.irfft2(fft.rfft2(covariance).real * passed, (size, size))[0, : 2 * width]
    return np.asarray(along[0] - along)
