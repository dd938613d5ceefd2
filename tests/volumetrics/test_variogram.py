import numpy as np
import pytest

from volumetrics.errors import InputError
from volumetrics.grid import Grid
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise
from volumetrics.variogram import estimate_noise, fit_components, variogram


def test_semivariance_is_half_the_mean_square_of_all_pairs():
    generator = np.random.default_rng(5)
    values = generator.normal(size=(9, 11))
    valid = generator.random((9, 11)) < 0.7
    lag, gamma, pairs = variogram(values, valid, 0.5, 5.0)
    row, col = np.nonzero(valid)
    found = values[row, col]
    distance = np.hypot(row[:, None] - row, col[:, None] - col)
    near = (distance > 0.5) & (distance < 1.5)
    # Every pair counts twice here and there.
    assert pairs[0] == near.sum()
    assert gamma[0] == pytest.approx((0.5 * (found[:, None] - found) ** 2)[near].mean())
    assert lag[0] == pytest.approx(0.5 * distance[near].mean())


def test_planted_components_come_back():
    lag = np.geomspace(0.25, 60.0, 40)
    planted = DsmNoise((NoiseComponent(0.02, 0.5), NoiseComponent(0.03, 16.0)))
    gamma = planted.sigma_m**2 - planted.covariance(lag)
    found = DsmNoise(fit_components(lag, gamma, 0.25))
    assert np.allclose(found.covariance(lag), planted.covariance(lag), atol=1e-6)


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
        estimated = estimate_noise(grid.with_elevation(draw + ground + pile), is_ground)
        short.append(sum(part.sigma_m**2 for part in estimated.components[:-1]))
        assert estimated.components[-1].sigma_m ** 2 == pytest.approx(short[-1])
    # The running mean over 5 m takes a part of the 3 m component away, and nothing of the other.
    assert 0.03**2 < np.mean(short) < 0.03**2 + 0.02**2 + 0.3 * 0.02**2


def test_perfect_ground_has_no_noise():
    grid = Grid(np.full((60, 60), 3.0), 0.0, 15.0, 0.25)
    assert estimate_noise(grid, np.ones((60, 60), dtype=bool)).sigma_m < 1e-6


def test_objects_on_the_ground_are_no_noise():
    draw = draw_noise(
        DsmNoise((NoiseComponent(0.02, 0.5),)), (120, 120), 0.25, np.random.default_rng(6)
    )
    draw[20:30, 40:52] += 3.0
    estimated = estimate_noise(Grid(draw, 0.0, 30.0, 0.25), np.ones((120, 120), dtype=bool))
    short = np.sqrt(sum(part.sigma_m**2 for part in estimated.components[:-1]))
    assert short == pytest.approx(0.02, rel=0.2)


def test_too_little_ground_is_refused():
    grid = Grid(np.zeros((10, 10)), 0.0, 2.5, 0.25)
    with pytest.raises(InputError, match="Only 100 cells of ground"):
        estimate_noise(grid, np.ones((10, 10), dtype=bool))
