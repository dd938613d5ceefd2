"""Photos of surfaces in closed form, from cameras that are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame

Surface = Callable[[np.ndarray, np.ndarray], np.ndarray]

FRAME = LocalFrame(32615, 46.8, -92.1, 250.0)
CAMERA = Camera("c", 640, 480, 560.0, 325.0, 234.0, -0.05, 0.03, 0.0, 0.0008, -0.0006)
HEIGHT_M = 30.0
GSD_M = HEIGHT_M / CAMERA.focal_px
_TEXEL_M = GSD_M / 2.0
_HALF_EXTENT_M = 60.0
_TOP_M = 5.0


def texture(seed: int = 0) -> np.ndarray:
    """Grey texture of the ground with detail of several sizes, one pixel a `_TEXEL_M`."""
    rng = np.random.default_rng(seed)
    size = int(2 * _HALF_EXTENT_M / _TEXEL_M)
    total = np.zeros((size, size), dtype=np.float32)
    for sigma in (2.0, 4.0, 10.0):
        layer = rng.normal(size=(size, size)).astype(np.float32)
        layer = cv2.GaussianBlur(layer, (0, 0), sigma)
        total += layer / layer.std()
    return total / total.std() * 24.0 + 110.0


def shots(columns: int, rows: int, seed: int = 0, tilt: float = 0.05) -> list[Shot]:
    """A mapping flight: every other line is flown backwards, every shot a little tilted."""
    rng = np.random.default_rng(seed)
    flight = []
    for row in range(rows):
        for column in range(columns):
            about_x, about_y = rng.normal(0.0, tilt, 2)
            yaw = rng.normal(0.0, 0.1) + (np.pi if row % 2 else 0.0)
            turn = cv2.Rodrigues(np.array([about_x, about_y, 0.0]))[0]
            turn = turn @ cv2.Rodrigues(np.array([0.0, 0.0, yaw]))[0]
            centre = [
                (column - (columns - 1) / 2.0) * 0.25 * HEIGHT_M,
                (row - (rows - 1) / 2.0) * 0.3 * HEIGHT_M,
                HEIGHT_M,
            ]
            flight.append(
                Shot(
                    f"{row}-{column}.png",
                    "c",
                    turn @ np.diag([1.0, -1.0, -1.0]),
                    np.array(centre) + rng.normal(0.0, 0.2, 3),
                )
            )
    return flight


def _first_hits(centre: np.ndarray, rays: np.ndarray, surface: Surface) -> np.ndarray:
    """Where rays first go below the surface: coarse steps downwards, then bisection."""
    down = rays / -rays[:, 2:]
    above = centre[2] - np.full(len(rays), _TOP_M)
    below = centre[2] + np.full(len(rays), _TOP_M)
    open_ended = np.ones(len(rays), dtype=bool)
    for height in np.arange(_TOP_M, -_TOP_M, -0.25):
        points = centre + down * (centre[2] - height)
        hit = open_ended & (height <= surface(points[:, 0], points[:, 1]))
        below[hit] = centre[2] - height
        open_ended &= ~hit
        above[open_ended] = centre[2] - height
    for _ in range(14):
        middle = 0.5 * (above + below)
        points = centre + down * middle[:, None]
        hit = points[:, 2] <= surface(points[:, 0], points[:, 1])
        below = np.where(hit, middle, below)
        above = np.where(hit, above, middle)
    return centre + down * below[:, None]


def photo(shot: Shot, surface: Surface, ground: np.ndarray, noise: float = 1.5) -> np.ndarray:
    """What a shot sees."""
    x, y = np.meshgrid(np.arange(CAMERA.width_px), np.arange(CAMERA.height_px))
    pixels = np.column_stack((x.ravel(), y.ravel())).astype(np.float64)
    ideal = cv2.undistortPoints(
        pixels[:, None], CAMERA.matrix, CAMERA.distortion, None, None, None, (3, 50, 1e-12)
    )[:, 0]
    rays = np.column_stack((ideal, np.ones(len(ideal)))) @ shot.rotation
    points = _first_hits(shot.centre, rays, surface)
    at_x = ((points[:, 0] + _HALF_EXTENT_M) / _TEXEL_M).reshape(x.shape).astype(np.float32)
    at_y = ((_HALF_EXTENT_M - points[:, 1]) / _TEXEL_M).reshape(x.shape).astype(np.float32)
    picture = cv2.remap(ground, at_x, at_y, cv2.INTER_CUBIC)
    rng = np.random.default_rng(len(shot.name) + int(shot.centre[0] * 1000) % 1000)
    picture = np.clip(picture + rng.normal(0.0, noise, picture.shape), 0.0, 255.0)
    return np.repeat(picture.astype(np.uint8)[..., None], 3, axis=2)


def block_of(flight: list[Shot], surface: Surface) -> Block:
    """The block of a flight, with tie points spread over the surface."""
    points = np.random.default_rng(1).uniform(-30.0, 30.0, (1500, 3))
    points[:, 2] = surface(points[:, 0], points[:, 1])
    shot_index, point_index, pixels = [], [], []
    for index, shot in enumerate(flight):
        seen = CAMERA.project(shot.to_camera(points))
        inside = ((seen > 0.0) & (seen < [CAMERA.width_px, CAMERA.height_px])).all(axis=1)
        shot_index.append(np.full(inside.sum(), index))
        point_index.append(np.flatnonzero(inside))
        pixels.append(seen[inside])
    ties = TiePoints(
        points,
        np.concatenate(shot_index).astype(np.int32),
        np.concatenate(point_index).astype(np.int32),
        np.concatenate(pixels),
    )
    return Block(FRAME, {"c": CAMERA}, tuple(flight), ties)


def fly(
    folder: Path, surface: Surface, ground: np.ndarray, columns: int = 3, rows: int = 2
) -> tuple[Block, dict[str, Path]]:
    """Photograph a surface; the block and the photo files."""
    flight = shots(columns, rows)
    paths = {}
    for shot in flight:
        paths[shot.name] = folder / shot.name
        cv2.imwrite(str(paths[shot.name]), photo(shot, surface, ground))
    return block_of(flight, surface), paths
