"""Matrices and lenses against the frame and the camera model that they stand for."""

import cv2
import numpy as np
import pytest

from reconstruction.camera import Camera, Shot
from reconstruction.frame import LocalFrame
from reconstruction.projection import Window, lens, local_affine, view_matrix
from reconstruction.rasters import Grid

FRAME = LocalFrame(32632, 47.5, 9.3, 400.0)


def test_a_folding_lens_shows_no_point_twice():
    folding = Camera("c", 800, 600, 720.0, 399.5, 299.5, k1=-0.3)
    limit = np.sqrt(lens(folding)[8])
    inside = folding.project(np.array([[limit, 0.0, 1.0]]))[0, 0]
    assert limit < np.sqrt(1 / 0.9)
    assert inside > np.hypot(400, 300) + 399.5


@pytest.mark.parametrize("elevation_m", [380.0, 430.0])
def test_the_affine_of_a_window_agrees_with_the_frame(elevation_m):
    grid = Grid.covering(32632, (*(FRAME.map_origin[:2] + 300), *(FRAME.map_origin[:2] + 400)), 0.1)
    window = Window(100, 200, 512, 512)
    affine = local_affine(FRAME, grid, window, 400.0)
    cells = np.random.default_rng(2).uniform(0, 511, (100, 2))
    terms = np.column_stack((cells, np.full(100, elevation_m), np.ones(100)))
    place = np.column_stack(
        (
            grid.west + (window.col + cells[:, 0] + 0.5) * 0.1,
            grid.north - (window.row + cells[:, 1] + 0.5) * 0.1,
            np.full(100, elevation_m),
        )
    )
    np.testing.assert_allclose(terms @ affine.T, FRAME.from_map(place), atol=5e-4)


def test_the_matrix_of_a_shot_is_its_rotation_and_centre():
    rotation = cv2.Rodrigues(np.array([2.9, 0.1, -0.2]))[0]
    shot = Shot("a.jpg", "c", rotation, np.array([3.0, -2.0, 40.0]))
    points = np.random.default_rng(3).normal(size=(5, 3))
    matrix = view_matrix(shot)
    np.testing.assert_allclose(
        np.column_stack((points, np.ones(5))) @ matrix.T, shot.to_camera(points)
    )
