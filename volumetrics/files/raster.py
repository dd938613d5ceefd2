"""The height above base of a pile as a GeoTIFF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyproj
import rasterio
from affine import Affine

from volumetrics import __version__
from volumetrics.files.relief import Relief
from volumetrics.files.whole import whole

NODATA = -9999.0


def write_height_above_base(path: Path, relief: Relief, crs: pyproj.CRS) -> None:
    """Write heights in metres, float32; cells without any part of the pile are nodata.

    The cells are those of the survey. Those that the toe cuts have their whole height: a volume
    weighs them by the share within the toe.
    """
    covered = relief.pile.cell_areas_m2 > 0.0
    rows, cols = _extent(covered.max(axis=1)), _extent(covered.max(axis=0))
    height_m = relief.height_m[rows, cols]
    grid = relief.grid
    west_m = grid.west_m + cols.start * grid.cell_size_m
    north_m = grid.north_m - rows.start * grid.cell_size_m
    profile = {
        "driver": "GTiff", "dtype": "float32", "count": 1, "nodata": NODATA,
        "height": height_m.shape[0], "width": height_m.shape[1], "crs": crs.to_wkt(),
        "transform": Affine(grid.cell_size_m, 0.0, west_m, 0.0, -grid.cell_size_m, north_m),
        "compress": "deflate", "predictor": 3, "tiled": True, "blockxsize": 256, "blockysize": 256,
    }  # fmt: skip
    with whole(path) as partial, rasterio.open(partial, "w", **profile) as raster:
        raster.write(np.nan_to_num(height_m, nan=NODATA).astype(np.float32), 1)
        raster.set_band_description(1, "height above base")
        raster.set_band_unit(1, "m")
        raster.update_tags(
            pile=relief.volume.pile,
            base=relief.volume.base,
            net_m3=f"{relief.volume.net_m3:.3f}",
            net_u95_m3=f"{relief.volume.net_u95_m3:.3f}",
            TIFFTAG_SOFTWARE=f"volumetrics {__version__}",
        )


def _extent(occupied: np.ndarray) -> slice:
    """From the first to the last row (or column) that holds anything."""
    found = np.flatnonzero(occupied)
    return slice(int(found[0]), int(found[-1]) + 1)
