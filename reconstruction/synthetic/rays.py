"""Rays: from a pixel through the lens onto the terrain grid."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True, inline="always")
def undistort(x, y, guess_x, guess_y, lens):  # type: ignore[no-untyped-def]
    """Normalised ideal coordinates of distorted ones, by fixed-point iteration."""
    k1, k2, k3, p1, p2 = lens[3], lens[4], lens[5], lens[6], lens[7]
    u, v = guess_x, guess_y
    for _ in range(25):
        r2 = u * u + v * v
        radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
        error_x = x - u * radial - 2.0 * p1 * u * v - p2 * (r2 + 2.0 * u * u)
        error_y = y - v * radial - p1 * (r2 + 2.0 * v * v) - 2.0 * p2 * u * v
        u += error_x
        v += error_y
        if abs(error_x) + abs(error_y) < 2e-7:
            break
    return u, v


@numba.njit(cache=True, nogil=True, inline="always")
def height_at(surface, gx, gy):  # type: ignore[no-untyped-def]
    """Bilinear height at fractional column and row."""
    col, row = int(gx), int(gy)
    u, v = gx - col, gy - row
    low = surface[row, col] + u * (surface[row, col + 1] - surface[row, col])
    high = surface[row + 1, col] + u * (surface[row + 1, col + 1] - surface[row + 1, col])
    return low + v * (high - low)


@numba.njit(cache=True, nogil=True, inline="always")
def _leave(gx, gy, dx, dy, size):  # type: ignore[no-untyped-def]
    """Descent until a ray leaves its block, in metres."""
    s = 1e9
    if dx > 1e-12:
        s = ((int(gx) // size + 1) * size - gx) / dx
    elif dx < -1e-12:
        s = (int(gx) // size * size - gx) / dx
    if dy > 1e-12:
        s = min(s, ((int(gy) // size + 1) * size - gy) / dy)
    elif dy < -1e-12:
        s = min(s, (int(gy) // size * size - gy) / dy)
    return s


@numba.njit(cache=True, nogil=True)
def _descend(gx, gy, z, dx, dy, surface, tops):  # type: ignore[no-untyped-def]
    """Descent of a ray from column, row and height to the surface; negative: it left the grid.

    ``dx, dy`` are columns and rows a metre of descent.
    """
    last_col, last_row = surface.shape[1] - 1.0, surface.shape[0] - 1.0
    fine, middle, coarse = tops
    slant = max(abs(dx), abs(dy), 1e-6)
    nudge = 1e-5 / slant
    s = 0.0
    before = 0.0
    gap_before = 1e9
    while True:
        x, y, height = gx + s * dx, gy + s * dy, z - s
        if not (x >= 0.0 and y >= 0.0 and x < last_col and y < last_row):
            return -1.0
        col, row = int(x), int(y)
        size, top = 64, coarse[row >> 6, col >> 6]
        if height <= top:
            size, top = 16, middle[row >> 4, col >> 4]
            if height <= top:
                size, top = 4, fine[row >> 2, col >> 2]
        if height > top:
            # Over the block, or down to its top.
            s += min(_leave(x, y, dx, dy, size) + nudge, max(height - top, 1e-5))
            gap_before = 1e9
            continue
        gap = height - height_at(surface, x, y)
        if gap <= 0.0:
            break
        before, gap_before = s, gap
        s += min(0.5 / slant, gap + 1.0)
    if gap_before > 1e8:
        return s
    return _refine(gx, gy, z, dx, dy, surface, before, gap_before, s, gap)


@numba.njit(cache=True, nogil=True)
def _refine(gx, gy, z, dx, dy, surface, above, gap_above, below, gap_below):  # type: ignore[no-untyped-def]
    """The root between two descents, by regula falsi with the Illinois rule."""
    s = below
    for _ in range(8):
        s = (above * gap_below - below * gap_above) / (gap_below - gap_above)
        gap = z - s - height_at(surface, gx + s * dx, gy + s * dy)
        if abs(gap) < 2e-5:
            break
        if gap > 0.0:
            above, gap_above = s, gap
            gap_below *= 0.5
        else:
            below, gap_below = s, gap
            gap_above *= 0.5
    return s


@numba.njit(cache=True, nogil=True, inline="always")
def meet(dx, dy, dz, centre, origin, surface, tops, highest):  # type: ignore[no-untyped-def]
    """Fractional column, row and height where a ray in a world direction meets the surface."""
    if dz > -0.05:
        return -1.0, -1.0, 0.0
    mx, my = dx / -dz, dy / -dz
    start = max(centre[2] - highest, 0.0)
    gx = (centre[0] + start * mx - origin[0]) / origin[2]
    gy = (centre[1] + start * my - origin[1]) / origin[2]
    mx, my = mx / origin[2], my / origin[2]
    s = _descend(gx, gy, centre[2] - start, mx, my, surface, tops)
    if s < 0.0:
        return -1.0, -1.0, 0.0
    return gx + s * mx, gy + s * my, centre[2] - start - s


@numba.njit(cache=True, nogil=True)
def beam(corners, lens, rotation, centre, origin, tops, highest):  # type: ignore[no-untyped-def]
    """Height down to which a bundle of rays surely meets nothing.

    ``corners`` are the pixels x0, y0, x1, y1 of opposite corners of the bundle.
    """
    blocks = tops[1]
    slopes = np.empty((4, 2))
    for k in range(4):
        x = (corners[(k & 1) * 2] - lens[1]) / lens[0]
        y = (corners[(k >> 1) * 2 + 1] - lens[2]) / lens[0]
        u, v = undistort(x, y, x, y, lens)
        dz = rotation[0, 2] * u + rotation[1, 2] * v + rotation[2, 2]
        if dz > -0.05:
            return highest
        for axis in range(2):
            d = rotation[0, axis] * u + rotation[1, axis] * v + rotation[2, axis]
            slopes[k, axis] = d / (-dz * origin[2])
    at = (centre[:2] - origin[:2]) / origin[2]
    s = max(centre[2] - highest, 0.0)
    step = 4.0
    while step > 0.05:
        below = s + step
        top = -1e9
        # All blocks under the bundle on its way, and a margin for the curvature of its faces.
        span = np.empty((2, 2), dtype=np.int64)
        for axis in range(2):
            count = blocks.shape[1 - axis]
            near, far = at[axis] + s * slopes[:, axis], at[axis] + below * slopes[:, axis]
            span[axis, 0] = max(int(min(near.min(), far.min()) - 4.0) >> 4, 0)
            span[axis, 1] = min(int(max(near.max(), far.max()) + 4.0) >> 4, count - 1)
        for row in range(span[1, 0], span[1, 1] + 1):
            for col in range(span[0, 0], span[0, 1] + 1):
                top = max(top, blocks[row, col])
        if centre[2] - below > top > -1e9:
            s = below
        else:
            step *= 0.5
    return centre[2] - s
