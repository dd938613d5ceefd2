"""Holes of a surface that is known around them."""

import numpy as np

from reconstruction.surface import fill_holes


def test_holes_are_filled_smoothly_and_only_near_known_ground():
    row, col = np.mgrid[0:200, 0:300].astype(np.float32)
    slope = 100.0 + 0.02 * col + 0.01 * row
    holed = slope.copy()
    holed[50:70, 80:110] = np.nan
    holed[:, 200:] = np.nan
    filled = fill_holes(holed, 20.0)
    known = np.isfinite(holed)
    np.testing.assert_array_equal(filled[known], holed[known])
    small = np.s_[50:70, 80:110]
    assert np.abs(filled[small] - slope[small]).max() < 0.12
    assert np.isfinite(filled[:, 200:215]).all()
    assert np.isnan(filled[:, 225:]).all()


def test_a_surface_without_any_known_cell_stays_unknown():
    assert np.isnan(fill_holes(np.full((5, 5), np.nan, np.float32), 10.0)).all()
