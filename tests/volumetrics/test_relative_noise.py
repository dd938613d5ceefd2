import numpy as np
import pytest

from volumetrics.budget import Accuracy
from volumetrics.grid import Grid
from volumetrics.level_base import Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.relative_noise import Patch, RelativeNoise, fit_relative_noise
from volumetrics.volume import measure

CELL_M = 0.1
SHAPE = (600, 600)


def slopes():
    """Ground, then faces that rise by 0.3, 0.5 and 0.7 metres a metre, each 15 m wide."""
    tangent = np.repeat((0.0, 0.3, 0.5, 0.7), 150)
    return np.tile(np.cumsum(tangent) * CELL_M, (SHAPE[0], 1)), np.tile(tangent, (SHAPE[0], 1))


def patch(sigma_m, quality_m=None, seed=1):
    surface, tangent = slopes()
    noise = sigma_m * np.random.default_rng(seed).standard_normal(SHAPE)
    return Patch(Grid(surface + noise, 0.0, 60.0, CELL_M), quality_m, tangent == 0.0), tangent


def test_planted_dependence_on_the_slope_comes_back():
    _, tangent = slopes()
    true = np.sqrt(1.0 + 6.0 * tangent**2)
    learnt, tangent = patch(0.01 * true)
    found = fit_relative_noise([learnt])
    factor = found.of(learnt.grid)
    for slope in (0.0, 0.3, 0.5, 0.7):
        middle = np.median(factor[tangent == slope])
        assert middle == pytest.approx(np.sqrt(1.0 + 6.0 * slope**2), rel=0.08)


def test_planted_dependence_on_the_matches_comes_back():
    quality_m = np.where(np.arange(SHAPE[0])[:, None] < 300, 0.004, 0.02) * np.ones(SHAPE)
    learnt, _ = patch(2.0 * quality_m, quality_m)
    factor = fit_relative_noise([learnt]).of(learnt.grid, quality_m)
    assert np.median(factor[300:]) / np.median(factor[:300]) == pytest.approx(5.0, rel=0.1)
    # The mean variance of the ground is what the survey's noise stands for.
    assert np.mean(factor[:, :150] ** 2) == pytest.approx(1.0, rel=0.02)


def test_even_noise_is_alike_on_slopes():
    learnt, _ = patch(0.01)
    assert fit_relative_noise([learnt]).of(learnt.grid) == pytest.approx(1.0, abs=0.08)


def test_objects_on_a_slope_are_no_noise():
    learnt, tangent = patch(0.01)
    elevation = learnt.grid.elevation_m.copy()
    elevation[::40, 450:] += 0.5
    found = fit_relative_noise([Patch(learnt.grid.with_elevation(elevation), None, tangent == 0.0)])
    assert np.median(found.of(learnt.grid)[tangent == 0.7]) < 1.3


def test_too_little_surface_and_holes_leave_the_noise_as_stated():
    assert fit_relative_noise([]) == RelativeNoise()
    empty = Grid(np.full((50, 50), np.nan), 0.0, 5.0, CELL_M)
    assert (
        fit_relative_noise([Patch(empty, None, np.ones((50, 50), dtype=bool))]) == RelativeNoise()
    )
    assert (RelativeNoise(0.5, 5.0).of(empty) == 1.0).all()
    tiny = Grid(np.zeros((3, 3)), 0.0, 0.3, CELL_M)
    assert (RelativeNoise().of(tiny) == 1.0).all()


def test_only_the_local_part_of_the_noise_is_weighed(pile):
    grid, toe = pile.grid(20.0, 0.25), pile.toe()
    doubled = Grid(
        grid.elevation_m, grid.west_m, grid.north_m, 0.25, np.full(grid.elevation_m.shape, 2.0)
    )
    for range_m, ratio in ((1.0, 2.0), (30.0, 1.0)):
        accuracy = Accuracy(DsmNoise((NoiseComponent(0.02, range_m),)))
        plain = measure(grid, toe, Fixed(100.0), accuracy)
        weighed = measure(doubled, toe, Fixed(100.0), accuracy)
        assert weighed.net_u95_m3 == pytest.approx(ratio * plain.net_u95_m3, rel=1e-5)
