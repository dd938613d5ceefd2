"""Which photo sees which piece of the surface: depth buffers.

Each shot gets a depth buffer rendered from the `Surface`: the distance along the viewing axis at
which a ray first meets the ground. A point that lies clearly behind that distance is hidden.
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
from reconstruction.camera import Shot
from reconstruction.projection import Window, lens, local_affine, project, view_matrix
from reconstruction.surface import Surface

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]

# Rays flatter than this (tangent from the vertical) are cut: they graze the ground for ever.
_MAX_OBLIQUITY = 4.0


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
def _triangle(buffer, a, b, c):  # type: ignore[no-untyped-def]
    """Draw the triangle between three nodes, each x, y and depth."""
    rows, cols = buffer.shape
    first_col = max(math.ceil(min(a[0], b[0], c[0])), 0)
    last_col = min(math.floor(max(a[0], b[0], c[0])), cols - 1)
    first_row = max(math.ceil(min(a[1], b[1], c[1])), 0)
    last_row = min(math.floor(max(a[1], b[1], c[1])), rows - 1)
    area = _edge(a[0], a[1], b[0], b[1], c[0], c[1])
    if area == 0.0:
        return
    for row in range(first_row, last_row + 1):
        for col in range(first_col, last_col + 1):
            wa = _edge(b[0], b[1], c[0], c[1], col, row) / area
            wb = _edge(c[0], c[1], a[0], a[1], col, row) / area
            wc = 1.0 - wa - wb
            if wa >= -1e-9 and wb >= -1e-9 and wc >= -1e-9:
                depth = wa * a[2] + wb * b[2] + wc * c[2]
                if depth < buffer[row, col]:
                    buffer[row, col] = depth


@numba.njit(cache=True, nogil=True)
def _project_row(matrix, lens, scale, elevations_m, row, nodes):  # type: ignore[no-untyped-def]
    for col in range(elevations_m.shape[1]):
        x, y, depth = project(matrix, lens, col, row, elevations_m[row, col])
        nodes[col, 0] = (x + 0.5) * scale - 0.5
        nodes[col, 1] = (y + 0.5) * scale - 0.5
        nodes[col, 2] = depth


@numba.njit(cache=True, nogil=True, inline="always")
def _node(nodes, col):  # type: ignore[no-untyped-def]
    return nodes[col, 0], nodes[col, 1], nodes[col, 2]


@numba.njit(cache=True, nogil=True)
def _render(matrix, lens, scale, elevations_m, buffer):  # type: ignore[no-untyped-def]
    """Draw the surface's cells, as two triangles between four cell centres, into a buffer."""
    rows, cols = elevations_m.shape
    above = np.empty((cols, 3))
    below = np.empty((cols, 3))
    _project_row(matrix, lens, scale, elevations_m, 0, above)
    for row in range(1, rows):
        _project_row(matrix, lens, scale, elevations_m, row, below)
        a, c = _node(above, 0), _node(below, 0)
        for col in range(1, cols):
            b, d = _node(above, col), _node(below, col)
            if b[2] > 0.0 and c[2] > 0.0:
                if a[2] > 0.0:
                    _triangle(buffer, a, b, c)
                if d[2] > 0.0:
                    _triangle(buffer, d, b, c)
            a, c = b, d
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
