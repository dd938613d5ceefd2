"""The bench lays surfaces onto each other: a planted similarity comes back, whatever bends."""

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial.transform import Rotation

from bench.alignment import Pictured, Surface, align, fit_similarity

_CELL_M = 0.1


def _planted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    points = rng.uniform((-40.0, -30.0, 0.0), (40.0, 30.0, 5.0), (800, 3))
    turn = Rotation.from_euler("xyz", [1.0, -0.7, 2.0], degrees=True).as_matrix()
    return points, turn, np.array([3.0, -2.0, 1.5]) + 1.04 * points @ turn.T


def test_a_planted_similarity_is_found_among_mismatches():
    rng = np.random.default_rng(3)
    points, turn, targets = _planted(rng)
    targets[:150] += rng.uniform(-20.0, 20.0, (150, 3))
    found = fit_similarity(points, targets)
    assert abs(found.scale - 1.04) < 1e-6
    np.testing.assert_allclose(found.rotation, turn, atol=1e-6)


def test_a_bowl_neither_scales_nor_shifts_in_plan():
    points, _, targets = _planted(np.random.default_rng(4))
    targets[:, 2] += 0.7 * np.sum(points[:, :2] ** 2, axis=1) / 30.0**2
    found = fit_similarity(points, targets)
    assert abs(found.scale - 1.04) < 0.003


def test_pictures_tell_what_smooth_ground_does_not():
    rng = np.random.default_rng(5)
    rows, cols = 420, 520
    grey = gaussian_filter(rng.normal(size=(rows, cols)), 1.5)
    picture = np.clip(128 + 40 * grey / grey.std(), 0, 255).astype(np.uint8)
    flat = np.zeros((rows, cols))
    source = np.indices((rows, cols)) + np.array([9.0, -14.0])[:, None, None]
    shifted = map_coordinates(picture.astype(float), source, order=1)
    one = Pictured(Surface(0.0, 0.0, _CELL_M, flat), picture, 0.0, 0.0, _CELL_M)
    other = Pictured(
        Surface(0.0, 0.0, _CELL_M, flat + 2.0), shifted.astype(np.uint8), 0.0, 0.0, _CELL_M
    )
    similarity, count = align(one, other)
    assert count > 100
    moved = similarity.apply(np.array([[20.0, -20.0, 0.0]]))
    np.testing.assert_allclose(moved, [[21.4, -19.1, 2.0]], atol=0.02)
