"""A site: all piles of one survey, measured alike, and their sum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import shapely
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from volumetrics.base_surface import BaseMethod
from volumetrics.budget import Accuracy
from volumetrics.cutter import Cutter
from volumetrics.density import Tonnes, total_tonnes
from volumetrics.errors import VolumetricsError
from volumetrics.method_spread import net_by_method, spread_m3
from volumetrics.toe import Toe
from volumetrics.uncertainty import Budget, total
from volumetrics.volume import Volume, measure_footprint

# An overlap below this share of the smaller pile is a neighbour's inexact line.
_OVERLAP_SHARE = 0.01
# A plane that leaves out more of the toe deserves a look.
_FEW_USED = 0.8
# Share of the volume that the ground may hide before somebody should do something about it.
_MUCH_GROUND = 0.1


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
    cut: Cutter,
    toes: Sequence[Toe],
    method: BaseMethod,
    report: Callable[[float, str], None] = lambda fraction, message: None,
    *,
    compares_methods: bool = True,
) -> Site:
    """Measure every pile; one that cannot be measured is refused with its reason.

    Parameters
    ----------
    cut : Cutter
        Of the survey.
    toes : sequence of Toe
        In the survey's CRS.
    method : BaseMethod
    report : callable
        Receives the fraction done and a message.
    compares_methods : bool
        Whether each volume tells what the other base methods find. It takes about a third of the
        time, and a toe that is being dragged can do without.

    Returns
    -------
    Site
    """
    volumes: list[Volume] = []
    refused: dict[str, str] = {}
    # Matrices of some hundred rows gain nothing from threads, which spin while they wait.
    with _threads().limit(limits=1, user_api="blas"):
        for number, toe in enumerate(toes):
            report(number / len(toes), toe.name)
            try:
                volumes.append(_measure_one(cut, toe, method, compares_methods))
            except VolumetricsError as error:
                refused[toe.name] = str(error)
    report(1.0, "measured")
    return Site(tuple(volumes), refused, _overlaps(toes))


@cache
def _threads() -> ThreadpoolController:
    """What threads libraries use; to find the libraries takes as long as to fit a plane."""
    return ThreadpoolController()


def _measure_one(cut: Cutter, toe: Toe, method: BaseMethod, compares_methods: bool) -> Volume:
    pile, noise, survey = cut.cut(toe), cut.noise, cut.survey
    accuracy = Accuracy(
        noise, survey.scale_sigma, survey.vertical_sigma_m, cut.toe_sigma_m, survey.tilt_sigma
    )
    volume = measure_footprint(pile, toe, method, accuracy)
    nets = net_by_method(pile, noise) if compares_methods else {}
    warnings = survey.notes + volume.warnings + _doubts(volume, nets)
    volume = replace(volume, method_nets_m3=nets, warnings=warnings)
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


def _doubts(volume: Volume, nets: Mapping[str, float]) -> tuple[str, ...]:
    """What a reader of the interval must know beside it."""
    doubts, method_spread_m3, ground_u95_m3 = [], spread_m3(nets), volume.ground_u95_m3
    # That the ground may hide more than the ± is so of most piles, and stands beside each volume.
    if method_spread_m3 > max(volume.net_u95_m3, ground_u95_m3):
        doubts.append(
            f"the base decides: the base methods differ by {method_spread_m3:.1f} m³, more than "
            f"ground as uneven as that around explains (±{ground_u95_m3:.1f} m³); look at the base"
        )
    elif ground_u95_m3 > max(volume.net_u95_m3, _MUCH_GROUND * abs(volume.net_m3)):
        doubts.append(
            f"the ground is uneven: below the pile it may hold ±{ground_u95_m3:.1f} m³ of the "
            f"{volume.net_m3:.1f} m³; a survey of the empty place is the better base"
        )
    if volume.base == "survey" and "moved_up_m" not in volume.base_facts:
        doubts.append(
            "the base was not laid onto this survey: too little ground of both is unchanged, or "
            "they lie too far apart, so that a shift between them counts as volume"
        )
    used_share = volume.base_facts.get("used_share", 1.0)
    if used_share < _FEW_USED:
        doubts.append(
            f"the base follows only {used_share:.0%} of the toe: the rest is no ground (a wall, "
            "another pile), mark it as wall or move the line"
        )
    return tuple(doubts)


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
