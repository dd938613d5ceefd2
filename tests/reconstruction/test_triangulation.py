from pathlib import Path

import numpy as np
import pytest

from reconstruction.camera import Camera
from reconstruction.triangulation import triangulate, undistort, views

from . import planted


@pytest.fixture(scope="module")
def truth(tmp_path_factory) -> planted.Planted:
    folder: Path = tmp_path_factory.mktemp("planted")
    return planted.flight(folder)


def _seen(truth, count):
    """Points that the photos of the tests all see."""
    pixels = [truth.camera.project(truth.shots[s].to_camera(truth.points)) for s in (0, 1, 2, 4, 5)]
    inside = [((xy > 0) & (xy < [1199, 899])).all(axis=1) for xy in pixels]
    points = truth.points[np.all(inside, axis=0)]
    assert len(points) >= count
    return points[:count]


def _tracks(truth, shots, points, spoil=None):
    """Exact observations of points by some shots; ``spoil`` moves one ray of every track."""
    pixels = np.stack([truth.camera.project(truth.shots[s].to_camera(points)) for s in shots], 1)
    if spoil is not None:
        pixels[:, spoil] += [40.0, -30.0]
    rays = undistort(truth.camera, pixels.reshape(-1, 2))
    shot = np.tile(np.array(shots, np.int32), len(points))
    return np.arange(len(points) + 1) * len(shots), shot, rays


def _solve(truth, starts, shot, rays, max_error_px=2.0, angle_deg=1.0, least=2):
    poses = views({"c": truth.camera}, truth.shots)
    return triangulate(starts, shot, rays, *poses, max_error_px, np.radians(angle_deg), least)


def test_undistort_is_the_inverse_of_project():
    camera = Camera("c", 4000, 3000, 2900.0, 2010.0, 1490.0, -0.12, 0.09, -0.02, 0.001, -0.0007)
    pixels = np.stack(np.meshgrid(np.linspace(0, 3999, 15), np.linspace(0, 2999, 12)), -1)
    rays = undistort(camera, pixels.reshape(-1, 2))
    again = camera.project(np.column_stack((rays, np.ones(len(rays)))))
    assert again == pytest.approx(pixels.reshape(-1, 2), abs=1e-3)


@pytest.mark.parametrize("shots", [(0, 1), (0, 1, 4, 5)])
def test_exact_rays_meet_in_the_point(truth, shots):
    points = _seen(truth, 100)
    found, good = _solve(truth, *_tracks(truth, shots, points))
    assert found == pytest.approx(points, abs=1e-5)
    assert good.all()


def test_a_wrong_ray_is_left_out(truth):
    points = _seen(truth, 100)
    found, good = _solve(truth, *_tracks(truth, (0, 1, 2, 4, 5), points, spoil=3))
    assert found == pytest.approx(points, abs=1e-5)
    assert np.array_equal(good.reshape(-1, 5), np.tile([True, True, True, False, True], (100, 1)))


def test_two_rays_that_do_not_meet_give_nothing(truth):
    found, good = _solve(truth, *_tracks(truth, (0, 5), _seen(truth, 50), spoil=1))
    assert np.isnan(found).all()
    assert not good.any()


def test_parallel_rays_and_points_behind_give_nothing(truth):
    same = np.zeros((2, 2))
    starts = np.array([0, 2])
    found, _ = _solve(truth, starts, np.array([3, 3], np.int32), same)
    assert np.isnan(found).all()
    behind = _seen(truth, 20) + np.array([0.0, 0.0, 150.0])
    found, good = _solve(truth, *_tracks(truth, (0, 1), behind))
    assert np.isnan(found).all()
    assert not good.any()


def test_a_narrow_angle_is_refused(truth):
    tracks = _tracks(truth, (0, 1), _seen(truth, 50))
    assert np.isnan(_solve(truth, *tracks, angle_deg=40.0)[0]).all()
    assert np.isfinite(_solve(truth, *tracks, angle_deg=2.0)[0]).all()
