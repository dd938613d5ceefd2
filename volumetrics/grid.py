"""The grid: elevations on square cells, and how a polygon covers them.

Coordinates are map metres. A cell is an area: its elevation belongs to its centre, and a polygon
covers a fraction of it between 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numba
import numpy as np
import shapely
from numpy.typing import NDArray

from volumetrics.errors import InputError

Array = NDArray[np.float64]
Indices = NDArray[np.int64]

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Grid:
    """Elevations on square cells, north up.

    Parameters
    ----------
    elevation_m : ndarray, shape (rows, cols)
        Row 0 is the northernmost. NaN is a hole.
    west_m, north_m : float
        Outer corner of the upper left cell.
    cell_size_m : float
        Edge length of a cell.
    noise_factor : ndarray, shape (rows, cols), optional
        Relative standard deviation of the surface's local noise in each cell, see
        `volumetrics.relative_noise`; alike everywhere when left out.

    Raises
    ------
    InputError
        When the array is not two-dimensional or the cell size is not positive.
    """

    elevation_m: Array
    west_m: float
    north_m: float
    cell_size_m: float
    noise_factor: Array | None = None

    def __post_init__(self) -> None:
        if self.elevation_m.ndim != 2 or 0 in self.elevation_m.shape:
            raise InputError(
                f"A surface of shape {self.elevation_m.shape} is not a grid.",
                "Give a non-empty array of rows and columns.",
            )
        if not (math.isfinite(self.cell_size_m) and self.cell_size_m > 0.0):
            raise InputError(
                f"A cell size of {self.cell_size_m} m makes no grid.", "Give a positive size."
            )

    @property
    def cell_area_m2(self) -> float:
        """Area of one cell."""
        return self.cell_size_m**2

    def x_m(self) -> Array:
        """Eastings of the cell centres, shape (cols,)."""
        return np.asarray(
            self.west_m + (np.arange(self.elevation_m.shape[1]) + 0.5) * self.cell_size_m,
            dtype=np.float64,
        )

    def y_m(self) -> Array:
        """Northings of the cell centres, shape (rows,)."""
        return np.asarray(
            self.north_m - (np.arange(self.elevation_m.shape[0]) + 0.5) * self.cell_size_m,
            dtype=np.float64,
        )

    def containing(self, bounds_m: tuple[float, float, float, float]) -> Grid:
        """Grid that contains the bounds: itself, or a larger one with holes around."""
        rows, cols = self.elevation_m.shape
        left = (self.west_m - bounds_m[0]) / self.cell_size_m
        bottom = (self.north_m - bounds_m[1]) / self.cell_size_m - rows
        right = (bounds_m[2] - self.west_m) / self.cell_size_m - cols
        top = (bounds_m[3] - self.north_m) / self.cell_size_m
        more = [max(0, math.ceil(side)) for side in (top, bottom, left, right)]
        if not any(more):
            return self
        sides = ((more[0], more[1]), (more[2], more[3]))
        factor = self.noise_factor
        return Grid(
            np.pad(self.elevation_m, sides, constant_values=np.nan),
            self.west_m - more[2] * self.cell_size_m,
            self.north_m + more[0] * self.cell_size_m,
            self.cell_size_m,
            None if factor is None else np.pad(factor, sides, constant_values=1.0),
        )

    def around(self, bounds_m: tuple[float, float, float, float], margin_m: float) -> Grid:
        """The part of the grid within bounds and a margin."""
        rows, cols = self.elevation_m.shape
        left = (bounds_m[0] - margin_m - self.west_m) / self.cell_size_m
        right = (bounds_m[2] + margin_m - self.west_m) / self.cell_size_m
        top = (self.north_m - bounds_m[3] - margin_m) / self.cell_size_m
        bottom = (self.north_m - bounds_m[1] + margin_m) / self.cell_size_m
        first_row, first_col = max(0, math.floor(top)), max(0, math.floor(left))
        part = (
            slice(first_row, min(rows, math.ceil(bottom))),
            slice(first_col, min(cols, math.ceil(right))),
        )
        return Grid(
            self.elevation_m[part],
            self.west_m + first_col * self.cell_size_m,
            self.north_m - first_row * self.cell_size_m,
            self.cell_size_m,
            None if self.noise_factor is None else self.noise_factor[part],
        )

    def with_elevation(self, elevation_m: Array) -> Grid:
        """The same cells with other elevations of the same shape."""
        return replace(self, elevation_m=elevation_m)

    def stencil(self, points: Array) -> Stencil:
        """Bilinear interpolation at points.

        Parameters
        ----------
        points : ndarray, shape (n, 2)
            Easting and northing.

        Returns
        -------
        Stencil
            Points outside the grid have cell -1 throughout.
        """
        rows, cols = self.elevation_m.shape
        col = (points[:, 0] - self.west_m) / self.cell_size_m - 0.5
        row = (self.north_m - points[:, 1]) / self.cell_size_m - 0.5
        inside = (col > -0.5) & (col < cols - 0.5) & (row > -0.5) & (row < rows - 0.5)
        col, row = np.clip(col, 0.0, cols - 1.0), np.clip(row, 0.0, rows - 1.0)
        left = np.minimum(col.astype(np.int64), max(cols - 2, 0))
        top = np.minimum(row.astype(np.int64), max(rows - 2, 0))
        right, bottom = np.minimum(left + 1, cols - 1), np.minimum(top + 1, rows - 1)
        u, v = col - left, row - top
        cell = np.column_stack(
            (top * cols + left, top * cols + right, bottom * cols + left, bottom * cols + right)
        )
        weight = np.column_stack(((1 - u) * (1 - v), u * (1 - v), (1 - u) * v, u * v))
        cell[~inside] = -1
        return Stencil(cell, weight)


@dataclass(frozen=True)
class Stencil:
    """Four cells and their weights for each of n points.

    Parameters
    ----------
    cell : ndarray of int, shape (n, 4)
        Flat indices; -1 where the point lies outside the grid.
    weight : ndarray, shape (n, 4)
        Bilinear weights, their sum is 1.
    """

    cell: Indices
    weight: Array

    def sample(self, values: Array) -> Array:
        """Interpolated values, shape (n,); NaN outside the grid and beside holes."""
        found = np.where(self.weight > 0.0, values.ravel()[self.cell] * self.weight, 0.0)
        return np.where(self.cell[:, 0] >= 0, found.sum(axis=1), np.nan)

    def select(self, chosen: NDArray[np.bool_] | Indices) -> Stencil:
        """The stencil of some of the points."""
        return Stencil(self.cell[chosen], self.weight[chosen])

    def spread(self, load: Array, shape: tuple[int, int]) -> Array:
        """The transpose of `sample`: a load (n,) at the points, laid upon the cells."""
        size = shape[0] * shape[1]
        cells = (self.weight * load[:, None]).ravel()
        flat = np.bincount(self.cell.ravel(), cells, minlength=size)
        return flat.astype(np.float64, copy=False).reshape(shape)


def area_fraction(geometry: shapely.Geometry, grid: Grid) -> Array:
    """Share of each cell that a polygon covers, exact to rounding.

    Every edge adds its signed trapezoid to the cells that it crosses; running sums along the rows
    then fill the inside (the accumulation buffer of scan converters, with exact areas).

    Parameters
    ----------
    geometry : Polygon or MultiPolygon
        Valid; parts of it outside the grid are left out.
    grid : Grid

    Returns
    -------
    ndarray, shape (rows, cols)
        Between 0 and 1.
    """
    rows, cols = grid.elevation_m.shape
    buffer = np.zeros((rows, cols + 1))
    for ring in rings(geometry):
        col = (ring[:, 0] - grid.west_m) / grid.cell_size_m
        row = (grid.north_m - ring[:, 1]) / grid.cell_size_m
        _accumulate(buffer, col, row)
    fraction: Array = np.cumsum(buffer, axis=1)[:, :cols]
    # The running sums leave rounding errors beside the polygon.
    fraction[fraction < _ROUNDING] = 0.0
    return np.minimum(fraction, 1.0)


def rings(geometry: shapely.Geometry) -> Iterable[Array]:
    """Rings (n, 2) of a polygonal geometry: outer ones counter-clockwise, holes clockwise."""
    for part in shapely.get_parts(geometry):
        turned = shapely.geometry.polygon.orient(part)
        yield np.asarray(turned.exterior.coords)[:, :2]
        for hole in turned.interiors:
            yield np.asarray(hole.coords)[:, :2]


@numba.njit(cache=True, nogil=True)
def _accumulate(buffer: Array, col: Array, row: Array) -> None:  # pragma: no cover - compiled
    """Add a closed ring, in cell units, to the accumulation buffer."""
    rows, width = buffer.shape
    cols = width - 1
    for i in range(col.size - 1):
        x0, y0, x1, y1 = col[i], row[i], col[i + 1], row[i + 1]
        if y0 == y1:
            continue
        # Downward edges (rows grow) have the inside of a counter-clockwise ring on their right.
        sign = 1.0
        if y0 > y1:
            x0, y0, x1, y1 = x1, y1, x0, y0
            sign = -1.0
        slope = (x1 - x0) / (y1 - y0)
        first, last = max(0, math.floor(y0)), min(rows - 1, math.floor(y1))
        for r in range(first, last + 1):
            top, bottom = max(y0, float(r)), min(y1, float(r + 1))
            if bottom <= top:
                continue
            xa, xb = x0 + slope * (top - y0), x0 + slope * (bottom - y0)
            _accumulate_row(buffer[r], min(xa, xb), max(xa, xb), sign * (bottom - top), cols)


@numba.njit(cache=True, nogil=True)
def _accumulate_row(
    line: Array, left: float, right: float, height: float, cols: int
) -> None:  # pragma: no cover - compiled
    """Add one edge piece within a row: it spans left..right and a signed height."""
    if left >= cols:
        return
    if right <= 0.0:
        line[0] += height
        return
    if right - left < 1e-12:
        column = min(int(left), cols - 1)
        inside = left - column
        line[column] += height * (1.0 - inside)
        line[column + 1] += height * inside
        return
    density = height / (right - left)
    if left < 0.0:
        line[0] += density * -left
        left = 0.0
    column = int(left)
    while left < right and column < cols:
        end = min(right, column + 1.0)
        share = density * (end - left)
        inside = 0.5 * (left + end) - column
        line[column] += share * (1.0 - inside)
        line[column + 1] += share * inside
        left = end
        column += 1
