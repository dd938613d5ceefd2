"""Spline interpolation against SciPy's."""

import numpy as np
from scipy import ndimage

from reconstruction.spline import coefficients_1d, coefficients_2d, value_and_slope, weights


def test_coefficients_are_those_of_scipy():
    image = np.random.default_rng(0).uniform(0.0, 255.0, (40, 51)).astype(np.float32)
    expected = ndimage.spline_filter(image, 3, mode="mirror")
    np.testing.assert_allclose(coefficients_2d(image), expected, rtol=0, atol=2e-3)


def test_interpolates_the_pixels_and_a_sine_between_them():
    x = np.arange(200)
    line = np.sin(x / 3.0)[None].astype(np.float32)
    spline = coefficients_1d(line)[0]
    for fraction in (0.0, 0.25, 0.5, 0.9):
        at = x[20:-20] + fraction
        four = np.array([spline[19 + k : 179 + k] for k in range(4)])
        value, slope = value_and_slope(*four, np.float32(fraction))
        np.testing.assert_allclose(value, np.array(weights(np.float32(fraction))) @ four, atol=1e-6)
        np.testing.assert_allclose(value, np.sin(at / 3.0), atol=1e-3)
        np.testing.assert_allclose(slope, np.cos(at / 3.0) / 3.0, atol=2e-3)
