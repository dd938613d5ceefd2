import numpy as np
import pytest

from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.variogram import fit_components, variogram


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
