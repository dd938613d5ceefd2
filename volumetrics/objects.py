"""Objects on a pile: conveyors, loaders and posts that stand out of its smooth skin.

They are proposed for people to confirm, who then exclude them (`volumetrics.site.measure_site`):
the surface below an excluded polygon counts as not seen, is bridged from its rim, and the budget
gets what may hide there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.terrain import STEEP, Mask, below, disk, patches, steepness
from volumetrics.toe import Toe, around

# Wider things cannot be told from a part of the pile by their shape.
_WIDEST_M = 4.0
# No loose material rests more steeply than at 42 degrees.
_LOOSE = 0.9
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
    near = area_fraction(around(np.array([toe.polygon]), _AROUND_M), grid) > 0.0
    filled = np.where(seen, grid.elevation_m, np.nanmin(grid.elevation_m))
    stands = filled - _loose_skin(filled, cell_m) > _STANDS_OUT_M
    stands = seen & near & ndimage.binary_fill_holes(stands)
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


def _loose_skin(elevation_m: Array, cell_m: float) -> Array:
    """The highest surface below this one that cones of loose material could fill.

    It is the surface itself wherever that is no steeper, crests and tips included. Of what is
    steeper and not wider than a cone it leaves out the sides and all that stands high.
    """
    cone = disk(0.5 * _WIDEST_M / cell_m)
    offset = np.arange(cone.shape[0]) - cone.shape[0] // 2
    fall = -_LOOSE * cell_m * np.hypot(offset[:, None], offset[None, :])
    return np.asarray(ndimage.grey_opening(elevation_m, footprint=cone, structure=fall))


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
    parts = [shapely.Polygon(patch.exterior) for patch in patches(grid, covered)]
    largest = max(parts, key=lambda part: part.area)
    return Standing(largest.simplify(0.7 * cell_m), height_m, confidence)
