"""From cells of a grid, or points, to pixels of a photo.

Over a window of a few hundred metres the way from the grid to the local frame is affine to better
than a millimetre (the Earth's curvature over 100 m is 0.2 mm), so that a whole chain cell ->
map -> local -> camera is one 3 x 4 matrix a window and shot.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.rasters import Grid

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Window:
    """A rectangle of grid cells: first ``row`` and ``col``, and the size ``rows``, ``cols``."""

    row: int
    col: int
    rows: int
    cols: int


def local_affine(frame: LocalFrame, grid: Grid, window: Window, elevation_m: float) -> Array:
    """Local coordinates of a window's cells as an affine map.

    Parameters
    ----------
    frame : LocalFrame
    grid : Grid
    window : Window
    elevation_m : float
        A typical elevation of the window.

    Returns
    -------
    ndarray, shape (3, 4)
        Times (col, row, elevation, 1) with col, row counted from the window's first cell, integers
        at cell centres, gives x, y, z.
    """
    cols, rows = np.meshgrid([0.0, window.cols - 1.0], [0.0, window.rows - 1.0])
    corners = np.column_stack((cols.ravel(), rows.ravel()))
    cells = np.vstack([np.insert(corners, 2, elevation_m + step, axis=1) for step in (-50.0, 50.0)])
    size = grid.cell_size_m
    easting = grid.west + (window.col + cells[:, 0] + 0.5) * size
    northing = grid.north - (window.row + cells[:, 1] + 0.5) * size
    local = frame.from_map(np.column_stack((easting, northing, cells[:, 2])))
    terms = np.insert(cells - [0.0, 0.0, elevation_m], 3, 1.0, axis=1)
    affine = np.linalg.lstsq(terms, local, rcond=None)[0].T
    affine[:, 3] -= affine[:, 2] * elevation_m
    return affine


def view_matrix(shot: Shot, affine: Array | None = None) -> Array:
    """Camera coordinates of local points, or of grid cells through `local_affine`.

    Returns
    -------
    ndarray, shape (3, 4)
        Times (x, y, z, 1), or (col, row, elevation, 1).
    """
    if affine is None:
        return np.column_stack((shot.rotation, -shot.rotation @ shot.centre))
    matrix = shot.rotation @ affine
    matrix[:, 3] -= shot.rotation @ shot.centre
    return matrix


def lens(camera: Camera) -> Array:
    """The camera as `project` takes it, shape (11,).

    Focal length, principal point x and y, k1, k2, k3, p1, p2, the largest squared tangent of the
    field of view (beyond it the distortion polynomial may fold back into the image), width, height.
    """
    corners = np.array([(x, y) for x in (0, camera.width_px) for y in (0, camera.height_px)])
    offset = np.hypot(corners[:, 0] - camera.cx_px, corners[:, 1] - camera.cy_px).max()
    tangent = np.arange(0.0, 3.0, 0.002)
    r2 = tangent * tangent
    seen = tangent * (1.0 + r2 * (camera.k1 + r2 * (camera.k2 + r2 * camera.k3)))
    stop = (seen * camera.focal_px > 1.02 * offset) | (np.gradient(seen) <= 0.0)
    limit = tangent[max(int(np.argmax(stop)) - 1, 0)] if stop.any() else tangent[-1]
    return np.append(camera.intrinsics, (limit**2, camera.width_px, camera.height_px))


@numba.njit(cache=True, nogil=True, inline="always")
def project(matrix, lens, a, b, c):  # type: ignore[no-untyped-def]
    """Pixel ``x, y`` and depth of the point (a, b, c); depth is 0 where the lens cannot see.

    ``x, y`` count pixel centres at integers and may lie outside the image.
    """
    depth = matrix[2, 0] * a + matrix[2, 1] * b + matrix[2, 2] * c + matrix[2, 3]
    if not depth > 1e-6:
        return 0.0, 0.0, 0.0
    x = (matrix[0, 0] * a + matrix[0, 1] * b + matrix[0, 2] * c + matrix[0, 3]) / depth
    y = (matrix[1, 0] * a + matrix[1, 1] * b + matrix[1, 2] * c + matrix[1, 3]) / depth
    r2 = x * x + y * y
    if r2 > lens[8]:
        return 0.0, 0.0, 0.0
    radial = 1.0 + r2 * (lens[3] + r2 * (lens[4] + r2 * lens[5]))
    xd = x * radial + 2.0 * lens[6] * x * y + lens[7] * (r2 + 2.0 * x * x)
    yd = y * radial + lens[6] * (r2 + 2.0 * y * y) + 2.0 * lens[7] * x * y
    return lens[0] * xd + lens[1], lens[0] * yd + lens[2], depth
