"""Snapping: a rough polygon becomes the true toe, where the ground bends up into the pile.

Profiles across the drawn line are searched for their sharpest upward bend, and the line through
the bends of all profiles is the one that bends least itself (dynamic programming on a ring). The
valley between two touching piles is such a bend, too; a crest bends the other way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy.ndimage import median_filter

from volumetrics.grid import Array, Grid
from volumetrics.toe import Toe

_SEARCH_M = 2.5
# Each side of a bend is looked at over this length, or so many cells of a coarse surface.
_ARM_M, _ARM_CELLS = 1.0, 5.0
_MOST_PROFILES = 400
# A line that turns by 45 degrees costs as much as a bend of this slope is worth.
_TURN_COST = 0.3
# Leaving the drawn line by the whole search length costs as much as a bend of this slope.
_LEAVE_COST = 0.05
# From here on a bend is the foot of a pile rather than a roll of the ground.
_LEAST_BEND = 0.15
_LEAST_SHARE = 0.5
# The foot ends where the surface comes this near to the ground beyond, in its roughness.
_FOOT_SIGMAS = 2.5
_LEAST_FOOT_M = 0.02
_FOOT_MEDIAN = 9
_SHORT_M = 1e-3


@dataclass(frozen=True)
class Snapped:
    """A toe that was moved to where the surface bends.

    Parameters
    ----------
    toe : Toe
    confidence : float
        Share of the line (without walls) along which a bend was found, 0 to 1.
    moved_m : float
        Root mean square move of the line.
    """

    toe: Toe
    confidence: float
    moved_m: float


def snap(grid: Grid, toe: Toe, search_m: float = _SEARCH_M) -> Snapped:
    """Move a rough toe to the foot of its pile.

    Walls and holes of the polygon stay; so does the line where nothing bends.

    Parameters
    ----------
    grid : Grid
        The surface with a margin of ``search_m`` and an arm (1 m) around the polygon.
    toe : Toe
    search_m : float
        How far the true toe may be from the drawn line.

    Returns
    -------
    Snapped
    """
    parts = list(getattr(toe.polygon, "geoms", [toe.polygon]))
    lines = [_snapped_line(grid, np.array(part.exterior.coords), toe, search_m) for part in parts]
    polygons = [
        shapely.Polygon(line.points, [hole.coords for hole in part.interiors])
        for part, line in zip(parts, lines, strict=True)
    ]
    whole = polygons[0] if len(polygons) == 1 else shapely.MultiPolygon(polygons)
    if not whole.is_valid:
        return Snapped(toe, 0.0, 0.0)
    weights = np.array([part.length for part in parts]) / sum(part.length for part in parts)
    found = np.array([line.found for line in lines])
    moved = np.array([line.moved_m for line in lines])
    return Snapped(
        replace(toe, polygon=whole),
        float(weights @ found),
        float(np.sqrt(weights @ moved**2)),
    )


@dataclass(frozen=True)
class _Line:
    """A ring on its way to the toe: vertices (n, 2), share with a bend, root mean square move."""

    points: Array
    found: float
    moved_m: float


def _snapped_line(grid: Grid, ring: Array, toe: Toe, search_m: float) -> _Line:
    """Two passes: the second one looks across the line that the first one found."""
    first = _pass(grid, ring, toe.walls, search_m)
    second = _pass(grid, np.vstack((first.points, first.points[:1])), toe.walls, 0.4 * search_m)
    return _Line(second.points, second.found, math.hypot(first.moved_m, second.moved_m))


def _pass(grid: Grid, ring: Array, walls: shapely.Geometry | None, search_m: float) -> _Line:
    line = shapely.LinearRing(ring)
    spacing_m = max(2.0 * grid.cell_size_m, line.length / _MOST_PROFILES)
    points = np.array(shapely.segmentize(line, spacing_m).coords)[:-1]
    if not line.is_ccw:
        points = points[::-1]
    normal = _outward(points)
    arm_m = max(_ARM_M, _ARM_CELLS * grid.cell_size_m)
    step_m = 0.5 * grid.cell_size_m
    reach = math.ceil(search_m / step_m)
    arm = math.ceil(arm_m / step_m)
    along_m = np.arange(-reach - arm, reach + 3 * arm + 1) * step_m
    profiles = _elevations(grid, points[:, None] + along_m[:, None] * normal[:, None])
    bend, share = _bends(profiles[:, : 2 * (reach + arm) + 1], arm, step_m)
    value = np.where(bend > 0.0, bend, 0.0) * share
    offset_m = np.arange(-reach, reach + 1) * step_m
    fixed = np.zeros(len(points), bool)  # along walls
    if walls is not None:
        fixed = shapely.distance(shapely.points(points), walls) < _SHORT_M
    value -= _LEAVE_COST * (offset_m / search_m) ** 2
    value[fixed] = np.where(offset_m == 0.0, 0.0, -np.inf)
    gap_m = np.linalg.norm(np.roll(points, -1, axis=0) - points, axis=1)
    chosen = _best_line(value, step_m, gap_m)
    at = np.arange(len(points))
    sound = (bend[at, chosen] > _LEAST_BEND) & (share[at, chosen] > _LEAST_SHARE)
    move_m = offset_m[chosen] + np.where(
        sound & ~fixed, _foot_length_m(profiles, chosen + arm, arm, step_m), 0.0
    )
    free = ~fixed
    moved = points + move_m[:, None] * normal
    # Points that met at the inside of a corner would cross each other.
    step = np.linalg.norm(moved - np.roll(moved, 1, axis=0), axis=1)
    return _Line(
        _simple(moved[fixed | (step > grid.cell_size_m)]),
        float(sound[free].mean()) if free.any() else 1.0,
        float(np.sqrt(np.mean(move_m**2))),
    )


def _simple(points: Array) -> Array:
    """The ring without the small loops that it may make where it was bent inwards."""
    ring = shapely.Polygon(points)
    if ring.is_valid:
        return points
    parts = shapely.get_parts(shapely.make_valid(ring))
    largest = parts[np.argmax(shapely.area(parts))]
    return np.array(largest.exterior.coords)[:-1] if largest.geom_type == "Polygon" else points


def _outward(points: Array) -> Array:
    """Unit normals (n, 2) to the right of a counter-clockwise ring, smoothed over its corners."""
    ahead = np.roll(points, -2, axis=0) - np.roll(points, 2, axis=0)
    length = np.maximum(np.linalg.norm(ahead, axis=1, keepdims=True), _SHORT_M)
    return np.column_stack((ahead[:, 1], -ahead[:, 0])) / length


def _elevations(grid: Grid, points: Array) -> Array:
    """Bilinear elevations (...) of points (..., 2); NaN in holes and outside."""
    flat = points.reshape(-1, 2)
    outer = (flat[:, 0].min(), flat[:, 1].min(), flat[:, 0].max(), flat[:, 1].max())
    margin_m = 2.0 * grid.cell_size_m
    wide = grid.containing(
        (outer[0] - margin_m, outer[1] - margin_m, outer[2] + margin_m, outer[3] + margin_m)
    )
    return wide.stencil(flat).sample(wide.elevation_m).reshape(points.shape[:-1])


def _bends(profiles: Array, arm: int, step_m: float) -> tuple[Array, Array]:
    """Change of slope at each place of each profile, and the share of the relief it explains.

    A straight line with a bend in its middle is fitted to every window of ``2 arm + 1`` samples;
    the share compares it with a line without a bend. Both are NaN-free: a window with a hole has
    neither.
    """
    t = np.arange(-arm, arm + 1) * step_m
    straight = np.column_stack((np.ones_like(t), t))
    hinge = np.maximum(-t, 0.0)
    hinge -= straight @ np.linalg.lstsq(straight, hinge, rcond=None)[0]
    windows = np.lib.stride_tricks.sliding_window_view(profiles, len(t), axis=1)
    basis, _ = np.linalg.qr(straight)
    centred = windows - windows[..., arm : arm + 1]
    bend = centred @ hinge / (hinge @ hinge)
    left = (centred**2).sum(-1) - ((centred @ basis) ** 2).sum(-1)
    share = bend**2 * (hinge @ hinge) / np.maximum(left, 1e-12)
    hole = ~np.isfinite(bend)
    return np.where(hole, 0.0, bend), np.where(hole, 0.0, np.minimum(share, 1.0))


def _foot_length_m(profiles: Array, bend: Array, arm: int, step_m: float) -> Array:
    """How far the foot of each profile runs out from its bend onto the ground, smoothed.

    Loose material ends softly, so the sharpest bend lies within the pile. The ground is a straight
    line through what lies one to two arms further out; the foot ends where it meets the surface.
    """
    reach = 2 * arm
    padded = np.pad(profiles, ((0, 0), (0, reach + 1)), constant_values=np.nan)
    outward = padded[np.arange(len(bend))[:, None], bend[:, None] + np.arange(reach + 1)]
    t = np.arange(reach + 1) * step_m
    ground = slice(arm, None)
    line = np.column_stack((np.ones_like(t), t))
    fit = np.linalg.pinv(line[ground])
    above_m = outward - (outward[:, ground] @ fit.T) @ line.T
    rough_m = np.maximum(np.std(above_m[:, ground], axis=1), _LEAST_FOOT_M / _FOOT_SIGMAS)
    is_foot = above_m[:, :arm] > _FOOT_SIGMAS * rough_m[:, None]
    length = np.logical_and.accumulate(is_foot, axis=1).sum(axis=1).astype(np.float64)
    return np.asarray(median_filter(length, _FOOT_MEDIAN, mode="wrap") * step_m)


def _best_line(value: Array, step_m: float, gap_m: Array) -> np.ndarray:
    """Offsets (as indices) of the closed line with the greatest value less the cost of turning.

    The ring is passed twice from a start that is free, so the second pass closes on itself.
    """
    profiles, places = value.shape
    apart = (np.arange(places)[:, None] - np.arange(places)) * step_m
    best = np.zeros(places)
    came = np.zeros((2 * profiles, places), np.int64)
    for number in range(2 * profiles):
        at = number % profiles
        cost = _TURN_COST * (apart / max(gap_m[at - 1], _SHORT_M)) ** 2
        total = best[None, :] - cost
        came[number] = total.argmax(axis=1)
        best = total.max(axis=1) + value[at]
    chosen = np.zeros(profiles, np.int64)
    place = int(best.argmax())
    # The last half pass may still bend to its free end, so the ring is read from the middle.
    for number in range(2 * profiles - 1, -1, -1):
        if profiles // 2 <= number < profiles // 2 + profiles:
            chosen[number % profiles] = place
        place = int(came[number, place])
    return chosen
