"""Sharpness falls with blur, whatever the scene; exposure is counted."""

import cv2
import numpy as np
import pytest

from reconstruction.quality import measure_quality


@pytest.mark.parametrize("contrast", [1.0, 0.3])
def test_blur_lowers_sharpness_and_contrast_does_not(ground, contrast):
    image = (128 + contrast * (ground(800, 600, 1).astype(float) - 128)).astype(np.uint8)
    values = [measure_quality(image).sharpness]
    for sigma_px in (1.0, 2.0, 4.0):
        values.append(measure_quality(cv2.GaussianBlur(image, (0, 0), sigma_px)).sharpness)
    assert values == sorted(values, reverse=True)
    assert values[0] == pytest.approx(measure_quality(ground(800, 600, 1)).sharpness, rel=0.1)
    assert values[2] < 0.5 * values[0]


@pytest.mark.parametrize("size", [(9, 1), (1, 9)])
def test_motion_in_any_direction_is_blur(ground, size):
    image = ground(800, 600, 2)
    assert measure_quality(cv2.blur(image, size)).sharpness < 0.6 * measure_quality(image).sharpness


def test_clipped_shares():
    image = np.full((400, 400), 120, np.uint8)
    image[:100] = 255
    image[300:340] = 0
    quality = measure_quality(image)
    assert quality.bright_fraction == 0.25
    assert quality.dark_fraction == 0.1
    assert quality.median_level == 120.0


def test_blank_image_has_no_sharpness():
    assert measure_quality(np.full((400, 400), 7, np.uint8)).sharpness == 0.0
