"""A survey on disk: a folder of the reconstruction, or any DSM GeoTIFF by itself.

The raster is read in windows around the piles, never as a whole.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rasterio
import rasterio.errors
from rasterio.enums import Resampling
from rasterio.windows import Window

from volumetrics.errors import InputError, ToeError
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise, NoiseComponent

# Some 60 bytes a cell are needed to measure: 2.5 GB.
MAX_WINDOW_CELLS = 40_000_000
# No quarry is this deep; writers that forget to name their nodata value write such numbers.
_DEEPEST_M = -1000.0
# Bands of dsm_quality.tif: matches in a cell, and their spread.
_COUNT_BAND, _SPREAD_BAND = 1, 2


@dataclass(frozen=True)
class Survey:
    """A surface on disk with what is known about it.

    Parameters
    ----------
    dsm_path : Path
    crs : pyproj.CRS
        Projected, in metres.
    bounds_m : tuple of float
        West, south, east, north.
    cell_size_m : float
    noise : DsmNoise or None
        None when nothing is stated; it is then estimated around each pile.
    scale_sigma : float
    vertical_sigma_m : float
    facts : dict
        ``survey.json``, empty for a bare raster.
    notes : tuple of str
        What was assumed.
    quality_path : Path, optional
        ``dsm_quality.tif`` on the same cells.
    accuracy : dict
        ``accuracy.json``, empty for a bare raster.
    """

    dsm_path: Path
    crs: pyproj.CRS
    bounds_m: tuple[float, float, float, float]
    cell_size_m: float
    noise: DsmNoise | None
    scale_sigma: float
    vertical_sigma_m: float
    facts: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    quality_path: Path | None = None
    accuracy: dict[str, Any] = field(default_factory=dict)

    def window(self, bounds_m: tuple[float, float, float, float], margin_m: float) -> Grid:
        """The cells within bounds and a margin; cells outside the raster are holes.

        Raises
        ------
        ToeError
            When the bounds lie outside the survey or hold too many cells.
        """
        west, south, east, north = self.bounds_m
        cell = self.cell_size_m
        if (
            bounds_m[0] >= east
            or bounds_m[2] <= west
            or bounds_m[1] >= north
            or bounds_m[3] <= south
        ):
            raise ToeError(
                f"The toe at {_text(bounds_m)} lies outside the survey at {_text(self.bounds_m)}.",
                "Check the polygon's CRS, and that this is the survey of the right site.",
            )
        left = math.floor((bounds_m[0] - margin_m - west) / cell)
        right = math.ceil((bounds_m[2] + margin_m - west) / cell)
        top = math.floor((north - bounds_m[3] - margin_m) / cell)
        bottom = math.ceil((north - bounds_m[1] + margin_m) / cell)
        if (right - left) * (bottom - top) > MAX_WINDOW_CELLS:
            raise ToeError(
                f"The toe spans {right - left} x {bottom - top} cells, more than "
                f"{MAX_WINDOW_CELLS:,} in total.",
                "Split the polygon, or resample the surface to larger cells.",
            )
        window = Window(left, top, right - left, bottom - top)
        elevation = _read(self.dsm_path, 1, window)
        elevation[~(elevation > _DEEPEST_M) | np.isinf(elevation)] = np.nan
        return Grid(elevation, west + left * cell, north - top * cell, cell)

    def overview(self, cell_size_m: float) -> Grid:
        """The whole surface at cells of about this size, or its own where they are larger.

        Parameters
        ----------
        cell_size_m : float
            A whole multiple of the raster's cells is taken; each is the mean of what was seen.
        """
        with rasterio.open(self.dsm_path) as raster:
            every = max(1, round(cell_size_m / self.cell_size_m))
            rows, cols = raster.height // every, raster.width // every
            part = Window(0, 0, cols * every, rows * every)
            values = raster.read(
                1, window=part, out_shape=(rows, cols), masked=True, resampling=Resampling.average
            )
        elevation = values.astype(np.float64).filled(np.nan)
        elevation[~(elevation > _DEEPEST_M) | np.isinf(elevation)] = np.nan
        west, _, _, north = self.bounds_m
        return Grid(elevation, west, north, every * self.cell_size_m)

    def match_error_m(self, grid: Grid) -> Array | None:
        """Standard error of the matches in each cell of a window, NaN where unknown.

        Parameters
        ----------
        grid : Grid
            From `window`.

        Returns
        -------
        ndarray, shape (rows, cols), or None
            None when the survey has no ``dsm_quality.tif``.
        """
        if self.quality_path is None:
            return None
        rows, cols = grid.elevation_m.shape
        left = round((grid.west_m - self.bounds_m[0]) / self.cell_size_m)
        top = round((self.bounds_m[3] - grid.north_m) / self.cell_size_m)
        window = Window(left, top, cols, rows)
        count = _read(self.quality_path, _COUNT_BAND, window)
        spread_m = _read(self.quality_path, _SPREAD_BAND, window)
        # A single match has no spread.
        count[~(count >= 2.0)] = np.nan
        return np.asarray(spread_m / np.sqrt(count))


def _read(path: Path, band: int, window: Window) -> Array:
    """Cells of a window, NaN where there are none; the window may reach over the raster's edge."""
    values = np.full((window.height, window.width), np.nan)
    with rasterio.open(path) as raster:
        left, top = max(window.col_off, 0), max(window.row_off, 0)
        right = min(window.col_off + window.width, raster.width)
        bottom = min(window.row_off + window.height, raster.height)
        if right > left and bottom > top:
            part = raster.read(
                band, window=Window(left, top, right - left, bottom - top), masked=True
            )
            rows = slice(top - window.row_off, bottom - window.row_off)
            cols = slice(left - window.col_off, right - window.col_off)
            values[rows, cols] = part.astype(np.float64).filled(np.nan)
    return values


def _text(bounds_m: tuple[float, float, float, float]) -> str:
    return "(" + ", ".join(f"{value:.1f}" for value in bounds_m) + ")"


def open_survey(path: Path, stated_crs: str | None = None) -> Survey:
    """Open a survey folder or a DSM GeoTIFF.

    Parameters
    ----------
    path : Path
        Folder with ``dsm.tif`` and, where they exist, ``survey.json`` and ``accuracy.json``; or a
        raster file.
    stated_crs : str, optional
        CRS for a raster that names none, e.g. ``EPSG:32615``.

    Raises
    ------
    InputError
        When there is no such surface, or volumes cannot be computed in its CRS.
    """
    dsm_path = path / "dsm.tif" if path.is_dir() else path
    if not dsm_path.is_file():
        raise InputError(
            f"There is no surface at {dsm_path}.",
            "Give a survey folder that holds dsm.tif, or a DSM GeoTIFF.",
        )
    folder = path if path.is_dir() else None
    facts = _json(folder / "survey.json") if folder else {}
    accuracy = _json(folder / "accuracy.json") if folder else {}
    try:
        with rasterio.open(dsm_path) as raster:
            cell_size_m = _cell_size_m(raster)
            crs, notes = _crs(raster, facts, stated_crs)
            bounds = tuple(raster.bounds)
            quality_path = _quality_path(raster, folder)
    except rasterio.errors.RasterioIOError as error:
        raise InputError(
            f"{dsm_path} is not a raster that can be read: {error}.",
            "Export the surface as a GeoTIFF of one band with elevations in metres.",
        ) from error
    return Survey(
        dsm_path,
        crs,
        (bounds[0], bounds[1], bounds[2], bounds[3]),
        cell_size_m,
        stated_noise(accuracy),
        _number(accuracy, "scale_sigma"),
        _number(accuracy, "vertical_sigma_m"),
        facts,
        notes,
        quality_path,
        accuracy,
    )


def _quality_path(dsm: Any, folder: Path | None) -> Path | None:
    """The raster of match counts and spreads, where there is one on the cells of the surface."""
    if folder is None or not (folder / "dsm_quality.tif").is_file():
        return None
    path = folder / "dsm_quality.tif"
    with rasterio.open(path) as raster:
        is_same = (raster.shape, raster.transform) == (dsm.shape, dsm.transform)
        return path if is_same and raster.count >= _SPREAD_BAND else None


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.", "Write it again or remove it.") from error
    return values if isinstance(values, dict) else {}


def _number(values: dict[str, Any], key: str) -> float:
    """A number from a report; what is absent or null is 0."""
    value = values.get(key)
    if value is None:
        return 0.0
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(
            f"accuracy.json has {key} = {value!r}.", "It must be a number of at least 0."
        )
    return float(value)


def stated_noise(accuracy: dict[str, Any]) -> DsmNoise | None:
    """The DSM noise that an accuracy report states, or None.

    A bare sigma without a range says nothing about sums over cells and is not used.
    """
    noise = accuracy.get("dsm_noise")
    if not isinstance(noise, dict):
        return None
    parts = noise.get("components") or [noise]
    components = tuple(
        NoiseComponent(_number(part, "sigma_m"), _number(part, "range_m"))
        for part in parts
        if part.get("sigma_m") is not None and part.get("range_m") is not None
    )
    if not components:
        return None
    return DsmNoise(components, float(noise.get("dof") or math.inf), "accuracy.json")


def _cell_size_m(raster: Any) -> float:
    transform = raster.transform
    if transform.b != 0.0 or transform.d != 0.0 or transform.a <= 0.0 or transform.e >= 0.0:
        raise InputError(
            f"The raster is rotated or not north up (transform {tuple(transform)[:6]}).",
            "Warp it to a north-up grid first, e.g. with gdalwarp.",
        )
    if abs(transform.a + transform.e) > 1e-6 * transform.a:
        raise InputError(
            f"The raster's cells are {transform.a:g} x {-transform.e:g} and not square.",
            "Resample it to square cells first, e.g. with gdalwarp -tr.",
        )
    return float(transform.a)


def _crs(
    raster: Any, facts: dict[str, Any], stated: str | None
) -> tuple[pyproj.CRS, tuple[str, ...]]:
    notes: tuple[str, ...] = ()
    if raster.crs is not None:
        crs = pyproj.CRS.from_user_input(raster.crs.to_wkt())
    elif stated or facts.get("epsg"):
        name = stated or f"EPSG:{facts['epsg']}"
        crs = parse_crs(name)
        notes = (f"the raster names no CRS, taken as {name}",)
    else:
        raise InputError(
            "The raster names no CRS, so its unit is unknown.",
            "State it, e.g. --crs EPSG:32615.",
        )
    check_metres(crs)
    unit = (raster.units[0] or "").strip().lower()
    if unit not in ("", "m", "metre", "meter", "metres", "meters"):
        raise InputError(
            f"The raster's elevations are in {unit!r}.",
            "Convert them to metres, e.g. with gdal_calc, and set the band's unit.",
        )
    return crs, notes


def parse_crs(name: str) -> pyproj.CRS:
    """A CRS by its name.

    Raises
    ------
    InputError
        When it is unknown.
    """
    try:
        return pyproj.CRS.from_user_input(name)
    except pyproj.exceptions.CRSError as error:
        raise InputError(f"{name!r} is no known CRS.", "Use a code like EPSG:32615.") from error


def check_metres(crs: pyproj.CRS) -> None:
    """Refuse a CRS in which a cell's area times its elevation is not cubic metres.

    Raises
    ------
    InputError
        For a geographic CRS, and for one with an axis in another unit than the metre.
    """
    if crs.is_geographic or crs.is_geocentric:
        raise InputError(
            f"The surface is in {crs.name}, in degrees or without a horizontal plane.",
            "Warp it to a projected CRS in metres first, e.g. the fitting UTM zone with gdalwarp.",
        )
    for axis in crs.axis_info:
        if abs(axis.unit_conversion_factor - 1.0) > 1e-9:
            raise InputError(
                f"The axis {axis.name!r} of {crs.name} is in {axis.unit_name}, not in metres.",
                "Warp the surface to a CRS in metres and convert its elevations too: horizontal "
                "and vertical units are converted separately.",
            )
