"""Change of a whole site between two surveys: the later one aligned, then pile by pile."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from volumetrics.alignment import Alignment, align
from volumetrics.budget import Accuracy
from volumetrics.change import Change, measure_change
from volumetrics.cutter import cutter
from volumetrics.errors import InputError, VolumetricsError
from volumetrics.grid import Grid, area_fraction
from volumetrics.identity import Kind, carry
from volumetrics.noise import DsmNoise
from volumetrics.surface_base import SurfaceBase
from volumetrics.survey import Survey
from volumetrics.terrain import Mask
from volumetrics.toe import Toe, around
from volumetrics.uncertainty import NORMAL_95, Budget, total
from volumetrics.volume import MIN_COVERAGE

_MAX_CELLS = 4_000_000
_ALIGNED_CELL_M = 0.25
# Ground this near to a pile may be spilled material.
_GROUND_GAP_M = 2.0
_MARGIN_M = 3.0
# Smaller spots of change outside the piles are noise.
_LEAST_SPOT_M2 = 4.0


@dataclass(frozen=True)
class SiteChange:
    """What came and went between two surveys.

    Parameters
    ----------
    alignment : Alignment
        How the later survey lay on the earlier one before it was moved.
    changes : tuple of Change
    refused : mapping of str to str
        Pile and reason.
    elsewhere_fill_m3, elsewhere_cut_m3 : float
        Outside all polygons, of coherent spots that changed by more than the level of detection.
    """

    alignment: Alignment
    changes: tuple[Change, ...]
    refused: Mapping[str, str]
    elsewhere_fill_m3: float
    elsewhere_cut_m3: float

    def totals(self) -> dict[str, tuple[float, Budget]]:
        """Fill, cut and net of all polygons; what the alignment may be wrong by adds linearly."""
        volumes = [change.volume for change in self.changes]
        return {
            name: (
                sum(getattr(volume, f"{name}_m3") for volume in volumes),
                total([volume.budgets[name] for volume in volumes]),
            )
            for name in ("fill", "cut", "net")
        }


def joined(before: Sequence[Toe], after: Sequence[Toe]) -> list[tuple[Toe, Kind]]:
    """One polygon for each pile of two surveys, around what it covered on either date."""
    found: list[tuple[Toe, Kind]] = []
    for link in carry(before, after):
        members = [before[i] for i in link.before] + [after[i] for i in link.after]
        names = dict.fromkeys(toe.name for toe in members)
        polygon = shapely.union_all([toe.polygon for toe in members])
        found.append((Toe(" + ".join(names), polygon), link.kind))
    return found


def measure_site_change(
    earlier: Survey,
    later: Survey,
    toes: Sequence[Toe],
    toe_sigma_m: float,
    min_coverage: float = MIN_COVERAGE,
) -> SiteChange:
    """Align the later survey to unchanged ground and measure the change within each polygon.

    Parameters
    ----------
    earlier, later : Survey
        In one CRS and vertical datum.
    toes : sequence of Toe
        Each around everything of a pile that may have changed, see `joined`.
    toe_sigma_m, min_coverage : float

    Returns
    -------
    SiteChange

    Raises
    ------
    InputError
        When the CRS or the vertical datum differ, too little ground is common to both, or the
        surveys lie too far apart to be aligned.
    """
    _check_same(earlier, later)
    common = _Common.of(earlier, later, toes, toe_sigma_m, min_coverage)
    alignment = common.align()
    scale_sigma = math.hypot(earlier.scale_sigma, later.scale_sigma)
    accuracy = Accuracy(common.noises[1], scale_sigma, toe_sigma_m=toe_sigma_m)
    changes, refused = [], {}
    for toe in toes:
        try:
            was, now = (s.window(toe.polygon.bounds, _MARGIN_M) for s in (earlier, later))
            changes.append(
                measure_change(was, now, toe, alignment, common.noises[0], accuracy, min_coverage)
            )
        except VolumetricsError as error:
            refused[toe.name] = str(error)
    fill_m3, cut_m3 = _elsewhere(common, alignment)
    return SiteChange(alignment, tuple(changes), refused, fill_m3, cut_m3)


def survey_base(
    earlier: Survey,
    later: Survey,
    toes: Sequence[Toe],
    toe_sigma_m: float,
    min_coverage: float = MIN_COVERAGE,
) -> SurfaceBase:
    """An earlier survey as the base of piles in a later one, which is laid onto it if possible.

    Parameters
    ----------
    earlier, later : Survey
        In one CRS and vertical datum.
    toes : sequence of Toe
        Around what may have changed; what else did is rejected as outliers.
    toe_sigma_m, min_coverage : float

    Raises
    ------
    InputError
        When the CRS or the vertical datum differ.
    """
    _check_same(earlier, later)
    try:
        alignment = _Common.of(earlier, later, toes, toe_sigma_m, min_coverage).align()
    except InputError:
        # A small raster of a yard's floor, say: the volume says that it was not aligned.
        return SurfaceBase("survey", earlier)
    return SurfaceBase("survey", earlier, alignment)


@dataclass(frozen=True)
class _Common:
    """Two surveys as a whole, with their noise, and the ground that lies outside of all toes."""

    before: Grid
    after: Grid
    noises: tuple[DsmNoise, DsmNoise]
    is_stable: Mask

    @classmethod
    def of(
        cls,
        earlier: Survey,
        later: Survey,
        toes: Sequence[Toe],
        toe_sigma_m: float,
        min_coverage: float,
    ) -> _Common:
        was, now = (cutter(one, toes, toe_sigma_m, min_coverage).noise for one in (earlier, later))
        before, after = _overviews(earlier, later)
        piles = around(np.array([toe.polygon for toe in toes]), _GROUND_GAP_M)
        return cls(before, after, (was, now), area_fraction(piles, before) == 0.0)

    @property
    def noise(self) -> DsmNoise:
        """Of the difference of the two."""
        was, now = self.noises
        return DsmNoise(was.components + now.components)

    def align(self) -> Alignment:
        return align(self.before, self.after, self.is_stable, self.noise)


def _check_same(earlier: Survey, later: Survey) -> None:
    if earlier.crs != later.crs:
        raise InputError(
            f"The earlier survey is in {earlier.crs.name}, the later one in {later.crs.name}.",
            "Warp one of them to the other's CRS first.",
        )
    datums = [survey.facts.get("vertical_datum") for survey in (earlier, later)]
    if all(datums) and datums[0] != datums[1]:
        raise InputError(
            f"The earlier survey has {datums[0]} heights, the later one {datums[1]}.",
            "Convert one of them to the other's vertical datum first.",
        )


def _overviews(earlier: Survey, later: Survey) -> list[Grid]:
    """Both surfaces as a whole, at cells that fit into memory."""
    found = []
    for survey in (earlier, later):
        west, south, east, north = survey.bounds_m
        fitting_m = math.sqrt((east - west) * (north - south) / _MAX_CELLS)
        found.append(survey.overview(max(_ALIGNED_CELL_M, fitting_m)))
    return found


def _elsewhere(common: _Common, alignment: Alignment) -> tuple[float, float]:
    """Fill and cut in m³ outside the piles."""
    before, after = common.before, common.after
    x, y = np.meshgrid(before.x_m(), before.y_m())
    place = np.column_stack((x.ravel(), y.ravel())) + alignment.shift_m
    later = after.stencil(place).sample(after.elevation_m).reshape(x.shape)
    change = later - alignment.offset_m(x, y) - before.elevation_m
    detection_m = NORMAL_95 * max(common.noise.sigma_m, alignment.residual_sigma_m)
    totals = []
    for sign in (1.0, -1.0):
        changed = common.is_stable & (np.nan_to_num(sign * change) > detection_m)
        label, count = ndimage.label(changed)
        size_m2 = np.bincount(label.ravel(), minlength=count + 1) * before.cell_area_m2
        size_m2[0] = 0.0
        large = (size_m2 >= _LEAST_SPOT_M2)[label]
        totals.append(float(np.abs(change[large]).sum() * before.cell_area_m2))
    return totals[0], totals[1]
