"""Rectification: any two photos as a pair whose common points lie on the same row.

The pair gets one orientation, x along its baseline, and one focal length. Each photo is
resampled into it once, from the original pixels through rotation and lens distortion.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.camera import Camera, Shot
from reconstruction.spline import weights

Array = NDArray[np.float64]
Picture = NDArray[np.float32]

_MAX_TURN_DEG = 40.0
_MAX_AREA_RATIO = 2.0
_EDGE_SAMPLES = 25
_MIN_GROUND_POINTS = 10


@dataclass(frozen=True)
class View:
    """One photo of a pair at its working size.

    Parameters
    ----------
    shot : Shot
    camera : Camera
        Already scaled to the working size.
    """

    shot: Shot
    camera: Camera

    @property
    def lens(self) -> Array:
        """Focal length, principal point, distortion and the squared radius it is valid to."""
        c = self.camera
        rays = self.edge_rays()
        radius2 = float((rays[:, :2] ** 2).sum(axis=1).max()) * 1.02
        return np.array([c.focal_px, c.cx_px, c.cy_px, c.k1, c.k2, c.k3, c.p1, c.p2, radius2])

    def edge_rays(self) -> Array:
        """Directions of pixels along the image's edge, in the camera's axes with z = 1."""
        c = self.camera
        x = np.linspace(0.0, c.width_px - 1.0, _EDGE_SAMPLES)
        y = np.linspace(0.0, c.height_px - 1.0, _EDGE_SAMPLES)
        zero_x, zero_y = np.zeros_like(x), np.zeros_like(y)
        pixels = np.concatenate(
            [
                np.column_stack((x, zero_x)),
                np.column_stack((x, zero_x + c.height_px - 1.0)),
                np.column_stack((zero_y, y)),
                np.column_stack((zero_y + c.width_px - 1.0, y)),
            ]
        )
        ideal = cv2.undistortPoints(pixels[:, None], c.matrix, c.distortion)[:, 0]
        return np.column_stack((ideal, np.ones(len(ideal))))


@dataclass(frozen=True)
class Rectification:
    """The common geometry of a rectified pair.

    With ``col`` and ``row`` counted from 0 at pixel centres, the left picture shows the
    direction ``(x0_px + col, y0_px + row, focal_px)`` in the axes of ``rotation``; the right
    one shows ``(x0_px - disparity0_px + col, y0_px + row, focal_px)``. So a point at relative
    disparity ``d`` (left col minus right col) has the parallax ``disparity0_px + d``.

    Parameters
    ----------
    rotation : ndarray, shape (3, 3)
        World axes to rectified axes.
    centre : ndarray, shape (3,)
        Projection centre of the left photo.
    base_m : float
        Distance of the two projection centres.
    focal_px : float
    x0_px, y0_px : float
    disparity0_px : float
        At most the parallax of the farthest ground.
    disparity_count : int
        Range of relative disparities to search, a multiple of 16.
    width_px, height_px : int
        Size of both pictures.
    """

    rotation: Array
    centre: Array
    base_m: float
    focal_px: float
    x0_px: float
    y0_px: float
    disparity0_px: float
    disparity_count: int
    width_px: int
    height_px: int

    def points(self, col: Array, row: Array, disparity_px: Array) -> Array:
        """World coordinates (n, 3) of left pixels with relative disparity."""
        depth = self.focal_px * self.base_m / (self.disparity0_px + disparity_px)
        x = (self.x0_px + col) / self.focal_px * depth
        y = (self.y0_px + row) / self.focal_px * depth
        return np.column_stack((x, y, depth)) @ self.rotation + self.centre

    def project(self, points: Array) -> Array:
        """The inverse of `points`: col, row, relative disparity of world points (n, 3)."""
        local = (points - self.centre) @ self.rotation.T
        scale = self.focal_px / local[:, 2]
        return np.column_stack(
            (
                local[:, 0] * scale - self.x0_px,
                local[:, 1] * scale - self.y0_px,
                scale * self.base_m - self.disparity0_px,
            )
        )

    def resample(self, image: Picture, view: View, is_right: bool) -> Picture:
        """One photo in the geometry of the pair.

        Parameters
        ----------
        image : ndarray of float32, shape (rows, cols)
            Spline coefficients of the grey photo at its working size.
        view : View
        is_right : bool
            Which of the two pictures.

        Returns
        -------
        ndarray of float32, shape (height_px, width_px)
            NaN where the photo shows nothing.
        """
        out = np.empty((self.height_px, self.width_px), dtype=np.float32)
        x0 = self.x0_px - (self.disparity0_px if is_right else 0.0)
        turn = view.shot.rotation @ self.rotation.T
        _resample(image, turn, view.lens, self.focal_px, x0, self.y0_px, out)
        return out


def rectify(left: View, right: View, ground: Array) -> Rectification | None:
    """The common geometry of two photos, or None where they make no useful pair.

    Parameters
    ----------
    left, right : View
        In any order: what is "left" here is the left picture of the result.
    ground : ndarray, shape (n, 3)
        Points of the surface, such as tie points; the pair is prepared for all depths that
        occur and some more.

    Returns
    -------
    Rectification or None
        None if the baseline runs along the view, if a photo had to be turned or stretched too
        much, or if the pictures do not overlap.

    References
    ----------
    .. [1] A. Fusiello, E. Trucco, A. Verri, "A compact algorithm for rectification of stereo
       pairs", Machine Vision and Applications 12, 2000.
    """
    rotation = common_axes(left.shot, right.shot)
    if rotation is None:
        return None
    base_m = float(np.linalg.norm(right.shot.centre - left.shot.centre))
    focal = 0.5 * (left.camera.focal_px + right.camera.focal_px)
    left_box, right_box = _box(left, rotation, focal), _box(right, rotation, focal)
    if left_box is None or right_box is None:
        return None
    left_x, top, left_end, bottom = left_box
    right_x, right_top, right_end, right_bottom = right_box
    depths = _depth_range(ground, left.shot.centre, rotation[2])
    if depths is None:
        return None
    near, far = depths
    low, high = focal * base_m / far, focal * base_m / near
    disparity0 = float(np.floor(low))
    count = int(np.ceil((high - disparity0) / 16.0)) * 16
    x0 = max(left_x, right_x + low)
    x1 = min(left_end, right_end + high)
    y0, y1 = max(top, right_top), min(bottom, right_bottom)
    # The matcher gives nothing in the first columns, as many as there are disparities.
    x0 = np.floor(x0) - count
    width, height = int(x1 - x0), int(y1 - np.floor(y0))
    area = left.camera.width_px * left.camera.height_px
    if width < count + 64 or height < 64 or (width - count) * height > _MAX_AREA_RATIO * area:
        return None
    return Rectification(
        rotation,
        left.shot.centre,
        base_m,
        focal,
        float(x0),
        float(np.floor(y0)),
        disparity0,
        count,
        width,
        height,
    )


def _depth_range(ground: Array, centre: Array, axis: Array) -> tuple[float, float] | None:
    """Nearest and farthest depth to search, with room for what has no tie points."""
    depths = (ground - centre) @ axis
    depths = depths[depths > 0.0]
    if len(depths) < _MIN_GROUND_POINTS:
        return None
    near, middle, far = np.quantile(depths, (0.005, 0.5, 0.995))
    room = 0.25 * (far - near) + 0.05 * middle
    return max(float(near - room), 0.2 * float(middle)), float(far + room)


def common_axes(left: Shot, right: Shot) -> Array | None:
    """World to rectified axes: x along the base, z near both viewing directions.

    None where a photo would have to turn too far, as where one was taken above the other.
    """
    base = right.centre - left.centre
    length = np.linalg.norm(base)
    if length <= 0.0:
        return None
    x_axis = base / length
    view = left.rotation[2] + right.rotation[2]
    z_axis = view - (view @ x_axis) * x_axis
    size = np.linalg.norm(z_axis)
    if size < 1e-6:
        return None
    z_axis = z_axis / size
    limit = np.cos(np.deg2rad(_MAX_TURN_DEG))
    if min(left.rotation[2] @ z_axis, right.rotation[2] @ z_axis) < limit:
        return None
    return np.array([x_axis, np.cross(z_axis, x_axis), z_axis])


def _box(view: View, rotation: Array, focal_px: float) -> tuple[float, float, float, float] | None:
    """Bounds x0, y0, x1, y1 of a photo in rectified pixels from the optical axis."""
    rays = view.edge_rays() @ view.shot.rotation @ rotation.T
    if rays[:, 2].min() < 0.3:
        return None
    xy = focal_px * rays[:, :2] / rays[:, 2:]
    (x0, y0), (x1, y1) = xy.min(axis=0), xy.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


@numba.njit(cache=True, nogil=True, inline="always")
def source_pixel(x, y, turn, lens):  # type: ignore[no-untyped-def]
    """Pixel of a photo that shows the rectified direction (x, y, 1); NaN where it has none."""
    u = turn[0, 0] * x + turn[0, 1] * y + turn[0, 2]
    v = turn[1, 0] * x + turn[1, 1] * y + turn[1, 2]
    w = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2]
    u /= w
    v /= w
    r2 = u * u + v * v
    if w <= 0.0 or r2 > lens[8]:
        return np.nan, np.nan
    radial = 1.0 + r2 * (lens[3] + r2 * (lens[4] + r2 * lens[5]))
    ud = u * radial + 2.0 * lens[6] * u * v + lens[7] * (r2 + 2.0 * u * u)
    vd = v * radial + lens[6] * (r2 + 2.0 * v * v) + 2.0 * lens[7] * u * v
    return lens[0] * ud + lens[1], lens[0] * vd + lens[2]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _resample(image, turn, lens, focal, x0, y0, out):  # type: ignore[no-untyped-def]
    rows, cols = image.shape
    for row in range(out.shape[0]):
        y = (y0 + row) / focal
        for col in range(out.shape[1]):
            px, py = source_pixel((x0 + col) / focal, y, turn, lens)
            if not (px >= 1.0 and py >= 1.0 and px < cols - 2 and py < rows - 2):
                out[row, col] = np.nan
                continue
            ix, iy = int(px), int(py)
            a0, a1, a2, a3 = weights(np.float32(px - ix))
            b0, b1, b2, b3 = weights(np.float32(py - iy))
            value = np.float32(0.0)
            for k, b in enumerate((b0, b1, b2, b3)):
                line = image[iy - 1 + k]
                value += b * (
                    a0 * line[ix - 1] + a1 * line[ix] + a2 * line[ix + 1] + a3 * line[ix + 2]
                )
            out[row, col] = value
