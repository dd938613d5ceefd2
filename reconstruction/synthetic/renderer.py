"""The renderer: rays from a camera onto the terrain, exact to a fraction of a millimetre.

The rays of the pixel corners are cast through a pyramid of block maxima. Between them the place
that a ray meets is interpolated, and cast anew where that place is not on the surface: at the
edges of what is visible. So four samples a pixel cost little more than one ray.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot
from reconstruction.synthetic.grid import Array, Raster
from reconstruction.synthetic.materials import INDEX, NEUTRAL, TILE_PX, grain_tiles
from reconstruction.synthetic.quarry import COLOUR_SCALE, TARGET_SIZE_M, Quarry

_LEVELS = (4, 16, 64)
_ROCK, _CONCRETE, _TARGET = INDEX["rock"], INDEX["concrete"], INDEX["target"]
_MASK = TILE_PX - 1


@dataclass(frozen=True)
class Scene:
    """A quarry made ready for rays.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        West, south and cell size of the grid.
    surface : ndarray of float32, shape (rows, cols)
    tops : tuple of ndarray
        Block maxima, finest first.
    highest_m : float
    colour, material, tiles
        As in `Quarry` and `materials.grain_tiles`.
    texel_m : float
    targets : ndarray, shape (n, 3)
        x, y and angle of each target.
    """

    origin: Array
    surface: Raster
    tops: tuple[Raster, Raster, Raster]
    highest_m: float
    colour: NDArray[np.uint8]
    material: NDArray[np.uint8]
    tiles: NDArray[np.uint8]
    texel_m: float
    targets: Array


def prepare(quarry: Quarry, texel_m: float, seed: int) -> Scene:
    """Make a quarry ready for rays, with grain down to ``texel_m``."""
    grid = quarry.grid
    targets = [(*target.point[:2], target.angle_rad) for target in quarry.targets]
    fine, middle, coarse = (_block_maxima(quarry.surface, size) for size in _LEVELS)
    return Scene(
        np.array([grid.west_m, grid.south_m, grid.cell_m]),
        quarry.surface,
        (fine, middle, coarse),
        float(quarry.surface.max()),
        quarry.colour,
        quarry.material,
        grain_tiles(texel_m, seed),
        texel_m,
        np.array(targets, dtype=np.float64).reshape(-1, 3),
    )


def _block_maxima(surface: Raster, size: int) -> Raster:
    """Highest node of each block of cells, the nodes on all its edges included."""
    rows, cols = (-(-(count - 1) // size) for count in surface.shape)
    padded = np.pad(
        surface,
        ((0, rows * size + 1 - surface.shape[0]), (0, cols * size + 1 - surface.shape[1])),
        mode="edge",
    )
    tops = padded[:-1, :-1].reshape(rows, size, cols, size).max(axis=(1, 3))
    tops = np.maximum(tops, padded[size::size, :-1].reshape(rows, cols, size).max(axis=2))
    tops = np.maximum(tops, padded[:-1, size::size].reshape(rows, size, cols).max(axis=1))
    return np.maximum(tops, padded[size::size, size::size]) + np.float32(1e-4)


def render(scene: Scene, camera: Camera, shot: Shot) -> Raster:
    """Light that reaches each pixel, linear, float32 of shape (height, width, 3)."""
    return np.asarray(
        _render(
            np.zeros((camera.height_px, camera.width_px, 3), dtype=np.float32),
            _intrinsics(camera),
            np.ascontiguousarray(shot.rotation),
            shot.centre,
            scene.origin,
            scene.surface,
            scene.tops,
            scene.highest_m,
            scene.colour,
            scene.material,
            scene.tiles,
            scene.texel_m,
            scene.targets,
        )
    )


def hit(scene: Scene, camera: Camera, shot: Shot, pixels: Array) -> Array:
    """Where the rays of pixels (n, 2) meet the surface, (n, 3); NaN where they do not."""
    return np.asarray(
        _hit(
            np.asarray(pixels, dtype=np.float64),
            _intrinsics(camera),
            np.ascontiguousarray(shot.rotation),
            shot.centre,
            scene.origin,
            scene.surface,
            scene.tops,
            scene.highest_m,
        )
    )


def visible(
    scene: Scene, camera: Camera, shot: Shot, points: Array, slack_m: float = 0.02
) -> NDArray[np.bool_]:
    """Which points (n, 3) are in the picture and not hidden behind the surface."""
    local = shot.to_camera(points)
    ahead = local[:, 2] > 0.1
    pixels = camera.project(np.where(ahead[:, None], local, (0.0, 0.0, 1.0)))
    size = (camera.width_px - 1, camera.height_px - 1)
    inside = ahead & (pixels >= 0.0).all(axis=1) & (pixels <= size).all(axis=1)
    found = hit(scene, camera, shot, np.where(inside[:, None], pixels, 0.0))
    near = np.linalg.norm(found - points, axis=1) < slack_m
    return np.asarray(inside & near)


def _intrinsics(camera: Camera) -> Array:
    return np.array(
        [
            camera.focal_px,
            camera.cx_px,
            camera.cy_px,
            camera.k1,
            camera.k2,
            camera.k3,
            camera.p1,
            camera.p2,
        ]
    )


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc]
def _undistort(x, y, guess_x, guess_y, lens):  # type: ignore[no-untyped-def]
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


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc]
def _height(surface, gx, gy):  # type: ignore[no-untyped-def]
    """Bilinear height at fractional column and row."""
    col, row = int(gx), int(gy)
    u, v = gx - col, gy - row
    low = surface[row, col] + u * (surface[row, col + 1] - surface[row, col])
    high = surface[row + 1, col] + u * (surface[row + 1, col + 1] - surface[row + 1, col])
    return low + v * (high - low)


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc]
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


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
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
        gap = height - _height(surface, x, y)
        if gap <= 0.0:
            break
        before, gap_before = s, gap
        s += min(0.5 / slant, gap + 1.0)
    if gap_before > 1e8:
        return s
    return _refine(gx, gy, z, dx, dy, surface, before, gap_before, s, gap)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def _refine(gx, gy, z, dx, dy, surface, above, gap_above, below, gap_below):  # type: ignore[no-untyped-def]
    """The root between two descents, by regula falsi with the Illinois rule."""
    s = below
    for _ in range(8):
        s = (above * gap_below - below * gap_above) / (gap_below - gap_above)
        gap = z - s - _height(surface, gx + s * dx, gy + s * dy)
        if abs(gap) < 2e-5:
            break
        if gap > 0.0:
            above, gap_above = s, gap
            gap_below *= 0.5
        else:
            below, gap_below = s, gap
            gap_above *= 0.5
    return s


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc]
def _meet(dx, dy, dz, centre, origin, surface, tops, highest):  # type: ignore[no-untyped-def]
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


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def _hit(pixels, lens, rotation, centre, origin, surface, tops, highest):  # type: ignore[no-untyped-def]
    found = np.full((pixels.shape[0], 3), np.nan)
    for k in range(pixels.shape[0]):
        x = (pixels[k, 0] - lens[1]) / lens[0]
        y = (pixels[k, 1] - lens[2]) / lens[0]
        u, v = _undistort(x, y, x, y, lens)
        d = rotation.T @ np.array([u, v, 1.0])
        gx, gy, z = _meet(d[0], d[1], d[2], centre, origin, surface, tops, highest)
        if gx >= 0.0:
            found[k, 0] = origin[0] + gx * origin[2]
            found[k, 1] = origin[1] + gy * origin[2]
            found[k, 2] = z
    return found


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc]
def _grain(tile, u, v):  # type: ignore[no-untyped-def]
    """Bilinear value of a periodic tile."""
    col, row = int(np.floor(u)), int(np.floor(v))
    a, b = u - col, v - row
    c0, c1, r0, r1 = col & _MASK, (col + 1) & _MASK, row & _MASK, (row + 1) & _MASK
    low = (1.0 - a) * tile[r0, c0] + a * tile[r0, c1]
    high = (1.0 - a) * tile[r1, c0] + a * tile[r1, c1]
    return low + b * (high - low)


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def _on_target(x, y, targets):  # type: ignore[no-untyped-def]
    """Brightness of a target at a place, negative beside it."""
    for k in range(targets.shape[0]):
        dx, dy = x - targets[k, 0], y - targets[k, 1]
        c, s = np.cos(targets[k, 2]), np.sin(targets[k, 2])
        u, v = c * dx + s * dy, c * dy - s * dx
        if abs(u) < 0.5 * TARGET_SIZE_M and abs(v) < 0.5 * TARGET_SIZE_M:
            return 0.85 if u * v > 0.0 else 0.03
    return -1.0


@numba.njit(cache=True, nogil=True, inline="always")  # type: ignore[misc]
def _shade(gx, gy, z, origin, surface, colour, material, tiles, texel, targets, out, row, px):  # type: ignore[no-untyped-def]
    """Add a quarter of the light of a place to a pixel."""
    col, line = int(gx), int(gy)
    a, b = gx - col, gy - line
    kind = material[int(gy + 0.5), int(gx + 0.5)]
    x, y = origin[0] + gx * origin[2], origin[1] + gy * origin[2]
    if kind == _TARGET:
        white = _on_target(x, y, targets)
        if white >= 0.0:
            for band in range(3):
                out[row, px, band] += 0.25 * white
            return
        kind = 0
    u, v = x, y
    if kind == _ROCK or kind == _CONCRETE:
        east = surface[line, col + 1] - surface[line, col]
        north = surface[line + 1, col] - surface[line, col]
        if max(abs(east), abs(north)) > 1.2 * origin[2]:
            u = x if abs(north) > abs(east) else y
            v = z
    u, v = u / texel, v / texel
    tile = tiles[kind]
    fine = _grain(tile, u, v)
    wide = _grain(tile, 0.173 * u + 0.228 * v, 0.173 * v - 0.228 * u)
    gain = 0.25 * fine / NEUTRAL * (0.6 + 0.4 * wide / NEUTRAL) * COLOUR_SCALE / (255.0 * 255.0)
    for band in range(3):
        low = (1.0 - a) * colour[line, col, band] + a * colour[line, col + 1, band]
        high = (1.0 - a) * colour[line + 1, col, band] + a * colour[line + 1, col + 1, band]
        value = low + b * (high - low)
        out[row, px, band] += gain * value * value


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def _corner_line(y_px, line, lens, rotation, centre, origin, surface, tops, highest):  # type: ignore[no-untyped-def]
    """Directions and meeting points of the pixel corners of one line: ``line`` is (n, 6)."""
    x, y = -(lens[1] + 0.5) / lens[0], (y_px - lens[2]) / lens[0]
    u, v = x, y
    step = 1.0 / lens[0]
    for k in range(line.shape[0]):
        u, v = _undistort(x, y, u + step, v, lens)
        for axis in range(3):
            line[k, axis] = rotation[0, axis] * u + rotation[1, axis] * v + rotation[2, axis]
        gx, gy, z = _meet(
            line[k, 0], line[k, 1], line[k, 2], centre, origin, surface, tops, highest
        )
        line[k, 3], line[k, 4], line[k, 5] = gx, gy, z
        x += step


@numba.njit(cache=True, nogil=True)  # type: ignore[misc]
def _render(  # type: ignore[no-untyped-def]
    out,
    lens,
    rotation,
    centre,
    origin,
    surface,
    tops,
    highest,
    colour,
    material,
    tiles,
    texel,
    targets,
):
    height, width = out.shape[0], out.shape[1]
    upper = np.empty((width + 1, 6))
    lower = np.empty((width + 1, 6))
    _corner_line(-0.5, upper, lens, rotation, centre, origin, surface, tops, highest)
    mean = np.empty(6)
    for row in range(height):
        _corner_line(row + 0.5, lower, lens, rotation, centre, origin, surface, tops, highest)
        for px in range(width):
            whole = min(upper[px, 3], upper[px + 1, 3], lower[px, 3], lower[px + 1, 3]) >= 0.0
            for sample in range(4):
                a = 0.25 + 0.5 * (sample & 1)
                b = 0.25 + 0.5 * (sample >> 1)
                for axis in range(6):
                    high = upper[px, axis] + a * (upper[px + 1, axis] - upper[px, axis])
                    low = lower[px, axis] + a * (lower[px + 1, axis] - lower[px, axis])
                    mean[axis] = high + b * (low - high)
                gx, gy, z = mean[3], mean[4], mean[5]
                if not whole or abs(_height(surface, gx, gy) - z) > 0.004:
                    gx, gy, z = _meet(
                        mean[0], mean[1], mean[2], centre, origin, surface, tops, highest
                    )
                    if gx < 0.0:
                        continue
                _shade(
                    gx,
                    gy,
                    z,
                    origin,
                    surface,
                    colour,
                    material,
                    tiles,
                    texel,
                    targets,
                    out,
                    row,
                    px,
                )
        upper, lower = lower, upper
    return out
