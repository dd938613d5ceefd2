"""Shading: the light of a place on the terrain, from its colour and its grain."""

from __future__ import annotations

import numba
import numpy as np

from reconstruction.synthetic.materials import INDEX, NEUTRAL, TILE_PX
from reconstruction.synthetic.quarry import COLOUR_SCALE, TARGET_SIZE_M

_ROCK, _CONCRETE, _TARGET = INDEX["rock"], INDEX["concrete"], INDEX["target"]
_MASK = TILE_PX - 1
_GAIN = 0.25 * COLOUR_SCALE / (255.0 * 255.0 * NEUTRAL)


@numba.njit(cache=True, nogil=True)
def shade_pixel(places, smooth, look, targets, pixel):  # type: ignore[no-untyped-def]
    """Add the light of four places, one sample each, to a pixel.

    Parameters
    ----------
    places : ndarray, shape (4, 3)
        Fractional column and row, and height; column -1 for a ray that met nothing.
    smooth : bool
        The four lie close together on one piece of surface.
    look : tuple
        Grid origin, surface, colour, material, grain tiles and size of their texels.
    targets : ndarray, shape (n, 3)
    pixel : ndarray, shape (3,)
        Added to, in place.
    """
    origin, surface, colour, material, tiles, texel = look
    if smooth:
        gx, gy = 0.5 * (places[0, 0] + places[3, 0]), 0.5 * (places[0, 1] + places[3, 1])
        kind = material[int(gy + 0.5), int(gx + 0.5)]
        if kind != _TARGET:
            z = 0.5 * (places[0, 2] + places[3, 2])
            side = _side(gx, gy, kind, origin, surface)
            u, v = _unroll(gx, gy, z, side, origin, texel)
            wide = _wide(tiles[kind], u, v)
            grain = 0.0
            for k in range(4):
                u, v = _unroll(places[k, 0], places[k, 1], places[k, 2], side, origin, texel)
                grain += _grain(tiles[kind], u, v)
            _add(gx, gy, _GAIN * wide * grain, colour, pixel)
            return
        white = _target_light(places, origin, targets)
        if white >= 0.0:
            pixel += white
            return
    for k in range(4):
        gx, gy, z = places[k]
        if gx < 0.0:
            continue
        kind = material[int(gy + 0.5), int(gx + 0.5)]
        if kind == _TARGET:
            white = _on_target(origin[0] + gx * origin[2], origin[1] + gy * origin[2], targets)
            if white >= 0.0:
                pixel += 0.25 * white
                continue
            kind = 0
        side = _side(gx, gy, kind, origin, surface)
        u, v = _unroll(gx, gy, z, side, origin, texel)
        gain = _GAIN * _wide(tiles[kind], u, v) * _grain(tiles[kind], u, v)
        _add(gx, gy, gain, colour, pixel)


@numba.njit(cache=True, nogil=True, inline="always")
def _side(gx, gy, kind, origin, surface):  # type: ignore[no-untyped-def]
    """How a texture lies: 0 from above, 1 on a face across y, 2 on a face across x."""
    if kind not in (_ROCK, _CONCRETE):
        return 0
    col, row = int(gx), int(gy)
    east = abs(surface[row, col + 1] - surface[row, col])
    north = abs(surface[row + 1, col] - surface[row, col])
    if max(east, north) < 1.2 * origin[2]:
        return 0
    return 1 if north > east else 2


@numba.njit(cache=True, nogil=True, inline="always")
def _unroll(gx, gy, z, side, origin, texel):  # type: ignore[no-untyped-def]
    """Texture coordinates of a place."""
    x, y = origin[0] + gx * origin[2], origin[1] + gy * origin[2]
    if side == 1:
        return x / texel, z / texel
    if side == 2:
        return y / texel, z / texel
    return x / texel, y / texel


@numba.njit(cache=True, nogil=True, inline="always")
def _grain(tile, u, v):  # type: ignore[no-untyped-def]
    """Bilinear value of a periodic tile."""
    col, row = int(np.floor(u)), int(np.floor(v))
    a, b = u - col, v - row
    c0, c1, r0, r1 = col & _MASK, (col + 1) & _MASK, row & _MASK, (row + 1) & _MASK
    low = (1.0 - a) * tile[r0, c0] + a * tile[r0, c1]
    high = (1.0 - a) * tile[r1, c0] + a * tile[r1, c1]
    return low + b * (high - low)


@numba.njit(cache=True, nogil=True, inline="always")
def _wide(tile, u, v):  # type: ignore[no-untyped-def]
    """The same grain turned and enlarged, so that the tiles never show as a pattern."""
    turned = _grain(tile, 0.173 * u + 0.228 * v, 0.173 * v - 0.228 * u)
    return 0.6 + 0.4 / NEUTRAL * turned


@numba.njit(cache=True, nogil=True, inline="always")
def _add(gx, gy, gain, colour, pixel):  # type: ignore[no-untyped-def]
    """Add the colour of a place."""
    col, row = int(gx), int(gy)
    a, b = gx - col, gy - row
    for band in range(3):
        low = (1.0 - a) * colour[row, col, band] + a * colour[row, col + 1, band]
        high = (1.0 - a) * colour[row + 1, col, band] + a * colour[row + 1, col + 1, band]
        value = low + b * (high - low)
        pixel[band] += gain * value * value


@numba.njit(cache=True, nogil=True)
def _target_light(places, origin, targets):  # type: ignore[no-untyped-def]
    """Light of a pixel that lies on a target altogether, from 64 samples; else negative.

    The four places of a pixel are corners of a square turned by atan(1/2), half its side long.
    """
    total = 0.0
    for k in range(64):
        a, b = ((k & 7) + 0.5) / 8.0 - 0.375, ((k >> 3) + 0.5) / 8.0 - 0.125
        along, across = 1.6 * a + 0.8 * b, 1.6 * b - 0.8 * a
        gx = places[0, 0] + along * (places[1, 0] - places[0, 0])
        gx += across * (places[2, 0] - places[0, 0])
        gy = places[0, 1] + along * (places[1, 1] - places[0, 1])
        gy += across * (places[2, 1] - places[0, 1])
        white = _on_target(origin[0] + gx * origin[2], origin[1] + gy * origin[2], targets)
        if white < 0.0:
            return -1.0
        total += white
    return total / 64.0


@numba.njit(cache=True, nogil=True)
def _on_target(x, y, targets):  # type: ignore[no-untyped-def]
    """Brightness of a target at a place, negative beside it."""
    for k in range(targets.shape[0]):
        dx, dy = x - targets[k, 0], y - targets[k, 1]
        c, s = np.cos(targets[k, 2]), np.sin(targets[k, 2])
        u, v = c * dx + s * dy, c * dy - s * dx
        if abs(u) < 0.5 * TARGET_SIZE_M and abs(v) < 0.5 * TARGET_SIZE_M:
            return 0.85 if u * v > 0.0 else 0.03
    return -1.0
