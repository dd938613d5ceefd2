"""The DSM stage: tiles of dense points in, the surface model and its quality out.

``dsm.tif`` holds the elevation of every measured cell and nothing anywhere else.
``dsm_quality.tif`` tells how many matches agree there and how far they spread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconstruction.dense import TILE_CELLS
from reconstruction.dense_surface import DenseSurface
from reconstruction.dsm_noise import DsmNoise, estimate_noise
from reconstruction.point_tile import PointTile
from reconstruction.rasters import RasterWriter, float_cog
from reconstruction.stage import Run, Stage

DSM_FILE = "dsm.tif"
QUALITY_FILE = "dsm_quality.tif"


@dataclass(frozen=True)
class DsmOptions:
    """The surface model has no choices of its own: its cells are those of the dense points."""


@dataclass(frozen=True)
class Dsm:
    """The output of the DSM stage.

    Parameters
    ----------
    dsm : Path
        Cloud Optimized GeoTIFF, elevation in metres.
    quality : Path
        Cloud Optimized GeoTIFF; band 1 the number of contributing matches, band 2 their spread
        (one sigma) in metres.
    area_m2 : float
        Map area of all measured cells.
    median_count : float
        Median number of contributing matches of the measured cells.
    noise : DsmNoise or None
        None where too little of the surface was measured twice to tell.
    """

    dsm: Path
    quality: Path
    area_m2: float
    median_count: float
    noise: DsmNoise | None

    @classmethod
    def load(cls, folder: Path) -> Dsm:
        """Read the result of a finished stage."""
        values = json.loads((folder / "dsm.json").read_text())
        noise = DsmNoise.from_json(values["noise"]) if values["noise"] else None
        return cls(
            folder / DSM_FILE,
            folder / QUALITY_FILE,
            values["area_m2"],
            values["median_count"],
            noise,
        )


def _run(surface: DenseSurface, options: DsmOptions, folder: Path, run: Run) -> Dsm:
    grid = surface.grid
    dsm, quality = folder / DSM_FILE, folder / QUALITY_FILE
    histogram = np.zeros(256, dtype=np.int64)
    with (
        float_cog(dsm, grid, ["elevation_m"], run.jobs) as elevations,
        float_cog(quality, grid, ["matches", "spread_m"], run.jobs) as qualities,
    ):

        def write(tile: PointTile) -> NDArray[np.int64]:
            return _write_tile(tile, surface, elevations, qualities)

        for counts in run.part(0.0, 0.7).map(write, surface.tiles, "Writing the surface model"):
            histogram += counts
    run.progress(0.8, "Estimating the noise of the surface model")
    noise = estimate_noise(surface)
    cells = int(histogram.sum())
    values = {
        "area_m2": cells * grid.cell_size_m**2,
        "median_count": float(np.searchsorted(np.cumsum(histogram), 0.5 * cells)),
        "noise": noise.to_json() if noise else None,
    }
    (folder / "dsm.json").write_text(json.dumps(values, indent=1))
    return Dsm.load(folder)


def _write_tile(
    tile: PointTile, surface: DenseSurface, elevations: RasterWriter, qualities: RasterWriter
) -> NDArray[np.int64]:
    """Put one tile into both rasters; returns how many cells have 0 .. 255 matches."""
    grid = surface.grid
    with np.load(tile.path) as arrays:
        row, col, count = arrays["row"], arrays["col"], arrays["count"]
        elevation = arrays["origin"][2] + arrays["offsets"][:, 2].astype(np.float64)
        spread_m = arrays["spread_m"]
    top, left = row.min() // TILE_CELLS * TILE_CELLS, col.min() // TILE_CELLS * TILE_CELLS
    shape = (min(TILE_CELLS, grid.rows - top), min(TILE_CELLS, grid.cols - left))
    layers = np.full((3, *shape), np.nan, dtype=np.float32)
    layers[:, row - top, col - left] = elevation, count, spread_m
    elevations.write(int(top), int(left), layers[0])
    qualities.write(int(top), int(left), layers[1:])
    return np.bincount(count, minlength=256)


DSM: Stage[DenseSurface, DsmOptions, Dsm] = Stage(
    name="dsm", version=1, weight=0.5, run=_run, load=Dsm.load
)
