"""The fit of the noise model to planted noise."""

import numpy as np
import pytest
from scipy import ndimage

from reconstruction.dsm_noise import _LAGS, DsmNoise, NoiseComponent, _pair_sums, fit_noise


def sums(field: np.ndarray) -> np.ndarray:
    return _pair_sums(field.astype(np.float32))


def test_white_noise():
    field = np.random.default_rng(0).normal(0.0, 0.02, (600, 600))
    noise = fit_noise(*sums(field).T, 0.1)
    assert noise.sigma_m == pytest.approx(0.02, rel=0.02)
    short = [part for part in noise.components if part.range_m <= 0.31]
    assert sum(part.sigma_m**2 for part in short) > 0.9 * noise.sigma_m**2


def test_two_parts_of_different_range():
    rng = np.random.default_rng(1)
    broad = ndimage.gaussian_filter(rng.normal(size=(1200, 1200)), 20.0)
    field = rng.normal(0.0, 0.02, broad.shape) + 0.01 * broad / broad.std()
    noise = fit_noise(*sums(field).T, 0.1)
    assert noise.sigma_m == pytest.approx(np.hypot(0.02, 0.01), rel=0.1)
    broad_part = [part.sigma_m**2 for part in noise.components if part.range_m > 2.0]
    assert np.sqrt(sum(broad_part)) == pytest.approx(0.01, rel=0.2)
    lags = np.array(_LAGS, dtype=np.float64)
    squares, counts = sums(field).T
    used = lags < 300
    np.testing.assert_allclose(
        noise.variogram(lags * 0.1)[used], (squares / counts)[used], rtol=0.15
    )


def test_variogram_and_json():
    noise = DsmNoise(0.05, (NoiseComponent(0.03, 1.0), NoiseComponent(0.04, 10.0)))
    assert noise.variogram(np.array([0.0, 100.0])) == pytest.approx([0.0, 0.0025])
    assert DsmNoise.from_json(noise.to_json()) == noise


def test_holes_do_not_count():
    field = np.random.default_rng(0).normal(0.0, 0.02, (300, 300))
    field[100:200, 50:250] = np.nan
    noise = fit_noise(*sums(field).T, 0.1)
    assert noise.sigma_m == pytest.approx(0.02, rel=0.03)
