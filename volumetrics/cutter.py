"""What cuts piles out of a survey, all alike: the surface's noise is learnt once for all of them.

It does not change while a toe is dragged, so one cutter is enough for all its places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from volumetrics.errors import InputError, ToeError
from volumetrics.footprint import Footprint, footprint
from volumetrics.grid import Grid, area_fraction
from volumetrics.ground_noise import estimate_noise
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.relative_noise import Patch, RelativeNoise, fit_relative_noise
from volumetrics.survey import Survey
from volumetrics.toe import Toe, around
from volumetrics.volume import MIN_COVERAGE

_MARGIN_CELLS, _MARGIN_M = 8.0, 0.4
# Ground within this distance tells the noise where the survey does not state it.
_GROUND_MARGIN_M = 20.0
# The noise, and how it depends on slope and matches, is learnt around this many piles.
_MAX_PATCHES = 8
_PATCH_MARGIN_M = 5.0
# Ground this near to a toe may be spilled material.
_GROUND_GAP_M = 0.5


@dataclass(frozen=True)
class Cutter:
    """Cuts piles out of a survey.

    Parameters
    ----------
    survey : Survey
    noise : DsmNoise
        Of the survey's surface: as stated, else estimated on the ground around the piles.
    relative : RelativeNoise
    toe_sigma_m, min_coverage : float
    excluded : STRtree
        The surface below these polygons counts as not seen.
    """

    survey: Survey
    noise: DsmNoise
    relative: RelativeNoise
    toe_sigma_m: float
    min_coverage: float
    excluded: shapely.STRtree

    def cut(self, toe: Toe) -> Footprint:
        """The footprint of a pile.

        Raises
        ------
        ToeError, CoverageError
            As `volumetrics.footprint.footprint`.
        """
        margin_m = max(_MARGIN_CELLS * self.survey.cell_size_m, _MARGIN_M)
        margin_m += 4.0 * self.toe_sigma_m
        grid = without(_weighed(self.survey, self.relative, toe, margin_m), self.excluded)
        return footprint(grid, toe, self.min_coverage, self.toe_sigma_m)

    def excluded_from(self, toe: Toe) -> shapely.Geometry:
        """What is excluded within a toe."""
        near = self.excluded.geometries[self.excluded.query(toe.polygon, predicate="intersects")]
        return shapely.intersection(shapely.union_all(near), toe.polygon)


def cutter(
    survey: Survey,
    toes: Sequence[Toe],
    toe_sigma_m: float,
    min_coverage: float = MIN_COVERAGE,
    excluded: Sequence[shapely.Geometry] = (),
) -> Cutter:
    """What cuts the piles of these toes out of the survey, all alike.

    Parameters
    ----------
    survey : Survey
    toes : sequence of Toe
        In the survey's CRS; its noise is learnt around them.
    toe_sigma_m : float
        1 sigma of the drawn lines.
    min_coverage : float
        Share of a pile that must be seen.
    excluded : sequence of Polygon or MultiPolygon
        What is no pile, as a conveyor or a loader: the surface there counts as not seen, and the
        volume with it is given beside.

    Raises
    ------
    InputError
        As `check_settings` and `volumetrics.ground_noise.estimate_noise`.
    """
    check_settings(toe_sigma_m, min_coverage)
    piles = shapely.STRtree([toe.polygon for toe in toes])
    relative = fit_relative_noise(_patches(survey, toes, piles, _PATCH_MARGIN_M))
    noise = survey.noise or _estimated_noise(survey, toes, piles, relative)
    return Cutter(
        survey, noise, relative, toe_sigma_m, min_coverage, shapely.STRtree(list(excluded))
    )


def check_settings(toe_sigma_m: float, min_coverage: float) -> None:
    """Refuse impossible settings before anything is measured.

    Raises
    ------
    InputError
        When the line's sigma is negative or the least coverage is no share.
    """
    if not (math.isfinite(toe_sigma_m) and toe_sigma_m >= 0.0):
        raise InputError(
            f"A toe line of {toe_sigma_m} m (1 sigma) is impossible.", "Give at least 0."
        )
    if not 0.0 < min_coverage <= 1.0:
        raise InputError(
            f"A least coverage of {min_coverage} is impossible.", "Give a share above 0, at most 1."
        )


def without(grid: Grid, excluded: shapely.STRtree) -> Grid:
    """The grid with holes where cells touch an excluded polygon."""
    near = excluded.geometries[excluded.query(_extent(grid), predicate="intersects")]
    if not len(near):
        return grid
    covered = area_fraction(shapely.union_all(near), grid) > 0.0
    return grid.with_elevation(np.where(covered, np.nan, grid.elevation_m))


def _extent(grid: Grid) -> shapely.Polygon:
    rows, cols = grid.elevation_m.shape
    south, east = grid.north_m - rows * grid.cell_size_m, grid.west_m + cols * grid.cell_size_m
    return shapely.box(grid.west_m, south, east, grid.north_m)


def _patches(
    survey: Survey, toes: Sequence[Toe], piles: shapely.STRtree, margin_m: float
) -> Iterator[Patch]:
    """Surface and ground around some of the piles, one at a time."""
    for toe in toes[:: math.ceil(len(toes) / _MAX_PATCHES) or 1]:
        try:
            grid = survey.window(toe.polygon.bounds, margin_m)
        except ToeError:
            continue
        yield Patch(grid, survey.match_error_m(grid), _is_ground(grid, piles))


def _estimated_noise(
    survey: Survey, toes: Sequence[Toe], piles: shapely.STRtree, relative: RelativeNoise
) -> DsmNoise:
    """The noise of the ground around some of the piles, relative to its factor there."""
    if all(shapely.disjoint(toe.polygon, shapely.box(*survey.bounds_m)) for toe in toes):
        # Each of them will be refused for that.
        return PERFECT
    return estimate_noise(
        replace(
            patch, grid=replace(patch.grid, noise_factor=relative.of(patch.grid, patch.quality_m))
        )
        for patch in _patches(survey, toes, piles, _GROUND_MARGIN_M)
    )


def _weighed(survey: Survey, relative: RelativeNoise, toe: Toe, margin_m: float) -> Grid:
    """The window of a toe with the relative noise of its cells."""
    grid = survey.window(toe.polygon.bounds, margin_m)
    return relative.on(grid, survey.match_error_m(grid))


def _is_ground(grid: Grid, piles: shapely.STRtree) -> NDArray[np.bool_]:
    """Cells that are no pile."""
    near = piles.geometries[piles.query(_extent(grid), predicate="intersects")]
    return np.asarray(area_fraction(around(near, _GROUND_GAP_M), grid) == 0.0)
