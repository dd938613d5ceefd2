"""The renderer: rays from a camera onto the terrain, exact to a fraction of a millimetre.

The rays of the pixel corners are cast through a pyramid of block maxima. Between them the place
that a ray meets is interpolated, and cast anew where that place is not on the surface: at the
edges of what is visible. So four samples a pixel cost little more than one ray.

Numba's cache looks at the file of the outermost function only: touch this one after a change in
`rays`, `shading` or the constants they use.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot
from reconstruction.synthetic.grid import Array, Raster
from reconstruction.synthetic.materials import grain_tiles
from reconstruction.synthetic.quarry import Quarry
from reconstruction.synthetic.rays import beam, height_at, meet, undistort
from reconstruction.synthetic.shading import shade_pixel

_LEVELS = (4, 16, 64)
# Rays start together in bundles of 32 x 32 pixels.
_BUNDLE = 5
# Samples between the corners of a pixel may be this far off the surface.
_OFF_M = 0.004


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
    look = (
        scene.origin,
        scene.surface,
        scene.colour,
        scene.material,
        scene.tiles,
        scene.texel_m,
    )
    return np.asarray(
        _render(
            np.zeros((camera.height_px, camera.width_px, 3), dtype=np.float32),
            camera.intrinsics,
            np.ascontiguousarray(shot.rotation),
            shot.centre,
            scene.highest_m,
            scene.tops,
            look,
            scene.targets,
        )
    )


def hit(scene: Scene, camera: Camera, shot: Shot, pixels: Array) -> Array:
    """Where the rays of pixels (n, 2) meet the surface, (n, 3); NaN where they do not."""
    return np.asarray(
        _hit(
            np.asarray(pixels, dtype=np.float64),
            camera.intrinsics,
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


@numba.njit(cache=True, nogil=True)
def _hit(pixels, lens, rotation, centre, origin, surface, tops, highest):  # type: ignore[no-untyped-def]
    found = np.full((pixels.shape[0], 3), np.nan)
    for k in range(pixels.shape[0]):
        x = (pixels[k, 0] - lens[1]) / lens[0]
        y = (pixels[k, 1] - lens[2]) / lens[0]
        u, v = undistort(x, y, x, y, lens)
        d = rotation.T @ np.array([u, v, 1.0])
        gx, gy, z = meet(d[0], d[1], d[2], centre, origin, surface, tops, highest)
        if gx >= 0.0:
            found[k, 0] = origin[0] + gx * origin[2]
            found[k, 1] = origin[1] + gy * origin[2]
            found[k, 2] = z
    return found


@numba.njit(cache=True, nogil=True)
def _corner_line(y_px, line, lens, rotation, centre, origin, surface, tops, starts):  # type: ignore[no-untyped-def]
    """Directions and meeting points of the pixel corners of one line: ``line`` is (n, 6)."""
    x, y = -(lens[1] + 0.5) / lens[0], (y_px - lens[2]) / lens[0]
    u, v = x, y
    step = 1.0 / lens[0]
    for k in range(line.shape[0]):
        u, v = undistort(x, y, u + step, v, lens)
        for axis in range(3):
            line[k, axis] = rotation[0, axis] * u + rotation[1, axis] * v + rotation[2, axis]
        gx, gy, z = meet(
            line[k, 0], line[k, 1], line[k, 2], centre, origin, surface, tops, starts[k >> _BUNDLE]
        )
        line[k, 3], line[k, 4], line[k, 5] = gx, gy, z
        x += step


@numba.njit(cache=True, nogil=True)
def _render(out, lens, rotation, centre, highest, tops, look, targets):  # type: ignore[no-untyped-def]
    height, width = out.shape[0], out.shape[1]
    origin, surface = look[0], look[1]
    upper = np.empty((width + 1, 6))
    lower = np.empty((width + 1, 6))
    starts = np.full((width >> _BUNDLE) + 1, highest)
    _corner_line(-0.5, upper, lens, rotation, centre, origin, surface, tops, starts)
    places = np.empty((4, 3))
    corners = np.empty(4)
    size = 1 << _BUNDLE
    for row in range(height):
        if row % size == 0:
            corners[1], corners[3] = row - 1.0, row + size
            for bundle in range(starts.shape[0]):
                corners[0], corners[2] = bundle * size - 1.0, (bundle + 1) * size
                starts[bundle] = beam(corners, lens, rotation, centre, origin, tops, highest)
        _corner_line(row + 0.5, lower, lens, rotation, centre, origin, surface, tops, starts)
        for px in range(width):
            start = starts[px >> _BUNDLE]
            smooth = _sample(
                upper[px],
                upper[px + 1],
                lower[px],
                lower[px + 1],
                start,
                centre,
                origin,
                surface,
                tops,
                places,
            )
            shade_pixel(places, smooth, look, targets, out[row, px])
        upper, lower = lower, upper
    return out


@numba.njit(cache=True, nogil=True, inline="always")
def _sample(nw, ne, sw, se, start, centre, origin, surface, tops, places):  # type: ignore[no-untyped-def]
    """Four places within a pixel, between its corners; False where one had to be cast anew."""
    smooth = min(nw[3], ne[3], sw[3], se[3]) >= 0.0
    whole = smooth
    for k in range(4):
        # A turned square: edges along rows and columns still get five levels of grey.
        a, b = 0.375 + 0.5 * (k & 1) - 0.25 * (k >> 1), 0.125 + 0.25 * (k & 1) + 0.5 * (k >> 1)
        w00, w10, w01, w11 = (1.0 - a) * (1.0 - b), a * (1.0 - b), (1.0 - a) * b, a * b
        for axis in range(3):
            i = axis + 3
            places[k, axis] = w00 * nw[i] + w10 * ne[i] + w01 * sw[i] + w11 * se[i]
        if whole and abs(height_at(surface, places[k, 0], places[k, 1]) - places[k, 2]) < _OFF_M:
            continue
        smooth = False
        dx = w00 * nw[0] + w10 * ne[0] + w01 * sw[0] + w11 * se[0]
        dy = w00 * nw[1] + w10 * ne[1] + w01 * sw[1] + w11 * se[1]
        dz = w00 * nw[2] + w10 * ne[2] + w01 * sw[2] + w11 * se[2]
        gx, gy, z = meet(dx, dy, dz, centre, origin, surface, tops, start)
        places[k, 0], places[k, 1], places[k, 2] = gx, gy, z
    return smooth
