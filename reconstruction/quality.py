"""Sharpness and exposure of one photo, from its pixels alone."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_BRIGHT_LEVEL = 250
_DARK_LEVEL = 5


@dataclass(frozen=True)
class PhotoQuality:
    """What the flight verdict compares between photos.

    Parameters
    ----------
    sharpness : float
        Contrast of the finest details relative to details four times as large, in the
        direction where it is least. Detail of the scene cancels, blur does not: it takes the
        fine contrast away and leaves the coarse.
    median_level : float
        Median grey value, 0 to 255.
    bright_fraction, dark_fraction : float
        Share of pixels that are clipped at either end.
    """

    sharpness: float
    median_level: float
    bright_fraction: float
    dark_fraction: float


def measure_quality(gray: NDArray[np.uint8]) -> PhotoQuality:
    """Sharpness and exposure of a grey image, about half the size of the photo or larger.

    Parameters
    ----------
    gray : ndarray of uint8, shape (rows, cols)

    Returns
    -------
    PhotoQuality
    """
    levels = np.bincount(gray[::4, ::4].ravel(), minlength=256)
    share = np.cumsum(levels) / levels.sum()
    return PhotoQuality(
        sharpness=_sharpness(_central(gray)),
        median_level=float(np.searchsorted(share, 0.5)),
        bright_fraction=float(1.0 - share[_BRIGHT_LEVEL - 1]),
        dark_fraction=float(share[_DARK_LEVEL]),
    )


def _central(gray: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The central half in both directions: lens blur in the corners is no motion blur."""
    rows, cols = gray.shape
    return gray[rows // 4 : rows - rows // 4, cols // 4 : cols - cols // 4]


def _sharpness(gray: NDArray[np.uint8]) -> float:
    fine = gray.astype(np.float32)
    coarse = cv2.resize(fine, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    ratios = [
        float(np.std(np.diff(fine, axis=axis)))
        / max(float(np.std(np.diff(coarse, axis=axis))), 1e-3)
        for axis in (0, 1)
        if min(coarse.shape) > 1
    ]
    return min(ratios, default=0.0)
