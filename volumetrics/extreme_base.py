r"""Level bases at the lowest or highest ground beside the toe.

The smallest of many noisy elevations is too low: its noise was picked, not averaged. So the ground
profile along the toe is first freed of the known noise (a plane plus a random profile of several
sizes and ranges, weighed by their likelihood: Gaussian-process regression), and the base is the
mean of the lowest points of profiles drawn from what remains possible. Without noise that is the
lowest sample itself.

References
----------
Rasmussen, C. E., Williams, C. K. I. (2006): Gaussian Processes for Machine Learning, sections 2.2
and 2.7 (explicit basis functions); Hoeting, J. A. et al. (1999): Bayesian model averaging.
Statistical Science 14(4), 382-417.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import linalg

from volumetrics.base_surface import BaseSurface, thin
from volumetrics.grid import Array, Grid
from volumetrics.level_base import check_any, level_base
from volumetrics.noise import DsmNoise
from volumetrics.toe import ToeSamples

_MAX_SAMPLES = 80
_DRAWS = 400
# Ground profiles that are considered: their sigma relative to the noise, and their range relative
# to the extent of the toe.
_RELIEF = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0)
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
        _, elevation, group = thin(samples, _MAX_SAMPLES)
        if noise.sigma_m == 0.0:
            at = int(np.argmin(sign * elevation))
            shares = (group == at) / np.count_nonzero(group == at)
            return level_base(self.name, float(elevation[at]), shares, grid)
        factor = np.ones(elevation.size)
        if grid.noise_factor is not None:
            each = np.nan_to_num(samples.stencil.sample(grid.noise_factor), nan=1.0)
            factor = np.bincount(group, weights=each) / np.bincount(group)
        profiles = _profiles(samples, noise, tuple(factor.tolist()))
        level, sigma, mean_shares = _lowest(profiles, sign)
        shares = (mean_shares / np.bincount(group))[group]
        return level_base(self.name, sign * level, shares, grid, sigma)


@dataclass(frozen=True)
class _Profile:
    """The ground along a toe as the noise lets it be known, if its relief is of one kind.

    Parameters
    ----------
    draws : int
        How many of all draws are from here: its likelihood.
    mean : ndarray, shape (n,)
        Expected elevations.
    root : ndarray, shape (n, n)
        Of their covariance.
    gain : ndarray, shape (n, n)
        Derivative of the mean by the samples.
    noise : ndarray, shape (n, n)
        Covariance of the samples' noise.
    """

    draws: int
    mean: Array
    root: Array
    gain: Array
    noise: Array


# The lowest and the highest base of one pile come from the same profiles.
@lru_cache(maxsize=2)
def _profiles(
    samples: ToeSamples, noise: DsmNoise, factors: tuple[float, ...]
) -> tuple[_Profile, ...]:
    """Free the samples, thinned to as many as there are factors, of their noise."""
    position, elevation, _ = thin(samples, _MAX_SAMPLES)
    factor = np.array(factors)
    distance = np.hypot(*(position[:, None, :] - position[None, :, :]).transpose(2, 0, 1))
    local = noise.local().covariance(distance)
    covariance = noise.covariance(distance) + local * (np.outer(factor, factor) - 1.0)
    # A mean of neighbours has a little less noise than one cell: keep the matrix regular.
    covariance[np.diag_indices(len(position))] += (0.05 * noise.sigma_m) ** 2
    found = []
    for draws, relief in _likely_reliefs(position, elevation, covariance, distance, noise.sigma_m):
        gain, remaining = _posterior(position, covariance, relief)
        values, vectors = np.linalg.eigh(remaining)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        found.append(_Profile(draws, gain @ elevation, root, gain, covariance))
    return tuple(found)


def _lowest(profiles: tuple[_Profile, ...], sign: float) -> tuple[float, float, Array]:
    """Lowest level, its sigma beyond the propagated noise, and the samples' shares (n,)."""
    generator = np.random.default_rng(0)
    count = profiles[0].mean.size
    total = sum(one.draws for one in profiles)
    lowest, shares = [], np.zeros(count)
    for one in profiles:
        normal = generator.standard_normal((one.draws, count))
        drawn = sign * (one.mean + normal @ one.root.T)
        lowest.append(drawn.min(axis=1))
        shares += np.bincount(drawn.argmin(axis=1), minlength=count) / total @ one.gain
    level = np.concatenate(lowest)
    propagated = float(shares @ profiles[0].noise @ shares)
    own = math.sqrt(max(float(level.var()) - propagated, 0.0))
    return float(level.mean()), own, shares


def _trend(position: Array) -> Array:
    """A plane about the centre, scaled to the toe's extent; a level for a handful of samples."""
    offset = position - position.mean(axis=0)
    scale = max(float(np.abs(offset).max()), 1e-9)
    if len(position) < 6:
        return np.ones((len(position), 1))
    # Of a toe that is one straight line, as in a bay between walls, no slope across it.
    return np.asarray(linalg.orth(np.column_stack((np.ones(len(position)), offset / scale)), 1e-6))


def _likely_reliefs(
    position: Array, elevation: Array, noise: Array, distance: Array, sigma_m: float
) -> list[tuple[int, Array]]:
    """Covariances of the ground's own profile, each with its share of the draws.

    The profile is smooth (Matérn's covariance with one derivative): a rough one would take noise
    for relief, and promise too much. The single most likely one would do so, too: a toe is short.
    """
    extent = float(distance.max())
    reliefs = [np.zeros_like(noise)]
    for share in _RANGES:
        ratio = distance / max(share * extent, 1e-9)
        shape = (1.0 + ratio) * np.exp(-ratio)
        reliefs += [(size * sigma_m) ** 2 * shape for size in _RELIEF]
    likelihood = _log_likelihoods(elevation, noise + np.array(reliefs), _trend(position))
    weight = np.exp(likelihood - likelihood.max())
    draws = np.rint(_DRAWS * weight / weight.sum()).astype(np.int64).tolist()
    return [(count, relief) for count, relief in zip(draws, reliefs, strict=True) if count]


def _log_likelihoods(values: Array, covariances: Array, trend: Array) -> Array:
    """Restricted log likelihoods (k,) of Gaussian profiles about an unknown trend, less a constant.

    Parameters
    ----------
    values : ndarray, shape (n,)
    covariances : ndarray, shape (k, n, n)
    trend : ndarray, shape (n, p)
    """
    half_logs = np.log(np.diagonal(np.linalg.cholesky(covariances), axis1=1, axis2=2)).sum(axis=1)
    solved = np.linalg.solve(covariances, np.column_stack((values, trend))[None])
    normal = trend.T @ solved[:, :, 1:]
    right = trend.T @ solved[:, :, :1]
    coefficients = np.linalg.pinv(normal, hermitian=True) @ right
    misfit = values @ (solved[:, :, :1] - solved[:, :, 1:] @ coefficients)[:, :, 0].T
    return np.asarray(-0.5 * misfit - half_logs - 0.5 * np.linalg.slogdet(normal)[1])


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
