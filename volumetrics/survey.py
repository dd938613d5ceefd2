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
from rasterio.windows import Window

from volumetrics.crs import check_metres, parse_crs
from volumetrics.errors import InputError, ToeError
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.raster import (
    cell_size_m,
    check_elevations,
    opened,
    read_cells,
    read_elevations,
    read_mean_elevations,
)

# Some 60 bytes a cell are needed to measure: 2.5 GB.
MAX_WINDOW_CELLS = 40_000_000
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
    tilt_sigma : float
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
    tilt_sigma: float
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
        elevation = read_elevations(self.dsm_path, window)
        return Grid(elevation, west + left * cell, north - top * cell, cell)

    def overview(self, cell_size_m: float) -> Grid:
        """The whole surface at cells of about this size, or its own where they are larger.

        Parameters
        ----------
        cell_size_m : float
            A whole multiple of the raster's cells is taken; each is the mean of what was seen.
        """
        every = max(1, round(cell_size_m / self.cell_size_m))
        elevation = read_mean_elevations(self.dsm_path, every)
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
        count = read_cells(self.quality_path, _COUNT_BAND, window)
        spread_m = read_cells(self.quality_path, _SPREAD_BAND, window)
        # A single match has no spread.
        count[~(count >= 2.0)] = np.nan
        return np.asarray(spread_m / np.sqrt(count))


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
        When there is no such surface, it shows no elevations in metres, or volumes cannot be
        computed in its CRS.
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
    with opened(dsm_path) as raster:
        size_m = cell_size_m(raster)
        crs, notes = _crs(raster, facts, stated_crs)
        bounds = tuple(raster.bounds)
        check_metres(crs, (0.5 * (bounds[0] + bounds[2]), 0.5 * (bounds[1] + bounds[3])))
        check_elevations(raster)
        quality_path = _quality_path(raster, folder)
    return Survey(
        dsm_path,
        crs,
        (bounds[0], bounds[1], bounds[2], bounds[3]),
        size_m,
        stated_noise(accuracy),
        _number(accuracy, "scale_sigma"),
        _number(accuracy, "vertical_sigma_m"),
        _number(accuracy, "tilt_sigma"),
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
    with opened(path) as raster:
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

    Where components are stated, they are the noise, bending of the whole block included, and a
    sigma beside them is for people. A bare sigma without a range says nothing about sums over cells
    and is not used.
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


def _crs(
    raster: Any, facts: dict[str, Any], stated: str | None
) -> tuple[pyproj.CRS, tuple[str, ...]]:
    if raster.crs is not None:
        return pyproj.CRS.from_user_input(raster.crs.to_wkt()), ()
    if stated or facts.get("epsg"):
        name = stated or f"EPSG:{facts['epsg']}"
        return parse_crs(name), (f"the raster names no CRS, taken as {name}",)
    raise InputError(
        "The raster names no CRS, so its unit is unknown.", "State it, e.g. --crs EPSG:32615."
    )
