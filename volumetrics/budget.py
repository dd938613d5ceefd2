"""The budgets of one pile: each term of `volumetrics.uncertainty` for fill, cut and net."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from volumetrics.base_surface import BaseSurface
from volumetrics.errors import InputError
from volumetrics.footprint import Footprint
from volumetrics.grid import Array
from volumetrics.ground_shape import ground_relief
from volumetrics.heights import HeightSums
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.toe import beyond_usual_m
from volumetrics.toe_motion import ToeMotion, rise_outwards
from volumetrics.uncertainty import NORMAL_95, Budget, Term, independent, shared


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
    tilt_sigma : float
        Of the slope of the surface as a whole in any direction, metres a metre.
    """

    noise: DsmNoise = PERFECT
    scale_sigma: float = 0.0
    vertical_sigma_m: float = 0.0
    toe_sigma_m: float = 0.0
    tilt_sigma: float = 0.0

    def __post_init__(self) -> None:
        for name in ("scale_sigma", "vertical_sigma_m", "toe_sigma_m", "tilt_sigma"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0.0):
                raise InputError(f"{name} = {value} is impossible.", "Give a value of at least 0.")


# Net is fill minus cut, and so is its error.
_FACTORS = {"net": (1.0, -1.0), "fill": (1.0, 0.0), "cut": (0.0, 1.0)}


def budgets(
    pile: Footprint,
    base: BaseSurface,
    sums: HeightSums,
    motion: ToeMotion,
    accuracy: Accuracy,
) -> dict[str, Budget]:
    """Budgets of net, fill and cut."""
    fill_toe, cut_toe = base.toe_weights(sums.fill_load), base.toe_weights(sums.cut_load)
    surface, toe, both = _noise(pile, sums, fill_toe, cut_toe, accuracy.noise)
    other = _other_noise(pile, base, sums)
    moved = motion.covariance(_toe_gains(motion, fill_toe, cut_toe))
    per_metre = np.array([sums.fill_load.sum(), -sums.cut_load.sum()])
    volumes = np.array([sums.fill_m3, sums.cut_m3])
    farther_m = rise_outwards(pile, base) * beyond_usual_m(pile.grid.cell_size_m)
    outward = np.array([-fill_toe @ farther_m, cut_toe @ farther_m])
    tilted = accuracy.tilt_sigma * _tilt_gains(pile, base, sums, fill_toe, cut_toe)
    hidden = _hidden_ground(pile, fill_toe, cut_toe, accuracy.noise)
    hole = float(np.sqrt(np.sum(pile.hole_sigmas_m3**2)))
    found = {}
    for name, pair in _FACTORS.items():
        k = np.array(pair)
        offset = float(k @ per_metre) * base.offset_sigma_m
        bias = float(k @ per_metre) * accuracy.vertical_sigma_m if base.keeps_bias else 0.0
        terms = (
            Term("surface_noise", float(k @ surface @ k)),
            Term("base_noise", float(k @ toe @ k)),
            Term("shared_noise", float(k @ both @ k)),
            independent("base_choice", offset)
            if base.is_anchored
            else shared("base_choice", offset),
            independent("base_distance", float(k @ outward) / np.sqrt(3.0)),
            Term("base_survey_noise", float(k @ other @ k)),
            shared("vertical_bias", bias),
            Term("tilt", float(np.sum((k @ tilted) ** 2))),
            Term("toe_position", float(k @ moved @ k)),
            shared("scale", 3.0 * accuracy.scale_sigma * float(k @ volumes)),
            independent("holes", hole),
            Term("hidden_toe", float(k @ hidden @ k)),
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


def _tilt_gains(
    pile: Footprint, base: BaseSurface, sums: HeightSums, fill_toe: Array, cut_toe: Array
) -> Array:
    """Change (2, 2) of fill and cut for a unit slope of the surface to the east and to the north.

    None for a base that tilts along; a level one stays.
    """
    if base.is_aligned:
        return np.zeros((2, 2))
    middle = pile.samples.position_m.mean(axis=0)
    east, north = pile.grid.x_m() - middle[0], pile.grid.y_m() - middle[1]
    return np.array(
        [
            (load.sum(axis=0) @ east, load.sum(axis=1) @ north)
            - toe @ (pile.samples.position_m - middle)
            for load, toe in ((sums.fill_load, fill_toe), (-sums.cut_load, -cut_toe))
        ]
    )


def _hidden_ground(pile: Footprint, fill_toe: Array, cut_toe: Array, noise: DsmNoise) -> Array:
    """Covariance (2, 2) of fill and cut: ground that stands for hidden ground differs from it."""
    samples = pile.samples
    if np.array_equal(samples.stands_for.cell, samples.stencil.cell):
        return np.zeros((2, 2))
    shape = pile.elevation_m.shape
    spread, spread_hidden = samples.stencil.spread, samples.stands_for.spread
    loads = [spread(toe, shape) - spread_hidden(toe, shape) for toe in (fill_toe, -cut_toe)]
    relief = ground_relief(samples, noise)
    wider = float(stats.t.ppf(0.975, relief.dof)) / NORMAL_95
    return np.asarray(wider**2 * relief.propagate(loads, pile.grid.cell_size_m))


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


def _toe_gains(motion: ToeMotion, fill_toe: Array, cut_toe: Array) -> Array:
    """Change of fill and cut for one metre outwards of each piece of the line, (2, pieces)."""
    swept = motion.height_m * motion.length_m
    return np.array(
        [
            np.maximum(swept, 0.0) - motion.by_base(fill_toe),
            np.maximum(-swept, 0.0) + motion.by_base(cut_toe),
        ]
    )
