"""Visibility against a scene whose shadows can be drawn by hand: a wall on a plane."""

import numpy as np
import pytest

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.rasters import Grid
from reconstruction.surface import Surface
from reconstruction.visibility import Visibility

FRAME = LocalFrame(32632, 47.5, 9.3, 400.0)
DOWN = np.diag([1.0, -1.0, -1.0])
CAMERA = Camera("c", 800, 600, 700.0, 405.0, 295.0, k1=-0.08, k2=0.03, p1=5e-4, p2=-4e-4)
NO_TIES = TiePoints(
    np.zeros((0, 3)), np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros((0, 2))
)
WALL_M = 6.0


def wall_scene(scale=0.5):
    """A wall, 6 m high and 4 m thick (x from 8 to 12), seen from 40 m above the origin."""
    half, size = 30.0, 0.1
    east, north = FRAME.map_origin[:2]
    grid = Grid.covering(32632, (east - half, north - half, east + half, north + half), size)
    easting = grid.west + (np.arange(grid.cols) + 0.5) * size
    x = np.tile(easting - east, (grid.rows, 1))
    elevations = np.where((x > 8.0) & (x < 12.0), 400.0 + WALL_M, 400.0).astype(np.float32)
    shot = Shot("a.jpg", "c", DOWN, np.array([0.0, 0.0, 40.0]))
    block = Block(FRAME, {"c": CAMERA}, (shot,), NO_TIES)
    return Visibility(block, Surface(grid, elevations), scale)


def test_the_ground_behind_a_wall_is_hidden_and_the_wall_is_seen():
    scene = wall_scene()
    depths = scene.buffer(0)
    shadow_end = 12.0 * 40.0 / (40.0 - WALL_M)
    x = np.arange(-15.0, 17.0, 0.05)
    at_ground = (x < 8.0) | (x > 12.0)
    z = np.where(at_ground, 0.0, WALL_M)
    pixels = scene.pixels(0, depths, np.column_stack((x, np.zeros_like(x), z)))
    seen = np.isfinite(pixels[:, 0])
    shadow = at_ground & (x > 12.0) & (x < shadow_end)
    near_edge = np.abs(x - shadow_end) < 0.25
    near_edge |= np.abs(x - 12.0) < 0.25
    assert not seen[shadow & ~near_edge].any()
    assert seen[~shadow & ~near_edge].all()
    steep = np.column_stack((np.full(50, 7.9), np.zeros(50), np.linspace(0.0, WALL_M, 50)))
    assert np.isfinite(scene.pixels(0, depths, steep)).all()


def test_the_depth_of_level_ground_is_the_height_of_the_camera():
    scene = wall_scene()
    depths = scene.buffer(0)
    assert depths.shape == (300, 400)
    np.testing.assert_allclose(depths[:, :250], 40.0, atol=0.02)
    wall = scene.pixels(0, depths, np.array([[10.0, 0.0, WALL_M]]))[0]
    assert depths[round(wall[1] / 2), round(wall[0] / 2)] == pytest.approx(34.0, abs=0.02)


def test_pixels_are_those_of_the_camera():
    scene = wall_scene()
    points = np.random.default_rng(1).uniform([-15, -12, 0], [7, 12, 0], (200, 3))
    pixels = scene.pixels(0, scene.buffer(0), points)
    expected = CAMERA.project(scene.block.shots[0].to_camera(points))
    np.testing.assert_allclose(pixels, expected, atol=1e-9)


def test_a_point_outside_the_photo_is_not_seen():
    scene = wall_scene()
    points = np.array([[25.0, 0.0, 0.0], [0.0, 0.0, 41.0], [0.0, 200.0, 0.0]])
    assert np.isnan(scene.pixels(0, scene.buffer(0), points)).all()


def test_footprint_holds_the_image_on_the_lowest_ground():
    scene = wall_scene()
    west, south, east, north = scene.footprints[0] - np.tile(FRAME.map_origin[:2], 2)
    assert (west, east) == pytest.approx((-40 * 405 / 700, 40 * 395 / 700), rel=0.06)
    assert (south, north) == pytest.approx((-40 * 305 / 700, 40 * 295 / 700), rel=0.06)
