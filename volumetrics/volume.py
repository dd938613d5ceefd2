"""The volume of one pile: surface, toe and base in; fill, cut and net with their budgets out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numba
import numpy as np
import rasterio.fill
import shapely
from scipy import ndimage, spatial

from volumetrics.base_surface import BaseMethod, BaseSurface, Plane
from volumetrics.errors import CoverageError, InputError, ToeError
from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.ground_shape import ground_relief
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.toe import MIN_CELLS, Boundary, Toe, ToeSamples, boundary, sample_ground
from volumetrics.uncertainty import Budget, Term, independent, shared

# Below this share of seen surface a volume is refused.
MIN_COVERAGE = 0.9
# A hole may hide a surface that rises or falls from its rim by this much per metre (1 sigma):
# half the slope at which loose material rests.
_HOLE_SLOPE = 0.35
# A hand follows the same mistaken line for about this far.
_TOE_RANGE_M = 5.0
_TOE_STATIONS = 400
# No loose material rests at more than 45 degrees.
_STEEPEST = 1.0


@dataclass(frozen=True)
class Accuracy:
    """What is known about the survey and the toe lines, 1 sigma each.

    Parameters
    ----------
    noise : DsmNoise
    scale_sigma : float
        Relative; 2e-4 is 0.2 mm per metre.
    vertical_sigma_m : float
        Of the surface as a whole in its vertical datum.
    toe_sigma_m : float
        Of the drawn line across its direction.
    """

    noise: DsmNoise = PERFECT
    scale_sigma: float = 0.0
    vertical_sigma_m: float = 0.0
    toe_sigma_m: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale_sigma", "vertical_sigma_m", "toe_sigma_m"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} = {value} is impossible.", "Give a value of at least 0.")


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
    ground_u95_m3 : float
        How much the hidden ground may hold more or less than the base, 95 %; not part of the
        intervals, which hold for the stated base. See `volumetrics.ground_shape`.
    base_facts : mapping of str to float
    warnings : tuple of str
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
    ground_u95_m3: float = 0.0
    base_facts: Mapping[str, float] = field(default_factory=dict)
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
        The surface around the pile, with a margin of at least three cells where there is one.
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
    fraction = area_fraction(toe.polygon, grid)
    coverage = _coverage(grid, toe, fraction, min_coverage)
    line = boundary(toe, grid.cell_size_m)
    samples = sample_ground(toe, line, grid)
    base = (method or Plane()).fit(grid, samples, accuracy.noise)
    cell_areas = fraction * (toe.area_m2 / fraction.sum())
    surface = grid.with_elevation(_clear_walls(grid, toe, fraction))
    elevation, hole_sigmas = _bridge_holes(surface, cell_areas)
    fill, cut, top, rectified, fill_load, cut_load = _sum_heights(
        elevation, base.elevation_m, cell_areas, np.sqrt(3.0) * accuracy.noise.sigma_m
    )
    sums = _Sums(grid, line, samples, base, fill_load, cut_load, rectified, hole_sigmas)
    budgets = _budgets(sums, fill, cut, accuracy)
    return Volume(
        toe.name,
        base.method,
        toe.area_m2,
        fill,
        cut,
        top,
        (fill - cut) / toe.area_m2,
        coverage,
        len(hole_sigmas),
        budgets,
        accuracy.noise,
        _ground_u95_m3(sums, accuracy.noise),
        base.facts,
        toe.notes,
    )


def _coverage(grid: Grid, toe: Toe, fraction: Array, min_coverage: float) -> float:
    cells = toe.area_m2 / grid.cell_area_m2
    if cells < MIN_CELLS:
        raise ToeError(
            f"{toe.name}: the toe covers {toe.area_m2:.3g} m², only {cells:.1f} cells of "
            f"{grid.cell_size_m:g} m.",
            "Draw it larger, or use a surface with smaller cells.",
        )
    seen = float(fraction[np.isfinite(grid.elevation_m)].sum()) / cells
    if seen < min_coverage:
        outside = max(0.0, 1.0 - float(fraction.sum()) / cells)
        raise CoverageError(
            f"{toe.name}: only {seen:.1%} of the pile was seen ({outside:.1%} lies outside the "
            f"survey); {min_coverage:.0%} is needed.",
            "Fly the pile again, or draw the toe around the part that the survey shows.",
        )
    return min(seen, 1.0)


def _clear_walls(grid: Grid, toe: Toe, fraction: Array) -> Array:
    """Elevations without the wall in cells that a toe cuts along a wall.

    The centre of such a cell may lie on the wall; the pile's part of it then takes the elevation
    of the nearest cell of the pile.
    """
    if toe.walls is None:
        return grid.elevation_m
    row, col = np.nonzero((fraction > 0.0) & (fraction < 1.0))
    centre = shapely.points(grid.x_m()[col], grid.y_m()[row])
    on_wall = shapely.dwithin(centre, toe.walls, 0.75 * grid.cell_size_m)
    on_wall &= ~shapely.contains(toe.polygon, centre)
    is_pile = fraction > 0.0
    is_pile[row[on_wall], col[on_wall]] = False
    nearest = ndimage.distance_transform_edt(~is_pile, return_distances=False, return_indices=True)
    elevation = grid.elevation_m.copy()
    at = (row[on_wall], col[on_wall])
    elevation[at] = grid.elevation_m[nearest[0][at], nearest[1][at]]
    return elevation


def _bridge_holes(grid: Grid, cell_areas: Array) -> tuple[Array, Array]:
    """Elevations with the holes inside the toe interpolated, and the sigma of each hole in m³."""
    is_hole = np.isnan(grid.elevation_m) & (cell_areas > 0.0)
    if not is_hole.any():
        return grid.elevation_m, np.zeros(0)
    seen = np.isfinite(grid.elevation_m)
    level = float(np.mean(grid.elevation_m[seen]))
    # Relative to a level near the pile: the interpolation works in single precision.
    values = np.where(seen, grid.elevation_m - level, 0.0).astype(np.float32)
    reach = float(max(values.shape))
    bridged = rasterio.fill.fillnodata(
        values, mask=seen.astype(np.uint8), max_search_distance=reach
    )
    elevation = np.where(is_hole, bridged + level, grid.elevation_m)
    distance_m = ndimage.distance_transform_edt(~seen) * grid.cell_size_m
    number, count = ndimage.label(is_hole, structure=np.ones((3, 3)))
    doubt = cell_areas * distance_m * _HOLE_SLOPE
    return elevation, np.asarray(ndimage.sum_labels(doubt, number, np.arange(1, count + 1)))


@numba.njit(cache=True, nogil=True)
def _sum_heights(
    elevation: Array, base: Array, cell_areas: Array, blur: float
) -> tuple[float, float, float, float, Array, Array]:  # pragma: no cover - compiled
    """Fill, cut, greatest height, rectified noise, and the loads of fill and cut.

    A cell whose height is within the noise belongs to fill and cut in part: its load is the
    derivative of the expected fill under uniform noise of half-width ``blur``.
    """
    rows, cols = elevation.shape
    fill, cut, top, rectified = 0.0, 0.0, -np.inf, 0.0
    fill_load, cut_load = np.zeros((rows, cols)), np.zeros((rows, cols))
    for row in range(rows):
        row_fill, row_cut = 0.0, 0.0
        for col in range(cols):
            area = cell_areas[row, col]
            if area == 0.0:
                continue
            height = elevation[row, col] - base[row, col]
            top = max(top, height)
            if height > 0.0:
                row_fill += area * height
            else:
                row_cut -= area * height
            if abs(height) >= blur:
                share = 1.0 if height > 0.0 else 0.0
            else:
                share = 0.5 + 0.5 * height / blur
                rectified += area * (blur - abs(height)) ** 2 / (4.0 * blur)
            fill_load[row, col] = area * share
            cut_load[row, col] = area * (1.0 - share)
        fill += row_fill
        cut += row_cut
    return fill, cut, top, rectified, fill_load, cut_load


@dataclass(frozen=True)
class _Sums:
    """What the budgets of fill, cut and net are made from."""

    grid: Grid
    line: Boundary
    samples: ToeSamples
    base: BaseSurface
    fill_load: Array
    cut_load: Array
    rectified_m3: float
    hole_sigmas_m3: Array


# Net is fill minus cut, and so is its error.
_FACTORS = {"net": (1.0, -1.0), "fill": (1.0, 0.0), "cut": (0.0, 1.0)}


def _budgets(sums: _Sums, fill_m3: float, cut_m3: float, accuracy: Accuracy) -> dict[str, Budget]:
    base = sums.base
    fill_toe, cut_toe = base.toe_weights(sums.fill_load), base.toe_weights(sums.cut_load)
    surface, toe, both = _noise(sums, fill_toe, cut_toe, accuracy.noise)
    other = _other_noise(sums)
    moved = _toe_motion(sums, fill_toe, cut_toe, accuracy.toe_sigma_m)
    per_metre = np.array([sums.fill_load.sum(), -sums.cut_load.sum()])
    volumes = np.array([fill_m3, cut_m3])
    hole = float(np.hypot.reduce(sums.hole_sigmas_m3)) if sums.hole_sigmas_m3.size else 0.0
    budgets = {}
    for name, pair in _FACTORS.items():
        k = np.array(pair)
        offset = float(k @ per_metre) * base.offset_sigma_m
        bias = 0.0 if base.is_anchored else float(k @ per_metre) * accuracy.vertical_sigma_m
        terms = (
            Term("surface_noise", float(k @ surface @ k)),
            Term("base_noise", float(k @ toe @ k)),
            Term("shared_noise", float(k @ both @ k)),
            independent("base_choice", offset)
            if base.is_anchored
            else shared("base_choice", offset),
            Term("base_survey_noise", float(k @ other @ k)),
            shared("vertical_bias", bias),
            Term("toe_position", float(k @ moved @ k)),
            shared("scale", 3.0 * accuracy.scale_sigma * float(k @ volumes)),
            independent("holes", hole),
            independent("noise_rectification", 0.0 if name == "net" else sums.rectified_m3),
        )
        budgets[name] = Budget(terms, accuracy.noise.dof)
    return budgets


def _noise(
    sums: _Sums, fill_toe: Array, cut_toe: Array, noise: DsmNoise
) -> tuple[Array, Array, Array]:
    """Covariances (2, 2) of fill and cut: from the surface, from its base, and between the two."""
    shape = sums.fill_load.shape
    spread = sums.samples.stencil.spread
    loads = [sums.fill_load, -sums.cut_load, -spread(fill_toe, shape), spread(cut_toe, shape)]
    active = [i for i, load in enumerate(loads) if load.any()]
    total = np.zeros((4, 4))
    if active and noise.components:
        total[np.ix_(active, active)] = noise.propagate(
            [loads[i] for i in active], sums.grid.cell_size_m
        )
    return total[:2, :2], total[2:, 2:], total[:2, 2:] + total[2:, :2]


def _ground_u95_m3(sums: _Sums, noise: DsmNoise) -> float:
    """Half-width of 95 % of the volume between the base and the ground that the pile hides."""
    if not sums.base.is_anchored:
        return 0.0
    relief = ground_relief(sums.samples, noise)
    load = sums.fill_load + sums.cut_load
    toe = sums.samples.stencil.spread(sums.base.toe_weights(load), load.shape)
    return 1.96 * float(np.sqrt(relief.propagate([load - toe], sums.grid.cell_size_m)[0, 0]))


def _other_noise(sums: _Sums) -> Array:
    """Covariance (2, 2) of fill and cut from the noise of another survey as the base."""
    noise = sums.base.noise
    if not noise.components:
        return np.zeros((2, 2))
    return noise.propagate([-sums.fill_load, sums.cut_load], sums.grid.cell_size_m)


def _toe_motion(sums: _Sums, fill_toe: Array, cut_toe: Array, sigma_m: float) -> Array:
    """Covariance (2, 2) of fill and cut when the drawn line wanders across its direction.

    Moving a piece of the line outwards adds the height there times its length, and moves its
    ground samples, whose heights above the base then change by their slope.
    """
    if sigma_m == 0.0:
        return np.zeros((2, 2))
    grid, line, samples = sums.grid, sums.line, sums.samples
    height = sums.grid.elevation_m - sums.base.elevation_m
    # A cell inside: on the line itself a wall would be sampled with the pile.
    inside = line.middle_m - grid.cell_size_m * line.normal
    on_line = np.nan_to_num(grid.stencil(inside).sample(height)) * line.length_m
    step_m = max(grid.cell_size_m, sigma_m)
    step = step_m * line.normal[samples.piece]
    outer = grid.stencil(samples.position_m + step).sample(height)
    inner = grid.stencil(samples.position_m - step).sample(height)
    slope = np.nan_to_num((outer - inner) / (2.0 * step_m))
    # What is steeper is a wall or an object, which a robust base rejects when a sample climbs it.
    slope = np.clip(slope, -_STEEPEST, _STEEPEST)
    pieces = line.length_m.size
    gains = []
    for by_height, weights, sign in (
        (on_line > 0.0, fill_toe, -1.0),
        (on_line < 0.0, cut_toe, 1.0),
    ):
        by_base = np.bincount(samples.piece, weights=sign * weights * slope, minlength=pieces)
        gains.append(np.where(by_height, np.abs(on_line), 0.0) + by_base)
    # Neighbouring pieces move together: sums over short stretches are enough.
    group = np.arange(pieces) * min(pieces, _TOE_STATIONS) // pieces
    count = np.bincount(group)
    place = np.column_stack([np.bincount(group, weights=c) / count for c in line.middle_m.T])
    pushes = np.array(
        [[np.bincount(group, weights=gain * n) for n in line.normal.T] for gain in gains]
    )
    correlation = np.exp(-spatial.distance.cdist(place, place) / _TOE_RANGE_M)
    return np.asarray(sigma_m**2 * np.einsum("iag,gh,jah->ij", pushes, correlation, pushes))
