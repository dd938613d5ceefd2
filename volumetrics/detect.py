"""Finding piles: toe polygons proposed from a surface, for people to confirm.

What stands on the ground (`volumetrics.terrain`) is cut into single mounds along its valleys, and
each mound is judged by what makes it a pile: flanks as steep as loose material rests, a toe nearly
all around or a wall in place of it, a smooth skin, enough of it seen. The line is then moved to
where the ground bends (`volumetrics.snap`). Nothing found here is measured before somebody has
confirmed it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import shapely
from scipy import ndimage

from volumetrics.errors import VolumetricsError
from volumetrics.grid import Grid
from volumetrics.judge import judge
from volumetrics.mounds import mounds
from volumetrics.snap import snap
from volumetrics.survey import Survey
from volumetrics.terrain import Mask, Terrain, analyse, patches
from volumetrics.toe import Toe
from volumetrics.walls import walls_along

MIN_AREA_M2, MIN_HEIGHT_M = 12.0, 0.6
# Below this a proposal is more likely wrong than right and is not shown unless asked for.
MIN_CONFIDENCE = 0.3
_CELL_M, _MAX_CELLS = 0.2, 6_000_000
_SEARCH_M, _ARM_M = 1.5, 1.5
_TIDY_M = 0.1


@dataclass(frozen=True)
class Proposal:
    """A toe that somebody may confirm.

    Parameters
    ----------
    toe : Toe
        Named ``proposal 1`` and so on, the largest first; stretches along walls are marked.
    confidence : float
        0 to 1.
    reasons : tuple of str
        What speaks for and against it, in words.
    height_m : float
        Greatest height above the ground around.
    """

    toe: Toe
    confidence: float
    reasons: tuple[str, ...]
    height_m: float


def propose(
    grid: Grid,
    min_area_m2: float = MIN_AREA_M2,
    min_height_m: float = MIN_HEIGHT_M,
    min_confidence: float = MIN_CONFIDENCE,
) -> tuple[Proposal, ...]:
    """Propose the toes of all piles on a surface.

    Parameters
    ----------
    grid : Grid
        The whole site at cells of about 0.1 to 0.5 m; smaller cells only take longer.
    min_area_m2, min_height_m : float
        Smaller mounds are left out.
    min_confidence : float
        Less certain proposals are left out.

    Returns
    -------
    tuple of Proposal
        The largest first.
    """
    if not np.isfinite(grid.elevation_m).any():
        return ()
    terrain = analyse(grid)
    found = []
    for number, place in _mounds(terrain, min_area_m2, min_height_m):
        proposal = _judged(terrain, number, place)
        if proposal is not None and proposal.confidence >= min_confidence:
            found.append(proposal)
    return _numbered(found)


def propose_in_survey(
    survey: Survey,
    min_area_m2: float = MIN_AREA_M2,
    min_height_m: float = MIN_HEIGHT_M,
    min_confidence: float = MIN_CONFIDENCE,
    report: Callable[[float, str], None] = lambda fraction, message: None,
) -> tuple[Proposal, ...]:
    """Propose the toes of all piles of a survey, which is read at about 0.2 m.

    Parameters
    ----------
    survey : Survey
    min_area_m2, min_height_m, min_confidence : float
        As in `propose`.
    report : callable
        Receives the fraction done and a message.

    Returns
    -------
    tuple of Proposal
        In the survey's CRS, the largest first.
    """
    west, south, east, north = survey.bounds_m
    fitting_m = math.sqrt((east - west) * (north - south) / _MAX_CELLS)
    report(0.0, "reading the surface")
    grid = survey.overview(max(_CELL_M, fitting_m))
    report(0.2, "looking for mounds")
    found = propose(grid, min_area_m2, min_height_m, min_confidence)
    report(1.0, f"{len(found)} proposals")
    return found


def _numbered(found: list[Proposal]) -> tuple[Proposal, ...]:
    ordered = sorted(found, key=lambda one: -one.toe.area_m2)
    return tuple(
        Proposal(
            Toe(f"proposal {number}", one.toe.polygon, one.toe.walls),
            one.confidence,
            one.reasons,
            one.height_m,
        )
        for number, one in enumerate(ordered, start=1)
    )


def _mounds(
    terrain: Terrain, min_area_m2: float, min_height_m: float
) -> list[tuple[Mask, tuple[slice, slice]]]:
    """The cells of each mound within its window, of those that are large and high enough."""
    labels, count = mounds(terrain)
    sizes = np.bincount(labels.ravel(), minlength=count + 1) * terrain.grid.cell_area_m2
    tops = ndimage.maximum(terrain.height_m, labels, np.arange(count + 1))
    margin = math.ceil((_SEARCH_M + 3.0 * _ARM_M) / terrain.grid.cell_size_m)
    found = []
    for number, place in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[number] < min_area_m2 or tops[number] < min_height_m:
            continue
        down, right = (slice(max(0, side.start - margin), side.stop + margin) for side in place)
        wide = (down, right)
        mask = ndimage.binary_fill_holes(labels[wide] == number)
        found.append((mask, wide))
    return found


def _judged(terrain: Terrain, mask: Mask, place: tuple[slice, slice]) -> Proposal | None:
    """A mound with its line moved to the toe, its walls marked, and judged; None without area."""
    around = _window(terrain, place)
    outline = _outline(around.grid, mask)
    if outline is None:
        return None
    try:
        rough = Toe("", outline, walls_along(around.grid, around.is_wall, outline))
        moved = snap(around.grid, rough, _SEARCH_M)
        polygon = shapely.simplify(moved.toe.polygon, _TIDY_M)
        toe = Toe("", polygon, walls_along(around.grid, around.is_wall, polygon))
    except VolumetricsError:
        return None
    verdict = judge(around, replace(moved, toe=toe))
    return Proposal(toe, verdict.confidence, verdict.reasons, verdict.height_m)


def _window(terrain: Terrain, place: tuple[slice, slice]) -> Terrain:
    grid = terrain.grid
    part = Grid(
        grid.elevation_m[place],
        grid.west_m + place[1].start * grid.cell_size_m,
        grid.north_m - place[0].start * grid.cell_size_m,
        grid.cell_size_m,
    )
    return Terrain(
        part,
        terrain.slope[place],
        terrain.is_ground[place],
        terrain.is_wall[place],
        terrain.height_m[place],
    )


def _outline(grid: Grid, mask: Mask) -> shapely.Polygon | None:
    """The largest part of the cells, without stairs."""
    parts = [shapely.Polygon(patch.exterior) for patch in patches(grid, mask)]
    reach = 1.5 * grid.cell_size_m
    rounded = [
        part.buffer(reach).buffer(-2.0 * reach).buffer(reach).simplify(0.5 * grid.cell_size_m)
        for part in parts
    ]
    whole = [piece for part in rounded for piece in shapely.get_parts(part) if piece.area > 0.0]
    if not whole:
        return None
    largest = max(whole, key=lambda part: part.area)
    return shapely.Polygon(largest.exterior)
