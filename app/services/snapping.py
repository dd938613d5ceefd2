"""Toes that a program found: snapped lines, piles carried over from the survey before."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import NDArray

from app import rasters
from app.errors import InvalidInput
from app.outline import Outline
from app.services import measuring

_SEARCH_M = 2.0
_ARM_M = 1.5
# Vertices nearer to the line between their neighbours say nothing.
_TIDY_M = 0.05
_ON_WALL_M = 0.02


@dataclass(frozen=True)
class Found:
    """A toe with how sure it is, from 0 to 1, and why."""

    outline: Outline
    confidence: float
    reasons: tuple[str, ...]


def snap(survey_id: UUID, outline: Outline) -> Found:
    """Move a rough toe to where the ground bends up into the pile.

    Raises
    ------
    InvalidInput
        When the polygon crosses itself or lies outside the survey.
    """
    from volumetrics.errors import VolumetricsError
    from volumetrics.snap import snap as snapped_to
    from volumetrics.walls import beside_walls

    surface = measuring.surface(survey_id)
    try:
        toe = measuring.toe_of("pile", outline)
        grid = surface.window(toe.polygon.bounds, _SEARCH_M + _ARM_M)
        found = snapped_to(grid, beside_walls(grid, toe), _SEARCH_M)
    except VolumetricsError as error:
        raise InvalidInput(str(error), field="toe") from error
    polygon = found.toe.polygon.simplify(_TIDY_M)
    reasons = (
        f"the ground bends along {found.confidence:.0%} of the line",
        f"the line moved by {found.moved_m:.2f} m on average",
    )
    if found.toe.walls is not None:
        reasons += (f"{found.toe.walls.length:.1f} m of it run along walls",)
    return Found(drape(survey_id, polygon, found.toe.walls), found.confidence, reasons)


def drape(survey_id: UUID, polygon: shapely.Geometry, walls: shapely.Geometry | None) -> Outline:
    """Lay a polygon onto the surface of a survey; holes of the surface get its mean elevation."""
    path = measuring.surface(survey_id).dsm_path
    rings = [np.asarray(ring.coords)[:, :2] for ring in (polygon.exterior, *polygon.interiors)]
    found = rasters.elevations(path, np.concatenate(rings))
    known = found[np.isfinite(found)]
    found[~np.isfinite(found)] = known.mean() if len(known) else 0.0
    elevations = np.split(found, np.cumsum([len(ring) for ring in rings])[:-1])
    coordinates = [np.column_stack(pair).tolist() for pair in zip(rings, elevations, strict=True)]
    return Outline(coordinates, _edges_on(rings[0], walls))


def _edges_on(ring: NDArray[np.float64], walls: shapely.Geometry | None) -> tuple[int, ...]:
    """Edges of a closed ring that run along walls."""
    if walls is None or walls.is_empty:
        return ()
    middles = shapely.points((ring[:-1] + ring[1:]) / 2.0)
    ends = shapely.points(ring)
    near = shapely.distance(ends, walls) < _ON_WALL_M
    is_on = (shapely.distance(middles, walls) < _ON_WALL_M) & near[:-1] & near[1:]
    return tuple(int(edge) for edge in np.flatnonzero(is_on))
