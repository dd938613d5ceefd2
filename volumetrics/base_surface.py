r"""Base surfaces: the ground under a pile, modelled from what is seen around it.

All methods stand behind `BaseMethod`. Each gives an elevation for every cell and, because it is a
(locally) linear function of the toe samples, the share of each sample in any sum over the base.
With these shares the noise of the surface and of its base are propagated together, correlation
included: what lifts the pile and its toe alike does not change the volume.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volumetrics.errors import BaseError
from volumetrics.grid import Array, Grid
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.toe import ToeSamples

_MIN_SAMPLES = 6
# A toe this narrow, as a share of its length, says nothing about the slope across it.
_MIN_WIDTH_SHARE = 0.02
_TUKEY = 4.685
_HUBER = 1.345
_MAD_TO_SIGMA = 1.4826
_ESCAPE_SAMPLES = 200
_ESCAPE_STARTS = 40
_MAX_ROUNDS = 30
_MAJORITY = 0.55
# Loose material rises by 0.6 and more, walls far more steeply; hilly ground departs from its plane
# by up to 0.25 along a toe.
_STEEP = 0.4
_MUCH_BETTER = 0.4
# Lower things along a toe are stones and ruts: ground.
_STANDS_OUT_M = 0.25
_END_SAMPLES = 4


@dataclass(frozen=True)
class BaseSurface:
    r"""A fitted base.

    Parameters
    ----------
    method : str
    elevation_m : ndarray, shape (rows, cols)
        On the cells of the surface, also outside the toe.
    toe_weights : callable
        Maps a load (rows, cols) on the base to the load (n,) on the toe samples that has the same
        effect: :math:`\sum load \cdot base = \sum weights \cdot samples + const`.
    offset_sigma_m : float
        1 sigma of the base as a whole that does not come from the DSM's noise.
    is_anchored : bool
        Whether the base comes from the same surface as the pile, so that a vertical bias cancels.
    is_aligned : bool
        Whether it comes from another surface that was laid onto the pile's own, so that it cancels,
        too.
    noise : DsmNoise
        The base's own noise, for a base from another survey.
    facts : dict
        What the fit found, for the report.
    """

    method: str
    elevation_m: Array
    toe_weights: Callable[[Array], Array]
    offset_sigma_m: float = 0.0
    is_anchored: bool = True
    is_aligned: bool = False
    noise: DsmNoise = PERFECT
    facts: dict[str, float] = field(default_factory=dict)

    @property
    def keeps_bias(self) -> bool:
        """Whether a vertical bias of the pile's surface is one of the heights above the base."""
        return not (self.is_anchored or self.is_aligned)


class BaseMethod(Protocol):
    """A way to model the ground under a pile."""

    @property
    def name(self) -> str:
        """Name of the method, as in results and options."""
        ...

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Fit the base to ground samples and evaluate it on the grid.

        Raises
        ------
        BaseError
            When the samples do not determine it.
        """
        ...


@dataclass(frozen=True)
class Plane:
    """A plane through the toe, robust to what leans against it.

    Iteratively reweighted least squares: Huber's weights, then Tukey's biweight, which ignores a
    stretch of toe that is no ground (another pile, a machine). A wall along a whole side tilts
    such a fit instead of standing out from it, so planes through few points compete, too, and one
    that most of the toe follows much better is where the biweight starts from.

    References
    ----------
    Huber, P. J., Ronchetti, E. M. (2009): Robust Statistics, 2nd ed., chapter 7.

    Rousseeuw, P. J., Van Driessen, K. (2006): Computing LTS regression for large data sets. Data
    Mining and Knowledge Discovery 12, 29-45.
    """

    name: str = "plane"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Fit the plane; see `BaseMethod`."""
        plane = fit_toe_plane(samples)
        x, y = grid.x_m() - plane.centre_m[0], grid.y_m() - plane.centre_m[1]
        height, east, north = plane.coefficients
        elevation = height + east * x[None, :] + north * y[:, None]

        def toe_weights(load: Array) -> Array:
            by_row = load.sum(axis=1)
            moments = np.array([by_row.sum(), load.sum(axis=0) @ x, by_row @ y])
            return np.asarray(moments @ plane.shares)

        return BaseSurface(self.name, elevation, toe_weights, facts=plane.facts())


@dataclass(frozen=True)
class PlaneFit:
    """A robust plane ``height + east * dx + north * dy`` about the samples' centre.

    Parameters
    ----------
    centre_m : ndarray, shape (2,)
    coefficients : ndarray, shape (3,)
        Elevation at the centre in metres, slopes to the east and to the north.
    shares : ndarray, shape (3, n)
        Derivative of the coefficients by the samples.
    residual_sigma_m : float
        Robust spread of the samples about the plane.
    used_share : float
        Share of the samples that the robust fit did not reject.
    """

    centre_m: Array
    coefficients: Array
    shares: Array
    residual_sigma_m: float
    used_share: float

    def at(self, position_m: Array) -> Array:
        """Elevations (m,) at positions (m, 2)."""
        return self.design(position_m) @ self.coefficients

    def design(self, position_m: Array) -> Array:
        """Design matrix, shape (m, 3)."""
        return np.column_stack((np.ones(len(position_m)), position_m - self.centre_m))

    def facts(self) -> dict[str, float]:
        """The fit in numbers for the report."""
        slope = float(np.hypot(self.coefficients[1], self.coefficients[2]))
        return {
            "slope_deg": float(np.degrees(np.arctan(slope))),
            "residual_sigma_m": self.residual_sigma_m,
            "used_share": self.used_share,
            "centre_east_m": float(self.centre_m[0]),
            "centre_north_m": float(self.centre_m[1]),
            "centre_elevation_m": float(self.coefficients[0]),
            "slope_east": float(self.coefficients[1]),
            "slope_north": float(self.coefficients[2]),
        }


def fit_plane(position_m: Array, elevation_m: Array) -> PlaneFit:
    """Fit a plane robustly.

    Parameters
    ----------
    position_m : ndarray, shape (n, 2)
    elevation_m : ndarray, shape (n,)

    Returns
    -------
    PlaneFit

    Raises
    ------
    BaseError
        When the samples are too few.
    """
    if len(position_m) < _MIN_SAMPLES:
        raise BaseError(
            f"Only {len(position_m)} ground samples were found beside the toe.",
            "Draw the toe on visible ground, mark fewer edges as wall, or use a fixed elevation.",
        )
    centre = position_m.mean(axis=0)
    design = np.column_stack((np.ones(len(position_m)), position_m - centre))
    start = _settle(design, elevation_m)
    start = _escape(design, elevation_m, start)
    coefficients, weight = _reject(design, elevation_m, start)
    weighted = design * weight[:, None]
    shares = np.linalg.solve(weighted.T @ design, weighted.T)
    sigma = _spread(elevation_m - design @ coefficients)
    return PlaneFit(centre, coefficients, shares, sigma, float(np.mean(weight > 0.0)))


def _settle(design: Array, elevation_m: Array) -> Array:
    """Coefficients where least squares with Huber's weights come to rest."""
    coefficients = _fit(design, np.ones(len(design)), elevation_m)
    for _ in range(_MAX_ROUNDS):
        residual = elevation_m - design @ coefficients
        sigma = _spread(residual)
        before, coefficients = (
            coefficients,
            _fit(design, _huber(residual / sigma), elevation_m),
        )
        if np.abs(design @ (coefficients - before)).max() < 1e-3 * sigma + 1e-9:
            break
    return coefficients


def _reject(design: Array, elevation_m: Array, start: Array) -> tuple[Array, Array]:
    """Coefficients and weights of the biweight, with the spread about the start.

    A spread that shrank with every sample left out would leave out parts of undulating ground,
    now these and now those.
    """
    sigma = _spread(elevation_m - design @ start)
    coefficients, weight = start, np.ones(len(design))
    for _ in range(_MAX_ROUNDS):
        weight = _tukey((elevation_m - design @ coefficients) / sigma)
        before, coefficients = coefficients, _fit(design, weight, elevation_m)
        if np.abs(design @ (coefficients - before)).max() < 1e-3 * sigma + 1e-9:
            break
    return coefficients, weight


def _spread(residual: Array) -> float:
    # A perfect surface leaves rounding errors only, and those need no weights.
    return max(_MAD_TO_SIGMA * float(np.median(np.abs(residual))), 1e-6)


def _escape(design: Array, elevation_m: Array, start: Array) -> Array:
    """The plane that most samples follow much better than the start, else the start."""
    every = max(1, len(design) // _ESCAPE_SAMPLES)
    few, values = design[::every], elevation_m[::every]
    kept = max(_MIN_SAMPLES, round(_MAJORITY * len(few)))

    # Level ground first, then planes through random triples; each settles on its majority.
    generator = np.random.default_rng(0)
    triples = generator.integers(0, len(few), (_ESCAPE_STARTS, 3))
    level = np.array([np.median(values), 0.0, 0.0])
    planes = np.vstack((start, level, _least_squares(few[triples], values[triples])))
    for _ in range(3):
        square = (values - planes @ few.T) ** 2
        majority = np.argpartition(square, kept - 1, axis=1)[:, :kept]
        planes = _least_squares(few[majority], values[majority])
    candidates = np.vstack((start, planes))
    square = np.partition((values - candidates @ few.T) ** 2, kept - 1, axis=1)[:, :kept]
    spread = np.sqrt(square.mean(axis=1))
    best = int(np.argmin(spread))
    is_much_better = spread[best] < _MUCH_BETTER * spread[0]
    if is_much_better and _is_other(few, values, candidates[best], float(spread[best])):
        return np.asarray(candidates[best])
    return start


def _is_other(design: Array, values: Array, plane: Array, spread_m: float) -> bool:
    """Whether what a plane leaves out is something else than ground.

    Undulating ground, too, has planes that suit a part of it very well, now this and now that
    part. But it leaves them gradually along the toe, and a wall or another pile steeply.
    """
    residual = values - design @ plane
    is_out = np.abs(residual) > max(_TUKEY * spread_m, 1e-6)
    crossing = np.flatnonzero(is_out != np.roll(is_out, -1))
    before, after = crossing - 2, (crossing + 3) % len(values)
    rise = np.abs(residual[after] - residual[before])
    run = np.hypot(*(design[after] - design[before])[:, 1:].T)
    # One sample may stand for several hidden ones: no run, and no rise.
    return crossing.size > 0 and float(np.median(rise / np.maximum(run, 1e-6))) > _STEEP


def on_ground(samples: ToeSamples) -> ToeSamples:
    """The samples without stretches that stand out of the ground and rise steeply along the toe.

    A wall, a machine or another pile is no ground for any base. Hollows stay, and so does ground
    that rises gently, however high.
    """
    if len(samples.elevation_m) < _MIN_SAMPLES:
        return samples
    plane = _robust_plane(samples)
    above_m = samples.elevation_m - plane.at(samples.position_m)
    is_high = above_m > _TUKEY * plane.residual_sigma_m
    stretch, count = ndimage.label(is_high)
    if count > 1 and is_high[0] and is_high[-1]:
        stretch[stretch == count] = 1
    kept = np.ones(len(above_m), dtype=bool)
    for number in range(1, count + 1):
        inside = np.flatnonzero(stretch == number)
        if inside.size and above_m[inside].max() > _STANDS_OUT_M:
            kept[inside] = _steepest_end(samples.position_m, above_m, inside) < _STEEP
    return samples if kept.all() else replace(samples.select(kept), ground_share=kept.mean())


def _steepest_end(position_m: Array, above_m: Array, inside: NDArray[np.int64]) -> float:
    """Rise by run along the toe at the steeper end of a stretch of samples."""
    steepest = 0.0
    for end in (inside[0], inside[-1]):
        near = (end + np.arange(-_END_SAMPLES, _END_SAMPLES + 1)) % len(above_m)
        low, high = near[above_m[near].argmin()], near[above_m[near].argmax()]
        run_m = float(np.hypot(*(position_m[high] - position_m[low])))
        steepest = max(steepest, float(above_m[high] - above_m[low]) / max(run_m, 1e-6))
    return steepest


def _least_squares(design: Array, values: Array) -> Array:
    """Planes (k, 3) through k sets of n samples; of the shortest where they do not determine it."""
    normal = np.einsum("kni,knj->kij", design, design)
    right = np.einsum("kni,kn->ki", design, values)
    return np.asarray(np.einsum("kij,kj->ki", np.linalg.pinv(normal, hermitian=True), right))


# Several bases of one pile, and the shape of its ground, start from the same plane.
@lru_cache(maxsize=2)
def _robust_plane(samples: ToeSamples) -> PlaneFit:
    return fit_plane(samples.position_m, samples.elevation_m)


@lru_cache(maxsize=2)
def fit_toe_plane(samples: ToeSamples) -> PlaneFit:
    """Fit a plane to the ground along a toe.

    Raises
    ------
    BaseError
        When the samples are too few or lie along one line.
    """
    plane = _robust_plane(samples)
    plane = replace(plane, used_share=samples.ground_share * plane.used_share)
    # One position a piece: samples nearer to and farther from one straight edge give no slope.
    position_m = thin(samples, samples.elevation_m.size)[0]
    spread = np.linalg.svd(position_m - position_m.mean(axis=0), compute_uv=False)
    if spread[1] < _MIN_WIDTH_SHARE * spread[0]:
        raise BaseError(
            f"The ground samples lie along one line (width {spread[1] / spread[0]:.1%} of the "
            "length), so the slope across it is unknown.",
            "Draw the toe around the pile, mark fewer edges as wall, or use the base 'average', "
            "'lowest' or a fixed elevation.",
        )
    return plane


def _fit(design: Array, weight: Array, values: Array) -> Array:
    """Weighted least-squares coefficients, shape (3,)."""
    weighted = (design * weight[:, None]).T
    return np.asarray(np.linalg.solve(weighted @ design, weighted @ values))


def _huber(ratio: Array) -> Array:
    return np.asarray(np.minimum(1.0, _HUBER / np.maximum(np.abs(ratio), 1e-12)))


def _tukey(ratio: Array) -> Array:
    return np.asarray(np.where(np.abs(ratio) < _TUKEY, (1.0 - (ratio / _TUKEY) ** 2) ** 2, 0.0))


def thin(samples: ToeSamples, count: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Average neighbours along the toe, so that at most ``count`` samples remain.

    Returns
    -------
    position_m : ndarray, shape (m, 2)
    elevation_m : ndarray, shape (m,)
    group : ndarray of int, shape (n,)
        Which mean each sample went into.
    """
    # Whole pieces, so that near and far samples of a piece stay together: means that lie now
    # nearer, now farther from the pile would turn their noise into a slope across the toe.
    pieces, piece = np.unique(samples.piece, return_inverse=True)
    groups = min(count, len(pieces))
    group = (piece * groups // len(pieces)).astype(np.int64)
    weight = np.bincount(group)
    columns = (samples.position_m[:, 0], samples.position_m[:, 1], samples.elevation_m)
    means = [np.bincount(group, weights=column) / weight for column in columns]
    return np.column_stack(means[:2]), means[2], group
