"""Judging a mound: is it a pile of loose material, and what speaks against it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.snap import Snapped
from volumetrics.terrain import GENTLE, STEEP, Mask, Terrain, smoothed

# Flanks are what lies between these shares of the height.
_FLANK_FROM, _FLANK_TO = 0.15, 0.85
_LOOK_M = 1.2
# A skin of coarse rock departs this much from its own running mean; bushes and trees depart more.
_ROUGH_M, _ROUGH_OVER_M = 0.05, 0.6
_MAX_WALL_SHARE = 0.85


@dataclass(frozen=True)
class Verdict:
    """How likely a mound is a pile.

    Parameters
    ----------
    confidence : float
        0 to 1, the product of what each trait says.
    reasons : tuple of str
    height_m : float
    """

    confidence: float
    reasons: tuple[str, ...]
    height_m: float


def judge(terrain: Terrain, snapped: Snapped) -> Verdict:
    """Judge a mound by its flanks, toe, edges, skin and completeness.

    Parameters
    ----------
    terrain : Terrain
        Around the mound.
    snapped : Snapped
        Its toe, with walls.
    """
    toe = snapped.toe
    grid = terrain.grid
    inside = area_fraction(toe.polygon, grid) > 0.5
    seen = inside & np.isfinite(terrain.height_m)
    if not seen.any():
        return Verdict(0.0, ("nothing of it was seen",), 0.0)
    height_m = float(terrain.height_m[seen].max())
    natural, coverage = _flanks(terrain, seen, height_m), float(seen.sum() / inside.sum())
    falls, steep, cut = _outline(terrain, toe.polygon, toe.walls)
    rough_m = _roughness_m(grid, seen)
    walled = 0.0 if toe.walls is None else toe.walls.length / toe.polygon.length
    traits = (
        (_ramp(natural, 0.35, 0.75), f"{natural:.0%} of its flanks rest like loose material"),
        (
            _ramp(snapped.confidence, 0.15, 0.6),
            f"the ground bends along {snapped.confidence:.0%} of the line",
        ),
        (_ramp(falls, 0.5, 0.9), f"the surface falls outwards along {falls:.0%} of the line"),
        (_ramp(steep, 0.5, 0.1), f"{steep:.0%} of the line stands like a wall or a machine"),
        (_ramp(cut, 0.4, 0.02), f"{cut:.0%} of the line is not seen on both sides"),
        (_ramp(rough_m, 0.2, _ROUGH_M), f"its skin is rough by {100.0 * rough_m:.0f} cm"),
        (_ramp(coverage, 0.5, 0.95), f"{coverage:.0%} of it was seen"),
        (_ramp(walled, 1.0, _MAX_WALL_SHARE), f"{walled:.0%} of the line runs along walls"),
        (_ramp(height_m, 0.2, 1.0), f"it is {height_m:.1f} m high"),
    )
    confidence = math.prod(score for score, _ in traits)
    shown = [traits[0], traits[1], *(trait for trait in traits[2:] if trait[0] < 0.9)]
    return Verdict(confidence, tuple(words for _, words in shown), height_m)


def _ramp(value: float, none: float, full: float) -> float:
    """0 at ``none``, 1 at ``full``, straight between."""
    return float(np.clip((value - none) / (full - none), 0.0, 1.0))


def _flanks(terrain: Terrain, seen: Mask, height_m: float) -> float:
    """Share of the flank that is as steep as loose material rests."""
    flank = seen & (terrain.height_m > _FLANK_FROM * height_m)
    flank &= terrain.height_m < _FLANK_TO * height_m
    slope = terrain.slope[flank]
    return float(np.mean((slope > 0.8 * GENTLE) & (slope < STEEP))) if slope.size else 0.0


def _outline(
    terrain: Terrain, polygon: shapely.Geometry, walls: shapely.Geometry | None
) -> tuple[float, float, float]:
    """Shares of the line (without walls): falling outwards, steep, and at unseen cells."""
    grid = terrain.grid
    ring = shapely.segmentize(shapely.orient_polygons(polygon).exterior, grid.cell_size_m)
    points = np.array(ring.coords)[:-1]
    ahead = np.roll(points, -2, axis=0) - np.roll(points, 2, axis=0)
    normal = np.column_stack((ahead[:, 1], -ahead[:, 0]))
    normal /= np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    if walls is not None:
        free = ~shapely.dwithin(shapely.points(points), walls, 0.5 * grid.cell_size_m)
        points, normal = points[free], normal[free]
    if len(points) == 0:
        return 1.0, 0.0, 0.0
    outer = _at(grid, grid.elevation_m, points + _LOOK_M * normal)
    inner = _at(grid, grid.elevation_m, points - _LOOK_M * normal)
    known = np.isfinite(outer) & np.isfinite(inner)
    falls = float(np.mean(inner[known] > outer[known])) if known.any() else 0.0
    steepest = ndimage.maximum_filter(np.nan_to_num(terrain.slope), 3)
    steep = np.nan_to_num(_at(grid, steepest, points))
    return falls, float(np.mean(steep > STEEP)), float(np.mean(~known))


def _at(grid: Grid, values: Array, points: Array) -> Array:
    return grid.stencil(points).sample(values)


def _roughness_m(grid: Grid, seen: Mask) -> float:
    """Median departure of the surface from its running mean."""
    mean = smoothed(grid.elevation_m, 0.5 * _ROUGH_OVER_M / grid.cell_size_m)
    # The mean of a curved skin departs by itself, but little over so short a length.
    return float(np.median(np.abs(grid.elevation_m - mean)[seen]))
