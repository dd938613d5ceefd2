"""The surface as far as it hides what is behind it: coarse elevations, small holes closed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.projection import Window
from reconstruction.rasters import Grid, RasterReader

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """Elevations at the centres of a coarse grid, small holes closed.

    Parameters
    ----------
    grid : Grid
    elevations_m : ndarray of float32, shape (rows, cols)
        NaN where the surface is unknown.
    """

    grid: Grid
    elevations_m: Float32

    @classmethod
    def from_raster(cls, dsm: RasterReader, cell_size_m: float, fill_m: float) -> Surface:
        """The surface of an elevation raster.

        Parameters
        ----------
        dsm : RasterReader
        cell_size_m : float
            Wanted cell size; the nearest power of two times that of the raster is taken.
        fill_m : float
            Holes are closed up to this distance from measured ground.
        """
        ratio = max(1.0, cell_size_m / dsm.grid.cell_size_m)
        grid, bands = dsm.read_overview(1 << round(math.log2(ratio)))
        return cls(grid, fill_holes(bands[0], fill_m / grid.cell_size_m))

    @cached_property
    def lowest_m(self) -> float:
        """The smallest elevation, NaN for an empty surface."""
        known = self.elevations_m[np.isfinite(self.elevations_m)]
        return float(known.min()) if known.size else math.nan

    @cached_property
    def mean_m(self) -> float:
        """The mean elevation, NaN for an empty surface."""
        known = self.elevations_m[np.isfinite(self.elevations_m)]
        return float(known.mean(dtype=np.float64)) if known.size else math.nan


def fill_holes(elevations_m: Float32, limit_cells: float) -> Float32:
    """Close holes smoothly, no farther than ``limit_cells`` from a known cell.

    The surroundings are averaged at ever coarser levels and each hole takes the finest level that
    knows something, smoothed on the way back: continuous at the rim, without overshoot.

    Parameters
    ----------
    elevations_m : ndarray of float32, shape (rows, cols)
        NaN in holes.
    limit_cells : float

    Returns
    -------
    ndarray of float32, shape (rows, cols)
    """
    known = np.isfinite(elevations_m)
    if known.all() or not known.any():
        return elevations_m
    base = np.float32(elevations_m[known].mean(dtype=np.float64))
    values = np.where(known, elevations_m - base, 0.0).astype(np.float32)
    filled = base + _pull_push(values, known.astype(np.float32))
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 5)
    result = np.where(known, elevations_m, filled)
    result[distance > limit_cells] = np.nan
    return result.astype(np.float32)


def _pull_push(values: Float32, weights: Float32) -> Float32:
    """Values (zero where unknown) with the unknown ones taken from coarser levels."""
    rows, cols = values.shape
    if min(rows, cols) < 2 or weights.all():
        return values
    half = ((cols + 1) // 2, (rows + 1) // 2)
    mass = cv2.resize(weights, half, interpolation=cv2.INTER_AREA)
    mean = cv2.resize(values * weights, half, interpolation=cv2.INTER_AREA)
    known = (mass > 0.0).astype(np.float32)
    level: Float32 = np.divide(mean, np.maximum(mass, 1e-6), dtype=np.float32) * known
    coarse = _pull_push(level, known)
    back = cv2.resize(coarse, (cols, rows), interpolation=cv2.INTER_LINEAR)
    return np.where(weights > 0.0, values, back).astype(np.float32)


def resample(
    source: Grid, values: Float32, row: int, col: int, target: Grid, window: Window
) -> Float32:
    """Values of one grid at the cell centres of another, bilinear among the known neighbours.

    Parameters
    ----------
    source : Grid
    values : ndarray of float32, shape (rows, cols)
        A part of the source that begins at cell ``row``, ``col``; NaN where unknown.
    row, col : int
    target : Grid
    window : Window
        Cells of the target.

    Returns
    -------
    ndarray of float32, shape (window.rows, window.cols)
        NaN where no neighbour is known.
    """
    step = target.cell_size_m / source.cell_size_m
    first_col = (target.west - source.west) / source.cell_size_m + (window.col + 0.5) * step - 0.5
    first_row = (source.north - target.north) / source.cell_size_m + (window.row + 0.5) * step - 0.5
    result = np.empty((window.rows, window.cols), dtype=np.float32)
    _resample(values, first_row - row, first_col - col, step, result)
    return result


@numba.njit(cache=True, nogil=True)
def _resample(values, first_row, first_col, step, result):  # type: ignore[no-untyped-def]
    rows, cols = values.shape
    for i in range(result.shape[0]):
        y = first_row + i * step
        top = math.floor(y)
        for j in range(result.shape[1]):
            x = first_col + j * step
            left = math.floor(x)
            total = 0.0
            mass = 0.0
            for row in range(max(top, 0), min(top + 2, rows)):
                for col in range(max(left, 0), min(left + 2, cols)):
                    weight = (1.0 - abs(y - row)) * (1.0 - abs(x - col))
                    if weight > 0.0 and not math.isnan(values[row, col]):
                        total += weight * values[row, col]
                        mass += weight
            result[i, j] = total / mass if mass > 1e-6 else math.nan
