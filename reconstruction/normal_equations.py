"""Normal equations of the bundle adjustment, with the points eliminated (numba kernels).

Unknowns of the reduced system, in this order: six for each shot (rotation increment in camera
axes, centre), `CAMERA_SIZE` for each camera (f, cx, cy, k1, k2, k3, p1, p2, readout time) and
`EXTRA_SIZE` for the shared offset, drift and delay of the measured positions. Points are eliminated
one by one, so that memory is that of the reduced system and of one track.

Each observation has a ``motion``: how far its photo's centre moves, in metres for each second that
reading the sensor takes, between the middle row and the observation's row.

References
----------
.. [1] B. Triggs, P. McLauchlan, R. Hartley, A. Fitzgibbon, "Bundle adjustment: a modern
   synthesis", Vision Algorithms, 2000, section 6.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

POSE_SIZE = 6
CAMERA_SIZE = 9
EXTRA_SIZE = 7
_WIDEST = 9  # of a parameter block
# Of the trace, keeps a point without parallax invertible. With more of it, thousands of points that
# know nothing of place and height would hold the whole block.
_FLOOR = 1e-14


@numba.njit(cache=True, nogil=True)
def residual(rotation, centre, camera, point, pixel, motion, out):
    """Reprojection error (2,) into ``out``; False when the point lies behind the camera."""
    dx = point[0] - centre[0] - camera[8] * motion[0]
    dy = point[1] - centre[1] - camera[8] * motion[1]
    dz = point[2] - centre[2] - camera[8] * motion[2]
    z = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
    if z <= 1e-9:
        return False
    x = (rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz) / z
    y = (rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz) / z
    r2 = x * x + y * y
    radial = 1.0 + r2 * (camera[3] + r2 * (camera[4] + r2 * camera[5]))
    p1 = camera[6]
    p2 = camera[7]
    xd = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    yd = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    out[0] = camera[0] * xd + camera[1] - pixel[0]
    out[1] = camera[0] * yd + camera[2] - pixel[1]
    return True


@numba.njit(cache=True, nogil=True)
def jacobian(rotation, centre, camera, point, motion, by_pose, by_camera, by_point):
    """Derivatives of a pixel by the pose (2, 6), the camera (2, 9) and the point (2, 3)."""
    dx = point[0] - centre[0] - camera[8] * motion[0]
    dy = point[1] - centre[1] - camera[8] * motion[1]
    dz = point[2] - centre[2] - camera[8] * motion[2]
    cx = rotation[0, 0] * dx + rotation[0, 1] * dy + rotation[0, 2] * dz
    cy = rotation[1, 0] * dx + rotation[1, 1] * dy + rotation[1, 2] * dz
    cz = rotation[2, 0] * dx + rotation[2, 1] * dy + rotation[2, 2] * dz
    iz = 1.0 / cz
    x = cx * iz
    y = cy * iz
    f, k1, k2, k3, p1, p2 = camera[0], camera[3], camera[4], camera[5], camera[6], camera[7]
    r2 = x * x + y * y
    radial = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3))
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3))
    xd = x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x)
    yd = y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y
    # The distorted by the ideal image coordinates.
    xx = radial + slope * x * x + 2.0 * p1 * y + 6.0 * p2 * x
    xy = slope * x * y + 2.0 * p1 * x + 2.0 * p2 * y
    yy = radial + slope * y * y + 6.0 * p1 * y + 2.0 * p2 * x
    for row in range(2):
        gx = f * (xx if row == 0 else xy)
        gy = f * (xy if row == 0 else yy)
        # By the point in camera axes.
        a = gx * iz
        b = gy * iz
        c = -(gx * x + gy * y) * iz
        by_pose[row, 0] = c * cy - b * cz
        by_pose[row, 1] = a * cz - c * cx
        by_pose[row, 2] = b * cx - a * cy
        for column in range(3):
            value = a * rotation[0, column] + b * rotation[1, column] + c * rotation[2, column]
            by_point[row, column] = value
            by_pose[row, 3 + column] = -value
        ideal = x if row == 0 else y
        by_camera[row, 0] = xd if row == 0 else yd
        by_camera[row, 1] = 1.0 if row == 0 else 0.0
        by_camera[row, 2] = 0.0 if row == 0 else 1.0
        by_camera[row, 3] = f * ideal * r2
        by_camera[row, 4] = f * ideal * r2 * r2
        by_camera[row, 5] = f * ideal * r2 * r2 * r2
        by_camera[row, 6] = f * (2.0 * x * y if row == 0 else r2 + 2.0 * y * y)
        by_camera[row, 7] = f * (r2 + 2.0 * x * x if row == 0 else 2.0 * x * y)
        by_camera[row, 8] = 0.0
        for column in range(3):
            by_camera[row, 8] -= by_point[row, column] * motion[column]


@numba.njit(cache=True, nogil=True)
def residuals(
    rotations, centres, cameras, camera_of, points, shot, motion, point_of, pixels, out
):  # fmt: skip
    """All reprojection errors into ``out`` (m, 2); 1e6 px where a point is behind the camera."""
    for k in range(shot.size):
        s = shot[k]
        ahead = residual(
            rotations[s],
            centres[s],
            cameras[camera_of[s]],
            points[point_of[k]],
            pixels[k],
            motion[k],
            out[k],
        )
        if not ahead:
            out[k] = 1e6


@numba.njit(cache=True, nogil=True)
def _buffers(longest):
    """Room for one track: block offsets, sizes and couplings, its own system and right side."""
    count = 2 * longest
    return (
        np.empty(count, np.int64),
        np.empty(count, np.int64),
        np.empty((count, _WIDEST, 3)),
        np.empty((3, 3)),
        np.empty(3),
    )


@numba.njit(cache=True, nogil=True)
def _add_own(system, right, by_pose, by_camera, w, e0, e1, at, camera_at):
    """Normal equations of one observation in its pose and its camera (upper triangle)."""
    for i in range(POSE_SIZE):
        right[at + i] -= w * (by_pose[0, i] * e0 + by_pose[1, i] * e1)
        for j in range(POSE_SIZE):
            system[at + i, at + j] += w * (
                by_pose[0, i] * by_pose[0, j] + by_pose[1, i] * by_pose[1, j]
            )
        for j in range(CAMERA_SIZE):
            system[at + i, camera_at + j] += w * (
                by_pose[0, i] * by_camera[0, j] + by_pose[1, i] * by_camera[1, j]
            )
    for i in range(CAMERA_SIZE):
        right[camera_at + i] -= w * (by_camera[0, i] * e0 + by_camera[1, i] * e1)
        for j in range(CAMERA_SIZE):
            system[camera_at + i, camera_at + j] += w * (
                by_camera[0, i] * by_camera[0, j] + by_camera[1, i] * by_camera[1, j]
            )


@numba.njit(cache=True, nogil=True)
def _add_point(hessian, gradient, by_point, w, e0, e1):
    """Normal equations of one observation in its point."""
    for i in range(3):
        gradient[i] -= w * (by_point[0, i] * e0 + by_point[1, i] * e1)
        for j in range(3):
            hessian[i, j] += w * (by_point[0, i] * by_point[0, j] + by_point[1, i] * by_point[1, j])


@numba.njit(cache=True, nogil=True)
def _couple(count, pose_at, camera_at, by_pose, by_camera, by_point, w, offsets, sizes, mixed):
    """Couple one observation's pose and camera to its point; returns the new block count."""
    pose = count
    offsets[pose] = pose_at
    sizes[pose] = POSE_SIZE
    mixed[pose] = 0.0
    count += 1
    block = -1
    for b in range(count):
        if offsets[b] == camera_at:
            block = b
    if block < 0:
        block = count
        offsets[block] = camera_at
        sizes[block] = CAMERA_SIZE
        mixed[block] = 0.0
        count += 1
    for j in range(3):
        for i in range(POSE_SIZE):
            mixed[pose, i, j] += w * (
                by_pose[0, i] * by_point[0, j] + by_pose[1, i] * by_point[1, j]
            )
        for i in range(CAMERA_SIZE):
            mixed[block, i, j] += w * (
                by_camera[0, i] * by_point[0, j] + by_camera[1, i] * by_point[1, j]
            )
    return count


@numba.njit(cache=True, nogil=True)
def _track(
    p, first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
    damping, prior_weight, prior_offset, offsets, sizes, mixed, hessian, gradient, system, right,
):  # fmt: skip
    """Gather one point: its own 3 × 3 system and its coupling to every parameter block.

    Adds the blocks' own normal equations to ``system`` and ``right``, unless those are empty, and
    returns how many blocks the point touches (they stand in ``offsets``, ``sizes``, ``mixed``).
    """
    shots = rotations.shape[0]
    by_pose = np.empty((2, POSE_SIZE))
    by_camera = np.empty((2, CAMERA_SIZE))
    by_point = np.empty((2, 3))
    hessian[:] = 0.0
    for axis in range(3):
        hessian[axis, axis] = prior_weight[p, axis]
        gradient[axis] = prior_weight[p, axis] * prior_offset[p, axis]
    count = 0
    for k in range(first[p], first[p + 1]):
        w = weight[k]
        if w <= 0.0:
            continue
        s = shot[k]
        c = camera_of[s]
        jacobian(
            rotations[s], centres[s], cameras[c], points[p], motion[k], by_pose, by_camera, by_point
        )  # fmt: skip
        e0 = errors[k, 0]
        e1 = errors[k, 1]
        _add_point(hessian, gradient, by_point, w, e0, e1)
        camera_at = POSE_SIZE * shots + CAMERA_SIZE * c
        count = _couple(
            count, POSE_SIZE * s, camera_at, by_pose, by_camera, by_point, w, offsets, sizes, mixed
        )
        if system.size:
            _add_own(system, right, by_pose, by_camera, w, e0, e1, POSE_SIZE * s, camera_at)
    floor = _FLOOR * (hessian[0, 0] + hessian[1, 1] + hessian[2, 2])
    for i in range(3):
        hessian[i, i] = hessian[i, i] * (1.0 + damping) + floor
    return count


@numba.njit(cache=True, nogil=True)
def _eliminate(count, inverse, gradient, offsets, sizes, mixed, system, right):
    """Take one point out of the system (upper triangle)."""
    solved = np.empty((_WIDEST, 3))
    for a in range(count):
        for i in range(sizes[a]):
            row = offsets[a] + i
            for j in range(3):
                solved[i, j] = (
                    mixed[a, i, 0] * inverse[0, j]
                    + mixed[a, i, 1] * inverse[1, j]
                    + mixed[a, i, 2] * inverse[2, j]
                )
            for j in range(3):
                right[row] -= solved[i, j] * gradient[j]
        for b in range(count):
            if offsets[b] < offsets[a]:
                continue
            for i in range(sizes[a]):
                for j in range(sizes[b]):
                    system[offsets[a] + i, offsets[b] + j] -= (
                        solved[i, 0] * mixed[b, j, 0]
                        + solved[i, 1] * mixed[b, j, 1]
                        + solved[i, 2] * mixed[b, j, 2]
                    )


@numba.njit(cache=True, nogil=True)
def reduce_points(
    first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
    damping, prior_weight, prior_offset, longest,
):  # fmt: skip
    """The reduced system and right-hand side, points eliminated.

    Parameters
    ----------
    first : ndarray of int64, shape (n + 1,)
        Observations ``first[p]:first[p + 1]`` are those of point ``p``.
    rotations, centres, cameras, camera_of, points
        Current unknowns and the camera index of each shot.
    shot : ndarray of int32, shape (m,)
    motion : ndarray, shape (m, 3)
    errors, weight : ndarray, shapes (m, 2) and (m,)
        Reprojection errors and weights 1/px²; weight 0 leaves an observation out.
    damping : float
        Levenberg-Marquardt's, relative to the diagonal of each point.
    prior_weight, prior_offset : ndarray, shape (n, 3)
        Weights 1/m² of known coordinates, and known minus current coordinates.
    longest : int
        Length of the longest track.

    Returns
    -------
    system, right : ndarray, shapes (d, d) and (d,)
    """
    shots = rotations.shape[0]
    size = POSE_SIZE * shots + CAMERA_SIZE * cameras.shape[0] + EXTRA_SIZE
    system = np.zeros((size, size))
    right = np.zeros(size)
    offsets, sizes, mixed, hessian, gradient = _buffers(longest)
    for p in range(points.shape[0]):
        count = _track(
            p, first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
            damping, prior_weight, prior_offset, offsets, sizes, mixed, hessian, gradient,
            system, right,
        )  # fmt: skip
        if count == 0:
            continue
        _eliminate(count, np.linalg.inv(hessian), gradient, offsets, sizes, mixed, system, right)
    for i in range(size):
        for j in range(i):
            system[i, j] = system[j, i]
    return system, right


@numba.njit(cache=True, nogil=True)
def substitute(
    first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
    damping, prior_weight, prior_offset, longest, step,
):  # fmt: skip
    """Steps (n, 3) of the points once the step of the reduced unknowns is known."""
    system = np.zeros((0, 0))
    right = np.zeros(0)
    offsets, sizes, mixed, hessian, gradient = _buffers(longest)
    moved = np.zeros_like(points)
    for p in range(points.shape[0]):
        count = _track(
            p, first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
            damping, prior_weight, prior_offset, offsets, sizes, mixed, hessian, gradient,
            system, right,
        )  # fmt: skip
        if count == 0:
            continue
        for a in range(count):
            for i in range(sizes[a]):
                for j in range(3):
                    gradient[j] -= mixed[a, i, j] * step[offsets[a] + i]
        moved[p] = np.linalg.solve(hessian, gradient)
    return moved


@numba.njit(cache=True, nogil=True)
def functional(
    first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
    prior_weight, longest, coefficients,
):  # fmt: skip
    """A linear functional of the points, carried over to the reduced unknowns.

    With ``coefficients`` g (n, 3), the functional is ``sum(g * dX)``. Its variance is
    ``own + q @ inverse(system) @ q``.

    Returns
    -------
    own : float
        Variance from the points' own observations.
    q : ndarray, shape (d,)
    """
    size = POSE_SIZE * rotations.shape[0] + CAMERA_SIZE * cameras.shape[0] + EXTRA_SIZE
    system = np.zeros((0, 0))
    right = np.zeros(0)
    offsets, sizes, mixed, hessian, gradient = _buffers(longest)
    nothing = np.zeros_like(points)
    own = 0.0
    q = np.zeros(size)
    for p in range(points.shape[0]):
        g = coefficients[p]
        if g[0] == 0.0 and g[1] == 0.0 and g[2] == 0.0:
            continue
        count = _track(
            p, first, rotations, centres, cameras, camera_of, points, shot, motion, errors, weight,
            0.0, prior_weight, nothing, offsets, sizes, mixed, hessian, gradient, system, right,
        )  # fmt: skip
        if count == 0:
            continue
        solved = np.linalg.solve(hessian, g)
        own += g[0] * solved[0] + g[1] * solved[1] + g[2] * solved[2]
        for a in range(count):
            for i in range(sizes[a]):
                q[offsets[a] + i] -= (
                    mixed[a, i, 0] * solved[0]
                    + mixed[a, i, 1] * solved[1]
                    + mixed[a, i, 2] * solved[2]
                )
    return own, q
