"""Matching and refinement of pictures whose disparity is planted."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from reconstruction import stereo
from reconstruction.stereo import Contrast, match
from reconstruction.subpixel import refine

ROWS, COLS = 300, 500
FINE = 4
X, Y = np.meshgrid(np.arange(COLS, dtype=np.float64), np.arange(ROWS, dtype=np.float64))
INSIDE = np.s_[20:-20, 100:-25]


@pytest.fixture(scope="module")
def fine_texture() -> np.ndarray:
    """Texture with columns `FINE` times finer than a pixel."""
    rng = np.random.default_rng(0)
    total = np.zeros((ROWS, COLS * FINE), dtype=np.float32)
    for sigma in (0.8, 1.5, 4.0):
        layer = rng.normal(size=total.shape).astype(np.float32)
        layer = cv2.GaussianBlur(layer, (0, 0), sigmaX=sigma * FINE, sigmaY=sigma)
        total += layer / layer.std()
    return total / total.std() * 25.0 + 120.0


def pictures(fine: np.ndarray, disparity: np.ndarray, noise: float = 1.0):
    rng = np.random.default_rng(1)
    left = ndimage.map_coordinates(fine, [Y, (X - disparity) * FINE], order=3, mode="mirror")
    left = left * 1.2 - 15.0 + rng.normal(0.0, noise, left.shape)
    right = fine[:, ::FINE] + rng.normal(0.0, noise, left.shape)
    return Contrast.of(left.astype(np.float32)), Contrast.of(right.astype(np.float32))


SHAPES = {
    "whole pixels": 20.0 + 0.0 * X,
    "fraction": 20.3 + 0.0 * X,
    "plane": 20.0 + 0.03 * X + 0.02 * Y,
    "waves": 25.0 + 3.0 * np.sin(X / 15.0),
    "roof": 22.0 + 0.15 * np.abs((X % 120.0) - 60.0),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_planted_disparities(fine_texture, shape):
    left, right = pictures(fine_texture, shape)
    start = match(left, right, 64)
    disparity, sigma = refine(left, right, start)
    error = (disparity - shape)[INSIDE]
    known = np.isfinite(error)
    assert known.mean() > 0.98
    assert abs(np.median(error[known])) < 0.012
    assert error[known].std() < 0.06
    # The refinement is what makes it smooth, and it knows how good it is.
    assert error[known].std() < 0.6 * max(np.nanstd((start - shape)[INSIDE]), 0.1)
    assert 0.4 < np.nanmedian(sigma[INSIDE]) / (1.4826 * np.median(np.abs(error[known]))) < 1.6


def test_no_ripple_over_the_fraction_of_a_pixel(fine_texture):
    means = []
    for fraction in np.arange(8) / 8.0:
        left, right = pictures(fine_texture, 20.0 + fraction + 0.0 * X)
        disparity, _ = refine(left, right, match(left, right, 64))
        means.append(np.nanmean(disparity[INSIDE]) - 20.0 - fraction)
    assert np.abs(means).max() < 0.012


def test_crests_and_toes_are_not_rounded(fine_texture):
    # A parabola whose curvature a plain window of this size would flatten by 0.06 pixels.
    shape = 20.0 + 0.01 * np.minimum(np.abs((X % 100.0) - 50.0), 25.0) ** 2
    left, right = pictures(fine_texture, shape, noise=0.5)
    disparity, _ = refine(left, right, match(left, right, 64))
    at_bottom = (np.abs((X % 100.0) - 50.0) < 1.0)[INSIDE]
    assert abs(np.nanmean((disparity - shape)[INSIDE][at_bottom])) < 0.02


def test_bright_material_does_not_draw_its_flank_to_its_edge(fine_texture):
    """A toe where weakly textured bright material rises from dark ground."""
    toe = 250
    fine = (fine_texture - 120.0) * 0.2 + 60.0
    fine[:, (toe - 20) * FINE :] += 100.0
    shape = 20.0 + 0.08 * np.maximum(X - toe, 0.0)
    left, right = pictures(fine, shape, noise=0.3)
    disparity, _ = refine(left, right, match(left, right, 64))
    error = (disparity - shape)[20:-20, toe + 8 : toe + 28]
    assert np.isfinite(error).mean() > 0.9
    assert np.abs(np.nanmedian(error, axis=0)).max() < 0.05


def test_steps_stay_sharp(fine_texture):
    shape = np.where((X // 60).astype(int) % 2 == 0, 20.0, 26.0)
    left, right = pictures(fine_texture, shape)
    disparity, _ = refine(left, right, match(left, right, 64))
    known = np.isfinite(disparity[INSIDE])
    between = np.abs(disparity[INSIDE][known] - 23.0) < 2.0
    assert known.mean() > 0.9
    assert between.mean() < 0.01


def test_a_box_far_above_the_ground_is_within_the_range(fine_texture):
    box = (abs(X - 300.0) < 32.0) & (abs(Y - 150.0) < 32.0)
    left, right = pictures(fine_texture, np.where(box, 60.0, 20.0))
    found = match(left, right, 96)
    assert (abs(found[box] - 60.0) < 0.5).mean() > 0.8


def test_chance_matches_cost_no_range(fine_texture):
    """Beside the ground lies water, which looks different in each photo."""
    left, right = pictures(fine_texture, 20.0 + 0.0 * X)
    rng = np.random.default_rng(2)
    for picture in (left, right):
        water = cv2.GaussianBlur(rng.normal(size=(ROWS, COLS)).astype(np.float32), (0, 0), 1.5)
        picture.values[:, 200:] = (water / water.std())[:, 200:]
    coarse = stereo._coarse(left, right, 128)
    first, count = stereo._range_of(coarse, 128)
    assert first < 20 < first + count <= 64


def test_reduced_matching_gives_the_same_after_refinement(fine_texture):
    shape = SHAPES["plane"]
    left, right = pictures(fine_texture, shape)
    disparity, _ = refine(left, right, match(left, right, 64, reduction=2, thorough=True))
    error = (disparity - shape)[INSIDE]
    assert np.isfinite(error).mean() > 0.97
    assert np.nanstd(error) < 0.06


def test_blank_ground_has_no_disparity(fine_texture):
    fine = fine_texture.copy()
    fine[100:200, 150 * FINE : 300 * FINE] = 120.0
    left, right = pictures(fine, 20.0 + 0.0 * X, noise=1.0)
    disparity, _ = refine(left, right, match(left, right, 64))
    assert np.isnan(disparity[115:185, 190:300]).mean() > 0.97
    assert np.isfinite(disparity[20:80, 150:400]).mean() > 0.97


def test_unlike_pictures_do_not_match():
    rng = np.random.default_rng(0)
    noise = [cv2.GaussianBlur(rng.normal(120, 60, (ROWS, COLS)), (0, 0), 1.5) for _ in range(2)]
    left, right = (Contrast.of(picture.astype(np.float32)) for picture in noise)
    start = match(left, right, 64)
    if start is not None:
        disparity, _ = refine(left, right, start)
        assert np.isfinite(disparity).mean() < 0.02


def test_contrast_ignores_what_is_outside():
    picture = np.random.default_rng(0).uniform(50, 200, (80, 90)).astype(np.float32)
    whole = Contrast.of(picture)
    picture[:, :20] = np.nan
    part = Contrast.of(picture)
    assert not part.valid[:, :20].any()
    assert (part.values[:, :20] == 0.0).all()
    np.testing.assert_allclose(part.values[:, 45:], whole.values[:, 45:], atol=1e-5)
