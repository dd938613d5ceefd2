r"""How the noise of a surface differs from cell to cell.

Noise is not alike everywhere: on a slope an error in plan is an error in height as well, and where
few photos match, or match badly, the surface is less certain. The variance of a cell relative to
that of the ground is modelled as

.. math:: f^2 = a + b \tan^2 \alpha + c \, q^2

with the slope :math:`\alpha` and, where the survey has it, the standard error :math:`q` of the
matches in the cell. The three are found from the surface itself, by how far cells depart from their
neighbourhood. The noise divided by :math:`f` is then taken as alike everywhere
(`volumetrics.noise`), as Hugonnet et al. standardise elevation differences before their variogram.

References
----------
Hugonnet, R. et al. (2022): Uncertainty analysis of digital elevation models by spatial inference
from stable terrain. IEEE JSTARS 15, 6456-6472; sections III.B and III.C.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

from volumetrics.grid import Array, Grid

# Slopes and departures are those of blocks about this large.
_BLOCK_M = 0.5
_MIN_BLOCKS = 400
_SLOPE_EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8)
_QUALITY_CLASSES = 4
# Steeper than loose material rests is a wall, of which a DSM shows no more than the top.
_STEEPEST = 1.0
# A single bad match says little: no cell is taken for more or less certain than this.
_LIMITS = (0.25, 4.0)
# Median of the square of a standard normal deviate.
_MEDIAN_SQUARE = 0.4549


@dataclass(frozen=True)
class RelativeNoise:
    """Variance of a cell relative to the mean of the ground.

    Parameters
    ----------
    even : float
        Part that is alike everywhere.
    per_slope : float
        Times the squared tangent of the slope.
    per_quality_m2 : float
        Times the squared standard error of the matches in m².
    """

    even: float = 1.0
    per_slope: float = 0.0
    per_quality_m2: float = 0.0

    def of(self, grid: Grid, quality_m: Array | None = None) -> Array:
        """Relative standard deviation of every cell, shape (rows, cols).

        Parameters
        ----------
        grid : Grid
        quality_m : ndarray, shape (rows, cols), optional
            Standard error of the matches in each cell; NaN where unknown.
        """
        side = _block_side(grid)
        blocks = _Blocks.of(grid, quality_m, side)
        variance = self.even + self.per_slope * blocks.slope2 + self.per_quality_m2 * blocks.error2
        # Where nothing is known the noise is that of the ground.
        factor = np.clip(np.sqrt(np.where(np.isnan(variance), 1.0, variance)), *_LIMITS)
        rows, cols = grid.elevation_m.shape
        return np.asarray(factor.repeat(side, axis=0).repeat(side, axis=1)[:rows, :cols])

    def on(self, grid: Grid, quality_m: Array | None = None) -> Grid:
        """The grid with the relative noise of its cells, see `of`."""
        return replace(grid, noise_factor=self.of(grid, quality_m))


@dataclass(frozen=True)
class Patch:
    """A part of a survey to learn from.

    Parameters
    ----------
    grid : Grid
    quality_m : ndarray, shape (rows, cols), or None
    is_ground : ndarray of bool, shape (rows, cols)
        Cells that are no pile.
    """

    grid: Grid
    quality_m: Array | None
    is_ground: NDArray[np.bool_]


def fit_relative_noise(patches: Iterable[Patch]) -> RelativeNoise:
    """Find how the noise depends on slope and matches; alike everywhere when too little is seen."""
    parts = []
    for patch in patches:
        side = _block_side(patch.grid)
        blocks = _Blocks.of(patch.grid, patch.quality_m, side)
        on_ground = _block_means(patch.is_ground.astype(np.float64), side) == 1.0
        table = (blocks.slope2, blocks.error2, blocks.departure2, on_ground)
        parts.append(np.column_stack([column.ravel() for column in table]))
    values = np.vstack(parts) if parts else np.zeros((0, 4))
    values = values[np.isfinite(values).all(axis=1)]
    ground = values[values[:, 3] == 1.0]
    if min(len(values), len(ground)) < _MIN_BLOCKS:
        return RelativeNoise()
    design, variance, weight = _classes(*values[:, :3].T)
    scale = np.maximum(design.max(axis=0), 1e-12)
    solved, _ = optimize.nnls(design / scale * weight[:, None], variance * weight)
    factors = solved / scale
    mean = float(factors @ np.array([1.0, ground[:, 0].mean(), ground[:, 1].mean()]))
    if mean <= 0.0:
        return RelativeNoise()
    even, per_slope, per_quality_m2 = (float(factor) / mean for factor in factors)
    return RelativeNoise(even, per_slope, per_quality_m2)


def _classes(slope2: Array, error2: Array, departure2: Array) -> tuple[Array, Array, Array]:
    """Design (k, 3), variance (k,) and weight (k,) of classes of slope and match error."""
    steep = np.digitize(np.sqrt(slope2), _SLOPE_EDGES)
    shares = np.linspace(0.0, 1.0, _QUALITY_CLASSES + 1)[1:-1]
    number = steep * _QUALITY_CLASSES + np.digitize(error2, np.unique(np.quantile(error2, shares)))
    design, variance, weight = [], [], []
    for one in np.unique(number):
        chosen = number == one
        design.append((1.0, slope2[chosen].mean(), error2[chosen].mean()))
        # The median leaves out crests, boulders and machines.
        variance.append(float(np.median(departure2[chosen])) / _MEDIAN_SQUARE)
        weight.append(np.sqrt(chosen.sum()))
    # Classes of small variance know it as well, relatively, as those of large.
    found = np.array(variance)
    return np.array(design), found, np.array(weight) / np.maximum(found, 0.05 * found.max() + 1e-18)


@dataclass(frozen=True)
class _Blocks:
    """Squared slope, squared match error and squared departure of each block, NaN beside holes."""

    slope2: Array
    error2: Array
    departure2: Array

    @classmethod
    def of(cls, grid: Grid, quality_m: Array | None, side: int) -> _Blocks:
        mean = _block_means(grid.elevation_m, side)
        if min(mean.shape) < 2:
            unknown = np.full(mean.shape, np.nan)
            return cls(unknown, unknown, unknown)
        down, right = np.gradient(mean, side * grid.cell_size_m)
        slope2 = np.minimum(down**2 + right**2, _STEEPEST**2)
        error2 = np.zeros_like(mean)
        if quality_m is not None:
            error2 = _block_means(quality_m**2, side)
        # A cell less the mean of its two neighbours, on a slope as well as on the level.
        line = grid.elevation_m[:, 1:-1] - 0.5 * (
            grid.elevation_m[:, :-2] + grid.elevation_m[:, 2:]
        )
        departure = np.full(mean.shape, np.nan)
        picked = line[side // 2 :: side, max(0, side // 2 - 1) :: side] / np.sqrt(1.5)
        departure[: picked.shape[0], : picked.shape[1]] = picked[: mean.shape[0], : mean.shape[1]]
        return cls(slope2, error2, departure**2)


def _block_side(grid: Grid) -> int:
    return max(2, round(_BLOCK_M / grid.cell_size_m))


def _block_means(values: Array, side: int) -> Array:
    rows, cols = values.shape
    sums = np.add.reduceat(values, np.arange(0, rows, side), axis=0)
    sums = np.add.reduceat(sums, np.arange(0, cols, side), axis=1)
    high = np.minimum(side, rows - np.arange(0, rows, side))
    wide = np.minimum(side, cols - np.arange(0, cols, side))
    return np.asarray(sums / (high[:, None] * wide[None, :]))
