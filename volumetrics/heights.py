"""Heights above a base, summed over the cells of a pile."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np

from volumetrics.base_surface import BaseSurface
from volumetrics.footprint import Footprint
from volumetrics.grid import Array


@dataclass(frozen=True)
class HeightSums:
    """Fill and cut, and how they depend on every cell.

    Parameters
    ----------
    fill_m3, cut_m3 : float
    height_max_m : float
    top : tuple of int
        Row and column of the cell with the greatest height.
    rectified_m3 : float
        What noise adds to both fill and cut.
    fill_load, cut_load : ndarray, shape (rows, cols)
        Area in m² with which a cell's height counts as fill, or as cut.
    """

    fill_m3: float
    cut_m3: float
    height_max_m: float
    top: tuple[int, int]
    rectified_m3: float
    fill_load: Array
    cut_load: Array


def sum_heights(pile: Footprint, base: BaseSurface, noise_sigma_m: float) -> HeightSums:
    """Sum the heights of a pile above its base.

    A cell whose height is within the noise belongs to fill and cut in part: its load is the
    derivative of the expected fill under uniform noise of the given standard deviation.
    """
    return HeightSums(
        *_sum(
            pile.elevation_m, base.elevation_m, pile.cell_areas_m2, math.sqrt(3.0) * noise_sigma_m
        )
    )


@numba.njit(cache=True, nogil=True)
def _sum(
    elevation: Array, base: Array, cell_areas: Array, blur: float
) -> tuple[
    float, float, float, tuple[int, int], float, Array, Array
]:  # pragma: no cover - compiled
    """The fields of `HeightSums`; ``blur`` is the half-width of the uniform noise."""
    rows, cols = elevation.shape
    fill, cut, top, rectified = 0.0, 0.0, -np.inf, 0.0
    at = (0, 0)
    fill_load, cut_load = np.zeros((rows, cols)), np.zeros((rows, cols))
    for row in range(rows):
        row_fill, row_cut = 0.0, 0.0
        for col in range(cols):
            area = cell_areas[row, col]
            if area == 0.0:
                continue
            height = elevation[row, col] - base[row, col]
            if height > top:
                top, at = height, (row, col)
            if height > 0.0:
                row_fill += area * height
            else:
                row_cut -= area * height
            if abs(height) >= blur:
                share = 1.0 if height > 0.0 else 0.0
            else:
                share = 0.5 + 0.5 * height / blur
                rectified += area * (blur - abs(height)) ** 2 / (4.0 * blur)
            fill_load[row, col] = area * share
            cut_load[row, col] = area * (1.0 - share)
        fill += row_fill
        cut += row_cut
    return fill, cut, top, at, rectified, fill_load, cut_load
