r"""Level bases at the lowest or highest ground beside the toe.

The smallest of many noisy elevations is too low: its noise was picked, not averaged. So the ground
profile along the toe is first freed of the known noise (a plane plus a random profile whose size
and range are found by maximum likelihood, Gaussian-process regression), and the base is the mean
of the lowest points of profiles drawn from what remains possible. Without noise that is the lowest
sample itself.

References
----------
Rasmussen, C. E., Williams, C. K. I. (2006): Gaussian Processes for Machine Learning, sections 2.2
and 2.7 (explicit basis functions).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from volumetrics.base_surface import BaseSurface, check_any, level_base, thin
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise
from volumetrics.toe import ToeSamples

_MAX_SAMPLES = 80
_DRAWS = 400
# Ground profiles that are considered: their sigma relative to the noise, and their range relative
# to the extent of the toe.
_RELIEF = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
_RANGES = (0.1, 0.25, 0.6)


@dataclass(frozen=True)
class Extreme:
    """A level base at the lowest (or highest) ground beside the toe."""

    is_lowest: bool = True

    @property
    def name(self) -> str:
        """``lowest`` or ``highest``."""
        return "lowest" if self.is_lowest else "highest"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Find the level; see `volumetrics.base_surface.BaseMethod`."""
        check_any(samples)
        sign = 1.0 if self.is_lowest else -1.0
        position, elevation, group = thin(samples, _MAX_SAMPLES)
        if noise.sigma_m == 0.0:
            at = int(np.argmin(sign * elevation))
            shares = (group == at) / np.count_nonzero(group == at)
            return level_base(self.name, float(elevation[at]), shares, grid)
        factor = np.ones(elevation.size)
        if grid.noise_factor is not None:
            each = np.nan_to_num(samples.stencil.sample(grid.noise_factor), nan=1.0)
            factor = np.bincount(group, weights=each) / np.bincount(group)
        level, sigma, mean_shares = _lowest(position, sign * elevation, noise, factor)
        shares = (mean_shares / np.bincount(group))[group]
        return level_base(self.name, sign * level, shares, grid, sigma)


def _lowest(
    position: Array, elevation: Array, noise: DsmNoise, factor: Array
) -> tuple[float, float, Array]:
    """Lowest level, its sigma beyond the propagated noise, and the samples' shares (n,)."""
    distance = np.hypot(*(position[:, None, :] - position[None, :, :]).transpose(2, 0, 1))
    local = noise.local().covariance(distance)
    noise_covariance = noise.covariance(distance) + local * (np.outer(factor, factor) - 1.0)
    # A mean of neighbours has a little less noise than one cell: keep the matrix regular.
    noise_covariance[np.diag_indices(len(position))] += (0.05 * noise.sigma_m) ** 2
    relief = _likely_relief(position, elevation, noise_covariance, distance, noise.sigma_m)
    gain, remaining = _posterior(position, noise_covariance, relief)
    mean = gain @ elevation
    values, vectors = np.linalg.eigh(remaining)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    generator = np.random.default_rng(0)
    profiles = mean + generator.standard_normal((_DRAWS, len(position))) @ root.T
    lowest = profiles.min(axis=1)
    pick = np.bincount(profiles.argmin(axis=1), minlength=len(position)) / _DRAWS
    shares = pick @ gain
    propagated = float(shares @ noise_covariance @ shares)
    own = math.sqrt(max(float(lowest.var()) - propagated, 0.0))
    return float(lowest.mean()), own, shares


def _trend(position: Array) -> Array:
    """A plane about the centre, scaled to the toe's extent; a level for a handful of samples."""
    offset = position - position.mean(axis=0)
    scale = max(float(np.abs(offset).max()), 1e-9)
    if len(position) < 6:
        return np.ones((len(position), 1))
    return np.column_stack((np.ones(len(position)), offset / scale))


def _likely_relief(
    position: Array, elevation: Array, noise: Array, distance: Array, sigma_m: float
) -> Array:
    """Covariance of the ground's own profile with the greatest restricted likelihood.

    The profile is smooth (Matérn's covariance with one derivative): a rough one would take noise
    for relief, and promise too much.
    """
    trend = _trend(position)
    best, chosen = -math.inf, np.zeros_like(noise)
    extent = float(distance.max())
    for size in _RELIEF:
        for share in _RANGES if size else _RANGES[:1]:
            ratio = distance / max(share * extent, 1e-9)
            relief = (size * sigma_m) ** 2 * (1.0 + ratio) * np.exp(-ratio)
            likelihood = _log_likelihood(elevation, noise + relief, trend)
            if likelihood > best:
                best, chosen = likelihood, relief
    return chosen


def _log_likelihood(values: Array, covariance: Array, trend: Array) -> float:
    """Restricted log likelihood of a Gaussian profile about an unknown trend, up to a constant."""
    factor = linalg.cho_factor(covariance, lower=True)
    solved = linalg.cho_solve(factor, np.column_stack((values, trend)))
    normal = trend.T @ solved[:, 1:]
    coefficients = linalg.lstsq(normal, trend.T @ solved[:, 0])[0]
    misfit = values @ (solved[:, 0] - solved[:, 1:] @ coefficients)
    half_logs = np.log(np.diag(factor[0])).sum()
    return float(-0.5 * misfit - half_logs - 0.5 * np.linalg.slogdet(normal)[1])


def _posterior(position: Array, noise: Array, relief: Array) -> tuple[Array, Array]:
    """Gain (n, n) from samples to the expected profile, and its remaining covariance (n, n)."""
    trend = _trend(position)
    inverse = np.linalg.inv(noise + relief)
    normal = np.linalg.pinv(trend.T @ inverse @ trend)
    to_trend = normal @ trend.T @ inverse
    gain_relief = relief @ inverse
    gain = gain_relief + (trend - gain_relief @ trend) @ to_trend
    # Error of gain @ (t + e) - t with t = trend + relief: the trend part cancels.
    miss = gain - np.eye(len(position))
    remaining = miss @ relief @ miss.T + gain @ noise @ gain.T
    return gain, remaining
