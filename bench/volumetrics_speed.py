"""CPU time of measuring piles, beside what simpler tools do with the same cells.

    python -m bench.volumetrics_speed [--piles N]

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
from typing import Any

import numpy as np
import rasterio
import rasterio.features
import shapely
from rasterio.transform import Affine
from rasterio.windows import Window
from threadpoolctl import threadpool_limits

from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.cutter import cutter
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
_WEST_M, _NORTH_M = 500_000.0, 5_200_000.0
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
    print(f"\na pile of {grid.elevation_m.size:,} cells, true volume {pile.volume_m3:.1f} m³")
    print(f"{'method':26} {'CPU ms':>8} {'error':>9} {'x masking':>10} {'x sum':>8}")
    masked = best_ms(lambda: mask_and_sum(grid, toe))
    summed = best_ms(lambda: cell_sum(grid, 250.0))
    error = mask_and_sum(grid, toe) / pile.volume_m3 - 1.0
    print(f"{'masking, drawn vertices':26} {masked:8.1f} {error:9.4%}")
    print(f"{'cell sum of the window':26} {summed:8.1f}")
    bases = (
        Plane(), Triangulated(), Smooth(), Average(), Extreme(True), Extreme(False), Fixed(250.0),
    )  # fmt: skip
    for base in bases:
        spent = best_ms(lambda base=base: measure(grid, toe, base, ACCURACY))
        error = measure(grid, toe, base, ACCURACY).net_m3 / pile.volume_m3 - 1.0
        shown = f"{error:9.4%}" if base.name in ("plane", "triangulated", "smooth") else ""
        print(
            f"{base.name + ', with budget':26} {spent:8.1f} {shown:>9} {spent / masked:10.1f} "
            f"{spent / summed:8.1f}"
        )


def many_piles(count: int) -> None:
    """Print the time and memory of a site."""
    side = int(np.ceil(np.sqrt(count)))
    one = Pile((0.0, 0.0), 9.0, 0.8, 0.3, 5.0, 0.3, (250.0, 0.01, -0.02)).grid(24.0, 0.1)
    tile = one.elevation_m.astype(np.float32)
    cells = tile.shape[0] * side
    toe = Pile((12.0, -12.0), 9.0, 0.8, 0.3, 5.0, 0.3, (0.0, 0.0, 0.0)).toe()
    places = [divmod(k, side) for k in range(count)]
    toes = [
        Toe(
            f"{row}, {col}",
            shapely.affinity.translate(toe.polygon, _WEST_M + 24.0 * col, _NORTH_M - 24.0 * row),
        )
        for row, col in places
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "dsm.tif"
        with rasterio.open(
            path, "w", driver="GTiff", width=cells, height=cells, count=1, dtype="float32",
            crs="EPSG:32615", transform=Affine(0.1, 0, _WEST_M, 0, -0.1, _NORTH_M), tiled=True,
            compress="deflate",
        ) as raster:  # fmt: skip
            for row, col in np.ndindex(side, side):
                window = Window(col * tile.shape[1], row * tile.shape[0], *tile.shape[::-1])
                raster.write(tile, 1, window=window)
        survey = open_survey(path)
        before = _peak_mb()
        site, spent = _timed(lambda: measure_site(cutter(survey, toes, 0.1), toes, Plane()))
        grown = _peak_mb() - before
        _, masked = _timed(
            lambda: [mask_and_sum(survey.window(one.polygon.bounds, 0.5), one) for one in toes]
        )
    print(f"{len(site.volumes)} piles on {cells**2:,} cells, noise estimated and bases compared:")
    print(
        f"{spent:.1f} CPU-s ({spent / masked:.0f} x masking), memory grew by {grown:.0f} MB to "
        f"{_peak_mb():.0f} MB"
    )


def _timed(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    found = call()
    return found, time.process_time() - started


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--piles", type=int, default=200)
    options = parser.parse_args()
    with threadpool_limits(1, user_api="blas"):
        # The site first: the peak of memory is then its own.
        many_piles(options.piles)
        one_pile()


if __name__ == "__main__":
    main()
