"""Rays, shading and truth on scenes with a closed form."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from reconstruction.camera import Camera, Shot
from reconstruction.synthetic.grid import Grid
from reconstruction.synthetic.lighting import cast_shadow
from reconstruction.synthetic.materials import INDEX
from reconstruction.synthetic.options import SIZES
from reconstruction.synthetic.plan import rotation, true_camera
from reconstruction.synthetic.quarry import Quarry, Target, quarry_frame
from reconstruction.synthetic.renderer import hit, prepare, render, visible

GRID = Grid(-30.0, -30.0, 0.05, 1201, 1201)


def plain_quarry(surface: np.ndarray, targets: tuple[Target, ...] = ()) -> Quarry:
    material = np.zeros(GRID.shape, dtype=np.uint8)
    for target in targets:
        rows, cols = GRID.window(target.point[0], target.point[1], 0.6)
        material[rows, cols] = INDEX["target"]
    colour = np.full((*GRID.shape, 3), 120, dtype=np.uint8)
    return Quarry(quarry_frame(), GRID, surface, surface, colour, material, (), targets)


def tilted_plane() -> np.ndarray:
    return (0.1 * GRID.x - 0.05 * GRID.y + 1.0).astype(np.float32)


CAMERA = Camera(
    "c", 900, 700, 620.0, 455.0, 340.0, k1=-0.11, k2=0.03, k3=-0.006, p1=0.001, p2=-0.0008
)
NADIR = Shot("n", "c", rotation(25.0, -88.0, 1.5), np.array([0.5, -0.3, 25.0]))
OBLIQUE = Shot("o", "c", rotation(-130.0, -65.0, -1.0), np.array([5.0, 5.0, 15.0]))


@pytest.mark.parametrize("shot", [NADIR, OBLIQUE])
def test_rays_meet_a_plane_where_they_project_from(shot: Shot) -> None:
    scene = prepare(plain_quarry(tilted_plane()), 0.02, 1)
    pixels = np.random.default_rng(1).uniform((0, 0), (899, 699), (500, 2))
    points = hit(scene, CAMERA, shot, pixels)
    assert np.isfinite(points).all()
    plane = 0.1 * points[:, 0] - 0.05 * points[:, 1] + 1.0
    np.testing.assert_allclose(points[:, 2], plane, atol=1e-4)
    np.testing.assert_allclose(CAMERA.project(shot.to_camera(points)), pixels, atol=1e-3)


def test_rays_meet_rough_ground_on_its_surface() -> None:
    surface = np.random.default_rng(2).normal(0.0, 0.4, GRID.shape).astype(np.float32)
    surface = cv2.GaussianBlur(surface, (0, 0), 3.0) * 6.0
    scene = prepare(plain_quarry(surface), 0.02, 1)
    pixels = np.random.default_rng(3).uniform((0, 0), (899, 699), (500, 2))
    points = hit(scene, CAMERA, NADIR, pixels)
    np.testing.assert_allclose(points[:, 2], GRID.sample(surface, points[:, :2]), atol=1e-4)
    # Nothing lies higher than the ray on its way: the ray was not let through.
    for t in np.linspace(0.02, 0.98, 60):
        way = points + t * (NADIR.centre - points)
        assert (way[:, 2] > GRID.sample(surface, way[:, :2]) - 1e-4).all()


def test_wall_hides_what_is_behind_it() -> None:
    surface = np.zeros(GRID.shape, dtype=np.float32)
    _, cols = GRID.window(4.0, 0.0, 0.15)
    surface[:, cols] = 3.0
    scene = prepare(plain_quarry(surface), 0.02, 1)
    shot = Shot("s", "c", rotation(0.0, -90.0, 0.0), np.array([-4.0, 0.0, 20.0]))
    # The shadow of the wall's far edge (x = 4.15) on the ground ends at x = 4.15 + 8.15 * 3 / 17.
    points = np.array([[4.5, 0.0, 0.0], [5.5, 1.0, 0.0], [5.7, 1.0, 0.0], [3.5, 0.0, 0.0]])
    np.testing.assert_array_equal(visible(scene, CAMERA, shot, points), [False, False, True, True])


@pytest.mark.parametrize("shot", [NADIR, OBLIQUE])
def test_targets_are_rendered_where_they_project(shot: Shot) -> None:
    places = [
        (0.0, 0.0),
        (7.5, 5.0),
        (-7.0, 5.0),
        (6.0, -5.5),
        (-6.0, -5.0),
        (0.0, 6.0),
        (1.0, -7.0),
    ]
    plane = tilted_plane()
    targets = tuple(
        Target(f"GCP{i}", np.array([x, y, 0.1 * x - 0.05 * y + 1.0]), 0.2 * i)
        for i, (x, y) in enumerate(places)
    )
    scene = prepare(plain_quarry(plane, targets), 0.02, 1)
    grey = cv2.GaussianBlur(render(scene, CAMERA, shot)[..., 1].copy(), (0, 0), 0.6)
    pixels = CAMERA.project(shot.to_camera(np.array([t.point for t in targets])))
    margin = 20.0
    inside = (pixels > margin).all(axis=1) & (pixels < (900 - margin, 700 - margin)).all(axis=1)
    assert inside.sum() >= 3
    found = cv2.cornerSubPix(
        grey,
        pixels[inside].astype(np.float32)[:, None] + 0.4,
        (4, 4),
        (-1, -1),
        (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 60, 1e-4),
    )[:, 0]
    assert np.linalg.norm(found - pixels[inside], axis=1).max() < 0.1


def test_shadow_of_a_wall_has_its_length() -> None:
    surface = np.zeros((400, 400), dtype=np.float32)
    surface[:, 200] = 2.0
    hidden = cast_shadow(surface, 0.05, np.deg2rad(90.0), 1.0)
    # The sun in the east at 45 degrees: 2 m of shadow to the west, none to the east.
    lengths = (hidden[:, :200] > 0.5).sum(axis=1) * 0.05
    np.testing.assert_allclose(lengths, 2.0, atol=0.1)
    assert hidden[:, 201:].max() == 0.0


@pytest.mark.parametrize("name", SIZES)
def test_lens_is_invertible_over_the_whole_image(name: str) -> None:
    camera = true_camera(SIZES[name])
    scene = prepare(plain_quarry(np.zeros(GRID.shape, dtype=np.float32)), 0.02, 1)
    shot = Shot("s", "demo", rotation(0.0, -90.0, 0.0), np.array([0.0, 0.0, 12.0]))
    corners = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    pixels = corners * (camera.width_px - 1, camera.height_px - 1)
    points = hit(scene, camera, shot, pixels)
    np.testing.assert_allclose(camera.project(shot.to_camera(points)), pixels, atol=1e-3)
