"""A small yard with a tall coloured box, photographed by ray casting: exact truth for textures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import open3d as o3d
import pytest

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.exposure import Exposures
from reconstruction.frame import LocalFrame
from reconstruction.rasters import Grid, float_cog

FRAME = LocalFrame(32632, 47.0, 9.02, 400.0)
CAMERA = Camera("drone", 720, 540, 600.0, 361.0, 268.0, k1=-0.04, k2=0.01, p1=3e-4)
CELL_M = 0.1
GSD_M = 0.05
# West, south, east, north, height of the box, and the colours (red, green, blue) of its sides.
BOX = (-4.0, -3.0, 3.0, 2.0, 5.0)
SIDES = {
    "east": (200, 60, 40),
    "north": (40, 170, 60),
    "west": (50, 70, 200),
    "south": (200, 180, 50),
}


@dataclass(frozen=True)
class Yard:
    block: Block
    photos: dict[str, Path]
    exposures: Exposures
    dsm: Path
    box: tuple[float, float, float, float, float] = BOX
    gsd_m: float = GSD_M
    cell_m: float = CELL_M

    @staticmethod
    def colour(points: np.ndarray) -> np.ndarray:
        """Red, green, blue of surface points (n, 3)."""
        return colour(points)


@pytest.fixture(scope="session")
def yard(tmp_path_factory):
    return build(tmp_path_factory.mktemp("yard"))


def height_m(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Elevation above the frame's origin: rolling ground, a pile, and the box."""
    ground = 0.02 * x + 0.15 * np.sin(x / 5.0) + np.maximum(0.0, 3.0 - 0.7 * np.hypot(x - 9, y - 6))
    west, south, east, north, top = BOX
    return np.where((x > west) & (x < east) & (y > south) & (y < north), top, ground)


def colour(points: np.ndarray) -> np.ndarray:
    """Colour of surface points (n, 3): smooth stripes on what faces up, plain sides."""
    x, y, z = points.T
    shade = 128.0 + 50.0 * np.sin(x / 1.5) * np.cos(y / 1.5)
    found = np.column_stack((shade, shade * 0.9, 255.0 - shade))
    west, south, east, north, top = BOX
    inside = (x > west - 0.02) & (x < east + 0.02) & (y > south - 0.02) & (y < north + 0.02)
    on_side = inside & (z < top - 0.01)
    distance = np.abs(np.column_stack((x - east, y - north, x - west, y - south)))
    found[on_side] = np.array(list(SIDES.values()))[distance.argmin(axis=1)][on_side]
    return found


def build(folder: Path) -> Yard:
    """Render the photos and write the DSM."""
    scene = _scene()
    block = _block()
    photos = {}
    for shot in block.shots:
        path = folder / shot.name
        cv2.imwrite(str(path), _photo(scene, shot)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 97])
        photos[shot.name] = path
    exposures = Exposures(
        {shot.name: (0.0, 0.0, 0.0) for shot in block.shots}, {CAMERA.name: (0.0, 0.0)}
    )
    return Yard(block, photos, exposures, _dsm(folder / "dsm.tif"))


def _scene() -> o3d.t.geometry.RaycastingScene:
    """The ground as a fine grid, the box as a box: its walls are vertical."""
    steps = np.arange(-24.0, 24.01, 0.1)
    x, y = np.meshgrid(steps, steps)
    ground = np.where(height_m(x, y) >= BOX[4], 0.0, height_m(x, y))
    index = np.arange(x.size).reshape(x.shape)
    a, b, c, d = (
        part.ravel() for part in (index[:-1, :-1], index[:-1, 1:], index[1:, :-1], index[1:, 1:])
    )
    faces = np.vstack((np.column_stack((a, b, c)), np.column_stack((b, d, c))))
    points = np.column_stack((x.ravel(), y.ravel(), ground.ravel()))
    west, south, east, north, top = BOX
    box = o3d.t.geometry.TriangleMesh.create_box(east - west, north - south, top + 2.0)
    box.translate(np.array([west, south, -2.0]))
    scene = o3d.t.geometry.RaycastingScene()
    scene.add_triangles(
        o3d.core.Tensor(points.astype(np.float32)), o3d.core.Tensor(faces.astype(np.uint32))
    )
    scene.add_triangles(box)
    return scene


def _block() -> Block:
    """Looking down from a grid of stations, and at the box from four sides."""
    shots = [
        _shot(f"down_{index}.jpg", np.array([x, y, 30.0]), np.array([x, y, 0.0]))
        for index, (x, y) in enumerate((x, y) for x in (-9.0, 0.0, 9.0) for y in (-9.0, 0.0, 9.0))
    ]
    shots += [
        _shot(f"side_{name}.jpg", np.array([x, y, 18.0]), np.array([0.0, 0.0, 2.0]))
        for name, x, y in (("e", 24, 1), ("n", 1, 24), ("w", -24, 1), ("s", 1, -24))
    ]
    none = np.zeros(0, np.int32)
    ties = TiePoints(np.zeros((0, 3)), none, none, np.zeros((0, 2)))
    return Block(FRAME, {CAMERA.name: CAMERA}, tuple(shots), ties)


def _shot(name: str, centre: np.ndarray, target: np.ndarray) -> Shot:
    forward = (target - centre) / np.linalg.norm(target - centre)
    right = np.cross(forward, [0.0, 1.0, 0.0] if abs(forward[2]) > 0.99 else [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    return Shot(name, CAMERA.name, np.stack((right, np.cross(forward, right), forward)), centre)


def _photo(scene: o3d.t.geometry.RaycastingScene, shot: Shot) -> np.ndarray:
    x, y = np.meshgrid(np.arange(CAMERA.width_px), np.arange(CAMERA.height_px))
    pixels = np.column_stack((x.ravel(), y.ravel())).astype(np.float64)
    plane = (pixels - [CAMERA.cx_px, CAMERA.cy_px]) / CAMERA.focal_px
    # Newton without derivatives: the lens distorts little.
    for _ in range(12):
        seen = CAMERA.project(np.column_stack((plane, np.ones(len(plane)))))
        plane = plane + (pixels - seen) / CAMERA.focal_px
    rays = np.column_stack((plane, np.ones(len(plane)))) @ shot.rotation
    both = np.hstack((np.broadcast_to(shot.centre, rays.shape), rays)).astype(np.float32)
    distance = scene.cast_rays(o3d.core.Tensor(both), nthreads=2)["t_hit"].numpy()
    hit = np.isfinite(distance)
    image = np.zeros((len(rays), 3))
    image[hit] = colour(shot.centre + rays[hit] * distance[hit, None])
    return np.clip(np.rint(image), 0, 255).astype(np.uint8).reshape(*x.shape, 3)


def _dsm(path: Path) -> Path:
    """The true surface at cell centres, with a small hole and a large one."""
    west, south, _ = FRAME.map_origin - 16.0
    grid = Grid.covering(FRAME.epsg, (west, south, west + 32.0, south + 32.0), CELL_M)
    easting = grid.west + (np.arange(grid.cols) + 0.5) * CELL_M
    northing = grid.north - (np.arange(grid.rows) + 0.5) * CELL_M
    mesh = np.meshgrid(easting, northing)
    plan = np.column_stack([axis.ravel() for axis in mesh] + [np.full(mesh[0].size, 400.0)])
    x, y, _ = FRAME.from_map(plan).T
    elevation = (400.0 + height_m(x, y)).reshape(mesh[0].shape)
    elevation[20:26, 40:48] = np.nan
    elevation[240:300, 20:90] = np.nan
    with float_cog(path, grid, ["elevation_m"]) as raster:
        raster.write(0, 0, elevation)
    return path
