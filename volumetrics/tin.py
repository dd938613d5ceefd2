"""Triangles in space: what they are under every cell of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from volumetrics.grid import Array, Grid, Indices


@dataclass(frozen=True)
class Tin:
    """A triangulated irregular network.

    Parameters
    ----------
    points_m : ndarray, shape (n, 3)
        Easting, northing, elevation.
    triangles : ndarray of int, shape (k, 3)
        None without area in plan.
    """

    points_m: Array
    triangles: Indices

    def elevation_m(self, grid: Grid) -> Array:
        """Elevations at the cell centres, shape (rows, cols); NaN where no triangle lies."""
        corner = self.points_m[self.triangles]
        centre = corner.reshape(-1, 3).mean(axis=0)
        design = np.concatenate(
            (np.ones((len(corner), 3, 1)), corner[..., :2] - centre[:2]), axis=2
        )
        facets = np.linalg.solve(design, corner[..., 2:])[..., 0]
        of_cell = triangle_of_cells(grid, self.points_m[:, :2], self.triangles)
        facet = facets[of_cell]
        x, y = grid.x_m() - centre[0], grid.y_m() - centre[1]
        elevation = facet[..., 0] + facet[..., 1] * x[None, :] + facet[..., 2] * y[:, None]
        return np.where(of_cell >= 0, elevation, np.nan)


def triangle_of_cells(grid: Grid, points_m: Array, triangles: Indices) -> NDArray[np.int32]:
    """The triangle that holds each cell's centre, -1 where there is none.

    Parameters
    ----------
    grid : Grid
    points_m : ndarray, shape (n, 2)
    triangles : ndarray of int, shape (k, 3)
        Where they lie over each other, the last one counts.

    Returns
    -------
    ndarray of int, shape (rows, cols)
    """
    found = np.full(grid.elevation_m.shape, -1, dtype=np.int32)
    col = (points_m[:, 0] - grid.west_m) / grid.cell_size_m - 0.5
    row = (grid.north_m - points_m[:, 1]) / grid.cell_size_m - 0.5
    _draw(found, np.column_stack((col, row)), triangles)
    return found


@numba.njit(cache=True, nogil=True)
def _draw(
    image: NDArray[np.int32], points: Array, triangles: Indices
) -> None:  # pragma: no cover - compiled
    """Write each triangle's number into the cells whose centres it holds, row by row."""
    rows, cols = image.shape
    for t in range(triangles.shape[0]):
        corner = triangles[t]
        low = min(points[corner[0], 1], points[corner[1], 1], points[corner[2], 1])
        high = max(points[corner[0], 1], points[corner[1], 1], points[corner[2], 1])
        for row in range(max(0, math.ceil(low)), min(rows - 1, math.floor(high)) + 1):
            left, right = np.inf, -np.inf
            for k in range(3):
                x0, y0 = points[corner[k]]
                x1, y1 = points[corner[(k + 1) % 3]]
                if min(y0, y1) <= row <= max(y0, y1):
                    for share in (
                        ((row - y0) / (y1 - y0), (row - y0) / (y1 - y0)) if y0 != y1 else (0.0, 1.0)
                    ):
                        x = x0 + share * (x1 - x0)
                        left, right = min(left, x), max(right, x)
            # A hair too wide: neighbours agree along a shared edge, and no cell may stay empty.
            first, last = max(0, math.ceil(left - 1e-6)), math.floor(right + 1e-6)
            for col in range(first, min(cols - 1, last) + 1):
                image[row, col] = t
