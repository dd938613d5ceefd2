"""Bundle adjustment with everything that is known: pixels, positions, control and lenses.

A similarity transform after a free adjustment keeps whatever bent or stretched the block, and
that goes straight into volume. So positions and control points are observations like pixels
are, each with its own weight, in one robust least-squares adjustment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconstruction import normal_equations as normal
from reconstruction.block import TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.normal_equations import CAMERA_SIZE, EXTRA_SIZE, POSE_SIZE

Array = NDArray[np.float64]
Ints = NDArray[np.int32]

_LENS_NAMES = ("focal_px", "cx_px", "cy_px", "k1", "k2", "k3", "p1", "p2")
_HUBER = 2.0  # sigmas of a pixel residual up to which it counts in full
_CAUCHY = 2.5  # sigmas at which a position has lost half its weight
_OUTLIER = 4.0  # sigmas beyond which a tie point's observation is removed
_MAX_ITERATIONS = 30
_CONVERGED = 1e-6  # relative decrease of the cost
# How well the lens is known beforehand, but for the focal length: cx, cy relative to the focal
# length, the rest absolute. Loose enough for any drone camera, tight enough to hold what a flight
# cannot see.
_LENS_SIGMA = np.array([0.02, 0.02, 0.2, 0.2, 0.1, 0.005, 0.005])
_CELLS = 4  # a side, into which a photo is divided to see whether its residuals go together


@dataclass(frozen=True)
class MeasuredPositions:
    """Projection centres as the receiver on board measured them.

    Parameters
    ----------
    shot_index : ndarray of int32, shape (k,)
    xyz : ndarray, shape (k, 3)
        Local frame, metres.
    sigma : ndarray, shape (k, 3)
        One standard deviation of each coordinate, metres.
    time : ndarray, shape (k,)
        When, over the flight: -0.5 at its start, 0.5 at its end.
    offset_sigma, drift_sigma : ndarray, shape (3,)
        What all positions may be off by together, and drift by over the flight, metres.
    """

    shot_index: Ints
    xyz: Array
    sigma: Array
    time: Array
    offset_sigma: Array
    drift_sigma: Array


@dataclass(frozen=True)
class FocalPrior:
    """What is known of a focal length before the adjustment.

    Parameters
    ----------
    focal_px : float
    relative_sigma : float
    """

    focal_px: float
    relative_sigma: float


@dataclass(frozen=True)
class ControlObservations:
    """Ground control points in the local frame, and their pixels.

    Parameters
    ----------
    xyz, sigma : ndarray, shape (g, 3)
        Known coordinates and their standard deviations, metres.
    shot_index, point_index : ndarray of int32, shape (m,)
    pixels : ndarray, shape (m, 2)
    pixel_sigma : float
        Of a person marking a target, pixels.
    """

    xyz: Array
    sigma: Array
    shot_index: Ints
    point_index: Ints
    pixels: Array
    pixel_sigma: float = 0.7


@dataclass(frozen=True)
class Adjusted:
    """The adjusted block, with what is needed to ask how well anything in it is known.

    Parameters
    ----------
    cameras, shots, tie_points
        Adjusted; observations that were outliers are gone.
    kept : ndarray of int, shape (n,)
        Which of the given tie points are left.
    positions : MeasuredPositions
        As given, with the sigmas that were used in the end.
    control_xyz : ndarray, shape (g, 3)
        Adjusted coordinates of the control points.
    position_offset, position_drift : ndarray, shape (3,)
        Estimated shared error of the measured positions, metres.
    position_residuals : ndarray, shape (k, 3)
        Adjusted centre less measured position, offset and drift taken out, metres.
    pixel_sigma : float
        Robust standard deviation of one tie point coordinate, pixels.
    reprojection_error_px : float
        Mean length of the reprojection error.
    covariance : ndarray, shape (d, d)
        Of poses, cameras, offset and drift, in the order of `normal_equations`.
    """

    cameras: dict[str, Camera]
    shots: tuple[Shot, ...]
    tie_points: TiePoints
    control_xyz: Array
    position_offset: Array
    position_drift: Array
    position_residuals: Array
    pixel_sigma: float
    reprojection_error_px: float
    covariance: Array
    kept: NDArray[np.intp]
    positions: MeasuredPositions
    _network: _Network

    def functional_sigma(self, coefficients: Array) -> float:
        """Standard deviation of a linear functional of the tie points.

        Parameters
        ----------
        coefficients : ndarray, shape (n, 3)
            ``g`` in ``sum(g * X)``, for the tie points of this result.

        Returns
        -------
        float
            In the unit of the functional.
        """
        network = self._network
        padded = np.zeros_like(network.points)
        padded[self.kept] = coefficients
        own, q = normal.functional(
            network.first, *network.geometry(), network.shot, network.errors, network.weights(),
            network.prior_weight, network.longest, padded,
        )  # fmt: skip
        return float(np.sqrt(own + q @ self.covariance @ q))

    def camera_sigma(self, name: str) -> dict[str, float]:
        """Standard deviations of a camera's parameters (pixels and unitless)."""
        index = list(self.cameras).index(name)
        at = POSE_SIZE * len(self.shots) + CAMERA_SIZE * index
        variance = np.diagonal(self.covariance)[at : at + CAMERA_SIZE]
        return dict(zip(_LENS_NAMES, np.sqrt(variance).tolist(), strict=True))


@dataclass
class _Network:
    """All unknowns and observations in arrays; control points follow the tie points."""

    rotations: Array
    centres: Array
    lenses: Array
    camera_of: Ints
    points: Array
    extra: Array
    first: NDArray[np.int64]
    shot: Ints
    point: Ints
    pixels: Array
    sigma_px: Array
    active: NDArray[np.bool_]
    prior_xyz: Array
    prior_weight: Array
    prior_lenses: Array
    lens_sigma: Array
    positions: MeasuredPositions
    down_seen: Array
    level_weight: float
    errors: Array
    longest: int

    def geometry(self) -> tuple[Array, Array, Array, Ints, Array]:
        return self.rotations, self.centres, self.lenses, self.camera_of, self.points

    def evaluate(self) -> None:
        """Refresh the reprojection errors."""
        normal.residuals(*self.geometry(), self.shot, self.point, self.pixels, self.errors)

    def weights(self) -> Array:
        """Robust weights 1/px², 0 for observations that are left out."""
        length = np.linalg.norm(self.errors, axis=1) / self.sigma_px
        robust = np.minimum(1.0, _HUBER / np.maximum(length, 1e-12))
        return np.where(self.active, robust / self.sigma_px**2, 0.0)

    def position_residuals(self) -> Array:
        drift = self.positions.time[:, None] * self.extra[3:]
        centres = self.centres[self.positions.shot_index]
        return centres + self.extra[:3] + drift - self.positions.xyz

    def position_weights(self) -> Array:
        """Robust weights 1/m², shape (k, 3): horizontal and vertical fail separately."""
        scaled = self.position_residuals() / self.positions.sigma
        plan = 1.0 / (1.0 + np.sum(scaled[:, :2] ** 2, axis=1) / _CAUCHY**2)
        height = 1.0 / (1.0 + scaled[:, 2] ** 2 / _CAUCHY**2)
        return np.column_stack((plan, plan, height)) / self.positions.sigma**2

    def cost(self) -> float:
        """Half the robust sum of squares."""
        length = np.linalg.norm(self.errors, axis=1)[self.active] / self.sigma_px[self.active]
        pixels = np.where(length <= _HUBER, length**2, 2.0 * _HUBER * length - _HUBER**2)
        scaled = (self.position_residuals() / self.positions.sigma) ** 2
        plan = np.log1p((scaled[:, 0] + scaled[:, 1]) / _CAUCHY**2)
        height = np.log1p(scaled[:, 2] / _CAUCHY**2)
        known = self.prior_weight * (self.prior_xyz - self.points) ** 2
        lens = ((self.lenses - self.prior_lenses) / self.lens_sigma) ** 2
        extra = (self.extra / self._extra_sigma()) ** 2
        level = self.level_weight * (self._down() - self.down_seen) ** 2
        total = pixels.sum() + level.sum() + _CAUCHY**2 * (plan.sum() + height.sum())
        return 0.5 * float(total + known.sum() + lens.sum() + extra.sum())

    def _down(self) -> Array:
        """Where down is in each photo's camera axes, shape (n, 3)."""
        return -self.rotations[:, :, 2]

    def _extra_sigma(self) -> Array:
        return np.concatenate((self.positions.offset_sigma, self.positions.drift_sigma))

    def system(self, damping: float) -> tuple[Array, Array]:
        """Reduced normal equations with all that is known besides pixels."""
        matrix, right = normal.reduce_points(
            self.first, *self.geometry(), self.shot, self.errors, self.weights(), damping,
            self.prior_weight, self.prior_xyz - self.points, self.longest,
        )  # fmt: skip
        size = len(right)
        self._add_positions(matrix, right)
        self._add_level(matrix, right)
        lens_at = POSE_SIZE * len(self.centres)
        lens_weight = 1.0 / self.lens_sigma.ravel() ** 2
        columns = np.arange(lens_at, lens_at + lens_weight.size)
        matrix[columns, columns] += lens_weight
        right[columns] += lens_weight * (self.prior_lenses - self.lenses).ravel()
        columns = np.arange(size - EXTRA_SIZE, size)
        extra_weight = 1.0 / self._extra_sigma() ** 2
        matrix[columns, columns] += extra_weight
        right[columns] -= extra_weight * self.extra
        return matrix, right

    def _add_positions(self, matrix: Array, right: Array) -> None:
        weight = self.position_weights()
        missing = -self.position_residuals()
        extra_at = len(right) - EXTRA_SIZE
        for k, index in enumerate(self.positions.shot_index):
            for axis in range(3):
                columns = np.array(
                    [POSE_SIZE * index + 3 + axis, extra_at + axis, extra_at + 3 + axis]
                )
                row = np.array([1.0, 1.0, self.positions.time[k]])
                matrix[np.ix_(columns, columns)] += weight[k, axis] * np.outer(row, row)
                right[columns] += weight[k, axis] * missing[k, axis] * row

    def _add_level(self, matrix: Array, right: Array) -> None:
        down = self._down()
        gradient = self.level_weight * np.cross(down, self.down_seen)
        for index, axis in enumerate(down):
            columns = slice(POSE_SIZE * index, POSE_SIZE * index + 3)
            matrix[columns, columns] += self.level_weight * (np.eye(3) - np.outer(axis, axis))
            right[columns] += gradient[index]

    def moved(self, step: Array, damping: float) -> _Network:
        """The network one step further."""
        points = normal.substitute(
            self.first, *self.geometry(), self.shot, self.errors, self.weights(), damping,
            self.prior_weight, self.prior_xyz - self.points, self.longest, step,
        )  # fmt: skip
        shots = len(self.centres)
        pose = step[: POSE_SIZE * shots].reshape(shots, POSE_SIZE)
        lens_end = POSE_SIZE * shots + self.lenses.size
        turn = Rotation.from_rotvec(pose[:, :3]).as_matrix()
        network = replace(
            self,
            rotations=turn @ self.rotations,
            centres=self.centres + pose[:, 3:],
            lenses=self.lenses + step[POSE_SIZE * shots : lens_end].reshape(self.lenses.shape),
            extra=self.extra + step[lens_end:],
            points=self.points + points,
            errors=np.empty_like(self.errors),
        )
        network.evaluate()
        return network


def adjust(
    cameras: dict[str, Camera],
    shots: tuple[Shot, ...],
    tie_points: TiePoints,
    positions: MeasuredPositions,
    control: ControlObservations,
    level_sigma_rad: float,
    focal_priors: Mapping[str, FocalPrior],
) -> Adjusted:
    """Adjust a block that is roughly in place to all its observations.

    Parameters
    ----------
    cameras, shots, tie_points
        Initial values in the local frame, right to a few per cent and degrees.
    positions : MeasuredPositions
        May be empty when there are three or more control points.
    control : ControlObservations
        May be empty.
    level_sigma_rad : float
        How well the initial block as a whole is known to be level. It decides where positions
        cannot, as about the axis of a single strip, and yields to whatever is better.
    focal_priors : mapping of str to FocalPrior
        By camera name. Over flat ground from one height the focal length is all but invisible,
        and heights are proportional to it.

    Returns
    -------
    Adjusted
    """
    network = _network(
        cameras, shots, tie_points, positions, control, level_sigma_rad, focal_priors
    )
    # Wide first: a sigma far below the initial errors would make every observation an outlier.
    for _ in range(2):
        _set_pixel_sigma(network)
        network = _iterate(network)
    for _ in range(2):
        _set_pixel_sigma(network)
        _drop_outliers(network)
        network = _set_position_sigma(network)
        network = _iterate(network)
    return _result(network, cameras, shots, tie_points)


def _network(
    cameras: dict[str, Camera],
    shots: tuple[Shot, ...],
    ties: TiePoints,
    positions: MeasuredPositions,
    control: ControlObservations,
    level_sigma_rad: float,
    focal_priors: Mapping[str, FocalPrior],
) -> _Network:
    names = list(cameras)
    lenses = np.array([_lens(camera) for camera in cameras.values()])
    focal = np.array([[focal_priors[name].focal_px] for name in names])
    focal_sigma = np.array([[focal_priors[name].relative_sigma] for name in names]) * focal
    lens_sigma = np.hstack(
        (focal_sigma, _LENS_SIGMA * np.hstack((focal, focal, np.ones((len(names), 5)))))
    )
    # Where the maker put the centre is better known than where a free adjustment left it.
    prior_lenses = lenses.copy()
    prior_lenses[:, :1] = focal
    for row, camera in zip(prior_lenses, cameras.values(), strict=True):
        row[1:3] = (camera.width_px - 1) / 2.0, (camera.height_px - 1) / 2.0
    known = len(ties.points)
    point = np.concatenate((ties.point_index, control.point_index + known)).astype(np.int32)
    order = np.argsort(point, kind="stable")
    point = point[order]
    count = known + len(control.xyz)
    first = np.searchsorted(point, np.arange(count + 1)).astype(np.int64)
    sigma_px = np.concatenate(
        (np.ones(len(ties.point_index)), np.full(len(control.point_index), control.pixel_sigma))
    )
    pixels = np.concatenate((ties.pixels, control.pixels))
    network = _Network(
        rotations=np.array([shot.rotation for shot in shots]),
        centres=np.array([shot.centre for shot in shots]),
        lenses=lenses,
        camera_of=np.array([names.index(shot.camera) for shot in shots], np.int32),
        points=np.concatenate((ties.points, control.xyz)),
        extra=np.zeros(EXTRA_SIZE),
        first=first,
        shot=np.concatenate((ties.shot_index, control.shot_index)).astype(np.int32)[order],
        point=point,
        pixels=np.ascontiguousarray(pixels[order]),
        sigma_px=sigma_px[order],
        active=np.ones(len(point), bool),
        prior_xyz=np.concatenate((ties.points, control.xyz)),
        prior_weight=np.concatenate((np.zeros((known, 3)), 1.0 / control.sigma**2)),
        prior_lenses=prior_lenses,
        lens_sigma=lens_sigma,
        positions=positions,
        down_seen=np.array([-shot.rotation[:, 2] for shot in shots]),
        # All photos say it together: each alone says it weaker by the root of their number.
        level_weight=1.0 / (level_sigma_rad**2 * len(shots)),
        errors=np.empty((len(point), 2)),
        longest=int(np.diff(first).max()),
    )
    _drop_singles(network)
    network.evaluate()
    return network


def _lens(camera: Camera) -> list[float]:
    return [getattr(camera, name) for name in _LENS_NAMES]


def _iterate(network: _Network) -> _Network:
    """Levenberg-Marquardt to convergence."""
    damping = 1e-4
    cost = network.cost()
    for _ in range(_MAX_ITERATIONS):
        matrix, right = network.system(damping)
        diagonal = np.arange(len(right))
        matrix[diagonal, diagonal] *= 1.0 + damping
        step = _solve(matrix, right)
        trial = network.moved(step, damping)
        trial_cost = trial.cost()
        if trial_cost < cost:
            gain = (cost - trial_cost) / cost
            network, cost = trial, trial_cost
            damping = max(damping * 0.1, 1e-9)
            if gain < _CONVERGED:
                break
        else:
            damping *= 10.0
            if damping > 1e3:
                break
    return network


def _solve(matrix: Array, right: Array) -> Array:
    """Solve symmetric positive definite equations whose unknowns differ much in size."""
    scale = 1.0 / np.sqrt(np.diagonal(matrix))
    factor = scipy.linalg.cho_factor(matrix * scale * scale[:, None], overwrite_a=True)
    columns = scale.reshape(-1, *([1] * (right.ndim - 1)))
    return np.asarray(columns * scipy.linalg.cho_solve(factor, columns * right))


def _pixel_sigma(network: _Network) -> float:
    """Robust standard deviation of a tie point's coordinate.

    Residuals are smaller than errors, since every point and pose took its share of them: the sum
    of squares counts against the redundancy. Lengths are capped, so that mismatches do not.
    """
    used = network.active & _of_ties(network)
    length = np.linalg.norm(network.errors[used], axis=1)
    capped = np.minimum(length, _OUTLIER * np.median(length))
    unknowns = 3 * len(np.unique(network.point[used])) + POSE_SIZE * len(network.centres)
    redundancy = max(2.0 * used.sum() - unknowns, 0.1 * used.sum())
    return float(np.sqrt(np.sum(capped**2) / redundancy))


def _of_ties(network: _Network) -> NDArray[np.bool_]:
    return network.prior_weight[network.point, 0] == 0.0


def _set_pixel_sigma(network: _Network) -> None:
    """Let the tie points say how much they are worth (control points keep the given sigma)."""
    worth = _pixel_sigma(network) * np.sqrt(_design_effect(network))
    network.sigma_px[_of_ties(network)] = max(float(worth), 0.05)


def _design_effect(network: _Network) -> float:
    """How many observations count as one, because neighbours in a photo err alike.

    Rolling shutters and lenses that no model fits leave residuals that go together in each part
    of a photo. Taken as independent they would make the block look far better than it is, and
    let it overrule what is known of lens and positions.

    References
    ----------
    .. [1] L. Kish, "Survey Sampling", 1965, section 5.4: the variance of a cluster's sum over
       that of independent members.
    """
    used = network.active & _of_ties(network)
    errors = network.errors[used]
    errors = (
        errors
        * np.minimum(1.0, _HUBER * network.sigma_px[used] / np.linalg.norm(errors, axis=1))[:, None]
    )
    pixels = network.pixels[used]
    share = pixels / (2.0 * network.lenses[network.camera_of[network.shot[used]], 1:3] + 1.0)
    column, row = np.clip((share * _CELLS).astype(np.int64), 0, _CELLS - 1).T
    cell = (network.shot[used] * _CELLS + row) * _CELLS + column
    sums = np.bincount(cell, errors[:, 0]) ** 2 + np.bincount(cell, errors[:, 1]) ** 2
    return max(1.0, float(sums.sum() / np.sum(errors**2)))


def _drop_outliers(network: _Network) -> None:
    """Take out tie points' observations that do not fit, and tracks that are left with one."""
    length = np.linalg.norm(network.errors, axis=1) / network.sigma_px
    ties = _of_ties(network)
    network.active &= ~(ties & (length > _OUTLIER))
    _drop_singles(network)


def _drop_singles(network: _Network) -> None:
    """A tie point that only one photo sees says nothing and makes its equations singular."""
    remaining = np.bincount(network.point, network.active, minlength=len(network.points))
    network.active &= ~_of_ties(network) | (remaining[network.point] >= 2)


def _set_position_sigma(network: _Network) -> _Network:
    """Raise the positions' sigmas where their residuals contradict them; never lower them.

    Residuals that are small may still be wrong together, so they prove nothing.
    """
    if len(network.positions.xyz) < 4:
        return network
    scaled = np.abs(network.position_residuals() / network.positions.sigma)
    plan = 1.4826 * float(np.median(scaled[:, :2]))
    height = 1.4826 * float(np.median(scaled[:, 2]))
    factor = np.maximum(1.0, np.array([plan, plan, height]))
    positions = replace(network.positions, sigma=network.positions.sigma * factor)
    return replace(network, positions=positions)


def _result(
    network: _Network,
    cameras: dict[str, Camera],
    shots: tuple[Shot, ...],
    ties: TiePoints,
) -> Adjusted:
    matrix, _ = network.system(0.0)
    covariance = _solve(matrix, np.eye(len(matrix)))
    tie_count = len(ties.points)
    kept = network.active & (network.point < tie_count)
    used = np.unique(network.point[kept])
    errors = network.errors[kept]
    adjusted = {
        name: replace(camera, **dict(zip(_LENS_NAMES, lens.tolist(), strict=True)))
        for (name, camera), lens in zip(cameras.items(), network.lenses, strict=True)
    }
    seen = np.zeros(tie_count, bool)
    seen[used] = True
    compact = np.full(tie_count, -1, np.int32)
    compact[seen] = np.arange(len(used), dtype=np.int32)
    return Adjusted(
        cameras=adjusted,
        shots=tuple(
            replace(shot, rotation=rotation, centre=centre)
            for shot, rotation, centre in zip(
                shots, network.rotations, network.centres, strict=True
            )
        ),
        tie_points=TiePoints(
            network.points[:tie_count][seen],
            network.shot[kept],
            compact[network.point[kept]],
            network.pixels[kept],
        ),
        control_xyz=network.points[tie_count:],
        position_offset=network.extra[:3],
        position_drift=network.extra[3:],
        position_residuals=network.position_residuals(),
        pixel_sigma=_pixel_sigma(network),
        reprojection_error_px=float(np.linalg.norm(errors, axis=1).mean()),
        covariance=covariance,
        kept=used.astype(np.intp),
        positions=network.positions,
        _network=network,
    )
