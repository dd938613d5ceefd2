"""A site: all piles of one survey, measured alike, and their sum."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from volumetrics.base_surface import BaseMethod
from volumetrics.budget import Accuracy
from volumetrics.density import Tonnes, total_tonnes
from volumetrics.errors import InputError, ToeError, VolumetricsError
from volumetrics.footprint import Footprint, footprint
from volumetrics.grid import Grid, area_fraction
from volumetrics.ground_noise import estimate_noise
from volumetrics.method_spread import net_by_method, spread_m3
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.relative_noise import Patch, RelativeNoise, fit_relative_noise
from volumetrics.survey import Survey
from volumetrics.toe import Toe
from volumetrics.uncertainty import Budget, total
from volumetrics.volume import MIN_COVERAGE, Volume, measure_footprint

_MARGIN_CELLS = 8
# Ground within this distance tells the noise where the survey does not state it.
_GROUND_MARGIN_M = 20.0
# The noise, and how it depends on slope and matches, is learnt around this many piles.
_MAX_PATCHES = 8
_PATCH_MARGIN_M = 5.0
# Ground this near to a toe may be spilled material.
_GROUND_GAP_M = 0.5
# An overlap below this share of the smaller pile is a neighbour's inexact line.
_OVERLAP_SHARE = 0.01
# A plane that leaves out more of the toe deserves a look.
_FEW_USED = 0.8


@dataclass(frozen=True)
class Site:
    """Measured piles of one survey.

    Parameters
    ----------
    volumes : tuple of Volume
    refused : mapping of str to str
        Pile and reason.
    warnings : tuple of str
        About several piles together.
    """

    volumes: tuple[Volume, ...]
    refused: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def totals(self) -> dict[str, tuple[float, Budget]]:
        """Fill, cut and net of all measured piles, with their budgets."""
        sums = {
            "net": sum(volume.net_m3 for volume in self.volumes),
            "fill": sum(volume.fill_m3 for volume in self.volumes),
            "cut": sum(volume.cut_m3 for volume in self.volumes),
        }
        return {
            name: (value, total([volume.budgets[name] for volume in self.volumes]))
            for name, value in sums.items()
        }

    def tonnes(self) -> Tonnes | None:
        """Mass of all piles of known material; None when there is none."""
        known = [
            (volume.net_m3, volume.budgets["net"], volume.material)
            for volume in self.volumes
            if volume.material is not None
        ]
        return total_tonnes(known) if known else None


def measure_site(
    survey: Survey,
    toes: Sequence[Toe],
    method: BaseMethod,
    toe_sigma_m: float,
    min_coverage: float = MIN_COVERAGE,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    excluded: Sequence[shapely.Geometry] = (),
) -> Site:
    """Measure every pile; one that cannot be measured is refused with its reason.

    Parameters
    ----------
    survey : Survey
    toes : sequence of Toe
        In the survey's CRS.
    method : BaseMethod
    toe_sigma_m : float
        1 sigma of the drawn lines.
    min_coverage : float
    report : callable
        Receives the fraction done and a message.
    excluded : sequence of Polygon or MultiPolygon
        What is no pile, as a conveyor or a loader: the surface there counts as not seen, and the
        volume with it is given beside.

    Returns
    -------
    Site
    """
    volumes: list[Volume] = []
    refused: dict[str, str] = {}
    # Matrices of some hundred rows gain nothing from threads, which spin while they wait.
    with threadpool_limits(1, user_api="blas"):
        cut = cutter(survey, toes, toe_sigma_m, min_coverage, excluded)
        for number, toe in enumerate(toes):
            report(number / len(toes), toe.name)
            try:
                volume = _measure_one(cut, toe, method)
                volumes.append(replace(volume, warnings=survey.notes + volume.warnings))
            except VolumetricsError as error:
                refused[toe.name] = str(error)
    report(1.0, "measured")
    return Site(tuple(volumes), refused, _overlaps(toes))


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
        margin_m = _MARGIN_CELLS * self.survey.cell_size_m + 4.0 * self.toe_sigma_m
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


def _measure_one(cut: Cutter, toe: Toe, method: BaseMethod) -> Volume:
    pile, noise, survey = cut.cut(toe), cut.noise, cut.survey
    accuracy = Accuracy(noise, survey.scale_sigma, survey.vertical_sigma_m, cut.toe_sigma_m)
    volume = measure_footprint(pile, toe, method, accuracy)
    nets = net_by_method(pile, noise)
    volume = replace(
        volume, method_nets_m3=nets, warnings=volume.warnings + _doubts(volume, spread_m3(nets))
    )
    excluded = cut.excluded_from(toe)
    return volume if excluded.is_empty else _beside_excluded(volume, excluded, cut, toe, method)


def _beside_excluded(
    volume: Volume, excluded: shapely.Geometry, cut: Cutter, toe: Toe, method: BaseMethod
) -> Volume:
    """The volume with what the surface holds together with the excluded objects."""
    whole = replace(cut, excluded=shapely.STRtree([])).cut(toe)
    accuracy = Accuracy(cut.noise, toe_sigma_m=cut.toe_sigma_m)
    net_m3 = measure_footprint(whole, toe, method, accuracy).net_m3
    return replace(volume, excluded_area_m2=excluded.area, net_with_excluded_m3=net_m3)


def _doubts(volume: Volume, method_spread_m3: float) -> tuple[str, ...]:
    """What a reader of the interval must know beside it."""
    doubts = []
    if max(method_spread_m3, volume.ground_u95_m3) > volume.net_u95_m3:
        doubts.append(
            f"the ground below matters more than the ±: the base methods differ by "
            f"{method_spread_m3:.1f} m³, and what the pile hides may hold "
            f"±{volume.ground_u95_m3:.1f} m³ against the base {volume.base!r}, for which "
            f"±{volume.net_u95_m3:.1f} m³ holds"
        )
    used_share = volume.base_facts.get("used_share", 1.0)
    if used_share < _FEW_USED:
        doubts.append(
            f"the base follows only {used_share:.0%} of the toe: the rest is no ground (a wall, "
            "another pile), mark it as wall or move the line"
        )
    return tuple(doubts)


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
    covered = shapely.union_all(shapely.buffer(near, _GROUND_GAP_M))
    return np.asarray(area_fraction(covered, grid) == 0.0)


def _overlaps(toes: Sequence[Toe]) -> tuple[str, ...]:
    """Warnings about piles that share ground, whose sum counts it twice."""
    polygons = np.array([toe.polygon for toe in toes], dtype=object)
    pairs = shapely.STRtree(polygons).query(polygons, predicate="intersects")
    warnings = []
    for first, second in pairs.T:
        if first < second:
            shared_m2 = polygons[first].intersection(polygons[second]).area
            smaller_m2 = min(polygons[first].area, polygons[second].area)
            if shared_m2 > _OVERLAP_SHARE * smaller_m2:
                warnings.append(
                    f"{toes[first].name} and {toes[second].name} overlap by {shared_m2:.1f} m², "
                    "which the total counts twice"
                )
    return tuple(warnings)
