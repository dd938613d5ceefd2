"""The example pile against sums over all pairs of cells and against its limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from reconstruction.report.example_pile import cone_radius_m, noise_sigma_m3


def test_cone_has_its_volume() -> None:
    radius = cone_radius_m(1000.0)
    height = radius * math.tan(math.radians(35.0))
    assert math.pi * radius**2 * height / 3.0 == pytest.approx(1000.0)


@pytest.mark.parametrize("range_m", [3.0, 8.0, 30.0])
def test_noise_equals_sums_over_pairs(range_m: float) -> None:
    radius = 10.0
    side = np.arange(-9.75, 10.0, 0.5)
    mesh = np.meshgrid(side, side)
    disc = np.column_stack([axis.ravel() for axis in mesh])
    disc = disc[np.hypot(*disc.T) < radius]
    turn = np.arange(400) * 2.0 * math.pi / 400
    ring = radius * np.column_stack((np.cos(turn), np.sin(turn)))

    def mean_covariance(one: np.ndarray, other: np.ndarray) -> float:
        distance = np.linalg.norm(one[:, None] - other[None], axis=2)
        part = np.minimum(distance / range_m, 1.0)
        return float(np.mean(1.0 - 1.5 * part + 0.5 * part**3))

    variance = (
        mean_covariance(disc, disc)
        - 2.0 * mean_covariance(disc, ring)
        + mean_covariance(ring, ring)
    )
    expected = 0.02 * math.pi * radius**2 * math.sqrt(variance)
    assert noise_sigma_m3([(0.02, range_m)], radius) == pytest.approx(expected, rel=0.02)


def test_noise_that_the_toe_shares_does_not_count() -> None:
    # Far beyond the pile the model is linear in the distance, so only its slope is left.
    far, farther = (noise_sigma_m3([(0.02, range_m)], 10.0) for range_m in (1e4, 4e4))
    assert far < 0.1 * noise_sigma_m3([(0.02, 10.0)], 10.0)
    assert farther == pytest.approx(0.5 * far, rel=1e-3)


def test_independent_parts_add_in_square() -> None:
    one, other = (noise_sigma_m3([part], 10.0) for part in ((0.01, 2.0), (0.03, 20.0)))
    both = noise_sigma_m3([(0.01, 2.0), (0.03, 20.0)], 10.0)
    assert both == pytest.approx(math.hypot(one, other))
