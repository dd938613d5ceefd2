"""The volume of one pile: surface, toe and base in; fill, cut and net with their budgets out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from volumetrics.base_surface import BaseMethod, BaseSurface, Plane
from volumetrics.budget import Accuracy, budgets, ground_u95_m3
from volumetrics.density import Material, Tonnes, tonnes
from volumetrics.dimensions import DimensionsU95, dimensions_u95
from volumetrics.errors import BaseError
from volumetrics.footprint import Footprint, footprint
from volumetrics.grid import Grid
from volumetrics.heights import sum_heights
from volumetrics.noise import DsmNoise
from volumetrics.toe import Toe
from volumetrics.toe_motion import toe_motion
from volumetrics.uncertainty import Budget

# Below this share of seen surface a volume is refused.
MIN_COVERAGE = 0.9


@dataclass(frozen=True)
class Volume:
    """A measured pile.

    Parameters
    ----------
    pile : str
    base : str
        Name of the base method.
    area_m2 : float
        Plan area of the toe polygon.
    fill_m3, cut_m3 : float
        Above and below the base, both at least 0.
    height_max_m, height_mean_m : float
        Above the base; the mean is net volume by area.
    coverage : float
        Share of the area where the surface was seen.
    hole_count : int
        Holes of the surface within the toe; they were bridged from their rims.
    budgets : mapping of str to Budget
        For ``fill``, ``cut`` and ``net``.
    noise : DsmNoise
        The noise of the surface that the budgets were made with.
    u95 : DimensionsU95
        Of the area and the heights.
    ground_u95_m3 : float
        How much the hidden ground may hold more or less than the base, 95 %; not part of the
        intervals, which hold for the stated base. See `volumetrics.ground_shape`.
    base_facts : mapping of str to float
    material : Material, optional
    tonnes : Tonnes, optional
        Of the net volume, where the material is known.
    method_nets_m3 : mapping of str to float
        Net volume with every base that the toe determines; empty when not compared.
    excluded_area_m2 : float
        Plan area below excluded polygons (a conveyor, a loader), which counts as not seen.
    net_with_excluded_m3 : float or None
        Net volume of the surface as it is, with what was excluded; None without exclusions.
    warnings : tuple of str
        Each with what it is about first, then, after a colon, the particulars.
    """

    pile: str
    base: str
    area_m2: float
    fill_m3: float
    cut_m3: float
    height_max_m: float
    height_mean_m: float
    coverage: float
    hole_count: int
    budgets: Mapping[str, Budget]
    noise: DsmNoise
    u95: DimensionsU95
    ground_u95_m3: float = 0.0
    base_facts: Mapping[str, float] = field(default_factory=dict)
    material: Material | None = None
    tonnes: Tonnes | None = None
    method_nets_m3: Mapping[str, float] = field(default_factory=dict)
    excluded_area_m2: float = 0.0
    net_with_excluded_m3: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def net_m3(self) -> float:
        """Fill minus cut."""
        return self.fill_m3 - self.cut_m3

    @property
    def net_u95_m3(self) -> float:
        """Half-width of the 95 % interval of the net volume."""
        return self.budgets["net"].u95_m3

    @property
    def fill_u95_m3(self) -> float:
        """Half-width of the 95 % interval of the fill."""
        return self.budgets["fill"].u95_m3

    @property
    def cut_u95_m3(self) -> float:
        """Half-width of the 95 % interval of the cut."""
        return self.budgets["cut"].u95_m3

    @property
    def hole_area_m2(self) -> float:
        """Plan area without seen surface."""
        return (1.0 - self.coverage) * self.area_m2


def measure(
    grid: Grid,
    toe: Toe,
    method: BaseMethod | None = None,
    accuracy: Accuracy | None = None,
    min_coverage: float = MIN_COVERAGE,
) -> Volume:
    """Measure a pile.

    Parameters
    ----------
    grid : Grid
        The surface around the pile, with a margin of at least three cells and 0.3 m where there
        is one.
    toe : Toe
        In the map coordinates of the grid.
    method : BaseMethod, optional
        `Plane` when left out.
    accuracy : Accuracy, optional
        A perfect survey when left out.
    min_coverage : float
        Share of the area that must be seen.

    Returns
    -------
    Volume

    Raises
    ------
    ToeError
        When the toe is smaller than a few cells.
    CoverageError
        When less than ``min_coverage`` of the area was seen.
    BaseError
        When the toe does not determine the base.
    """
    accuracy = accuracy or Accuracy()
    pile = footprint(grid, toe, min_coverage, accuracy.toe_sigma_m)
    return measure_footprint(pile, toe, method or Plane(), accuracy)


def measure_footprint(pile: Footprint, toe: Toe, method: BaseMethod, accuracy: Accuracy) -> Volume:
    """Measure a pile that was cut out of its surface before.

    Raises
    ------
    BaseError
        When the toe does not determine the base.
    """
    base = method.fit(pile.grid, pile.samples, accuracy.noise)
    _check_base(toe, pile, base)
    sums = sum_heights(pile, base, accuracy.noise.sigma_m)
    motion = toe_motion(pile, base, accuracy.toe_sigma_m)
    found = budgets(pile, base, sums, motion, accuracy)
    net_m3 = sums.fill_m3 - sums.cut_m3
    mass = tonnes(net_m3, found["net"].u95_m3, toe.material) if toe.material else None
    return Volume(
        toe.name,
        base.method,
        toe.area_m2,
        sums.fill_m3,
        sums.cut_m3,
        sums.height_max_m,
        net_m3 / toe.area_m2,
        pile.coverage,
        len(pile.hole_sigmas_m3),
        found,
        accuracy.noise,
        dimensions_u95(pile, base, sums, found["net"], motion, accuracy),
        ground_u95_m3(pile, base, sums, accuracy.noise),
        base.facts,
        toe.material,
        mass,
        warnings=toe.notes,
    )


def _check_base(toe: Toe, pile: Footprint, base: BaseSurface) -> None:
    missing_m2 = float(pile.cell_areas_m2[np.isnan(base.elevation_m)].sum())
    if missing_m2 > 0.0:
        raise BaseError(
            f"{toe.name}: the base {base.method!r} has holes under {missing_m2:.1f} m² "
            f"({missing_m2 / toe.area_m2:.1%}) of the pile.",
            "Give a base surface that covers the whole pile, or take another base.",
        )
