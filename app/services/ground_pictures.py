"""Pictures of the ground as seen from above: an orthomosaic that others made, or the relief."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from app import rasters
from app.errors import InvalidInput

if TYPE_CHECKING:
    from reconstruction.rasters import Grid

Progress = Callable[[float, str], None]
_TILE_CELLS = 2048
# Slopes at a tile's edge are those of its neighbour.
_MARGIN_CELLS = 1


def is_picture(path: Path) -> bool:
    """Whether a raster is a picture of the ground: three bands or more of 8 bits."""
    import rasterio

    try:
        with _opened(path) as raster:
            return raster.count >= 3 and set(raster.dtypes[:3]) == {"uint8"}
    except rasterio.errors.RasterioIOError:
        return False


def check(path: Path, name: str) -> None:
    """Refuse an uploaded orthomosaic that cannot be laid onto a map.

    Raises
    ------
    InvalidInput
        With the reason. A CRS that is missing can still be stated.
    """
    with _opened(path) as raster:
        if raster.transform.is_identity:
            raise InvalidInput(
                f"{name} is a picture without a place on the map.",
                "Export it as a GeoTIFF; photos belong to a survey of photos.",
            )


def orthomosaic(path: Path, target: Path, epsg: int, stated: int | None, report: Progress) -> None:
    """Make an orthomosaic that another program finished one of the survey's products.

    Parameters
    ----------
    path, target : Path
    epsg : int
        CRS of the survey, into which the picture is warped.
    stated : int or None
        CRS of the picture, where its file names none.
    report : callable

    Raises
    ------
    InvalidInput
        When it names no CRS, or cannot be read.
    """
    import rasterio
    from rasterio.enums import ColorInterp, Resampling
    from rasterio.vrt import WarpedVRT

    from reconstruction.rasters import rgba_cog

    with _placed(path, stated) as (source, crs):
        grid = _grid(source, crs, epsg)
        warped = {
            "src_crs": crs,
            "crs": rasterio.CRS.from_epsg(epsg),
            "transform": grid.transform,
            "width": grid.cols,
            "height": grid.rows,
            "resampling": Resampling.bilinear,
            "add_alpha": ColorInterp.alpha not in source.colorinterp,
        }
        with WarpedVRT(source, **warped) as picture, rgba_cog(target, grid) as raster:
            bands = 1, 2, 3, picture.colorinterp.index(ColorInterp.alpha) + 1
            for row, col, rows, cols in _parts(grid, report, "of the orthomosaic is read"):
                window = rasterio.windows.Window(col, row, cols, rows)
                raster.write(row, col, picture.read(bands, window=window))


def relief(dsm: Path, target: Path, report: Progress) -> None:
    """Make a picture of a surface: lit from the north-west, coloured by elevation."""
    from reconstruction.rasters import RasterReader, rgba_cog

    span_m, margin = rasters.span_of(dsm), _MARGIN_CELLS
    with RasterReader(dsm) as surface, rgba_cog(target, surface.grid) as raster:
        for row, col, rows, cols in _parts(surface.grid, report, "of the relief is drawn"):
            size = rows + 2 * margin, cols + 2 * margin
            elevation = surface.read(row - margin, col - margin, *size)[0].astype(np.float64)
            step_m = surface.grid.cell_size_m
            colours = rasters.coloured_relief(elevation, step_m, span_m)
            inner = colours[margin:-margin, margin:-margin]
            raster.write(row, col, np.moveaxis(inner, -1, 0))


def _parts(grid: Grid, report: Progress, words: str) -> Iterator[tuple[int, int, int, int]]:
    """Tiles of a grid; tells how many are done."""
    tiles = list(grid.tiles(_TILE_CELLS))
    for number, tile in enumerate(tiles):
        report(number / len(tiles), f"{number / len(tiles):.0%} {words}")
        yield tile


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A raster, which may be without a place."""
    import rasterio

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
        with rasterio.open(path) as raster:
            yield raster


@contextmanager
def _placed(path: Path, stated: int | None) -> Iterator[tuple[Any, Any]]:
    """A picture and its CRS."""
    import rasterio

    try:
        with rasterio.open(path) as source:
            if source.crs is None and stated is None:
                raise InvalidInput(f"{path.name} names no CRS.", "State its EPSG code.", "epsg")
            yield source, source.crs or rasterio.CRS.from_epsg(stated)
    except rasterio.errors.RasterioError as error:
        raise InvalidInput(f"{path.name} cannot be read: {error}.", "Export it again.") from error


def _grid(source: Any, crs: Any, epsg: int) -> Grid:
    """The picture's own cells where they are square and north up in the CRS, else such as these."""
    from rasterio.warp import calculate_default_transform

    from reconstruction.rasters import Grid

    own = source.transform
    is_north_up = own.b == own.d == 0.0 and math.isclose(own.a, -own.e)
    if crs.to_epsg() == epsg and is_north_up:
        return Grid(epsg, own.c, own.f, own.a, source.height, source.width)
    size = source.width, source.height
    to_map, cols, rows = calculate_default_transform(crs, f"EPSG:{epsg}", *size, *source.bounds)
    west, north, cell_m = to_map.c, to_map.f, to_map.a
    return Grid.covering(epsg, (west, north - rows * cell_m, west + cols * cell_m, north), cell_m)
