"""Which photo sees which piece of the surface: projection of a grid, and depth buffers.

A `Surface` is the elevation model at the scale of a depth buffer, with its small holes closed. Each
shot gets a depth buffer rendered from it: the distance along the viewing axis at which a ray first
meets the ground. A point that lies clearly behind that distance is hidden.

Over a window of a few hundred metres the way from the grid to the local frame is affine to better
than a millimetre (the Earth's curvature over 100 m is 0.2 mm), so that a whole chain cell ->
map -> local -> camera is one 3 x 4 matrix a window and shot.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.block import Block
from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.rasters import Grid, RasterReader

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

# Rays flatter than this (tangent from the vertical) are cut: they graze the ground for ever.
_MAX_OBLIQUITY = 4.0


@dataclass(frozen=True)
class Window:
    """A rectangle of grid cells: first ``row`` and ``col``, and the size ``rows``, ``cols``."""

    row: int
    col: int
    rows: int
    cols: int


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
    return np.array(
        [
            camera.focal_px,
            camera.cx_px,
            camera.cy_px,
            camera.k1,
            camera.k2,
            camera.k3,
            camera.p1,
            camera.p2,
            limit**2,
            camera.width_px,
            camera.height_px,
        ]
    )


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


@numba.njit(cache=True, nogil=True, inline="always")
def hidden(buffer, scale, x, y, depth, tolerance_m, step_m=math.inf):  # type: ignore[no-untyped-def]
    """Whether a point at pixel ``x, y`` of the full image lies behind a shot's depth buffer.

    The farthest of the four buffer pixels around it decides, so that a steep face does not hide
    itself. Where these differ by more than ``step_m``, it is the rim of something that stands
    before the point or beside it; then the nearest decides, to be on the safe side.
    """
    rows, cols = buffer.shape
    u = (x + 0.5) * scale - 0.5
    v = (y + 0.5) * scale - 0.5
    col = min(max(math.floor(u), 0), cols - 2)
    row = min(max(math.floor(v), 0), rows - 2)
    a, b = buffer[row, col], buffer[row, col + 1]
    c, d = buffer[row + 1, col], buffer[row + 1, col + 1]
    behind = depth > max(max(a, b), max(c, d)) + tolerance_m
    return behind or depth > min(min(a, b), min(c, d)) + step_m


@numba.njit(cache=True, nogil=True, inline="always")
def _edge(ax, ay, bx, by, x, y):  # type: ignore[no-untyped-def]
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


@numba.njit(cache=True, nogil=True, inline="always")
def _triangle(buffer, ax, ay, az, bx, by, bz, cx, cy, cz):  # type: ignore[no-untyped-def]
    area = _edge(ax, ay, bx, by, cx, cy)
    if area == 0.0:
        return
    rows, cols = buffer.shape
    first_col = max(math.ceil(min(ax, bx, cx)), 0)
    last_col = min(math.floor(max(ax, bx, cx)), cols - 1)
    first_row = max(math.ceil(min(ay, by, cy)), 0)
    last_row = min(math.floor(max(ay, by, cy)), rows - 1)
    for row in range(first_row, last_row + 1):
        for col in range(first_col, last_col + 1):
            wa = _edge(bx, by, cx, cy, col, row) / area
            wb = _edge(cx, cy, ax, ay, col, row) / area
            wc = 1.0 - wa - wb
            if wa >= -1e-9 and wb >= -1e-9 and wc >= -1e-9:
                depth = wa * az + wb * bz + wc * cz
                if depth < buffer[row, col]:
                    buffer[row, col] = depth


@numba.njit(cache=True, nogil=True)
def _project_row(matrix, lens, scale, elevations_m, row, nodes):  # type: ignore[no-untyped-def]
    for col in range(elevations_m.shape[1]):
        x, y, depth = project(matrix, lens, col, row, elevations_m[row, col])
        nodes[col, 0] = (x + 0.5) * scale - 0.5
        nodes[col, 1] = (y + 0.5) * scale - 0.5
        nodes[col, 2] = depth


@numba.njit(cache=True, nogil=True)
def _render(matrix, lens, scale, elevations_m, buffer):  # type: ignore[no-untyped-def]
    """Draw the surface's cells, as two triangles between four cell centres, into a buffer."""
    rows, cols = elevations_m.shape
    above = np.empty((cols, 3))
    below = np.empty((cols, 3))
    _project_row(matrix, lens, scale, elevations_m, 0, above)
    for row in range(1, rows):
        _project_row(matrix, lens, scale, elevations_m, row, below)
        for col in range(1, cols):
            a, b, c, d = above[col - 1], above[col], below[col - 1], below[col]
            if b[2] > 0.0 and c[2] > 0.0:
                if a[2] > 0.0:
                    _triangle(buffer, a[0], a[1], a[2], b[0], b[1], b[2], c[0], c[1], c[2])
                if d[2] > 0.0:
                    _triangle(buffer, d[0], d[1], d[2], b[0], b[1], b[2], c[0], c[1], c[2])
        above, below = below, above


@numba.njit(cache=True, nogil=True)
def _see(matrix, lens, buffer, scale, tolerance_m, step_m, points):  # type: ignore[no-untyped-def]
    pixels = np.full((len(points), 2), np.nan)
    for i in range(len(points)):
        x, y, depth = project(matrix, lens, points[i, 0], points[i, 1], points[i, 2])
        inside = -0.5 <= x < lens[9] - 0.5 and -0.5 <= y < lens[10] - 0.5
        if depth > 0.0 and inside and not hidden(buffer, scale, x, y, depth, tolerance_m, step_m):
            pixels[i, 0] = x
            pixels[i, 1] = y
    return pixels


@dataclass(frozen=True)
class Visibility:
    """What the shots of a block see of a surface.

    Parameters
    ----------
    block : Block
    surface : Surface
        Its cells should measure about ``1 / scale`` ground sampling distances.
    scale : float
        Size of the depth buffers, relative to the photos.
    """

    block: Block
    surface: Surface
    scale: float = 0.25

    @property
    def tolerance_m(self) -> float:
        """How far behind the buffer a point must lie to be hidden."""
        return 1.5 * self.surface.grid.cell_size_m

    @property
    def step_m(self) -> float:
        """Difference of depth between neighbours in the buffer from which it is a rim: steeper
        than 75 degrees to the image, where a photo shows little anyway.
        """
        return 4.0 * self.surface.grid.cell_size_m

    @cached_property
    def lenses(self) -> dict[str, Array]:
        """`lens` of each camera."""
        return {name: lens(camera) for name, camera in self.block.cameras.items()}

    @cached_property
    def footprints(self) -> Array:
        """West, south, east, north of what each shot can see at most, shape (shots, 4)."""
        return np.array([self._footprint(shot) for shot in self.block.shots])

    def _footprint(self, shot: Shot) -> Array:
        camera = self.block.cameras[shot.camera]
        x = np.linspace(-0.5, camera.width_px - 0.5, 9)
        y = np.linspace(-0.5, camera.height_px - 0.5, 9)
        border = np.array([(u, v) for u in x for v in y], dtype=np.float64)
        plane = cv2.undistortPoints(border[:, None], camera.matrix, camera.distortion)[:, 0]
        rays = np.column_stack((plane, np.ones(len(plane)))) @ shot.rotation
        horizontal = np.hypot(rays[:, 0], rays[:, 1])
        down = np.maximum(-rays[:, 2], horizontal / _MAX_OBLIQUITY)
        centre_m = self.block.frame.to_map(shot.centre[None])[0]
        height_m = max(centre_m[2] - self.surface.lowest_m, self.surface.grid.cell_size_m)
        ground = shot.centre + rays * (height_m / np.maximum(down, 1e-9))[:, None]
        plan = self.block.frame.to_map(np.vstack((ground, shot.centre)))[:, :2]
        return np.concatenate((plan.min(axis=0), plan.max(axis=0)))

    def buffer(self, index: int) -> Float32:
        """Depth buffer of a shot, rendered now.

        Returns
        -------
        ndarray of float32, shape (rows, cols)
            Depth in metres along the viewing axis, infinite where no surface is seen.
        """
        shot = self.block.shots[index]
        vector = self.lenses[shot.camera]
        shape = (max(2, round(vector[10] * self.scale)), max(2, round(vector[9] * self.scale)))
        depths = np.full(shape, np.inf, dtype=np.float32)
        window = self._window(index)
        if window.rows < 2 or window.cols < 2:
            return depths
        part = self.surface.elevations_m[
            window.row : window.row + window.rows, window.col : window.col + window.cols
        ]
        affine = local_affine(self.block.frame, self.surface.grid, window, self.surface.mean_m)
        _render(view_matrix(shot, affine), vector, self.scale, part, depths)
        return depths

    def _window(self, index: int) -> Window:
        """The part of the surface that a shot can see."""
        grid = self.surface.grid
        west, south, east, north = self.footprints[index]
        first_col = max(int((west - grid.west) / grid.cell_size_m) - 1, 0)
        first_row = max(int((grid.north - north) / grid.cell_size_m) - 1, 0)
        last_col = min(int((east - grid.west) / grid.cell_size_m) + 2, grid.cols)
        last_row = min(int((grid.north - south) / grid.cell_size_m) + 2, grid.rows)
        return Window(first_row, first_col, last_row - first_row, last_col - first_col)

    def pixels(self, index: int, depths: Float32, points: Array) -> Array:
        """Where a shot sees local points.

        Parameters
        ----------
        index : int
            Of the shot in the block.
        depths : ndarray of float32, shape (rows, cols)
            Its `buffer`.
        points : ndarray, shape (n, 3)

        Returns
        -------
        ndarray, shape (n, 2)
            ``x, y`` in the full image; NaN where the point is hidden or outside.
        """
        shot = self.block.shots[index]
        vector = self.lenses[shot.camera]
        pixels: Array = _see(
            view_matrix(shot), vector, depths, self.scale, self.tolerance_m, self.step_m, points
        )
        return pixels
