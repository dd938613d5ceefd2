"""The budgets of one pile: each term of `volumetrics.uncertainty` for fill, cut and net."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import spatial, stats

from volumetrics.base_surface import BaseSurface
from volumetrics.errors import InputError
from volumetrics.footprint import Footprint
from volumetrics.grid import Array
from volumetrics.ground_shape import ground_relief
from volumetrics.heights import HeightSums
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.uncertainty import Budget, Term, independent, shared

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


# Net is fill minus cut, and so is its error.
_FACTORS = {"net": (1.0, -1.0), "fill": (1.0, 0.0), "cut": (0.0, 1.0)}


def budgets(
    pile: Footprint, base: BaseSurface, sums: HeightSums, accuracy: Accuracy
) -> dict[str, Budget]:
    """Budgets of net, fill and cut."""
    fill_toe, cut_toe = base.toe_weights(sums.fill_load), base.toe_weights(sums.cut_load)
    surface, toe, both = _noise(pile, sums, fill_toe, cut_toe, accuracy.noise)
    other = _other_noise(pile, base, sums)
    moved = _toe_motion(pile, base, fill_toe, cut_toe, accuracy.toe_sigma_m)
    per_metre = np.array([sums.fill_load.sum(), -sums.cut_load.sum()])
    volumes = np.array([sums.fill_m3, sums.cut_m3])
    hole = float(np.sqrt(np.sum(pile.hole_sigmas_m3**2)))
    found = {}
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
        found[name] = Budget(terms, accuracy.noise.dof)
    return found


def _noise(
    pile: Footprint, sums: HeightSums, fill_toe: Array, cut_toe: Array, noise: DsmNoise
) -> tuple[Array, Array, Array]:
    """Covariances (2, 2) of fill and cut: from the surface, from its base, and between the two."""
    shape = sums.fill_load.shape
    spread = pile.samples.stencil.spread
    loads = [sums.fill_load, -sums.cut_load, -spread(fill_toe, shape), spread(cut_toe, shape)]
    active = [i for i, load in enumerate(loads) if load.any()]
    total = np.zeros((4, 4))
    if active and noise.components:
        total[np.ix_(active, active)] = noise.propagate(
            [loads[i] for i in active], pile.grid.cell_size_m, pile.grid.noise_factor
        )
    return total[:2, :2], total[2:, 2:], total[:2, 2:] + total[2:, :2]


def ground_u95_m3(pile: Footprint, base: BaseSurface, sums: HeightSums, noise: DsmNoise) -> float:
    """Half-width of 95 % of the volume between the base and the ground that the pile hides."""
    if not base.is_anchored:
        return 0.0
    relief = ground_relief(pile.samples, noise)
    load = sums.fill_load + sums.cut_load
    toe = pile.samples.stencil.spread(base.toe_weights(load), load.shape)
    variance = float(relief.propagate([load - toe], pile.grid.cell_size_m)[0, 0])
    return float(stats.t.ppf(0.975, relief.dof) * np.sqrt(max(variance, 0.0)))


def _other_noise(pile: Footprint, base: BaseSurface, sums: HeightSums) -> Array:
    """Covariance (2, 2) of fill and cut from the noise of another survey as the base."""
    noise = base.noise
    if not noise.components:
        return np.zeros((2, 2))
    return noise.propagate([-sums.fill_load, sums.cut_load], pile.grid.cell_size_m)


def _height_on_line(pile: Footprint, height: Array, sigma_m: float) -> Array:
    """Height in metres that the moving line sweeps over, shape (pieces,).

    A pile's foot rises on one side of the line only, so the mean of both sides counts.
    """
    grid, line = pile.grid, pile.line
    # A cell inside: on the line itself a wall would be sampled with the pile.
    reach_m = np.where(line.is_ground, 0.5 * sigma_m, grid.cell_size_m)[:, None] * line.normal
    inside = grid.stencil(line.middle_m - reach_m).sample(height)
    outside = grid.stencil(line.middle_m + reach_m).sample(height)
    return np.nan_to_num(np.where(line.is_ground, 0.5 * (inside + outside), inside))


def _toe_motion(
    pile: Footprint, base: BaseSurface, fill_toe: Array, cut_toe: Array, sigma_m: float
) -> Array:
    """Covariance (2, 2) of fill and cut when the drawn line wanders across its direction.

    Moving a piece of the line outwards adds the height there times its length, and moves its
    ground samples, whose heights above the base then change by their slope.
    """
    if sigma_m == 0.0:
        return np.zeros((2, 2))
    grid, line, samples = pile.grid, pile.line, pile.samples
    height = grid.elevation_m - base.elevation_m
    on_line = _height_on_line(pile, height, sigma_m) * line.length_m
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
