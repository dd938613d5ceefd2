"""Triangulation: where the rays of a track meet, and which of them do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot

Array = NDArray[np.float64]

_ITERATIONS = 6
_SINGULAR = 1e-12  # determinant, relative: rays that are parallel


class Views(NamedTuple):
    """Poses as arrays, one row a shot.

    Parameters
    ----------
    rotation : ndarray, shape (k, 3, 3)
        World axes to camera axes.
    centre : ndarray, shape (k, 3)
    focal_px : ndarray, shape (k,)
    """

    rotation: Array
    centre: Array
    focal_px: Array


def views(cameras: dict[str, Camera], shots: Sequence[Shot]) -> Views:
    """Poses of shots as arrays."""
    return Views(
        np.array([shot.rotation for shot in shots]),
        np.array([shot.centre for shot in shots]),
        np.array([cameras[shot.camera].focal_px for shot in shots]),
    )


def undistort(camera: Camera, pixels: Array) -> Array:
    """Straight rays of pixels.

    Parameters
    ----------
    camera : Camera
    pixels : ndarray, shape (n, 2)

    Returns
    -------
    ndarray, shape (n, 2)
        x / z and y / z in the camera's axes.
    """
    offset = np.array([camera.cx_px, camera.cy_px])
    seen = (np.asarray(pixels, dtype=np.float64) - offset) / camera.focal_px
    rays: Array = seen.copy()
    ones = np.ones(len(rays))
    for _ in range(8):
        bent = (camera.project(np.column_stack((rays, ones))) - offset) / camera.focal_px
        rays = rays + seen - bent
    return rays


@njit(cache=True, nogil=True)
def triangulate(
    starts: NDArray[np.int64],
    shot: NDArray[np.int32],
    rays: Array,
    rotation: Array,
    centre: Array,
    focal_px: Array,
    max_error_px: float,
    min_angle_rad: float,
    least: int,
) -> tuple[Array, NDArray[np.bool_]]:
    """Points of tracks, and the observations that agree with them.

    The worst observation of a track is left out until all agree.

    Parameters
    ----------
    starts : ndarray of int, shape (n + 1,)
        Observations of track ``i`` are ``starts[i]`` to ``starts[i + 1]``.
    shot : ndarray of int32, shape (m,)
    rays : ndarray, shape (m, 2)
        From `undistort`.
    rotation, centre, focal_px : ndarray
        As in `Views`.
    max_error_px : float
        Largest distance between a ray and its point, pixels of its photo.
    min_angle_rad : float
        Least largest angle between the rays of a point.
    least : int
        Fewest observations of a point.

    Returns
    -------
    points : ndarray, shape (n, 3)
        NaN where a track gave no point.
    good : ndarray of bool, shape (m,)
    """
    count = len(starts) - 1
    points = np.full((count, 3), np.nan)
    good = np.ones(len(shot), np.bool_)
    for track in range(count):
        begin, end = starts[track], starts[track + 1]
        left = end - begin
        found = False
        while left >= least and not found:
            point, solved = _intersect(begin, end, shot, rays, rotation, centre, focal_px, good)
            if not solved:
                break
            worst, at = _worst(point, begin, end, shot, rays, rotation, centre, focal_px, good)
            if worst <= max_error_px:
                found = _widest(point, begin, end, shot, centre, good) >= min_angle_rad
                if found:
                    points[track] = point
                break
            good[at] = False
            left -= 1
        if not found:
            good[begin:end] = False
    return points, good


@njit(cache=True, nogil=True)
def _intersect(begin, end, shot, rays, rotation, centre, focal_px, good):  # type: ignore[no-untyped-def]
    """The point of least squared pixel errors, and whether there is one."""
    point, solved = _middle(begin, end, shot, rays, rotation, centre, good)
    for _ in range(_ITERATIONS):
        if not solved:
            break
        step, solved = _step(point, begin, end, shot, rays, rotation, centre, focal_px, good)
        point = point + step
        if np.abs(step).max() < 1e-9 * np.abs(point - centre[shot[begin]]).max():
            break
    return point, solved


@njit(cache=True, nogil=True)
def _middle(begin, end, shot, rays, rotation, centre, good):  # type: ignore[no-untyped-def]
    """The point nearest to all rays in space."""
    normal = np.zeros((3, 3))
    right = np.zeros(3)
    for row in range(begin, end):
        if good[row]:
            turn = rotation[shot[row]]
            direction = turn.T @ np.array([rays[row, 0], rays[row, 1], 1.0])
            direction /= np.sqrt((direction**2).sum())
            across = np.eye(3) - np.outer(direction, direction)
            normal += across
            right += across @ centre[shot[row]]
    if abs(np.linalg.det(normal)) < _SINGULAR:
        return right, False
    return np.linalg.solve(normal, right), True


@njit(cache=True, nogil=True)
def _step(point, begin, end, shot, rays, rotation, centre, focal_px, good):  # type: ignore[no-untyped-def]
    """One Gauss-Newton step, and whether the point is in front of its cameras and fixed."""
    normal = np.zeros((3, 3))
    right = np.zeros(3)
    for row in range(begin, end):
        if not good[row]:
            continue
        turn = rotation[shot[row]]
        local = turn @ (point - centre[shot[row]])
        if local[2] <= 0.0:
            return right, False
        weight = (focal_px[shot[row]] / local[2]) ** 2
        for axis in range(2):
            ratio = local[axis] / local[2]
            by_point = turn[axis] - ratio * turn[2]
            right += by_point * (weight * (rays[row, axis] - ratio) * local[2])
            normal += weight * np.outer(by_point, by_point)
    if abs(np.linalg.det(normal)) < _SINGULAR * np.trace(normal) ** 3:
        return right, False
    return np.linalg.solve(normal, right), True


@njit(cache=True, nogil=True)
def _worst(point, begin, end, shot, rays, rotation, centre, focal_px, good):  # type: ignore[no-untyped-def]
    """Largest error of the good observations, pixels, and its row."""
    worst, at = -1.0, begin
    for row in range(begin, end):
        if good[row]:
            local = rotation[shot[row]] @ (point - centre[shot[row]])
            error = np.inf
            if local[2] > 0.0:
                across = local[0] / local[2] - rays[row, 0]
                down = local[1] / local[2] - rays[row, 1]
                error = focal_px[shot[row]] * np.sqrt(across**2 + down**2)
            if error > worst:
                worst, at = error, row
    return worst, at


@njit(cache=True, nogil=True)
def _widest(point, begin, end, shot, centre, good):  # type: ignore[no-untyped-def]
    """Largest angle between two rays of a point."""
    smallest_cosine = 1.0
    for row in range(begin, end):
        if good[row]:
            one = centre[shot[row]] - point
            one /= np.sqrt((one**2).sum())
            for later in range(row + 1, end):
                if good[later]:
                    other = centre[shot[later]] - point
                    other /= np.sqrt((other**2).sum())
                    smallest_cosine = min(smallest_cosine, (one * other).sum())
    return np.arccos(max(-1.0, min(1.0, smallest_cosine)))
