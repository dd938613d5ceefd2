"""Holes planted within piles: the interval holds what stands there, at the crest, too."""

import numpy as np
import pytest

from volumetrics import footprint
from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise, random_pile
from volumetrics.volume import measure

CELL_M = 0.2
NOISE = DsmNoise((NoiseComponent(0.005, 0.7),))
PILES = 60


def planted(seed, share_of_radius, size_m, top):
    """A pile with a round hole at a share of its radius: truth and what was measured."""
    generator = np.random.default_rng(seed)
    drawn = random_pile(generator)
    pile = type(drawn)(**(vars(drawn) | {"top": top}))
    grid = pile.grid(24.0, CELL_M)
    angle = generator.uniform(0.0, 2.0 * np.pi)
    along = share_of_radius * pile.radius_m * np.cos(angle)
    across = share_of_radius * pile.radius_m * pile.aspect * np.sin(angle)
    turn = pile.turn_rad
    east = pile.centre_m[0] + along * np.cos(turn) - across * np.sin(turn)
    north = pile.centre_m[1] + along * np.sin(turn) + across * np.cos(turn)
    hole = np.hypot(grid.x_m()[None, :] - east, grid.y_m()[:, None] - north) < size_m
    noise = draw_noise(NOISE, grid.elevation_m.shape, CELL_M, generator)
    seen = grid.with_elevation(np.where(hole, np.nan, grid.elevation_m + noise))
    # The sum over the same cells: what the cells lose at the pile's edges is no matter of holes.
    truth = measure(grid, pile.toe(), Plane()).net_m3
    return truth, measure(seen, pile.toe(), Plane(), Accuracy(NOISE), 0.8)


@pytest.mark.parametrize(
    ("share_of_radius", "size_m", "top"),
    [(0.0, 0.5, 0.0), (0.0, 1.0, 0.0), (0.0, 1.5, 0.3), (0.4, 1.0, 0.4), (0.6, 0.8, 0.2)],
    ids=["tip", "wide tip", "whole top", "edge of the top", "flank"],
)
def test_intervals_hold_what_holes_hide(share_of_radius, size_m, top):
    pairs = [planted(seed, share_of_radius, size_m, top) for seed in range(PILES)]
    held = sum(abs(volume.net_m3 - truth) <= volume.net_u95_m3 for truth, volume in pairs)
    assert held >= 0.93 * PILES
    # Nor are they far too wide: a hole may hide no more than the steepest flanks around it.
    for _, volume in pairs:
        holes = next(t for t in volume.budgets["net"].terms if t.name == "holes")
        assert holes.sigma_m3 <= 0.8 * volume.hole_area_m2 * (size_m / 3.0 + CELL_M)


def test_a_hole_that_is_kept_is_bridged_like_any_other(monkeypatch):
    first = [planted(seed, 0.4, 0.8, 0.4)[1] for seed in (1, 2, 1)]
    monkeypatch.setattr(footprint, "_MOST_KEPT", 0)
    again = [planted(seed, 0.4, 0.8, 0.4)[1] for seed in (1, 2, 1)]
    for kept, bridged in zip(first, again, strict=True):
        assert kept.net_m3 == bridged.net_m3
        assert kept.budgets == bridged.budgets
