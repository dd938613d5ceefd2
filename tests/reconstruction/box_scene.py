"""A scene that can be ray traced in a few lines: a patterned plane with one box on it.

Local coordinates; the ground is z = 0, the box has a red lid and blue sides. Photos are taken with
a distorting lens, from any place, with a planted gain.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.rasters import Grid, float_cog

FRAME = LocalFrame(32632, 47.5, 9.3, 400.0)
CAMERA = Camera("c", 640, 480, 560.0, 323.0, 236.0, k1=-0.05, k2=0.02, p1=4e-4, p2=-3e-4)
DOWN = np.diag([1.0, -1.0, -1.0])
LOW, HIGH = np.array([-2.0, -4.0, 0.0]), np.array([2.0, 4.0, 5.0])
LID, SIDE = np.array([200.0, 40.0, 40.0]), np.array([40.0, 40.0, 220.0])
HEIGHT_M = 40.0
GSD_M = HEIGHT_M / CAMERA.focal_px


def ground_colour(points):
    """Smooth patterns of 2 to 6 m wavelength, different in each channel, shape (n, 3)."""
    x, y = points[:, 0], points[:, 1]
    waves = (
        np.sin(x * 1.3 + 0.7) * np.cos(y * 1.1),
        np.sin(x * 1.7 + y * 0.6),
        np.cos(y * 1.9 - x * 0.5),
    )
    return 110.0 + 40.0 * np.column_stack(waves)


def trace(origin, rays):
    """Colour where each ray (n, 3) from ``origin`` first meets the scene, shape (n, 3)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        near, far = (LOW - origin) / rays, (HIGH - origin) / rays
    enter = np.fmin(near, far)
    first, last = enter.max(axis=1), np.fmax(near, far).min(axis=1)
    ground = -origin[2] / rays[:, 2]
    colours = ground_colour(origin + ground[:, None] * rays)
    hit = first < np.minimum(last, ground)
    colours[hit] = np.where((enter.argmax(axis=1) == 2)[hit, None], LID, SIDE)
    return colours


@dataclass(frozen=True)
class Scene:
    """Files and truth of a photographed box."""

    block: Block
    photos: dict
    gains: np.ndarray


def photograph(folder, centres, gains=None, moved=None):
    """Render photos from ``centres``; ``moved`` = (shot, x, y) plants a green thing in one."""
    gains = np.zeros((len(centres), 3)) if gains is None else gains
    y, x = np.mgrid[0 : CAMERA.height_px, 0 : CAMERA.width_px]
    pixels = np.column_stack((x.ravel(), y.ravel())).astype(np.float64)
    plane = _undistorted(pixels)
    rays = np.column_stack((plane, np.ones(len(plane)))) @ DOWN
    photos, shots = {}, []
    for index, centre in enumerate(np.asarray(centres, dtype=np.float64)):
        name = f"{index}.png"
        colours = trace(centre, rays)
        if moved is not None and moved[0] == index:
            place = centre + rays * (-centre[2] / rays[:, 2])[:, None]
            there = np.hypot(place[:, 0] - moved[1], place[:, 1] - moved[2]) < 1.2
            colours[there] = [20.0, 240.0, 20.0]
        image = np.clip(np.rint(colours * np.exp(gains[index])), 0, 255).astype(np.uint8)
        image = image.reshape(CAMERA.height_px, CAMERA.width_px, 3)
        photos[name] = folder / name
        cv2.imwrite(str(photos[name]), image[..., ::-1])
        shots.append(Shot(name, "c", DOWN, centre))
    block = Block(FRAME, {"c": CAMERA}, tuple(shots), _ties(shots))
    return Scene(block, photos, gains)


def _undistorted(pixels):
    """Tangents of the rays of pixels, by fixed-point iteration on `Camera.project`."""
    centre = np.array([CAMERA.cx_px, CAMERA.cy_px])
    wanted = (pixels - centre) / CAMERA.focal_px
    plane = wanted.copy()
    for _ in range(25):
        seen = CAMERA.project(np.column_stack((plane, np.ones(len(plane)))))
        plane += wanted - (seen - centre) / CAMERA.focal_px
    return plane


def _ties(shots):
    """Points of the open ground with their true pixels."""
    points = np.random.default_rng(4).uniform([-25, -20, 0], [25, 20, 0], (1500, 3))
    near_box = (np.abs(points[:, 0]) < 6) & (np.abs(points[:, 1]) < 7)
    points = points[~near_box]
    shot_index, point_index, pixels = [], [], []
    for index, shot in enumerate(shots):
        found = CAMERA.project(shot.to_camera(points))
        inside = (found > 8).all(axis=1) & (
            found < [CAMERA.width_px - 9, CAMERA.height_px - 9]
        ).all(axis=1)
        shot_index.append(np.full(inside.sum(), index, np.int32))
        point_index.append(np.flatnonzero(inside).astype(np.int32))
        pixels.append(found[inside])
    return TiePoints(
        points, np.concatenate(shot_index), np.concatenate(point_index), np.concatenate(pixels)
    )


def places(grid):
    """Local coordinates of the cell centres of a grid at ground level, shape (rows, cols, 3)."""
    col, row = np.meshgrid(np.arange(grid.cols) + 0.5, np.arange(grid.rows) + 0.5)
    easting, northing = grid.west + col * grid.cell_size_m, grid.north - row * grid.cell_size_m
    cells = np.stack((easting, northing, np.full_like(easting, FRAME.elevation_m)), axis=-1)
    return FRAME.from_map(cells.reshape(-1, 3)).reshape(grid.rows, grid.cols, 3)


def write_dsm(path, half_m=16.0, cell_size_m=0.1, holes=()):
    """The true surface around the box; ``holes`` are (x0, y0, x1, y1) without data."""
    east, north = FRAME.map_origin[:2]
    grid = Grid.covering(
        FRAME.epsg, (east - half_m, north - half_m, east + half_m, north + half_m), cell_size_m
    )
    place = places(grid)
    x, y = place[..., 0], place[..., 1]
    # Elevations follow the Earth's curvature: millimetres here, but the truth.
    level = place.copy()
    level[..., 2] = 0.0
    elevation = FRAME.to_map(level.reshape(-1, 3))[:, 2].reshape(x.shape)
    on_box = (x > LOW[0]) & (x < HIGH[0]) & (y > LOW[1]) & (y < HIGH[1])
    elevation = np.where(on_box, elevation + HIGH[2], elevation)
    for x0, y0, x1, y1 in holes:
        elevation[(x > x0) & (x < x1) & (y > y0) & (y < y1)] = np.nan
    with float_cog(path, grid, ["elevation_m"]) as raster:
        raster.write(0, 0, elevation)
    return path
