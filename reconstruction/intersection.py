"""Forward intersection: where in space the rays of a marked point meet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

from reconstruction.camera import Camera, Shot
from reconstruction.control import SurveyedPoint

Array = NDArray[np.float64]


class Place(NamedTuple):
    """Where rays meet.

    Parameters
    ----------
    xyz : ndarray, shape (3,)
        In the shots' frame.
    sigma_per_px : ndarray, shape (3,)
        Standard deviations for marks that are good to one pixel.
    """

    xyz: Array
    sigma_per_px: Array


def intersect(cameras: Sequence[Camera], shots: Sequence[Shot], pixels: Array) -> Place | None:
    """The point whose projections are nearest to the marks.

    Parameters
    ----------
    cameras, shots : sequence
        One camera and one shot a mark.
    pixels : ndarray, shape (k, 2)
        Marks, ``x, y``.

    Returns
    -------
    Place or None
        None for fewer than two marks or rays that run side by side.
    """
    if len(shots) < 2:
        return None
    rays = np.array(
        [
            _ray(camera, shot, pixel)
            for camera, shot, pixel in zip(cameras, shots, pixels, strict=True)
        ]
    )
    centres = np.array([shot.centre for shot in shots])
    # Least squares of the distances to the rays; its condition tells whether they cross.
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    normal = across.sum(axis=0)
    if np.linalg.eigvalsh(normal)[0] < 1e-4:
        return None
    start = np.linalg.solve(normal, np.einsum("kij,kj->i", across, centres))

    def residuals(point: Array) -> Array:
        seen = [
            camera.project(shot.to_camera(point[None]))[0]
            for camera, shot in zip(cameras, shots, strict=True)
        ]
        return (np.array(seen) - pixels).ravel()

    fit = least_squares(residuals, start, x_scale="jac", loss="huber", f_scale=3.0)
    return Place(fit.x, np.sqrt(np.diagonal(np.linalg.pinv(fit.jac.T @ fit.jac))))


def locate(
    point: SurveyedPoint, cameras: Mapping[str, Camera], shots: Mapping[str, Shot]
) -> Place | None:
    """Where the marks of a surveyed point meet, in the shots' frame.

    Parameters
    ----------
    point : SurveyedPoint
    cameras : mapping of str to Camera
    shots : mapping of str to Shot
        Registered photos by name; marks in others do not count.
    """
    marks = [mark for mark in point.observations if mark.photo in shots]
    seen = [shots[mark.photo] for mark in marks]
    pixels = np.array([(mark.x_px, mark.y_px) for mark in marks])
    return intersect([cameras[shot.camera] for shot in seen], seen, pixels)


def _ray(camera: Camera, shot: Shot, pixel: Array) -> Array:
    ideal = cv2.undistortPoints(
        np.asarray(pixel, np.float64).reshape(1, 1, 2), camera.matrix, camera.distortion
    ).ravel()
    ray = shot.rotation.T @ np.array([ideal[0], ideal[1], 1.0])
    return np.asarray(ray / np.linalg.norm(ray))
