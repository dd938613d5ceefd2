"""CPU time of measuring piles, beside what simpler tools do with the same cells.

    python bench/volumetrics_speed.py [--piles N]

A pile of 50 m x 50 m at 5 cm (a million cells) with its budget, for each base; then a site of many
piles read from a GeoTIFF. Masking means what zonal statistics do: cells whose centre is inside
count whole, above a plane through the drawn vertices. A cell sum takes every cell of the window.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import rasterio
import rasterio.features
import shapely
from rasterio.transform import Affine

from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.extreme_base import Extreme
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.grid import Grid
from volumetrics.level_base import Average, Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.site import measure_site
from volumetrics.survey import open_survey
from volumetrics.synthetic import Pile
from volumetrics.toe import Toe
from volumetrics.volume import measure

CELL_SIZE_M = 0.05
NOISE = DsmNoise(
    (NoiseComponent(0.012, 0.4), NoiseComponent(0.006, 6.0), NoiseComponent(0.006, 40.0))
)
ACCURACY = Accuracy(NOISE, 2e-4, 0.02, 0.1)


def best_ms(call: Callable[[], object], times: int = 5) -> float:
    """Least CPU time of several calls in milliseconds; the first one is not counted."""
    call()
    found = []
    for _ in range(times):
        started = time.process_time()
        call()
        found.append(time.process_time() - started)
    return 1000.0 * min(found)


def mask_and_sum(grid: Grid, toe: Toe) -> float:
    """Net volume as zonal statistics give it."""
    ring = np.asarray(toe.polygon.exterior.coords)
    vertices = grid.stencil(ring).sample(grid.elevation_m)
    design = np.column_stack((np.ones(len(ring)), ring - ring.mean(axis=0)))
    plane = np.linalg.lstsq(design, vertices, rcond=None)[0]
    inside = rasterio.features.geometry_mask(
        [toe.polygon],
        grid.elevation_m.shape,
        Affine(grid.cell_size_m, 0.0, grid.west_m, 0.0, -grid.cell_size_m, grid.north_m),
        invert=True,
    )
    x, y = grid.x_m() - ring[:, 0].mean(), grid.y_m() - ring[:, 1].mean()
    base = plane[0] + plane[1] * x[None, :] + plane[2] * y[:, None]
    return float(((grid.elevation_m - base) * inside).sum() * grid.cell_area_m2)


def cell_sum(grid: Grid, level_m: float) -> float:
    """Volume above a level over the whole window, like a cloud's 2.5D volume."""
    return float(np.nansum(grid.elevation_m - level_m) * grid.cell_area_m2)


def one_pile() -> None:
    """Print the table of a single large pile."""
    pile = Pile((0.0, 0.0), 25.0, 1.0, 0.3, 12.0, 0.4, (250.0, 0.01, -0.02))
    grid, toe = pile.grid(51.0, CELL_SIZE_M), pile.toe(200)
    print(f"a pile of {grid.elevation_m.size:,} cells, true volume {pile.volume_m3:.1f} m³")
    print(f"{'method':26} {'CPU ms':>8} {'error':>9}")
    masked = best_ms(lambda: mask_and_sum(grid, toe))
    error = mask_and_sum(grid, toe) / pile.volume_m3 - 1.0
    print(f"{'masking, drawn vertices':26} {masked:8.1f} {error:9.4%}")
    print(f"{'cell sum of the window':26} {best_ms(lambda: cell_sum(grid, 250.0)):8.1f} {'':>9}")
    bases = (
        Plane(), Triangulated(), Smooth(), Average(), Extreme(True), Extreme(False), Fixed(250.0),
    )  # fmt: skip
    for base in bases:
        spent = best_ms(lambda base=base: measure(grid, toe, base, ACCURACY))
        error = measure(grid, toe, base, ACCURACY).net_m3 / pile.volume_m3 - 1.0
        shown = f"{error:9.4%}" if base.name in ("plane", "triangulated", "smooth") else ""
        print(f"{base.name + ', with budget':26} {spent:8.1f} {shown:>9} {spent / masked:6.1f} x")


def many_piles(count: int) -> None:
    """Print the time and memory of a site."""
    side = int(np.ceil(np.sqrt(count)))
    one = Pile((0.0, 0.0), 9.0, 0.8, 0.3, 5.0, 0.3, (250.0, 0.01, -0.02)).grid(24.0, 0.1)
    values = np.tile(one.elevation_m, (side, side)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dsm.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=values.shape[1], height=values.shape[0], count=1,
            dtype="float32", crs="EPSG:32615", transform=Affine(0.1, 0, 0.0, 0, -0.1, 0.0),
            tiled=True, compress="deflate",
        ) as raster:  # fmt: skip
            raster.write(values, 1)
        cells = values.size
        del values
        toe = Pile((12.0, -12.0), 9.0, 0.8, 0.3, 5.0, 0.3, (0.0, 0.0, 0.0)).toe()
        places = [divmod(k, side) for k in range(count)]
        toes = [
            Toe(f"{row}, {col}", shapely.affinity.translate(toe.polygon, 24.0 * col, -24.0 * row))
            for row, col in places
        ]
        started = time.process_time()
        site = measure_site(open_survey(path), toes, Plane(), 0.1)
        spent = time.process_time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{len(site.volumes)} piles on {cells:,} cells, with noise estimated and bases compared:")
    print(f"{spent:.1f} CPU-s, peak memory {peak:.0f} MB")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--piles", type=int, default=200)
    options = parser.parse_args()
    one_pile()
    many_piles(options.piles)


if __name__ == "__main__":
    main()
