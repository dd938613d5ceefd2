"""Mounds: what stands on the ground, cut into single ones along the valleys between them.

Cells are taken from the highest down and join the mound beside them. Where two mounds meet, they
become one if the lower of them rises only little out of the valley between, else each keeps its
side: a watershed that ignores small summits (persistence).

References
----------
Edelsbrunner, H., Letscher, D., Zomorodian, A. (2002): Topological persistence and simplification.
Discrete & Computational Geometry 28, 511-533.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from volumetrics.grid import Array
from volumetrics.terrain import Labels, Mask, Terrain, disk

# What rises less above the ground belongs to it.
_STANDS_M = 0.12
# Narrower bridges between two things, and narrower things, are cut.
_NARROW_M = 0.6
# A summit that rises less out of the valley beside it is none: so much, and so much of its height.
_SUMMIT_M, _SUMMIT_SHARE = 0.4, 0.25


def mounds(terrain: Terrain) -> tuple[Labels, int]:
    """Number the mounds of a terrain from 1; 0 is everything else.

    Returns
    -------
    labels : ndarray of int, shape (rows, cols)
    count : int
    """
    height_m = terrain.height_m
    stands = np.nan_to_num(height_m) > _STANDS_M
    stands &= ~terrain.is_wall & ~terrain.is_ground
    radius = 0.5 * _NARROW_M / terrain.grid.cell_size_m
    stands = ndimage.binary_opening(stands, disk(radius))
    # Flat tops and cratered ones belong to what is around them, machines on top as well.
    stands = _filled(stands, terrain)
    order = np.flatnonzero(stands.ravel())
    order = order[np.argsort(-height_m.ravel()[order], kind="stable")]
    filled = np.nan_to_num(height_m)
    labels = _flood(filled, order, _SUMMIT_M, _SUMMIT_SHARE)
    names, flat = np.unique(labels, return_inverse=True)
    numbers = np.arange(names.size) if names[0] == 0 else np.arange(1, names.size + 1)
    return numbers[flat].reshape(labels.shape).astype(np.int32), int(numbers[-1])


def _filled(stands: Mask, terrain: Terrain) -> Mask:
    """Enclosed cells that lie above the ground, too."""
    inside = ndimage.binary_fill_holes(stands) & ~stands
    return np.asarray(stands | (inside & (np.nan_to_num(terrain.height_m) > _STANDS_M)))


@numba.njit(cache=True, nogil=True)
def _root(parent: NDArray[np.int32], one: int) -> int:  # pragma: no cover - compiled
    while parent[one] != one:
        parent[one] = parent[parent[one]]
        one = parent[one]
    return one


@numba.njit(cache=True, nogil=True)
def _flood(
    height: Array, order: NDArray[np.int64], least_m: float, least_share: float
) -> Labels:  # pragma: no cover - compiled
    """Labels of mounds, grown from the highest cell down."""
    rows, cols = height.shape
    label = np.zeros((rows, cols), np.int32)
    parent = np.zeros(order.size + 1, np.int32)
    peak_m = np.zeros(order.size + 1)
    count = 0
    for place in order:
        row, col = place // cols, place % cols
        here_m = height[row, col]
        mound, from_m = 0, -np.inf
        for r in range(max(0, row - 1), min(rows, row + 2)):
            for c in range(max(0, col - 1), min(cols, col + 2)):
                if label[r, c] == 0:
                    continue
                other = _root(parent, label[r, c])
                if mound != 0 and other != mound:
                    low = other if peak_m[other] < peak_m[mound] else mound
                    if peak_m[low] - here_m < max(least_m, least_share * peak_m[low]):
                        # The lower summit is none: both are one mound from now on.
                        parent[low] = other if low == mound else mound
                        other = mound = parent[low]
                if mound == 0 or height[r, c] > from_m:
                    mound, from_m = other, height[r, c]
        if mound == 0:
            count += 1
            parent[count], peak_m[count], mound = count, here_m, count
        label[row, col] = mound
    for place in order:
        row, col = place // cols, place % cols
        label[row, col] = _root(parent, label[row, col])
    return label
