"""Sub-pixel refinement of disparities by local least-squares matching.

Semi-global matching quantises disparities and draws them towards whole pixels; both leave
ripples on a surface that should be smooth. Here every pixel's disparity is corrected by a
least-squares match of the window around it, the right picture being warped by the smoothed
disparities themselves. So sloping and curved ground is matched as such.

What is compared in a window is how the pictures vary around its mean there, not their brightness:
beside a bright or dark edge, local contrast is a ramp that belongs to the edge and not to the
ground below it, and would draw the ground's height to that of the edge.

With windows of response ``k`` (1 for a plane, falling for finer structure) the corrections
converge to ``k / (1 - k + k²)`` of the true shape: a crest or a toe is not rounded to second
order, only detail finer than the window is lost.

References
----------
.. [1] B. D. Lucas, T. Kanade, "An iterative image registration technique", IJCAI 1981.
.. [2] A. Gruen, "Adaptive least squares correlation", South African Journal of Photogrammetry,
   Remote Sensing and Cartography 14(3), 1985.
"""

from __future__ import annotations

import itertools

import cv2
import numba
import numpy as np

from reconstruction.spline import coefficients_1d, value_and_slope
from reconstruction.stereo import Contrast, Picture

# Of the windows, and of the smoothing between two steps.
_WINDOW_SIGMA_PX = 1.8
# Pixels that a Gaussian window averages over.
_EQUIVALENT_PX = 4.0 * np.pi * _WINDOW_SIGMA_PX**2
_ITERATIONS = 3
# Rows worked on at once, and how far around them results reach: two windows an iteration.
_BAND_ROWS = 1000
_BAND_MARGIN = 48
# Farther than this from the smoothed surface it is an edge, and edges are not smoothed.
_EDGE_PX = 0.8
_MAX_STEP_PX = np.float32(0.5)
_TINY = np.float32(1e-6)
_MAX_CHANGE_PX = 1.5
_TEAR_PX = 0.6
_PIECE_PX = 200
_MAX_SIGMA_PX = 0.35
# Share of the left window's variance that the match may leave unexplained.
_MAX_UNEXPLAINED = 0.75


def refine(left: Contrast, right: Contrast, disparity: Picture) -> tuple[Picture, Picture]:
    """Disparities to a small part of a pixel, and how sure they are.

    Parameters
    ----------
    left, right : Contrast
        The rectified pair.
    disparity : ndarray of float32, shape (rows, cols)
        Start values within a pixel of the truth, NaN for none.

    Returns
    -------
    disparity, sigma_px : ndarray of float32, shape (rows, cols)
        NaN where the texture is too weak or the pictures do not agree.
    """
    refined, sigma = np.empty_like(disparity), np.empty_like(disparity)
    edges = np.linspace(0, len(disparity), -(-len(disparity) // _BAND_ROWS) + 1).astype(int)
    for top, bottom in itertools.pairwise(edges):
        first, last = max(top - _BAND_MARGIN, 0), min(bottom + _BAND_MARGIN, len(disparity))
        band = _refine(left.rows(first, last), right.rows(first, last), disparity[first:last])
        inner = np.s_[top - first : bottom - first]
        refined[top:bottom], sigma[top:bottom] = band[0][inner], band[1][inner]
    refined = _without_streaks(refined)
    sigma[np.isnan(refined)] = np.nan
    return refined, sigma


def _refine(left: Contrast, right: Contrast, disparity: Picture) -> tuple[Picture, Picture]:
    """`refine`, with streaks, for rows that take their surroundings along."""
    known = ~np.isnan(disparity)
    weight = known.astype(np.float32)
    start = np.where(known, disparity, np.float32(0.0))
    share = _blur(weight)
    current = start
    left_slope = _slope(coefficients_1d(left.values))
    right_spline = coefficients_1d(right.values)
    slope, difference = np.empty_like(current), np.empty_like(current)
    for _ in range(_ITERATIONS):
        base = _blur(current * weight)
        _keep_edges(base, share, current, weight, _EDGE_PX)
        _compare(
            left.values, left_slope, right_spline, right.valid, base, weight, slope, difference
        )
        mean_slope, mean_difference = _blur(slope), _blur(difference)
        normal = _within(_blur(slope * slope), mean_slope, mean_slope, share)
        right_hand = _within(_blur(slope * difference), mean_slope, mean_difference, share)
        current = _corrected(base, normal, right_hand)
    misfit = _within(_blur(difference * difference), mean_difference, mean_difference, share)
    values = left.values * weight
    mean = _blur(values)
    texture = _within(_blur(values * values), mean, mean, share)
    sigma = _judge(current, start, slope, normal, misfit, texture)
    return current, sigma


def _without_streaks(disparity: Picture) -> Picture:
    """Without small pieces that are torn off their surroundings, such as single wrong rows."""
    known = ~np.isnan(disparity)
    fixed = np.where(known, disparity * np.float32(16.0), np.float32(-32768.0)).astype(np.int16)
    cv2.filterSpeckles(fixed, -32768, _PIECE_PX, 16.0 * _TEAR_PX)
    return np.where(fixed == -32768, np.float32(np.nan), disparity)


def _blur(values: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(values, (0, 0), _WINDOW_SIGMA_PX))


def _slope(values: Picture) -> Picture:
    """Derivative along the rows of the spline with these coefficients."""
    kernel = np.array([[-0.5, 0.0, 0.5]], dtype=np.float32)
    return np.asarray(cv2.filter2D(values, -1, kernel))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _corrected(base, normal, right_hand):  # type: ignore[no-untyped-def]
    """Solution of the windows' normal equations, added to the disparities."""
    out = np.empty_like(base)
    for row in range(base.shape[0]):
        for col in range(base.shape[1]):
            step = right_hand[row, col] / (max(normal[row, col], np.float32(0.0)) + _TINY)
            out[row, col] = base[row, col] + min(max(step, -_MAX_STEP_PX), _MAX_STEP_PX)
    return out


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _judge(current, start, slope, normal, misfit, texture):  # type: ignore[no-untyped-def]
    """Sigma of the disparities; those that are no good become NaN.

    ``slope`` is 0 where there is no start value and where the right photo shows nothing.
    """
    sigma = np.empty_like(current)
    for row in range(current.shape[0]):
        for col in range(current.shape[1]):
            value = np.sqrt(
                misfit[row, col] / (normal[row, col] + _TINY) / np.float32(_EQUIVALENT_PX)
            )
            sigma[row, col] = value
            if (
                slope[row, col] == 0.0
                or not value <= _MAX_SIGMA_PX
                or misfit[row, col] > _MAX_UNEXPLAINED * texture[row, col]
                or abs(current[row, col] - start[row, col]) > _MAX_CHANGE_PX
            ):
                current[row, col] = np.nan
    return sigma


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _keep_edges(base, share, current, weight, edge_px):  # type: ignore[no-untyped-def]
    """Finish the weighted mean in ``base``; near edges, use the disparity itself."""
    for row in range(base.shape[0]):
        for col in range(base.shape[1]):
            if weight[row, col] == 0.0:
                base[row, col] = 0.0
                continue
            smooth = base[row, col] / share[row, col]
            if abs(smooth - current[row, col]) > edge_px:
                smooth = current[row, col]
            base[row, col] = smooth


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _compare(  # type: ignore[no-untyped-def]
    left, left_slope, right, right_valid, base, weight, slopes, differences
):
    """What a step in disparity would change, and what differs; 0 where one photo shows nothing."""
    rows, cols = left.shape
    for row in range(rows):
        line, seen = right[row], right_valid[row]
        for col in range(cols):
            slopes[row, col] = differences[row, col] = 0.0
            x = np.float32(col) - base[row, col]
            ix = int(np.floor(x))
            if weight[row, col] == 0.0 or ix < 1 or ix >= cols - 2 or not seen[ix]:
                continue
            t = np.float32(x - ix)
            value, slope = value_and_slope(line[ix - 1], line[ix], line[ix + 1], line[ix + 2], t)
            # The mean of both slopes: first-order bias of either one cancels.
            slopes[row, col] = np.float32(0.5) * (slope + left_slope[row, col])
            differences[row, col] = value - left[row, col]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _within(products, first, second, share):  # type: ignore[no-untyped-def]
    """Weighted sums of products, in place less what the windows' means alone would give."""
    for row in range(products.shape[0]):
        for col in range(products.shape[1]):
            mean = first[row, col] * second[row, col] / (share[row, col] + _TINY)
            products[row, col] -= mean
    return products
