"""The 3D model of a surface that has no photos: a picture of the ground is laid over it."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyproj
from numpy.typing import NDArray

from reconstruction.charts import Atlas
from reconstruction.errors import StageError
from reconstruction.frame import LocalFrame
from reconstruction.rasters import RasterReader
from reconstruction.stage import Run
from reconstruction.texels import continued, places_of
from reconstruction.tile_tree import EMPTY_HINT, NAME, Ground, Model3D, write

Array = NDArray[np.float64]

# Cells of a picture that are seen through, as at its border, have the colour of nothing in them.
_OPAQUE = 250.0
# Texels that lie nowhere are taken from far outside the picture.
_NOWHERE_PX = -1e6
_OVERVIEW_CELLS = 512


def frame_of(dsm: Path) -> LocalFrame:
    """A local frame in the middle of a surface, at its mean elevation.

    Raises
    ------
    StageError
        The surface has no elevation.
    """
    with RasterReader(dsm) as raster:
        largest = max(raster.grid.rows, raster.grid.cols)
        factor = 1 << max(0, math.ceil(math.log2(largest / _OVERVIEW_CELLS)))
        elevations = raster.read_overview(factor)[1][0]
        epsg, (west, south, east, north) = raster.grid.epsg, raster.grid.bounds
    known = elevations[np.isfinite(elevations)]
    if not known.size:
        raise StageError(NAME, "The surface holds no ground.", EMPTY_HINT)
    to_globe = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
    longitude, latitude = to_globe.transform(0.5 * (west + east), 0.5 * (south + north))
    return LocalFrame(epsg, latitude, longitude, float(known.mean(dtype=np.float64)))


def build(dsm: Path, picture: Path, frame: LocalFrame, folder: Path, run: Run) -> Model3D:
    """Write ``tileset.json`` and its tiles into a folder.

    Parameters
    ----------
    dsm : Path
        Elevations, a raster with holes.
    picture : Path
        Red, green, blue and alpha of the ground, a raster in the same CRS.
    frame : LocalFrame
        Where the points of the tiles are.
    folder : Path
    run : Run

    Raises
    ------
    StageError
        The surface has no piece large enough to show.
    """
    with RasterReader(picture) as raster:
        ground = Ground(frame, dsm, partial(paint, raster, frame), raster.grid.cell_size_m)
        return write(ground, folder, run)


def paint(
    picture: RasterReader, frame: LocalFrame, points: Array, atlas: Atlas, texel_m: float
) -> NDArray[np.uint8]:
    """The picture of a tile, from a picture of the ground.

    Parameters
    ----------
    picture : RasterReader
        Red, green, blue, alpha.
    frame : LocalFrame
    points : ndarray, shape (n, 3)
        Mesh points, local coordinates.
    atlas : Atlas
        Their layout.
    texel_m : float
        Size of a texel.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Texels that the picture does not show continue the colours around them.
    """
    on_map = frame.to_map(points)
    (west, south), (east, north) = on_map[:, :2].min(axis=0), on_map[:, :2].max(axis=0)
    factor = 1 << max(0, math.floor(math.log2(texel_m / picture.grid.cell_size_m)))
    grid, colours = picture.read_overview(factor, (west, south, east, north))
    places = places_of(on_map, atlas)
    col = (places.texels[..., 0] + (places.origin[0] - grid.west)) / grid.cell_size_m - 0.5
    row = ((grid.north - places.origin[1]) - places.texels[..., 1]) / grid.cell_size_m - 0.5
    x, y = (np.nan_to_num(axis, nan=_NOWHERE_PX).astype(np.float32) for axis in (col, row))
    bands = [cv2.remap(band.astype(np.float32), x, y, cv2.INTER_LINEAR) for band in colours]
    seen = bands[3] >= _OPAQUE
    return continued(np.dstack([*(band * seen for band in bands[:3]), seen]).astype(np.float32))
