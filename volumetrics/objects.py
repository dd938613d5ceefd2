"""Objects on a pile: conveyors, loaders and posts that stand out of its smooth skin.

They are proposed for people to confirm, who then exclude them (`volumetrics.site.measure_site`):
the surface below an excluded polygon counts as not seen, is bridged from its rim, and the budget
gets what may hide there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from affine import Affine
from scipy import ndimage

from volumetrics.grid import Grid, area_fraction
from volumetrics.terrain import STEEP, Mask, below, disk, steepness
from volumetrics.toe import Toe

# Wider things cannot be told from a part of the pile by their shape.
_WIDEST_M = 4.0
_STANDS_OUT_M, _MIN_AREA_M2 = 0.3, 0.8
# The feet of an object, which interpolation and matching smear, belong to it as well.
_RIM_M = 0.4
_AROUND_M = 3.0


@dataclass(frozen=True)
class Standing:
    """Something that stands out of a pile.

    Parameters
    ----------
    polygon : Polygon
        With a rim of some decimetres, fit to be excluded.
    height_m : float
        Greatest height above the skin that is bridged below it.
    confidence : float
        0 to 1.
    """

    polygon: shapely.Polygon
    height_m: float
    confidence: float


def propose_objects(grid: Grid, toe: Toe) -> tuple[Standing, ...]:
    """Propose what to exclude from a pile.

    Parameters
    ----------
    grid : Grid
        The surface with a margin of some metres around the toe.
    toe : Toe

    Returns
    -------
    tuple of Standing
        Within the toe and beside it, where they would disturb the base; the highest first.
    """
    seen = np.isfinite(grid.elevation_m)
    if not seen.any():
        return ()
    cell_m = grid.cell_size_m
    near = area_fraction(toe.polygon.buffer(_AROUND_M), grid) > 0.0
    filled = np.where(seen, grid.elevation_m, np.nanmin(grid.elevation_m))
    opened = ndimage.grey_opening(filled, footprint=disk(0.5 * _WIDEST_M / cell_m))
    stands = seen & near & (filled - opened > _STANDS_OUT_M)
    if toe.walls is not None:
        stands &= area_fraction(toe.walls.buffer(2.0 * _RIM_M), grid) == 0.0
    label, _ = ndimage.label(stands, structure=np.ones((3, 3)))
    steep = seen & (steepness(grid.elevation_m, cell_m) > STEEP)
    found = []
    for number, place in enumerate(ndimage.find_objects(label), start=1):
        wide = tuple(
            slice(max(0, side.start - round(2.0 / cell_m)), side.stop + round(2.0 / cell_m))
            for side in place
        )
        part = Grid(
            grid.elevation_m[wide],
            grid.west_m + wide[1].start * cell_m,
            grid.north_m - wide[0].start * cell_m,
            cell_m,
        )
        one = _standing(part, label[wide] == number, steep[wide])
        if one is not None:
            found.append(one)
    return tuple(sorted(found, key=lambda one: -one.height_m))


def _standing(grid: Grid, mask: Mask, steep: Mask) -> Standing | None:
    """The object on these cells, or None when its sides are those of loose material."""
    cell_m = grid.cell_size_m
    if mask.sum() * cell_m**2 < _MIN_AREA_M2:
        return None
    covered = ndimage.binary_dilation(mask, disk(_RIM_M / cell_m))
    height_m = float(np.nanmax((grid.elevation_m - below(grid.elevation_m, ~covered))[mask]))
    rim = covered & ~ndimage.binary_erosion(mask, disk(2.0))
    upright = float(steep[rim].mean())
    confidence = float(np.clip(2.0 * upright, 0.0, 1.0) * np.clip(height_m / 0.8, 0.0, 1.0))
    if confidence < 0.25:
        return None
    transform = Affine(cell_m, 0.0, grid.west_m, 0.0, -cell_m, grid.north_m)
    shapes = rasterio.features.shapes(covered.astype(np.uint8), covered, transform=transform)
    parts = [shapely.Polygon(shape["coordinates"][0]) for shape, _ in shapes]
    largest = max(parts, key=lambda part: part.area)
    return Standing(largest.simplify(0.7 * cell_m), height_m, confidence)
