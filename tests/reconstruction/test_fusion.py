"""Fusion of the values of a cell: which surface, and how exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconstruction.fusion import FusedCells, fuse

CELL_M = 0.05


def fuse_values(values, sigmas=None, halves=None, photos=None) -> FusedCells:
    """Fuse one cell (or several: values of shape (pairs, cells))."""
    values = np.atleast_2d(np.asarray(values, dtype=np.float32).T).T
    pairs, cells = values.shape
    sigmas = np.full(values.shape, 0.01) if sigmas is None else np.resize(sigmas, values.shape)
    if photos is None:
        photos = np.array([(pair, pair + 1) for pair in range(pairs)])
    return fuse(
        values.reshape(pairs, 1, cells),
        sigmas.astype(np.float32).reshape(pairs, 1, cells),
        np.full((pairs, 1, cells, 3), 100, dtype=np.uint8),
        np.asarray(photos),
        np.full(pairs, -1, dtype=np.int8) if halves is None else np.array(halves, dtype=np.int8),
        CELL_M,
    )


def elevation(values, **more) -> float:
    return float(fuse_values(values, **more).elevation_m[0, 0])


def test_mean_of_equal_matches():
    fused = fuse_values([[1.00], [1.01], [1.02]])
    assert fused.elevation_m[0, 0] == pytest.approx(1.01, abs=1e-6)
    assert fused.spread_m[0, 0] == pytest.approx(0.01, rel=1e-3)
    assert fused.count[0, 0] == 3
    assert (fused.rgb[0, 0] == 100).all()


def test_better_matches_weigh_more():
    values, sigmas = np.array([[1.0], [1.03]]), np.array([[0.01], [0.02]])
    assert elevation(values, sigmas=sigmas) == pytest.approx(1.006, abs=1e-5)


@pytest.mark.parametrize("spike", [-20.0, -0.5, 0.5, 20.0])
def test_a_spike_does_not_move_the_surface(spike):
    values = [[1.0], [1.004], [0.996], [1.0], [1.0 + spike]]
    assert elevation(values) == pytest.approx(1.0, abs=1e-4)


def test_upper_of_two_supported_surfaces_not_their_mean():
    wall = [[3.0], [3.01], [2.99], [3.0], [0.01], [-0.01]]
    assert elevation(wall) == pytest.approx(3.0, abs=1e-3)


@pytest.mark.parametrize("lower", [8, 3, 2])
def test_an_upper_group_does_not_win_over_the_ground_that_others_saw(lower):
    # Its own sigmas, which claim to be better, do not count.
    values, sigmas = [[3.0], [3.01], [2.99], *[[0.0]] * lower], [[0.005]] * 3 + [[0.02]] * lower
    assert elevation(values, sigmas=np.array(sigmas)) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("values", [[[np.nan], [np.nan]], [[1.0], [np.nan]], [[1.0], [9.0]]])
def test_holes_where_fewer_than_two_agree(values):
    fused = fuse_values(values)
    assert np.isnan(fused.elevation_m).all()
    assert np.isnan(fused.spread_m).all()
    assert (fused.count == 0).all()


def test_a_spread_group_is_not_cut_at_its_top():
    rng = np.random.default_rng(0)
    values = rng.normal(0.0, 0.03, (15, 4000))
    fused = fuse_values(values, sigmas=np.array([0.03]))
    assert abs(np.nanmean(fused.elevation_m)) < 0.0005
    assert np.nanstd(fused.elevation_m) < 0.03 / np.sqrt(15) * 1.25


@given(st.permutations(range(7)), st.integers(0, 1000))
def test_order_of_pairs_does_not_matter(order, seed):
    rng = np.random.default_rng(seed)
    values = rng.choice([0.0, 0.0, 2.0], (7, 20)) + rng.normal(0.0, 0.02, (7, 20))
    values[rng.uniform(size=values.shape) < 0.2] = np.nan
    sigmas = rng.uniform(0.005, 0.03, values.shape)
    order = list(order)
    one = fuse_values(values, sigmas)
    other = fuse_values(values[order], sigmas[order])
    np.testing.assert_array_equal(one.count, other.count)
    np.testing.assert_allclose(one.elevation_m, other.elevation_m, atol=1e-5)


@given(st.floats(-100.0, 100.0))
def test_moves_with_the_ground(shift):
    values = np.random.default_rng(3).normal(0.0, 0.02, (6, 30)).astype(np.float32)
    np.testing.assert_allclose(
        fuse_values(values + np.float32(shift)).elevation_m,
        fuse_values(values).elevation_m + shift,
        atol=1e-4,
    )


def test_noise_sample_and_sigma_have_the_size_of_the_noise():
    # Independent pairs of separate photos: the truth is sigma / sqrt(number of pairs).
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 0.02, (8, 5000))
    photos = [(2 * pair, 2 * pair + 1) for pair in range(8)]
    fused = fuse_values(values, np.array([0.02]), [0, 0, 0, 0, 1, 1, 1, 1], photos)
    assert np.nanstd(fused.noise_m) == pytest.approx(0.02 / np.sqrt(8), rel=0.08)
    assert np.nanstd(fused.elevation_m) == pytest.approx(0.02 / np.sqrt(8), rel=0.08)


def test_pairs_of_few_photos_do_not_count_as_independent():
    # All six pairs of four photos: no more news than three parallaxes.
    rng = np.random.default_rng(2)
    own = rng.normal(0.0, 0.02, (4, 5000))
    photos = [(a, b) for a in range(4) for b in range(a + 1, 4)]
    values = np.array([(own[a] - own[b]) / (b - a) for a, b in photos])
    sigmas = np.array([[0.03 / (b - a)] for a, b in photos]) * np.ones((1, 5000))
    fused = fuse_values(values, sigmas, photos=photos)
    ratio = np.nanmedian(fused.sigma_m) / np.nanstd(fused.elevation_m)
    assert 0.7 < ratio < 2.0


def test_no_noise_sample_without_both_halves():
    assert np.isnan(fuse_values([[1.0], [1.0], [1.0]], halves=[0, 0, -1]).noise_m).all()
