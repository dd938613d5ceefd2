"""Semi-global matching of a rectified pair: one disparity a pixel, or none.

The range of the search is what costs time and makes mistakes, so it is found first in small
pictures and then kept tight.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

# Three such windows in turn are nearly a Gaussian of 7.5 pixels. A single one is left by a bright
# or dark edge at once, and the kink that remains there would be matched instead of weak texture.
_CONTRAST_WINDOW_PX = 15
# Grey levels: what camera noise and compression alone would give in a blank picture.
_NOISE_FLOOR = 2.0
_COARSE = 4
_COARSE_MARGIN_PX = 2.5
# Chance matches, as on water, would widen the range of a band for all its pixels.
_COARSE_UNIQUENESS_PERCENT = 15
_COARSE_SPECKLE_PX = 100
# What no pixel has for a disparity.
_NONE = -32768
_BAND_ROWS = 240
# Rows above a band from which costs have settled.
_BAND_MARGIN = 16
_BLOCK_PX = 3
_UNIQUENESS_PERCENT = 6
_SPECKLE_PX = 150
_MIN_MATCHED = 0.02


@dataclass(frozen=True)
class Contrast:
    """A picture with its local mean taken away and its local contrast made equal.

    Exposure, vignetting and shading differ between photos; the texture does not.

    Parameters
    ----------
    values : ndarray of float32, shape (rows, cols)
        About -3 to 3; 0 where there is no picture.
    valid : ndarray of bool, shape (rows, cols)
    """

    values: Picture
    valid: NDArray[np.bool_]

    @classmethod
    def of(cls, picture: Picture) -> Contrast:
        """Normalise a picture (NaN where there is none)."""
        valid = ~np.isnan(picture)
        values = np.where(valid, picture, np.float32(0.0))
        share = np.maximum(_mean(valid.astype(np.float32)), np.float32(1e-3))
        mean = _mean(values) / share
        spread = _mean(values * values) / share
        spread -= mean * mean
        np.sqrt(np.maximum(spread, np.float32(0.0), out=spread), out=spread)
        spread += np.float32(_NOISE_FLOOR)
        # In place: pictures of 20 megapixels are 80 MB each.
        values -= mean
        values /= spread
        values[~valid] = 0.0
        return cls(values, valid)

    def rows(self, first: int, last: int) -> Contrast:
        """The rows from ``first`` to before ``last``."""
        return Contrast(self.values[first:last], self.valid[first:last])

    def as_bytes(self) -> NDArray[np.uint8]:
        """8 bits a pixel for the matcher."""
        return cv2.convertScaleAbs(np.clip(self.values * 42.0 + 128.0, 0.0, 255.0))

    def reduced(self, factor: int) -> Contrast:
        """The same picture ``factor`` times smaller."""
        size = (self.values.shape[1] // factor, self.values.shape[0] // factor)
        crop = np.s_[: size[1] * factor, : size[0] * factor]
        values = np.asarray(
            cv2.resize(self.values[crop], size, interpolation=cv2.INTER_AREA), dtype=np.float32
        )
        share = cv2.resize(self.valid[crop].astype(np.float32), size, interpolation=cv2.INTER_AREA)
        return Contrast(values, share > 0.99)


def _mean(picture: Picture) -> Picture:
    """Of the surroundings of each pixel."""
    window = (_CONTRAST_WINDOW_PX, _CONTRAST_WINDOW_PX)
    mean = cv2.boxFilter(picture, -1, window)
    for _ in range(2):
        cv2.boxFilter(mean, -1, window, dst=mean)
    return np.asarray(mean, dtype=np.float32)


def match(
    left: Contrast, right: Contrast, count: int, *, reduction: int = 1, thorough: bool = False
) -> Picture | None:
    """Disparities of a rectified pair.

    Parameters
    ----------
    left, right : Contrast
        Pictures of the same size.
    count : int
        Relative disparities 0 to ``count`` are possible.
    reduction : int
        Match pictures so many times smaller; the result has the full size.
    thorough : bool
        Aggregate costs along five directions instead of three.

    Returns
    -------
    ndarray of float32, shape (rows, cols), or None
        Left col minus right col in pixels, NaN where there is no consistent match; None where
        hardly anything matches.

    References
    ----------
    .. [1] H. Hirschmüller, "Stereo processing by semiglobal matching and mutual information",
       IEEE Transactions on Pattern Analysis and Machine Intelligence 30(2), 2008.
    """
    full = np.full(left.values.shape, np.nan, dtype=np.float32)
    if reduction > 1:
        left, right = left.reduced(reduction), right.reduced(reduction)
    coarse = _coarse(left, right, -(-count // reduction))
    if np.isnan(coarse).mean() > 1.0 - _MIN_MATCHED:
        return None
    disparity = _in_bands(left, right, coarse, -(-count // reduction), thorough=thorough)
    if reduction == 1:
        return disparity
    rows, cols = reduction * disparity.shape[0], reduction * disparity.shape[1]
    full[:rows, :cols] = (reduction * disparity).repeat(reduction, axis=0).repeat(reduction, axis=1)
    return full


def _coarse(left: Contrast, right: Contrast, count: int) -> Picture:
    """Disparities of pictures a quarter the size, in pixels of that size."""
    small = 16 * int(np.ceil(count / _COARSE / 16.0))
    found = _semi_global(
        left.reduced(_COARSE),
        right.reduced(_COARSE),
        (0, small),
        _COARSE_UNIQUENESS_PERCENT,
        thorough=False,
    )
    return _without_speckles(found, _COARSE_SPECKLE_PX)


def _in_bands(
    left: Contrast, right: Contrast, coarse: Picture, count: int, *, thorough: bool
) -> Picture:
    """Disparities band by band of rows, each with the range that it needs."""
    fixed = np.full(left.values.shape, _NONE, dtype=np.int16)
    rows = len(fixed)
    for top in range(0, rows, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, rows)
        # Costs are aggregated downwards, and across: what comes below changes nothing above.
        first_row, last_row = max(top - _BAND_MARGIN, 0), min(bottom + _BLOCK_PX, rows)
        bounds = _range_of(coarse[first_row // _COARSE : -(-last_row // _COARSE)], count)
        if bounds is None:
            continue
        band = _semi_global(
            left.rows(first_row, last_row),
            right.rows(first_row, last_row),
            bounds,
            _UNIQUENESS_PERCENT,
            thorough=thorough,
        )
        fixed[top:bottom] = band[top - first_row : bottom - first_row]
    return _without_speckles(fixed, _SPECKLE_PX)


def _range_of(coarse: Picture, count: int) -> tuple[int, int] | None:
    """First disparity and number of disparities of a band, None for an empty one."""
    found = coarse[~np.isnan(coarse)]
    if len(found) == 0:
        return None
    low, high = np.quantile(found, (0.001, 0.999))
    first = max(0, int(np.floor((low - _COARSE_MARGIN_PX) * _COARSE)))
    last = min(float(count), (high + _COARSE_MARGIN_PX) * _COARSE)
    return first, 16 * int(np.ceil(max(last - first, 1.0) / 16.0))


def _semi_global(
    left: Contrast, right: Contrast, bounds: tuple[int, int], uniqueness: int, *, thorough: bool
) -> NDArray[np.int16]:
    """Sixteenths of a pixel, `_NONE` for none."""
    first, count = bounds
    smooth = 8 * _BLOCK_PX * _BLOCK_PX
    mode = cv2.STEREO_SGBM_MODE_SGBM if thorough else cv2.STEREO_SGBM_MODE_SGBM_3WAY
    matcher = cv2.StereoSGBM.create(
        first, count, _BLOCK_PX, smooth, 4 * smooth, 1, 31, uniqueness, 0, 0, mode
    )
    fixed = np.asarray(matcher.compute(left.as_bytes(), right.as_bytes()), dtype=np.int16)
    fixed[fixed < 16 * first] = _NONE
    _forget_unseen(fixed, left.valid, right.valid)
    return fixed


def _without_speckles(fixed: NDArray[np.int16], speckle_px: int) -> Picture:
    """Disparities in pixels, without small pieces that hang free; NaN for none."""
    cv2.filterSpeckles(fixed, _NONE, speckle_px, 16)
    return np.where(fixed == _NONE, np.float32(np.nan), fixed / np.float32(16.0))


@numba.njit(cache=True, nogil=True)
def _forget_unseen(fixed, left_valid, right_valid):  # type: ignore[no-untyped-def]
    """Take away matches with what lies outside one of the photos, in place."""
    cols = fixed.shape[1]
    for row in range(fixed.shape[0]):
        for col in range(cols):
            if fixed[row, col] != _NONE:
                other = col - (fixed[row, col] + 8) // 16
                if not (left_valid[row, col] and 0 <= other < cols and right_valid[row, other]):
                    fixed[row, col] = _NONE
