"""Terrain: which cells are ground, which stand steeply, and how the ground goes on below the rest.

Ground is what is gentle, wide, and not the flat top of something: its border to steeper cells rises
somewhere, or it reaches the edge of the survey. So the top of a bench is ground (the next face
rises from it) and the plateau of a pile is none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import rasterio.features
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy import ndimage

from volumetrics.grid import Array, Grid

Mask = NDArray[np.bool_]
Labels = NDArray[np.int32]

# Slopes (rise by run) are those of a surface smoothed over this length.
SMOOTHING_M = 0.35
# Haul roads are less steep, flanks of loose material steeper, even weathered ones.
GENTLE = 0.22
# Loose material rests at 30 to 40 degrees; from here on it is a wall, a machine or rock.
STEEP = 1.15
# Walls and machines stand out of what is around them by this much within this width.
_NARROW_M, _STANDS_OUT_M = 2.4, 0.6
# A wall goes on where material nearly reaches its top: it stands out by this much yet, and falls by
# this much on its free side.
_STILL_OUT_M, _FREE_SIDE_M = 0.25, 1.5
# A gentle patch of this size may be ground; smaller ones are where the ground goes on.
_WIDE_M2 = 60.0
_RISING_SHARE = 0.12
_OPEN_SHARE = 0.15
_LOOK_M = 1.2
_BESIDE_WALL_M = 0.6
_LEVEL_M = 0.25
_SWEEPS = 60
_RELAXATION = 1.6
_COARSEST = 8


@dataclass(frozen=True)
class Terrain:
    """A surface taken apart.

    Parameters
    ----------
    grid : Grid
    slope : ndarray, shape (rows, cols)
        Rise by run of the smoothed surface; NaN in holes.
    is_ground : ndarray of bool, shape (rows, cols)
    is_wall : ndarray of bool, shape (rows, cols)
        Narrow and with steep sides.
    height_m : ndarray, shape (rows, cols)
        Above the ground, which is interpolated below everything that stands on it.
    """

    grid: Grid
    slope: Array
    is_ground: Mask
    is_wall: Mask
    height_m: Array


def analyse(grid: Grid) -> Terrain:
    """Take a surface apart into ground, walls and what stands on the ground."""
    cell_m = grid.cell_size_m
    seen = np.isfinite(grid.elevation_m)
    smooth = smoothed(grid.elevation_m, SMOOTHING_M / cell_m)
    slope = np.where(seen, steepness(smooth, cell_m), np.nan)
    is_wall = narrow(grid)
    is_gentle = seen & (slope < GENTLE) & ~is_wall
    near_wall = ndimage.binary_dilation(is_wall, disk(_BESIDE_WALL_M / cell_m))
    is_ground = _ground(np.where(near_wall, np.nan, smooth), is_gentle, seen, cell_m)
    ground_m = below(smooth, is_ground)
    # Patches that the walls of a yard or spilled material cut off lie at the level of the ground.
    at_level = is_gentle & (np.abs(smooth - ground_m) < _LEVEL_M)
    at_level = _larger(at_level, 4.0 / cell_m**2)
    if np.any(at_level & ~is_ground):
        is_ground |= at_level
        ground_m = below(smooth, is_ground)
    return Terrain(grid, slope, is_ground, is_wall, np.where(seen, smooth - ground_m, np.nan))


def smoothed(elevation_m: Array, sigma_cells: float) -> Array:
    """A surface smoothed without reaching into its holes; NaN far from anything seen."""
    seen = np.isfinite(elevation_m)
    level = float(np.mean(elevation_m[seen])) if seen.any() else 0.0
    filled = np.where(seen, elevation_m - level, 0.0)
    share = ndimage.gaussian_filter(seen.astype(np.float64), sigma_cells, truncate=3.0)
    mean = ndimage.gaussian_filter(filled, sigma_cells, truncate=3.0) / np.maximum(share, 1e-9)
    return np.where(share > 1e-3, mean + level, np.nan)


def steepness(elevation_m: Array, cell_size_m: float) -> Array:
    """Rise by run of every cell."""
    down, right = np.gradient(elevation_m, cell_size_m)
    return np.asarray(np.hypot(down, right))


def disk(radius_cells: float) -> Mask:
    """A round neighbourhood."""
    reach = max(1, int(radius_cells))
    offset = np.arange(-reach, reach + 1)
    return np.asarray(np.hypot(offset[:, None], offset[None, :]) <= max(radius_cells, 1.0))


def patches(grid: Grid, mask: Mask) -> list[shapely.Polygon]:
    """The areas of chosen cells that hang together, along the edges of the cells."""
    transform = Affine(grid.cell_size_m, 0.0, grid.west_m, 0.0, -grid.cell_size_m, grid.north_m)
    shapes = rasterio.features.shapes(mask.astype(np.uint8), mask, transform=transform)
    return [shapely.geometry.shape(shape) for shape, _ in shapes]


def narrow(grid: Grid) -> Mask:
    """Cells of narrow things with steep sides: walls, machines, posts."""
    seen = np.isfinite(grid.elevation_m)
    filled = np.where(seen, grid.elevation_m, np.nanmax(grid.elevation_m))
    around = disk(0.5 * _NARROW_M / grid.cell_size_m)
    lowest = ndimage.grey_erosion(filled, footprint=around)
    opened = ndimage.grey_dilation(lowest, footprint=around)
    out_m = np.where(seen, filled - opened, 0.0)
    stands_out = out_m > _STANDS_OUT_M
    # The tip of a cone stands out, too, but has no steep side.
    steep = np.nan_to_num(steepness(grid.elevation_m, grid.cell_size_m)) > STEEP
    label, count = ndimage.label(stands_out, structure=np.ones((3, 3)))
    if count == 0:
        return stands_out
    beside_steep = ndimage.binary_dilation(steep)
    share = ndimage.mean(beside_steep, label, np.arange(count + 1))
    share[0] = 0.0
    is_narrow = (share > 0.6)[label]
    goes_on = beside_steep & (out_m > _STILL_OUT_M) & (filled - lowest > _FREE_SIDE_M)
    return np.asarray(
        ndimage.binary_propagation(is_narrow, np.ones((3, 3)), mask=is_narrow | goes_on)
    )


def _ground(smooth: Array, is_gentle: Mask, seen: Mask, cell_m: float) -> Mask:
    """Wide gentle patches that are no tops."""
    core = ndimage.binary_opening(is_gentle, disk(0.5 / cell_m))
    label, count = ndimage.label(core)
    if count == 0:
        return core
    size = np.bincount(label.ravel(), minlength=count + 1) * cell_m**2
    rim = _rim(smooth, label, seen, round(_LOOK_M / cell_m))
    rising, falling, outside = (
        np.bincount(label.ravel(), weights=one.ravel(), minlength=count + 1) for one in rim
    )
    total = np.maximum(rising + falling + outside, 1.0)
    is_floor = (rising / total > _RISING_SHARE) | (outside / total > _OPEN_SHARE)
    # A site without anything on it.
    is_floor |= rising + falling == 0.0
    chosen = (size >= _WIDE_M2) & is_floor
    if not chosen[1:].any():
        chosen = (size == size[1:].max()) & (np.arange(count + 1) > 0)
    chosen[0] = False
    return np.asarray(chosen[label])


def _rim(smooth: Array, label: Labels, seen: Mask, look: int) -> tuple[Array, Array, Array]:
    """Cells at the rim of a patch from where the surface rises, falls, or is not seen.

    Where the surface is NaN stands a wall, which says nothing.
    """
    rising, falling, outside = (np.zeros(label.shape) for _ in range(3))
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        near = _moved(label, down, right, 0)
        at_rim = (label > 0) & (near != label)
        ahead = _moved(smooth, look * down, look * right, np.nan)
        is_seen = _moved(seen, look * down, look * right, False)
        step = ahead - smooth
        outside += at_rim & ~is_seen
        rising += at_rim & is_seen & (step > 0.0)
        falling += at_rim & is_seen & (step <= 0.0)
    return rising, falling, outside


def _moved(values: np.ndarray, down: int, right: int, outside: float) -> np.ndarray:
    """The values of the cells that lie so many rows down and columns to the right."""
    rows, cols = values.shape
    moved = np.full_like(values, outside)
    source = (
        slice(max(0, down), rows + min(0, down)),
        slice(max(0, right), cols + min(0, right)),
    )
    target = (
        slice(max(0, -down), rows + min(0, -down)),
        slice(max(0, -right), cols + min(0, -right)),
    )
    moved[target] = values[source]
    return moved


def _larger(mask: Mask, cells: float) -> Mask:
    """The connected parts of at least so many cells."""
    label, count = ndimage.label(mask)
    keep = np.bincount(label.ravel(), minlength=count + 1) >= cells
    keep[0] = False
    return np.asarray(keep[label])


def below(elevation_m: Array, is_known: Mask) -> Array:
    """The known surface with the rest stretched like a membrane between its borders.

    A pyramid of half sizes gives the start, so that a few relaxations of each level suffice.
    """
    known = is_known & np.isfinite(elevation_m)
    if not known.any():
        return np.full(elevation_m.shape, np.nan)
    values = np.where(known, elevation_m, 0.0)
    rows, cols = values.shape
    if min(rows, cols) > _COARSEST and not known.all():
        even = ((0, rows % 2), (0, cols % 2))
        weight = np.pad(known.astype(np.float64), even)
        half = _halved(weight)
        mean = _halved(np.pad(values, even)) / np.maximum(half, 1e-9)
        coarse = below(np.where(half > 0.0, mean, np.nan), half > 0.0)
        start = coarse.repeat(2, axis=0).repeat(2, axis=1)[:rows, :cols]
        values = np.where(known, values, start)
    else:
        values = np.where(known, values, float(elevation_m[known].mean()))
    _relax(values, known, _SWEEPS)
    return values


def _halved(values: Array) -> Array:
    """Sums over blocks of two by two cells."""
    rows, cols = values.shape
    return np.asarray(values.reshape(rows // 2, 2, cols // 2, 2).sum(axis=(1, 3)))


@numba.njit(cache=True, nogil=True)
def _relax(values: Array, known: Mask, sweeps: int) -> None:  # pragma: no cover - compiled
    """Successive over-relaxation of Laplace's equation; the outer border is free."""
    rows, cols = values.shape
    for half_sweep in range(2 * sweeps):
        for row in range(rows):
            for col in range((row + half_sweep) % 2, cols, 2):
                if not known[row, col]:
                    change = _neighbours(values, row, col) - values[row, col]
                    values[row, col] += _RELAXATION * change


@numba.njit(cache=True, nogil=True)
def _neighbours(values: Array, row: int, col: int) -> float:  # pragma: no cover - compiled
    """Mean of the four cells around; at the border the cell itself stands in for one outside."""
    rows, cols = values.shape
    return 0.25 * (
        values[max(row - 1, 0), col]
        + values[min(row + 1, rows - 1), col]
        + values[row, max(col - 1, 0)]
        + values[row, min(col + 1, cols - 1)]
    )
