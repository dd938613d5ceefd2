import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.level_base import Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise, draw_toe, random_pile
from volumetrics.volume import measure

Z95 = 1.959964
PILES = 100


def test_a_perfect_survey_leaves_nothing_in_doubt(pile):
    volume = measure(pile.grid(20.0, 0.25), pile.toe())
    assert volume.u95.area_m2 == 0.0
    assert volume.u95.height_max_m == 0.0
    assert volume.u95.height_mean_m == pytest.approx(0.0, abs=1e-12)


def test_a_scale_acts_twice_on_the_area_and_once_on_heights(pile):
    volume = measure(pile.grid(20.0, 0.25), pile.toe(), Plane(), Accuracy(scale_sigma=1e-3))
    assert volume.u95.area_m2 == pytest.approx(Z95 * 2e-3 * volume.area_m2)
    assert volume.u95.height_max_m == pytest.approx(Z95 * 1e-3 * volume.height_max_m)
    assert volume.u95.height_mean_m == pytest.approx(Z95 * 1e-3 * volume.height_mean_m)


def test_a_bias_lifts_both_heights_above_a_stated_level_and_none_above_the_toe(pile):
    grid, toe, accuracy = pile.grid(20.0, 0.25), pile.toe(), Accuracy(vertical_sigma_m=0.03)
    stated = measure(grid, toe, Fixed(100.0, 0.04), accuracy)
    assert stated.u95.height_max_m == pytest.approx(Z95 * 0.05)
    assert stated.u95.height_mean_m == pytest.approx(Z95 * 0.05)
    assert measure(grid, toe, Plane(), accuracy).u95.height_max_m == 0.0


def test_a_toe_that_wanders_over_short_stretches_changes_the_area_little(pile):
    # n stretches of length l that move by themselves: sigma l sqrt(n), for the exponential
    # correlation of range r a stretch is 2 r long where r is small against the ring.
    volume = measure(pile.grid(20.0, 0.25), pile.toe(), Plane(), Accuracy(toe_sigma_m=0.1))
    length_m, stretch_m = pile.toe().polygon.length, 10.0
    sigma_m2 = 0.1 * stretch_m * math.sqrt(length_m / stretch_m)
    assert volume.u95.area_m2 == pytest.approx(Z95 * sigma_m2, rel=0.35)


def test_95_percent_intervals_hold_area_and_heights():
    noise = DsmNoise((NoiseComponent(0.02, 1.0), NoiseComponent(0.02, 30.0)))
    accuracy = Accuracy(noise, 3e-4, 0.02, 0.1)
    held = np.zeros(3)
    for seed in range(PILES):
        generator = np.random.default_rng(20_000 + seed)
        one = random_pile(generator, radius_m=4.0)
        one = replace(one, top=max(one.top, 0.2))
        truth, toe = one.grid(16.0, 0.4), one.toe(48)
        seen = truth.elevation_m + draw_noise(noise, truth.elevation_m.shape, 0.4, generator)
        drawn = draw_toe(toe, 0.1, 5.0, generator)
        scale = 1.0 + 3e-4 * generator.standard_normal()
        exact = measure(truth, toe, Plane(), Accuracy(toe_sigma_m=0.1))
        found = measure(truth.with_elevation(seen), drawn, Plane(), accuracy)
        held += (
            abs(found.area_m2 * scale**2 - exact.area_m2) <= found.u95.area_m2,
            abs(found.height_max_m * scale - exact.height_max_m) <= found.u95.height_max_m,
            abs(found.height_mean_m * scale - exact.height_mean_m) <= found.u95.height_mean_m,
        )
    # The greatest height is picked from many, so its interval may hold more often.
    assert (held >= stats.binom.ppf(1e-4, PILES, 0.93)).all()
    assert held[[0, 2]].max() <= stats.binom.ppf(1 - 1e-4, PILES, 0.97)
