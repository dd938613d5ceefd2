"""The terrain grid: a regular lattice of nodes in the local frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Raster = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Nodes at ``west_m + col * cell_m``, ``south_m + row * cell_m``: row 0 is the southernmost.

    Parameters
    ----------
    west_m, south_m : float
        Local coordinates of the first node.
    cell_m : float
        Distance of the nodes.
    rows, cols : int
    """

    west_m: float
    south_m: float
    cell_m: float
    rows: int
    cols: int

    @classmethod
    def covering(cls, bounds: tuple[float, float, float, float], cell_m: float) -> Grid:
        """The grid over local bounds (west, south, east, north), metres."""
        west, south, east, north = bounds
        rows, cols = round((north - south) / cell_m) + 1, round((east - west) / cell_m) + 1
        return cls(west, south, cell_m, rows, cols)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def x(self) -> Raster:
        """Local x of the columns, shape (1, cols)."""
        return (self.west_m + np.arange(self.cols, dtype=np.float32) * self.cell_m)[None, :]

    @property
    def y(self) -> Raster:
        """Local y of the rows, shape (rows, 1)."""
        return (self.south_m + np.arange(self.rows, dtype=np.float32) * self.cell_m)[:, None]

    def window(self, x: float, y: float, radius_m: float) -> tuple[slice, slice]:
        """Rows and columns within a square around a place, clipped to the grid."""
        row, col = (y - self.south_m) / self.cell_m, (x - self.west_m) / self.cell_m
        reach = radius_m / self.cell_m

        def clipped(middle: float, count: int) -> slice:
            first, last = np.clip([int(middle - reach), int(middle + reach) + 2], 0, count)
            return slice(int(first), int(last))

        return clipped(row, self.rows), clipped(col, self.cols)

    def to_pixels(self, xy: Array) -> Array:
        """Fractional column and row of local places (n, 2)."""
        return (np.asarray(xy) - (self.west_m, self.south_m)) / self.cell_m

    def sample(self, raster: Raster, xy: Array) -> Array:
        """Bilinear values of a raster at local places (n, 2); NaN outside the grid."""
        col, row = self.to_pixels(xy).T
        inside = (col >= 0) & (row >= 0) & (col <= self.cols - 1) & (row <= self.rows - 1)
        left = np.clip(np.floor(col), 0, self.cols - 2).astype(np.intp)
        low = np.clip(np.floor(row), 0, self.rows - 2).astype(np.intp)
        u, v = col - left, row - low
        values = (1 - v) * ((1 - u) * raster[low, left] + u * raster[low, left + 1]) + v * (
            (1 - u) * raster[low + 1, left] + u * raster[low + 1, left + 1]
        )
        return np.where(inside, values, np.nan)


def smooth_noise(grid: Grid, wavelength_m: float, rng: np.random.Generator) -> Raster:
    """Smooth random field of unit variance with bumps of about one wavelength."""
    step = wavelength_m / 2.0
    rows = int(grid.rows * grid.cell_m / step) + 4
    cols = int(grid.cols * grid.cell_m / step) + 4
    coarse = rng.standard_normal((rows, cols), dtype=np.float32)
    if step <= grid.cell_m:
        return rng.standard_normal(grid.shape, dtype=np.float32)
    scale = grid.cell_m / step
    matrix = np.array([[scale, 0.0, 1.0], [0.0, scale, 1.0]])
    field = cv2.warpAffine(
        coarse,
        matrix,
        (grid.cols, grid.rows),
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(field * 1.5, dtype=np.float32)


def fractal_noise(
    grid: Grid,
    longest_m: float,
    shortest_m: float,
    rng: np.random.Generator,
    persistence: float = 0.5,
) -> Raster:
    """Sum of `smooth_noise` octaves, each ``persistence`` times the one before; first has 1."""
    total = np.zeros(grid.shape, dtype=np.float32)
    wavelength, amplitude = longest_m, 1.0
    while wavelength >= shortest_m:
        total += amplitude * smooth_noise(grid, wavelength, rng)
        wavelength, amplitude = wavelength / 2.0, amplitude * persistence
    return total
