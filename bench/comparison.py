"""How far volumes and surfaces are from the truth of a rendered flight."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import from_origin
from rasterio.warp import Resampling, reproject

from volumetrics.alignment import align
from volumetrics.errors import InputError
from volumetrics.grid import Grid
from volumetrics.noise import PERFECT

_CELL_M = 0.10


@dataclass(frozen=True)
class PileError:
    """A pile's measured volume beside the true one.

    Parameters
    ----------
    pile : str
    net_m3, net_u95_m3 : float
        As measured on the survey.
    truth_m3 : float
        What the same base gives on the true surface.
    """

    pile: str
    net_m3: float
    net_u95_m3: float
    truth_m3: float

    @property
    def error_m3(self) -> float:
        """Measured less true."""
        return self.net_m3 - self.truth_m3

    @property
    def error_share(self) -> float:
        """Error as a share of the true volume."""
        return self.error_m3 / self.truth_m3

    @property
    def is_inside(self) -> bool:
        """Whether the 95 % interval holds the truth."""
        return abs(self.error_m3) <= self.net_u95_m3


@dataclass(frozen=True)
class SurfaceError:
    """A surface's heights less the true ones, at cells of 10 cm.

    Parameters
    ----------
    bias_m : float
        Median.
    nmad_m : float
        Normalised median absolute deviation from the median.
    shift_m : tuple of float
        How far the surface lies to the east and to the north: toes that are drawn elsewhere, such
        as those of the truth, lie so far beside the piles. NaN where it is metres.
    """

    bias_m: float
    nmad_m: float
    shift_m: tuple[float, float]


def compare_piles(measured: Path, truth: Path) -> tuple[list[PileError], dict[str, str]]:
    """Volumes beside true ones, and why a pile has none.

    Parameters
    ----------
    measured, truth : Path
        Two ``volumes.csv`` of the same polygons.
    """
    true_rows = read_volumes(truth)
    piles, refused = [], {}
    for name, row in read_volumes(measured).items():
        true = true_rows.get(name, {})
        if row["net_m3"] and true.get("net_m3"):
            numbers = (float(row["net_m3"]), float(row["net_u95_m3"]), float(true["net_m3"]))
            piles.append(PileError(name, *numbers))
        else:
            refused[name] = row["refused"] or true.get("refused", "not measured on the truth")
    return piles, refused


def compare_surface(survey: Path, truth: Path) -> SurfaceError:
    """Heights of ``dsm.tif`` beside those of the true surface.

    Parameters
    ----------
    survey, truth : Path
        Two rasters of heights in metres in the same CRS.
    """
    with rasterio.open(survey) as measured, rasterio.open(truth) as true:
        west, south, east, north = true.bounds
        cell_m = max(_CELL_M, measured.res[0])
        shape = (int((north - south) / cell_m), int((east - west) / cell_m))
        transform = from_origin(west, north, cell_m, cell_m)
        heights = [_averaged(source, transform, shape) for source in (measured, true)]
    error = heights[0] - heights[1]
    seen = error[np.isfinite(error)].astype(float)
    bias_m = float(np.median(seen))
    nmad_m = float(1.4826 * np.median(np.abs(seen - bias_m)))
    grids = [Grid(height.astype(float), west, north, cell_m) for height in heights]
    return SurfaceError(bias_m, nmad_m, _shift_m(*grids))


def _shift_m(measured: Grid, true: Grid) -> tuple[float, float]:
    try:
        east_m, north_m = align(true, measured, np.isfinite(true.elevation_m), PERFECT).shift_m
    except InputError:
        return np.nan, np.nan
    return float(east_m), float(north_m)


def _averaged(
    source: rasterio.DatasetReader, transform: rasterio.Affine, shape: tuple[int, int]
) -> NDArray[np.float32]:
    heights = np.full(shape, np.nan, np.float32)
    reproject(
        source.read(1, masked=True).filled(np.nan),
        heights,
        src_transform=source.transform,
        src_crs=source.crs,
        src_nodata=np.nan,
        dst_transform=transform,
        dst_crs=source.crs,
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    return heights


def read_volumes(path: Path) -> dict[str, dict[str, str]]:
    """Rows of a ``volumes.csv`` by pile."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["pile"]: row for row in csv.DictReader(file)}
