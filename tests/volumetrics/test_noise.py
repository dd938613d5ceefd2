import numpy as np
import pytest
from scipy.spatial.distance import cdist

from volumetrics.errors import InputError
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise


def exact_forms(noise, loads, cell_size_m):
    """The double sum over all pairs of cells."""
    row, col = np.indices(loads[0].shape)
    place = np.column_stack((row.ravel(), col.ravel())) * cell_size_m
    covariance = noise.covariance(cdist(place, place))
    flat = np.array([load.ravel() for load in loads])
    return flat @ covariance @ flat.T


@pytest.mark.parametrize("range_m", [0.0, 0.3, 1.7, 5.0, 30.0])
def test_propagation_is_the_double_sum_over_all_cells(range_m):
    generator = np.random.default_rng(3)
    inside = np.zeros((36, 44))
    inside[8:28, 9:35] = 0.0625
    ring = np.zeros_like(inside)
    ring[5, 5:39] = ring[31, 5:39] = -generator.uniform(0.3, 0.6, 34)
    noise = DsmNoise((NoiseComponent(0.02, range_m), NoiseComponent(0.01, 0.0)))
    expected = exact_forms(noise, [inside, ring], 0.25)
    assert np.allclose(noise.propagate([inside, ring], 0.25), expected, rtol=2e-3, atol=1e-9)


def test_large_windows_are_summed_on_blocks_with_a_small_error():
    inside = np.zeros((120, 110))
    inside[20:100, 20:90] = 0.01
    noise = DsmNoise((NoiseComponent(0.03, 9.0),))
    blocks = noise.propagate([inside], 0.1)
    every_cell = exact_forms(noise, [inside[::2, ::2] * 4.0], 0.2)
    assert blocks[0, 0] == pytest.approx(every_cell[0, 0], rel=0.01)


def test_the_mean_of_an_area_much_larger_than_the_range():
    # Rolstad et al. (2009), equation 12: sigma of the mean of a disc of radius L > range is
    # sigma sqrt(range² / (5 L²)) for the spherical model.
    radius_m, range_m, cell_m = 30.0, 3.0, 0.25
    y, x = np.indices((260, 260)) * cell_m - 32.375
    disc = (np.hypot(x, y) < radius_m).astype(float)
    noise = DsmNoise((NoiseComponent(0.05, range_m),))
    sigma_of_mean = np.sqrt(noise.propagate([disc / disc.sum()], cell_m)[0, 0])
    # The formula neglects the rim, a share of about range / L of the disc.
    assert sigma_of_mean == pytest.approx(0.05 * np.sqrt(range_m**2 / (5 * radius_m**2)), rel=0.05)


def test_what_lifts_all_cells_alike_cancels_in_a_difference():
    inside = np.zeros((50, 50))
    inside[10:40, 10:40] = 1.0
    toe = np.zeros_like(inside)
    toe[5, :] = toe[45, :] = -9.0
    far = DsmNoise((NoiseComponent(0.1, 1e6),))
    forms = far.propagate([inside, toe], 0.1)
    assert forms.sum() < 1e-4 * forms[0, 0]


def test_drawn_noise_has_the_stated_covariance():
    noise = DsmNoise((NoiseComponent(0.02, 0.8), NoiseComponent(0.03, 6.0)))
    generator = np.random.default_rng(4)
    load = np.zeros((40, 40))
    load[5:30, 8:33] = 1.0
    sums = [(draw_noise(noise, load.shape, 0.2, generator) * load).sum() for _ in range(800)]
    expected = noise.propagate([load], 0.2)[0, 0]
    # The sample variance of 800 normal draws has a relative sigma of sqrt(2 / 799) = 5 %.
    assert np.var(sums) == pytest.approx(expected, rel=0.15)


def test_impossible_noise_is_refused():
    with pytest.raises(InputError, match="sigma -1"):
        NoiseComponent(-1.0, 2.0)
    with pytest.raises(InputError, match="range nan"):
        NoiseComponent(1.0, float("nan"))
