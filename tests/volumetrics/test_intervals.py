"""The 95 % intervals hold the truth: a light version of bench/interval_coverage.py."""

import math

import numpy as np
import pytest
from scipy import ndimage, stats

from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.extreme_base import Extreme
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.level_base import Average, Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise, draw_toe, random_pile
from volumetrics.volume import measure

NOISE = DsmNoise(
    (NoiseComponent(0.02, 1.0), NoiseComponent(0.015, 5.0), NoiseComponent(0.02, 30.0))
)
ACCURACY = Accuracy(NOISE, scale_sigma=3e-4, vertical_sigma_m=0.02, toe_sigma_m=0.1)
METHODS = (
    Plane(),
    Triangulated(),
    Smooth(),
    Extreme(True),
    Extreme(False),
    Average(),
    Fixed(100.0),
)
PILES = 150
UNDULATION, UNDULATING = DsmNoise((NoiseComponent(0.1, 15.0),)), 100


@pytest.fixture(scope="module")
def scenes():
    """Random piles: true surface and toe, seen surface and drawn toe, true scale."""
    made = []
    for seed in range(PILES):
        generator = np.random.default_rng(10_000 + seed)
        pile = random_pile(generator, radius_m=4.0)
        truth = pile.grid(16.0, 0.4)
        offset = ACCURACY.vertical_sigma_m * generator.standard_normal()
        noise = draw_noise(NOISE, truth.elevation_m.shape, 0.4, generator)
        seen = truth.with_elevation(truth.elevation_m + offset + noise)
        drawn = draw_toe(pile.toe(48), ACCURACY.toe_sigma_m, 5.0, generator)
        scale = 1.0 + ACCURACY.scale_sigma * generator.standard_normal()
        made.append((truth, pile.toe(48), seen, drawn, scale, pile))
    return made


@pytest.fixture(scope="module")
def undulating(scenes):
    """The same scenes on ground that undulates by some centimetres."""
    made = []
    for seed, (truth, toe, seen, drawn, scale, _) in enumerate(scenes[:UNDULATING]):
        generator = np.random.default_rng(seed)
        wide = draw_noise(UNDULATION, (80, 80), 0.4, generator)
        ground = ndimage.gaussian_filter(wide, 4.0)[20:60, 20:60]
        lifted = [grid.with_elevation(grid.elevation_m + ground) for grid in (truth, seen)]
        made.append((lifted[0], toe, lifted[1], drawn, scale))
    return made


@pytest.mark.parametrize("method", METHODS[:-1], ids=lambda method: method.name)
def test_95_percent_intervals_hold_on_undulating_ground(undulating, method):
    held = 0
    for truth, toe, seen, drawn, scale in undulating:
        exact = measure(truth, toe, method, Accuracy(toe_sigma_m=ACCURACY.toe_sigma_m))
        volume = measure(seen, drawn, method, ACCURACY)
        held += abs(volume.net_m3 * scale**3 - exact.net_m3) <= volume.net_u95_m3
    low, high = stats.binom.ppf((1e-4, 1 - 1e-4), UNDULATING, (0.93, 0.97))
    assert low <= held <= high


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_95_percent_intervals_hold_the_truth(scenes, method):
    held = 0
    for truth, toe, seen, drawn, scale, pile in scenes:
        base = Fixed(pile.ground_m[0]) if isinstance(method, Fixed) else method
        exact = measure(truth, toe, base, Accuracy(toe_sigma_m=ACCURACY.toe_sigma_m))
        volume = measure(seen, drawn, base, ACCURACY)
        held += abs(volume.net_m3 * scale**3 - exact.net_m3) <= volume.net_u95_m3
    # Of intervals that hold 93 to 97 %, all but one draw in ten thousand hold this many of 150.
    assert stats.binom.ppf(1e-4, PILES, 0.93) <= held <= stats.binom.ppf(1 - 1e-4, PILES, 0.97)


def test_the_planes_interval_holds_the_closed_form(scenes):
    held = 0
    for _, _, seen, drawn, scale, pile in scenes:
        volume = measure(seen, drawn, Plane(), ACCURACY)
        held += abs(volume.net_m3 * scale**3 - pile.volume_m3) <= volume.net_u95_m3
    assert stats.binom.ppf(1e-4, PILES, 0.93) <= held <= stats.binom.ppf(1 - 1e-4, PILES, 0.97)


def test_independent_cells_would_promise_far_too_much(scenes):
    # The same standard deviation without correlation: what makes the intervals hold is the range.
    naive = Accuracy(DsmNoise((NoiseComponent(NOISE.sigma_m, 0.0),)))
    held = 0
    for _, toe, seen, _, _, pile in scenes[:60]:
        volume = measure(seen, toe, Plane(), naive)
        terms = {term.name: term.variance_m6 for term in volume.budgets["net"].terms}
        noise = sum(terms[name] for name in ("surface_noise", "base_noise", "shared_noise"))
        held += abs(volume.net_m3 - pile.volume_m3) <= 1.96 * math.sqrt(noise)
    assert held < 0.5 * 60
