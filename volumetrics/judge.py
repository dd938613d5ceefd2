"""Judging a mound: is it a pile of loose material, and what speaks against it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely

from volumetrics.base_surface import fit_plane
from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.snap import Snapped
from volumetrics.terrain import GENTLE, SMOOTHING_M, Mask, Terrain, smoothed
from volumetrics.toe import Toe

# Loose material rests at up to 40 degrees; of matched surfaces a few cells are steeper.
_LOOSE = 1.0
# Flanks are what lies between these shares of the height.
_FLANK_FROM, _FLANK_TO = 0.05, 0.85
# The top is what lies above this share of the height.
_TOP = 0.9
# Whether the surface falls outwards is asked this far on both sides of the line, and whether it
# stands upright over this length inwards.
_LOOK_M, _INWARDS_M, _STEP_M = 1.2, 1.6, 0.2
_FEWEST_POINTS = 8
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
        Greatest height above the plane through the toe.
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
    toe, grid = snapped.toe, terrain.grid
    inside = area_fraction(toe.polygon, grid) > 0.5
    seen = inside & np.isfinite(terrain.height_m)
    line = _free_line(toe, grid)
    surface_m = smoothed(grid.elevation_m, SMOOTHING_M / grid.cell_size_m)
    at_line_m = _at(grid, surface_m, line.points)
    known = np.isfinite(at_line_m)
    if not seen.any() or known.sum() < _FEWEST_POINTS:
        return Verdict(0.0, ("too little of it and of its line was seen",), 0.0)
    # From the ground along its own toe, as it will be measured: on a slope, too.
    base = fit_plane(line.points[known], at_line_m[known])
    x, y = np.meshgrid(grid.x_m(), grid.y_m())
    base_m = base.at(np.column_stack((x.ravel(), y.ravel()))).reshape(x.shape)
    height_m = np.where(seen, surface_m - base_m, np.nan)
    top_m = float(np.nanmax(height_m))
    if top_m <= 0.0:
        return Verdict(0.0, ("it does not rise above its line",), 0.0)
    loose = _loose_share(terrain.slope, height_m / top_m)
    slender = top_m / _top_inside_m(grid, height_m > _TOP * top_m, line)
    uneven = float(np.std(at_line_m[known] - base.at(line.points[known]))) / top_m
    falls, cut = _falls(grid, grid.elevation_m - base_m, line)
    upright = _upright_share(terrain, line)
    rough_m = _roughness_m(grid, seen)
    coverage = float(seen.sum() / inside.sum())
    walled = 0.0 if toe.walls is None else toe.walls.length / toe.polygon.length
    traits = (
        (_ramp(loose, 0.6, 0.9), f"{loose:.0%} of its flanks rest like loose material"),
        (
            _ramp(snapped.confidence, 0.15, 0.6),
            f"the ground bends along {snapped.confidence:.0%} of the line",
        ),
        (_ramp(falls, 0.5, 0.9), f"the surface falls outwards along {falls:.0%} of the line"),
        (_ramp(upright, 0.5, 0.1), f"{upright:.0%} of the line stands like a wall or a machine"),
        (
            _ramp(slender, 1.15, 0.9),
            f"its top is {slender:.1f} times as high as it is inside of the line",
        ),
        (_ramp(uneven, 0.3, 0.12), f"its line goes up and down by {uneven:.0%} of its height"),
        (_ramp(cut, 0.4, 0.02), f"{cut:.0%} of the line is not seen on both sides"),
        (_ramp(rough_m, 0.2, _ROUGH_M), f"its skin is rough by {100.0 * rough_m:.0f} cm"),
        (_ramp(coverage, 0.5, 0.95), f"{coverage:.0%} of it was seen"),
        (_ramp(walled, 1.0, _MAX_WALL_SHARE), f"{walled:.0%} of the line runs along walls"),
        (_ramp(top_m, 0.2, 1.0), f"it is {top_m:.1f} m high"),
    )
    confidence = math.prod(score for score, _ in traits)
    shown = [traits[0], traits[1], *(trait for trait in traits[2:] if trait[0] < 0.9)]
    return Verdict(confidence, tuple(words for _, words in shown), top_m)


def _ramp(value: float, none: float, full: float) -> float:
    """0 at ``none``, 1 at ``full``, straight between."""
    return float(np.clip((value - none) / (full - none), 0.0, 1.0))


@dataclass(frozen=True)
class _Line:
    """The line of a toe without its walls: points (n, 2) and unit normals outwards (n, 2)."""

    points: Array
    normal: Array


def _free_line(toe: Toe, grid: Grid) -> _Line:
    ring = shapely.segmentize(shapely.orient_polygons(toe.polygon).exterior, grid.cell_size_m)
    points = np.array(ring.coords)[:-1]
    ahead = np.roll(points, -2, axis=0) - np.roll(points, 2, axis=0)
    normal = np.column_stack((ahead[:, 1], -ahead[:, 0]))
    normal /= np.maximum(np.hypot(*ahead.T), 1e-9)[:, None]
    free = np.ones(len(points), bool)
    if toe.walls is not None:
        free = ~shapely.dwithin(shapely.points(points), toe.walls, 0.5 * grid.cell_size_m)
    return _Line(points[free], normal[free])


def _loose_share(slope: Array, height_share: Array) -> float:
    """Share of the flanks, flat tops and terraces left out, that loose material can rest on."""
    flank = (height_share > _FLANK_FROM) & (height_share < _FLANK_TO) & (slope > 0.8 * GENTLE)
    return float(np.mean(slope[flank] < _LOOSE)) if flank.any() else 0.0


def _top_inside_m(grid: Grid, is_top: Mask, line: _Line) -> float:
    """Median distance of the top from the line: loose material is less high than that."""
    row, col = np.nonzero(is_top)
    top = shapely.points(grid.x_m()[col], grid.y_m()[row])
    return max(float(np.median(shapely.distance(top, shapely.MultiPoint(line.points)))), 1e-3)


def _falls(grid: Grid, height_m: Array, line: _Line) -> tuple[float, float]:
    """Shares of the line along which the surface falls outwards, and that is not seen."""
    outer = _at(grid, height_m, line.points + _LOOK_M * line.normal)
    inner = _at(grid, height_m, line.points - _LOOK_M * line.normal)
    known = np.isfinite(outer) & np.isfinite(inner)
    falls = float(np.mean(inner[known] > outer[known])) if known.any() else 0.0
    return falls, float(np.mean(~known))


def _upright_share(terrain: Terrain, line: _Line) -> float:
    """Share of the line inside of which the surface is steeper than loose material rests."""
    slope = np.nan_to_num(terrain.slope)
    inwards = np.arange(0.0, _INWARDS_M + 0.5 * _STEP_M, _STEP_M)
    slopes = [_at(terrain.grid, slope, line.points - step * line.normal) for step in inwards]
    return float(np.mean(np.nan_to_num(slopes).max(axis=0) > _LOOSE))


def _at(grid: Grid, values: Array, points: Array) -> Array:
    return grid.stencil(points).sample(values)


def _roughness_m(grid: Grid, seen: Mask) -> float:
    """Median departure of the surface from its running mean."""
    mean = smoothed(grid.elevation_m, 0.5 * _ROUGH_OVER_M / grid.cell_size_m)
    # The mean of a curved skin departs by itself, but little over so short a length.
    return float(np.median(np.abs(grid.elevation_m - mean)[seen]))
