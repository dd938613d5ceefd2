"""Rectification: points, rows and pictures, against the cameras themselves."""

import cv2
import numpy as np
import pytest
from scipy import ndimage

from reconstruction.camera import Camera, Shot
from reconstruction.rectify import View, rectify
from reconstruction.spline import coefficients_2d

CAMERA = Camera("c", 640, 480, 560.0, 325.0, 234.0, -0.05, 0.03, 0.0, 0.0008, -0.0006)
DOWN = np.diag([1.0, -1.0, -1.0])


def shot(name: str, centre: list[float], turn: tuple[float, float, float]) -> Shot:
    rotation = cv2.Rodrigues(np.array([turn[0], turn[1], 0.0]))[0]
    rotation = rotation @ cv2.Rodrigues(np.array([0.0, 0.0, turn[2]]))[0] @ DOWN
    return Shot(name, "c", rotation, np.array(centre))


@pytest.fixture
def ground() -> np.ndarray:
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (400, 3))
    return points * [12.0, 12.0, 1.5] + [4.0, 2.0, 0.0]


CASES = {
    "level": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), [8.0, 0.0, 30.0]),
    "tilted": ((0.08, -0.05, 0.2), (-0.06, 0.04, -0.1), [8.0, 2.0, 31.0]),
    "opposite lines": ((0.05, 0.02, 0.1), (0.03, -0.02, 3.2), [1.0, 9.0, 29.5]),
    "backwards": ((0.0, 0.02, 1.6), (0.03, -0.02, 1.5), [-7.0, -5.0, 30.5]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_common_rows_and_closed_triangulation(case, ground):
    first, second, centre = case
    left, right = (
        View(shot("a", [0, 0, 30], first), CAMERA),
        View(shot("b", centre, second), CAMERA),
    )
    pair = rectify(left, right, ground)
    assert pair is not None
    col, row, disparity = pair.project(ground).T
    np.testing.assert_allclose(pair.points(col, row, disparity), ground, atol=1e-9)
    assert disparity.min() >= 0.0
    assert disparity.max() <= pair.disparity_count
    # In the right picture the point lies on the same row, disparity columns to the left.
    local = right.shot.to_camera(ground) @ right.shot.rotation @ pair.rotation.T
    x = pair.focal_px * local[:, 0] / local[:, 2] - (pair.x0_px - pair.disparity0_px)
    y = pair.focal_px * local[:, 1] / local[:, 2] - pair.y0_px
    np.testing.assert_allclose(y, row, atol=1e-9)
    np.testing.assert_allclose(col - x, disparity, atol=1e-9)


@pytest.mark.parametrize("is_right", [False, True])
def test_resampling_shows_each_point_where_it_projects(is_right, ground):
    views = (
        View(shot("a", [0, 0, 30], (0.08, -0.05, 0.2)), CAMERA),
        View(shot("b", [7.0, 3.0, 30.5], (0.03, -0.02, 3.2)), CAMERA),
    )
    pair = rectify(*views, ground)
    view = views[is_right]
    x, y = np.meshgrid(np.arange(CAMERA.width_px), np.arange(CAMERA.height_px))
    image = (120.0 + 50.0 * np.sin(x / 9.0) + 40.0 * np.cos(y / 7.0)).astype(np.float32)
    picture = pair.resample(coefficients_2d(image), view, is_right)
    col, row, disparity = pair.project(ground).T
    seen = view.camera.project(view.shot.to_camera(ground))
    expected = 120.0 + 50.0 * np.sin(seen[:, 0] / 9.0) + 40.0 * np.cos(seen[:, 1] / 7.0)
    margins = np.array([CAMERA.width_px - 9.0, CAMERA.height_px - 9.0])
    col = col - disparity if is_right else col
    inside = ((seen > 8.0) & (seen < margins)).all(axis=1)
    inside &= (col > 1) & (col < pair.width_px - 3) & (row > 1) & (row < pair.height_px - 3)
    assert inside.sum() > 50
    filled = np.where(np.isnan(picture), 120.0, picture)
    found = ndimage.map_coordinates(filled, [row[inside], col[inside]], order=3, mode="mirror")
    np.testing.assert_allclose(found, expected[inside], atol=0.1)


def test_empty_where_the_photo_shows_nothing(ground):
    left = View(shot("a", [0, 0, 30], (0.0, 0.0, 0.4)), CAMERA)
    right = View(shot("b", [7.0, 3.0, 30.5], (0.0, 0.0, 0.4)), CAMERA)
    pair = rectify(left, right, ground)
    image = np.full((CAMERA.height_px, CAMERA.width_px), 100.0, dtype=np.float32)
    picture = pair.resample(coefficients_2d(image), left, is_right=False)
    assert np.isnan(picture).any()
    np.testing.assert_allclose(picture[~np.isnan(picture)], 100.0, atol=1e-3)


REFUSED = {
    "same place": ([0.0, 0.0, 30.0], (0.0, 0.0, 0.0)),
    "straight ahead": ([0.5, 0.0, 22.0], (0.0, 0.0, 0.0)),
    "looks elsewhere": ([8.0, 0.0, 30.0], (1.3, 0.0, 0.0)),
    "no overlap": ([80.0, 0.0, 30.0], (0.0, 0.0, 0.0)),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_refuses_useless_pairs(case, ground):
    centre, turn = case
    left = View(shot("a", [0, 0, 30], (0.0, 0.0, 0.0)), CAMERA)
    assert rectify(left, View(shot("b", centre, turn), CAMERA), ground) is None


def test_refuses_without_ground():
    left = View(shot("a", [0, 0, 30], (0.0, 0.0, 0.0)), CAMERA)
    right = View(shot("b", [8, 0, 30], (0.0, 0.0, 0.0)), CAMERA)
    assert rectify(left, right, np.zeros((0, 3))) is None
