"""Rasters of elevations: which can be measured, and their cells.

They are read in windows, never as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.errors
from affine import Affine
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from volumetrics.errors import InputError
from volumetrics.grid import Array

# No quarry is as deep or as high; writers that forget to name their nodata value write such
# numbers, or 0 where all else is farther from it than this.
_DEEPEST_M, _HIGHEST_M, _FAR_FROM_ZERO_M = -1000.0, 9000.0, 20.0
# Windows that are kept begin and end at multiples of so many cells, and have at most so many.
_STEP, _MOST_KEPT = 128, 1_800_000


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A raster to read from, north up: others are turned as they are read.

    Raises
    ------
    InputError
        When it cannot be read, now or while it is open.
    """
    try:
        with rasterio.open(path) as raster:
            if raster.transform.is_rectilinear and raster.transform.a > 0.0 > raster.transform.e:
                yield raster
            else:
                with _turned(raster) as north_up:
                    yield north_up
    except rasterio.errors.RasterioIOError as error:
        why = str(error.__cause__ or error).rstrip(".")
        raise InputError(
            f"{path} is not a raster that can be read: {why}.",
            "Copy or export it again, as a GeoTIFF of one band with elevations in metres.",
        ) from error


def _turned(raster: Any) -> WarpedVRT:
    """The raster on cells of the same size that lie north up.

    Cells that were turned by right angles or mirrored stay as they are; others are interpolated.
    """
    if raster.crs is None:
        raise InputError(
            "The raster is not north up and names no CRS.",
            "Set its CRS first, e.g. with gdal_edit -a_srs.",
        )
    transform = raster.transform
    cell_m = _edge_length(transform)
    corners = [transform @ (x * raster.width, y * raster.height) for x, y in np.ndindex(2, 2)]
    (west, south), (east, north) = np.min(corners, axis=0), np.max(corners, axis=0)
    is_whole = min(abs(transform.a), abs(transform.b)) < 1e-9 * cell_m
    return WarpedVRT(
        raster,
        crs=raster.crs,
        transform=Affine(cell_m, 0.0, west, 0.0, -cell_m, north),
        width=math.ceil((east - west) / cell_m - 1e-6),
        height=math.ceil((north - south) / cell_m - 1e-6),
        resampling=Resampling.nearest if is_whole else Resampling.bilinear,
        add_alpha=raster.nodata is None,
    )


def cell_size_m(raster: Any) -> float:
    """The edge length of the cells.

    Raises
    ------
    InputError
        When they are not square.
    """
    return _edge_length(raster.transform)


def _edge_length(transform: Affine) -> float:
    along, across = math.hypot(transform.a, transform.d), math.hypot(transform.b, transform.e)
    skew = abs(transform.a * transform.b + transform.d * transform.e)
    if abs(along - across) > 1e-6 * along or skew > 1e-6 * along**2:
        raise InputError(
            f"The raster's cells are {along:g} x {across:g} and not square.",
            "Resample it to square cells first, e.g. with gdalwarp -tr.",
        )
    return along


def check_elevations(raster: Any) -> None:
    """Refuse a raster that shows something else than elevations in metres.

    Raises
    ------
    InputError
        For pictures, several bands, and other units.
    """
    colors = [color for color in raster.colorinterp if color != ColorInterp.alpha]
    if len(colors) != 1 or raster.dtypes[0] in ("uint8", "int8"):
        raise InputError(
            f"The raster has {raster.count} bands of {raster.dtypes[0]}: a picture, or more than "
            "elevations.",
            "Give the surface model (DSM), one band with elevations in metres.",
        )
    unit = (raster.units[0] or "").strip().lower()
    if unit not in ("", "m", "metre", "meter", "metres", "meters"):
        raise InputError(
            f"The raster's elevations are in {unit!r}.",
            "Convert them to metres, e.g. with gdal_calc, and set the band's unit.",
        )


def read_cells(path: Path, band: int, window: Window) -> Array:
    """Values of a window, NaN where there are none; it may reach over the raster's edge.

    The last windows that are not too large are kept, as one pile is read again and again: for its
    parts, and for each step while somebody drags its toe.

    Raises
    ------
    InputError
        When the raster is damaged.
    """
    left, top = (_STEP * (start // _STEP) for start in (window.col_off, window.row_off))
    right = _STEP * math.ceil((window.col_off + window.width) / _STEP)
    bottom = _STEP * math.ceil((window.row_off + window.height) / _STEP)
    if (right - left) * (bottom - top) > _MOST_KEPT or not path.exists():
        return _read_cells(path, band, window)
    around = (left, top, right - left, bottom - top)
    kept = _kept_cells(path, path.stat().st_mtime_ns, band, around)
    row, col = window.row_off - top, window.col_off - left
    return kept[row : row + window.height, col : col + window.width].copy()


@lru_cache(maxsize=8)
def _kept_cells(
    path: Path, _changed_ns: int, band: int, around: tuple[int, int, int, int]
) -> Array:
    return _read_cells(path, band, Window(*around))


def _read_cells(path: Path, band: int, window: Window) -> Array:
    values = np.full((window.height, window.width), np.nan)
    with opened(path) as raster:
        left, top = max(window.col_off, 0), max(window.row_off, 0)
        right = min(window.col_off + window.width, raster.width)
        bottom = min(window.row_off + window.height, raster.height)
        if right > left and bottom > top:
            part = raster.read(
                band, window=Window(left, top, right - left, bottom - top), masked=True
            )
            rows = slice(top - window.row_off, bottom - window.row_off)
            cols = slice(left - window.col_off, right - window.col_off)
            values[rows, cols] = _scaled(raster, band, part)
    return values


def read_elevations(path: Path, window: Window) -> Array:
    """Elevations in metres of a window, see `read_cells`."""
    return _plausible(read_cells(path, 1, window))


def read_mean_elevations(path: Path, every: int) -> Array:
    """The whole raster, each value the mean of ``every`` times ``every`` cells."""
    with opened(path) as raster:
        rows, cols = raster.height // every, raster.width // every
        whole = Window(0, 0, cols * every, rows * every)
        values = raster.read(
            1, window=whole, out_shape=(rows, cols), masked=True, resampling=Resampling.average
        )
        return _plausible(_scaled(raster, 1, values))


def _scaled(raster: Any, band: int, stored: Any) -> Array:
    """What the stored numbers mean: whole numbers of centimetres, say."""
    values = stored.astype(np.float64).filled(np.nan)
    scale, offset = raster.scales[band - 1], raster.offsets[band - 1]
    return np.asarray(values if (scale, offset) == (1.0, 0.0) else values * scale + offset)


def _plausible(elevation_m: Array) -> Array:
    elevation_m[~((elevation_m > _DEEPEST_M) & (elevation_m < _HIGHEST_M))] = np.nan
    is_zero = elevation_m == 0.0
    if is_zero.any():
        others_m = np.abs(elevation_m[~is_zero & np.isfinite(elevation_m)])
        if others_m.size and others_m.min() > _FAR_FROM_ZERO_M:
            elevation_m[is_zero] = np.nan
    return elevation_m
