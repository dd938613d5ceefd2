import numpy as np
import pytest
from scipy import ndimage

from volumetrics.errors import InputError
from volumetrics.grid import Grid
from volumetrics.ground_noise import estimate_noise
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.relative_noise import Patch
from volumetrics.synthetic import draw_noise


def estimate(grid, is_ground):
    return estimate_noise([Patch(grid, None, is_ground)])


def without_far(noise):
    """Variance in m² of all but the assumed component."""
    return sum(part.sigma_m**2 for part in noise.components[:-1])


def test_noise_is_estimated_on_undulating_ground_around_a_masked_pile():
    noise = DsmNoise((NoiseComponent(0.03, 0.6), NoiseComponent(0.02, 3.0)))
    short = []
    for seed in range(12):
        generator = np.random.default_rng(seed)
        draw = draw_noise(noise, (160, 160), 0.25, generator)
        grid = Grid(draw, 0.0, 40.0, 0.25)
        x, y = grid.x_m()[None, :], grid.y_m()[:, None]
        ground = 0.05 * x - 0.02 * y + 0.15 * np.sin(2 * np.pi * x / 30.0)
        is_ground = np.ones((160, 160), dtype=bool)
        is_ground[50:110, 50:110] = False
        pile = np.where(is_ground, 0.0, 5.0)
        estimated = estimate(grid.with_elevation(draw + ground + pile), is_ground)
        short.append(without_far(estimated))
        assert estimated.components[-1].sigma_m ** 2 == pytest.approx(short[-1])
    # Twelve draws know a variance to a few per cent. The 3 m component may be taken for waves of
    # the ground in part, and waves for it.
    assert np.mean(short) == pytest.approx(0.03**2 + 0.02**2, rel=0.2)


def test_perfect_ground_has_no_noise():
    grid = Grid(np.full((60, 60), 3.0), 0.0, 15.0, 0.25)
    assert estimate(grid, np.ones((60, 60), dtype=bool)).sigma_m < 1e-6


def test_objects_on_the_ground_are_no_noise():
    draw = draw_noise(
        DsmNoise((NoiseComponent(0.02, 0.5),)), (120, 120), 0.25, np.random.default_rng(6)
    )
    draw[20:30, 40:52] += 3.0
    estimated = estimate(Grid(draw, 0.0, 30.0, 0.25), np.ones((120, 120), dtype=bool))
    short = np.sqrt(without_far(estimated))
    assert short == pytest.approx(0.02, rel=0.2)


def test_too_little_ground_is_refused():
    grid = Grid(np.zeros((10, 10)), 0.0, 2.5, 0.25)
    with pytest.raises(InputError, match="Only 100 cells of ground"):
        estimate(grid, np.ones((10, 10), dtype=bool))


def test_rolling_ground_is_told_from_rough_noise():
    """Ground that rolls by five times the noise, and the noise alone, give nearly the same."""
    noise = DsmNoise((NoiseComponent(0.02, 0.7), NoiseComponent(0.015, 5.0)))
    everywhere = np.ones((160, 160), dtype=bool)
    alone, rolling = [], []
    for seed in range(12):
        generator = np.random.default_rng(seed)
        draw = draw_noise(noise, (160, 160), 0.25, generator)
        wide = draw_noise(DsmNoise((NoiseComponent(0.12, 15.0),)), (200, 200), 0.25, generator)
        ground = ndimage.gaussian_filter(wide, 6.0)[20:180, 20:180]
        alone.append(without_far(estimate(Grid(draw, 0.0, 40.0, 0.25), everywhere)))
        rolling.append(without_far(estimate(Grid(draw + ground, 0.0, 40.0, 0.25), everywhere)))
    # The farther part reaches nearly as far as the two can be told apart: a share of it, but no
    # more than two thirds, goes to the ground.
    assert 0.02**2 + 0.015**2 / 3.0 < np.mean(alone) < 0.02**2 + 1.2 * 0.015**2
    assert np.mean(rolling) == pytest.approx(np.mean(alone), rel=0.15)


def test_patches_of_a_site_are_taken_together():
    noise = DsmNoise((NoiseComponent(0.02, 0.5),))
    draws = [draw_noise(noise, (120, 120), 0.25, np.random.default_rng(k)) for k in range(3)]
    patches = [Patch(Grid(one, 0.0, 30.0, 0.25), None, np.ones((120, 120), bool)) for one in draws]
    together, single = estimate_noise(patches), estimate_noise(patches[:1])
    assert together.dof == pytest.approx(3.0 * single.dof, rel=0.01)
    assert without_far(together) == pytest.approx(0.02**2, rel=0.15)
