"""What one stereo pair says of the surface, resampled to the cells of the map.

The disparities of neighbouring pixels span triangles in space, and a cell takes the elevation
of the triangle at its centre. So slopes are interpolated, not rounded to the nearest sample, and
where the disparities break off there are no triangles and the cells stay empty.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.frame import LocalFrame
from reconstruction.rectify import Rectification, View, source_pixel

Array = NDArray[np.float64]

# One cell of a patch: elevation code (0 for none), its sigma and the colour.
CELL = np.dtype([("code", "<u2"), ("sigma_m", "<f2"), ("rgb", "u1", (3,))])
_CODES = 65534
_BAND_ROWS = 64
# Disparities of neighbours that differ more are different surfaces.
_MAX_BREAK_PX = 1.0
# Faces that the rays graze have a position but hardly an elevation.
_MAX_CELLS = 400
# Cells on the common edge of two triangles belong to both.
_RIM = 1e-4


@dataclass(frozen=True)
class CellFrame:
    """The global numbering of map cells: rows count southwards, columns eastwards.

    Parameters
    ----------
    west, north : float
        Upper left corner of cell (0, 0), multiples of the cell size; row and column numbers may
        be negative.
    elevation_m : float
        Elevation that float32 heights count from.
    cell_size_m : float
    """

    west: float
    north: float
    elevation_m: float
    cell_size_m: float

    @classmethod
    def around(cls, frame: LocalFrame, cell_size_m: float) -> CellFrame:
        """Cells counted from the local frame's origin."""
        easting, northing, elevation = frame.map_origin
        return cls(
            round(easting / cell_size_m) * cell_size_m,
            round(northing / cell_size_m) * cell_size_m,
            float(elevation),
            cell_size_m,
        )


@dataclass(frozen=True)
class Band:
    """Some rows of a patch on disk, from the first to the last column that is known in them.

    A photo that is turned by 45 degrees fills half of its rectangle on the map.

    Parameters
    ----------
    row, col : int
        Its first cell, counted from the patch's.
    rows, cols : int
    start : int
        Number of its first cell in the file.
    """

    row: int
    col: int
    rows: int
    cols: int
    start: int


@dataclass(frozen=True)
class PatchFile:
    """A surface patch on disk.

    Parameters
    ----------
    path : Path
        ``.npy`` of `CELL`, band after band.
    row, col : int
        Number of its first cell in the `CellFrame`.
    rows, cols : int
    bands : tuple of Band
    low_m, step_m : float
        Elevation, counted from the `CellFrame`'s, is ``low_m + step_m * (code - 1)``.
    photos : tuple of int
        Indices of the left and the right photo.
    half : int
        0 or 1: both photos are of that half of the flight; -1: they are of different halves.
    """

    path: Path
    row: int
    col: int
    rows: int
    cols: int
    bands: tuple[Band, ...]
    low_m: float
    step_m: float
    photos: tuple[int, int]
    half: int

    def overlaps(self, row: int, col: int, rows: int, cols: int) -> bool:
        """Whether it has cells in a window."""
        return (
            self.row < row + rows
            and row < self.row + self.rows
            and self.col < col + cols
            and col < self.col + self.cols
        )

    def parts(
        self, row: int, col: int, rows: int, cols: int
    ) -> Iterator[tuple[tuple[slice, slice], NDArray[np.void]]]:
        """The known parts of a window: where each lies in it, and its cells."""
        stored = np.load(self.path, mmap_mode="r")
        for band in self.bands:
            band_row, band_col = self.row + band.row, self.col + band.col
            top, bottom = max(row, band_row), min(row + rows, band_row + band.rows)
            left, right = max(col, band_col), min(col + cols, band_col + band.cols)
            if top < bottom and left < right:
                cells = stored[band.start : band.start + band.rows * band.cols]
                place = np.s_[top - row : bottom - row, left - col : right - col]
                within = np.s_[
                    top - band_row : bottom - band_row, left - band_col : right - band_col
                ]
                yield place, cells.reshape(band.rows, band.cols)[within]


def write_patch(
    path: Path,
    pair: Rectification,
    disparity: NDArray[np.float32],
    sigma_px: NDArray[np.float32],
    left: View,
    colors: NDArray[np.uint8],
    frame: LocalFrame,
    cells: CellFrame,
    photos: tuple[int, int],
    half: int,
) -> PatchFile | None:
    """Resample a pair's surface to map cells and write it; None if it is empty.

    Parameters
    ----------
    path : Path
        File to write.
    pair : Rectification
    disparity, sigma_px : ndarray of float32, shape (pair.height_px, pair.width_px)
        NaN for none.
    left : View
        The left photo.
    colors : ndarray of uint8, shape (rows, cols, 3)
        The left photo at its working size, red, green, blue.
    frame : LocalFrame
    cells : CellFrame
    photos : tuple of int
    half : int
        As in `PatchFile`.
    """
    matrix, offset = _to_cells(pair, frame, cells)
    x, y, z = _map_points(disparity, _geometry(pair), matrix, offset)
    if np.isnan(x).all():
        return None
    col, row = int(np.floor(np.nanmin(x))), int(np.floor(np.nanmin(y)))
    cols, rows = int(np.ceil(np.nanmax(x))) - col + 1, int(np.ceil(np.nanmax(y))) - row + 1
    shape = (rows, cols)
    elevation = np.full(shape, np.nan, dtype=np.float32)
    source = np.full(shape, -1, dtype=np.int32)
    _draw(x - np.float32(col), y - np.float32(row), z, disparity, elevation, source)
    known = source >= 0
    if not known.any():
        return None
    low, high = float(elevation[known].min()), float(elevation[known].max())
    step = max((high - low) / _CODES, 1e-5)
    stored = np.zeros(shape, dtype=CELL)
    stored["code"][known] = np.rint((elevation[known] - low) / step) + 1
    turn = left.shot.rotation @ pair.rotation.T
    sigma_m = np.zeros(shape, dtype=np.float32)
    _paint(
        source,
        disparity,
        sigma_px,
        _geometry(pair),
        turn,
        left.lens,
        colors,
        sigma_m,
        stored["rgb"],
    )
    stored["sigma_m"] = sigma_m
    bands = save(path, stored, known)
    return PatchFile(path, row, col, rows, cols, bands, low, step, photos, half)


def save(path: Path, cells: NDArray[np.void], known: NDArray[np.bool_]) -> tuple[Band, ...]:
    """Write the known cells; returns where they are.

    Parameters
    ----------
    path : Path
    cells : ndarray of `CELL`, shape (rows, cols)
    known : ndarray of bool, shape (rows, cols)
    """
    bands, parts, start = [], [], 0
    for row in range(0, len(cells), _BAND_ROWS):
        at = np.flatnonzero(known[row : row + _BAND_ROWS].any(axis=0))
        if at.size:
            first, end = int(at[0]), int(at[-1]) + 1
            part = cells[row : row + _BAND_ROWS, first:end]
            bands.append(Band(row, first, len(part), end - first, start))
            parts.append(part.ravel())
            start += part.size
    np.save(path, np.concatenate(parts))
    return tuple(bands)


def _geometry(pair: Rectification) -> Array:
    return np.array(
        [pair.focal_px, pair.base_m, pair.x0_px, pair.y0_px, pair.disparity0_px], dtype=np.float64
    )


def _to_cells(pair: Rectification, frame: LocalFrame, cells: CellFrame) -> tuple[Array, Array]:
    """The affine map from rectified axes to cell column, cell row (edges at integers) and height.

    Within the few hundred metres that a pair sees, the map projection is affine to a fraction of
    a millimetre; it is fitted around the ground below the pair.
    """
    depth = pair.focal_px * pair.base_m / (pair.disparity0_px + 0.5 * pair.disparity_count)
    half_width = 0.5 * pair.width_px / pair.focal_px * depth
    steps = np.array([-0.6, 0.0, 0.6])
    mesh = np.meshgrid(steps * half_width, steps * half_width, depth * (1.0 + 0.15 * steps))
    middle = np.array([pair.x0_px, pair.y0_px]) + 0.5 * np.array([pair.width_px, pair.height_px])
    rectified = np.column_stack([axis.ravel() for axis in mesh])
    rectified[:, :2] += middle / pair.focal_px * depth
    on_map = frame.to_map(rectified @ pair.rotation + pair.centre)
    target = np.column_stack(
        (
            (on_map[:, 0] - cells.west) / cells.cell_size_m,
            (cells.north - on_map[:, 1]) / cells.cell_size_m,
            on_map[:, 2] - cells.elevation_m,
        )
    )
    design = np.column_stack((rectified, np.ones(len(rectified))))
    solution = np.linalg.lstsq(design, target, rcond=None)[0]
    return np.ascontiguousarray(solution[:3].T), solution[3]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _map_points(disparity, geometry, matrix, offset):  # type: ignore[no-untyped-def]
    """Cell column, cell row and height of every pixel, NaN for none."""
    focal, base, x0, y0, disparity0 = geometry
    rows, cols = disparity.shape
    x_out = np.full((rows, cols), np.nan, dtype=np.float32)
    y_out = np.full((rows, cols), np.nan, dtype=np.float32)
    z_out = np.full((rows, cols), np.nan, dtype=np.float32)
    for row in range(rows):
        v = (y0 + row) / focal
        for col in range(cols):
            d = disparity[row, col]
            if np.isnan(d):
                continue
            u = (x0 + col) / focal
            depth = focal * base / (disparity0 + np.float64(d))
            x_out[row, col] = (
                depth * (matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2]) + offset[0]
            )
            y_out[row, col] = (
                depth * (matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2]) + offset[1]
            )
            z_out[row, col] = (
                depth * (matrix[2, 0] * u + matrix[2, 1] * v + matrix[2, 2]) + offset[2]
            )
    return x_out, y_out, z_out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _draw(x, y, z, disparity, elevation, source):  # type: ignore[no-untyped-def]
    """Draw the two triangles of every four neighbours; ``source`` is the pixel they came from."""
    cols = x.shape[1]
    for row in range(x.shape[0] - 1):
        for col in range(cols - 1):
            a, b = disparity[row, col], disparity[row, col + 1]
            c, d = disparity[row + 1, col], disparity[row + 1, col + 1]
            # False too where one of them is NaN.
            if not (
                abs(a - b) <= _MAX_BREAK_PX
                and abs(c - d) <= _MAX_BREAK_PX
                and abs(a - c) <= _MAX_BREAK_PX
                and abs(b - d) <= _MAX_BREAK_PX
            ):
                continue
            pixel = row * cols + col
            for corner in range(2):
                r, q = row + corner, col + corner
                _triangle(
                    (x[r, q], x[row, col + 1], x[row + 1, col]),
                    (y[r, q], y[row, col + 1], y[row + 1, col]),
                    (z[r, q], z[row, col + 1], z[row + 1, col]),
                    pixel,
                    elevation,
                    source,
                )


@numba.njit(cache=True, nogil=True, inline="always", error_model="numpy")
def _triangle(x, y, z, pixel, elevation, source):  # type: ignore[no-untyped-def]
    """Give cells whose centre is inside a triangle its elevation; the upper surface stays."""
    first_col = int(np.ceil(min(x[0], x[1], x[2]) - np.float32(0.5)))
    last_col = int(np.floor(max(x[0], x[1], x[2]) - np.float32(0.5)))
    first_row = int(np.ceil(min(y[0], y[1], y[2]) - np.float32(0.5)))
    last_row = int(np.floor(max(y[0], y[1], y[2]) - np.float32(0.5)))
    if first_col > last_col or first_row > last_row:
        return
    ux, uy, uz = x[1] - x[0], y[1] - y[0], z[1] - z[0]
    vx, vy, vz = x[2] - x[0], y[2] - y[0], z[2] - z[0]
    area = ux * vy - uy * vx
    if area == 0.0 or (last_col - first_col + 1) * (last_row - first_row + 1) > _MAX_CELLS:
        return
    for row in range(first_row, last_row + 1):
        for col in range(first_col, last_col + 1):
            px, py = (
                np.float32(col) + np.float32(0.5) - x[0],
                np.float32(row) + np.float32(0.5) - y[0],
            )
            s = (px * vy - py * vx) / area
            t = (ux * py - uy * px) / area
            if s < -_RIM or t < -_RIM or s + t > 1.0 + _RIM:
                continue
            height = z[0] + s * uz + t * vz
            if not height <= elevation[row, col]:
                elevation[row, col] = height
                source[row, col] = pixel


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _paint(source, disparity, sigma_px, geometry, turn, lens, colors, sigma_m, rgb):  # type: ignore[no-untyped-def]
    """Sigma and colour of every cell, from the pixel that its elevation came from."""
    focal, base, x0, y0, disparity0 = geometry
    cols = disparity.shape[1]
    for row in range(source.shape[0]):
        for col in range(source.shape[1]):
            pixel = source[row, col]
            if pixel < 0:
                continue
            i, j = pixel // cols, pixel % cols
            parallax = disparity0 + np.float64(disparity[i, j])
            sigma_m[row, col] = sigma_px[i, j] * focal * base / (parallax * parallax)
            px, py = source_pixel((x0 + j) / focal, (y0 + i) / focal, turn, lens)
            k = min(max(int(py + 0.5), 0), colors.shape[0] - 1)
            m = min(max(int(px + 0.5), 0), colors.shape[1] - 1)
            for band in range(3):
                rgb[row, col, band] = colors[k, m, band]
