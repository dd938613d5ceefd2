"""The footprint: what of a surface belongs to a pile, and what may tell its base."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import rasterio.fill
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from volumetrics.base_surface import on_ground
from volumetrics.errors import CoverageError, ToeError
from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.toe import MIN_CELLS, Boundary, Toe, ToeSamples, boundary, sample_ground

# A hole may hide a surface that rises or falls from its rim by this much per metre (1 sigma), half
# the slope at which loose material rests; or by more where the surface turns around it. A crest cut
# off level is low by the whole spread of its slopes, which is then 1.8 sigma.
_HOLE_SLOPE, _SPREAD_SHARE = 0.35, 0.55
_RIM_CELLS = 3
# What is steeper is a wall, if it rises by more than a stone; walls are not fatter than that.
_STEEPEST, _STANDS_OUT_M = 1.0, 0.1
_WALL_REACH_M = 0.4
# Holes in windows of at most so many cells are kept.
_MOST_KEPT = 4096


@dataclass(frozen=True)
class Footprint:
    """A pile on its grid.

    Parameters
    ----------
    grid : Grid
        The surface as seen, holes included; it contains the toe.
    elevation_m : ndarray, shape (rows, cols)
        The pile's surface: holes inside the toe bridged from their rims, walls cleared.
    cell_areas_m2 : ndarray, shape (rows, cols)
        Area of each cell within the toe; the sum is the polygon's area.
    coverage : float
        Share of the area that was seen.
    hole_sigmas_m3 : ndarray, shape (k,)
        1 sigma of the volume in each hole.
    line : Boundary
    samples : ToeSamples
    """

    grid: Grid
    elevation_m: Array
    cell_areas_m2: Array
    coverage: float
    hole_sigmas_m3: Array
    line: Boundary
    samples: ToeSamples


def footprint(grid: Grid, toe: Toe, min_coverage: float, toe_sigma_m: float = 0.0) -> Footprint:
    """Cut a pile out of a surface; the line of its toe is known to ``toe_sigma_m``.

    Raises
    ------
    ToeError
        When the toe is smaller than a few cells.
    CoverageError
        When less than ``min_coverage`` of the area was seen.
    """
    fraction = area_fraction(toe.polygon, grid)
    pile = grid
    if toe.walls is not None:
        pile = pile.with_elevation(_clear_walls(pile, toe.polygon, toe.walls, fraction))
        is_beside = _is_beside(pile, toe.walls)
        pile = pile.with_elevation(_without_fat_walls(pile, is_beside, fraction))
    coverage = _coverage(pile, toe, fraction, min_coverage)
    if (whole := grid.containing(toe.polygon.bounds)) is not grid:
        pile = pile.containing(toe.polygon.bounds)
        grid, fraction = whole, area_fraction(toe.polygon, whole)
    cell_areas_m2 = fraction * grid.cell_area_m2
    elevation_m, hole_sigmas_m3 = _bridge_holes(pile, toe.walls, cell_areas_m2)
    line = boundary(toe, grid.cell_size_m)
    samples = on_ground(sample_ground(toe, line, grid, toe_sigma_m))
    return Footprint(grid, elevation_m, cell_areas_m2, coverage, hole_sigmas_m3, line, samples)


def _coverage(grid: Grid, toe: Toe, fraction: Array, min_coverage: float) -> float:
    cells = toe.area_m2 / grid.cell_area_m2
    if cells < MIN_CELLS:
        raise ToeError(
            f"{toe.name}: the toe covers {toe.area_m2:.3g} m², only {cells:.1f} cells of "
            f"{grid.cell_size_m:g} m.",
            "Draw it larger, or use a surface with smaller cells.",
        )
    seen = float(fraction[np.isfinite(grid.elevation_m)].sum()) / cells
    if seen < min_coverage:
        raise CoverageError(
            f"{toe.name}: only {seen:.1%} of the pile was seen, the rest is a hole or lies outside "
            f"the survey; {min_coverage:.0%} is needed.",
            "Fly the pile again, or draw the toe around the part that the survey shows.",
        )
    return min(seen, 1.0)


def _clear_walls(
    grid: Grid, polygon: shapely.Geometry, walls: shapely.Geometry, fraction: Array
) -> Array:
    """Elevations without the wall in cells that a toe cuts along a wall.

    The centre of such a cell may lie on the wall; the pile's part of it then takes the elevation
    of the nearest cell of the pile.
    """
    row, col = np.nonzero((fraction > 0.0) & (fraction < 1.0))
    centre = shapely.points(grid.x_m()[col], grid.y_m()[row])
    on_wall = shapely.dwithin(centre, walls, 0.75 * grid.cell_size_m)
    on_wall &= ~shapely.contains(polygon, centre)
    is_pile = fraction > 0.0
    is_pile[row[on_wall], col[on_wall]] = False
    nearest = ndimage.distance_transform_edt(~is_pile, return_distances=False, return_indices=True)
    elevation = grid.elevation_m.copy()
    at = (row[on_wall], col[on_wall])
    elevation[at] = grid.elevation_m[nearest[0][at], nearest[1][at]]
    return elevation


def _is_beside(grid: Grid, walls: shapely.Geometry) -> NDArray[np.bool_]:
    """Cells so near to a wall that what matching shows there may be the wall."""
    return np.asarray(area_fraction(shapely.buffer(walls, _WALL_REACH_M), grid) > 0.5)


def _without_fat_walls(grid: Grid, is_beside: NDArray[np.bool_], fraction: Array) -> Array:
    """Elevations without what rises to a wall of the toe more steeply than loose material can.

    That is the wall itself: matching makes walls fat, most where photos see one side of them only.
    """
    is_pile = (fraction > 0.0) & ~is_beside & np.isfinite(grid.elevation_m)
    if not is_pile.any():
        return grid.elevation_m
    away, nearest = ndimage.distance_transform_edt(~is_pile, return_indices=True)
    rise_m = grid.elevation_m - grid.elevation_m[tuple(nearest)]
    is_wall = rise_m > _STEEPEST * away * grid.cell_size_m + _STANDS_OUT_M
    return np.where(is_wall & is_beside & (fraction > 0.0), np.nan, grid.elevation_m)


def _bridge_holes(
    grid: Grid, walls: shapely.Geometry | None, cell_areas_m2: Array
) -> tuple[Array, Array]:
    """Elevations with the holes inside the toe interpolated, and the sigma of each hole in m³."""
    seen = np.isfinite(grid.elevation_m)
    is_hole = ~seen & (cell_areas_m2 > 0.0)
    if not is_hole.any():
        return grid.elevation_m, np.zeros(0)
    elevation = grid.elevation_m.copy()
    pile = np.where(cell_areas_m2 > 0.0, elevation, np.nan)
    is_beside = np.zeros_like(seen) if walls is None else _is_beside(grid, walls)
    sigmas = []
    number, _ = ndimage.label(is_hole, structure=np.ones((3, 3)))
    for index, place in enumerate(ndimage.find_objects(number), start=1):
        # With as much around it as it is wide: enough of its rim is seen there.
        margin = max(2, *(side.stop - side.start for side in place))
        around = tuple(slice(max(0, side.start - margin), side.stop + margin) for side in place)
        hole = number[around] == index
        # Beside a wall it rests on the pile alone: else it would climb the wall.
        is_alone = is_beside[around][hole].any() and np.isfinite(pile[around]).any()
        rim = (pile if is_alone else grid.elevation_m)[around]
        bridge = _bridge_over(rim, hole, grid.cell_size_m)
        elevation[around][hole] = bridge.elevation_m
        hidden_m3 = float((cell_areas_m2[around][hole] * bridge.distance_m).sum())
        sigmas.append(bridge.slope * hidden_m3)
    return elevation, np.array(sigmas)


@dataclass(frozen=True)
class _Bridge:
    """A hole of n cells, bridged.

    Parameters
    ----------
    elevation_m : ndarray, shape (n,)
    distance_m : ndarray, shape (n,)
        To the rim that the bridge rests on.
    slope : float
        1 sigma of how much the surface may rise or fall from there, in metres a metre.
    """

    elevation_m: Array
    distance_m: Array
    slope: float


def _bridge_over(elevation_m: Array, hole: NDArray[np.bool_], cell_size_m: float) -> _Bridge:
    """Bridge a hole; while a toe is dragged nearly all others stay as they were, and are kept."""
    if hole.size > _MOST_KEPT:
        return _bridge(elevation_m, hole, cell_size_m)
    return _kept_bridge(elevation_m.tobytes(), hole.tobytes(), hole.shape, cell_size_m)


@lru_cache(maxsize=512)
def _kept_bridge(
    elevation_m: bytes, hole: bytes, shape: tuple[int, int], cell_size_m: float
) -> _Bridge:
    elevations = np.frombuffer(elevation_m).reshape(shape)
    return _bridge(elevations, np.frombuffer(hole, dtype=bool).reshape(shape), cell_size_m)


def _bridge(elevation_m: Array, hole: NDArray[np.bool_], cell_size_m: float) -> _Bridge:
    known = np.isfinite(elevation_m)
    # Bridges rest on the rim all around, half a cell farther away than its nearest cell.
    distance_m = (ndimage.distance_transform_edt(~known) + 0.5) * cell_size_m
    return _Bridge(
        _interpolate(elevation_m, known)[hole],
        distance_m[hole],
        _hidden_slope(elevation_m, hole, cell_size_m),
    )


def _hidden_slope(elevation_m: Array, hole: NDArray[np.bool_], cell_size_m: float) -> float:
    """How much the surface in a hole may rise or fall from its rim, in metres a metre, 1 sigma."""
    elevation_m, hole = np.pad(elevation_m, 1, constant_values=np.nan), np.pad(hole, 1)
    gradient = np.stack([np.gradient(elevation_m, cell_size_m, axis=axis) for axis in (0, 1)])
    half_width = float(ndimage.distance_transform_edt(hole).max())
    rim = np.asarray(ndimage.distance_transform_edt(~hole) <= max(_RIM_CELLS, half_width))
    rim &= np.isfinite(gradient).all(axis=0)
    if not rim.any():
        return _HOLE_SLOPE
    slopes = np.clip(gradient[:, rim], -_STEEPEST, _STEEPEST)
    return max(_HOLE_SLOPE, _SPREAD_SHARE * float(np.sqrt(slopes.var(axis=1).sum())))


def _interpolate(elevation_m: Array, known: NDArray[np.bool_]) -> Array:
    """Elevations with the unknown ones interpolated from those around."""
    # Relative to a level near by: the interpolation works in single precision.
    level = float(np.mean(elevation_m[known]))
    values = np.where(known, elevation_m - level, 0.0).astype(np.float32)
    bridged = rasterio.fill.fillnodata(
        values, mask=known.astype(np.uint8), max_search_distance=float(max(values.shape))
    )
    return np.asarray(bridged, dtype=np.float64) + level
