"""The network of a bundle adjustment: all unknowns and all observations, in arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconstruction import normal_equations as normal
from reconstruction.block import TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.normal_equations import EXTRA_SIZE, POSE_SIZE
from reconstruction.rolling_shutter import LONGEST_S

Array = NDArray[np.float64]
Ints = NDArray[np.int32]

LENS_NAMES = ("focal_px", "cx_px", "cy_px", "k1", "k2", "k3", "p1", "p2", "readout_s")
HUBER = 2.0  # spreads of a pixel residual up to which it counts in full
PRECISE_M = 0.1  # positions better than this bear comparison with the geometry of the photos
CAUCHY = 2.5  # sigmas at which a position has lost half its weight
# How well the lens is known beforehand, but for the focal length: cx, cy relative to the focal
# length, the rest absolute (the readout in seconds: electronic shutters take some 10 to 70 ms).
# Loose enough for any drone camera, tight enough to hold what a flight cannot see.
_LENS_SIGMA = np.array([0.02, 0.02, 0.2, 0.2, 0.1, 0.005, 0.005, 0.03])


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
    seconds : ndarray, shape (k,)
        When, on any clock.
    offset_sigma, drift_sigma : ndarray, shape (3,)
        What all positions may be off by together, and drift by over the flight, metres.
    delay_sigma : float
        What they may lag behind the photos, on the clock of ``seconds``.
    whitening : ndarray, shape (k, k), or None
        Turns errors in plan that hang together into independent ones of unit variance; None where
        they are independent, as ``sigma`` says.
    """

    shot_index: Ints
    xyz: Array
    sigma: Array
    seconds: Array
    offset_sigma: Array
    drift_sigma: Array
    delay_sigma: float
    whitening: Array | None = None

    @property
    def time(self) -> Array:
        """When, over the flight: -0.5 at its start, 0.5 at its end."""
        if not len(self.seconds):
            return self.seconds
        start, end = self.seconds.min(), self.seconds.max()
        return np.asarray((self.seconds - 0.5 * (start + end)) / max(end - start, 1e-9))

    def before(self, delay: float) -> tuple[Array, Array]:
        """Matrices (k, k) that turn centres into places and velocities a delay before each photo.

        Between photos it flew straight. Over breaks of minutes nothing is known, so there it
        counts as if it had waited where the photo was taken.
        """
        itself = np.eye(len(self.seconds))
        if len(self.seconds) < 2:
            return itself, np.zeros_like(itself)
        when = self.seconds - delay
        start = np.clip(np.searchsorted(self.seconds, when) - 1, 0, len(when) - 2)
        took = self.seconds[start + 1] - self.seconds[start]
        is_flown = ((took > 0.0) & (took < LONGEST_S))[:, None]
        leg = itself[start + 1] - itself[start]
        velocity = np.where(is_flown, leg / np.maximum(took, 1e-9)[:, None], 0.0)
        since = (when - self.seconds[start])[:, None]
        return np.where(is_flown, itself[start] + since * velocity, itself), velocity

    @property
    def are_precise(self) -> bool:
        """Whether they hold a block to centimetres."""
        return bool(np.sum(self.sigma[:, 0] < PRECISE_M) > 0.5 * len(self.sigma))

    def roots(self) -> tuple[Array, Array]:
        """Matrices (k, k) that make errors in plan and in height independent, of unit variance."""
        plan = np.diag(1.0 / self.sigma[:, 0]) if self.whitening is None else self.whitening
        return plan, np.diag(1.0 / self.sigma[:, 2])


@dataclass(frozen=True)
class FocalPrior:
    """What is known of a focal length before the adjustment.

    Parameters
    ----------
    focal_px : float
    relative_sigma : float
    stated : bool
        By the photos' metadata; else it is what a free model found.
    """

    focal_px: float
    relative_sigma: float
    stated: bool = True


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


@dataclass
class Network:
    """All unknowns and observations; control points follow the tie points.

    Observations are sorted by point, ``first[p]:first[p + 1]`` being those of point ``p``.
    Residuals and weights are those of the current unknowns; `moved` gives a new network.
    Of an observation, ``noise_px`` is what its picture says of its errors, ``spread_px`` their
    standard deviation, and ``sigma_px``, never less, what it is worth: errors that go together, or
    that no lens model describes, make it worth less than its spread says, yet a mismatch stands
    out from the spread.
    """

    rotations: Array
    centres: Array
    lenses: Array
    camera_of: Ints
    points: Array
    extra: Array
    first: NDArray[np.int64]
    shot: Ints
    motion: Array
    point: Ints
    pixels: Array
    noise_px: Array
    spread_px: Array
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

    @property
    def of_ties(self) -> NDArray[np.bool_]:
        """Which observations belong to tie points, shape (m,)."""
        return self.prior_weight[self.point, 0] == 0.0

    def drop_singles(self) -> None:
        """Leave out tie points of one photo: they say nothing and make equations singular."""
        remaining = np.bincount(self.point, self.active, minlength=len(self.points))
        self.active &= ~self.of_ties | (remaining[self.point] >= 2)

    def geometry(self) -> tuple[Array, Array, Array, Ints, Array]:
        """The unknowns as the kernels of `normal_equations` take them."""
        return self.rotations, self.centres, self.lenses, self.camera_of, self.points

    def evaluate(self) -> None:
        """Refresh the reprojection errors."""
        normal.residuals(
            *self.geometry(), self.shot, self.motion, self.point, self.pixels, self.errors
        )  # fmt: skip

    def weights(self) -> Array:
        """Robust weights 1/px², 0 for observations that are left out."""
        length = np.linalg.norm(self.errors, axis=1) / self.spread_px
        robust = np.minimum(1.0, HUBER / np.maximum(length, 1e-12))
        return np.where(self.active, robust / self.sigma_px**2, 0.0)

    def position_residuals(self) -> Array:
        """Places of the receiver less measured positions, shape (k, 3)."""
        drift = self.positions.time[:, None] * self.extra[3:6]
        return np.asarray(self.receiver()[0] + self.extra[:3] + drift - self.positions.xyz)

    def receiver(self) -> tuple[Array, Array]:
        """Where the flight was at the moments that the positions tell of, and how fast, (k, 3)."""
        centres = self.centres[self.positions.shot_index]
        place, velocity = self.positions.before(self.extra[6])
        return place @ centres, velocity @ centres

    def _position_misfits(self) -> tuple[Array, Array]:
        """Squared residuals in sigmas, in plan and in height: those fail separately.

        Where errors hang together, they are of the changes from photo to photo: a jump of the
        receiver fails once.
        """
        plan, height = self.positions.roots()
        residuals = self.position_residuals()
        in_plan = plan @ residuals[:, :2]
        return np.sum(in_plan**2, axis=1), (height @ residuals[:, 2]) ** 2

    def cost(self) -> float:
        """Half the robust sum of squares."""
        length = np.linalg.norm(self.errors, axis=1)[self.active] / self.spread_px[self.active]
        pixels = np.where(length <= HUBER, length**2, 2.0 * HUBER * length - HUBER**2)
        pixels *= (self.spread_px / self.sigma_px)[self.active] ** 2
        plan, height = (np.log1p(misfit / CAUCHY**2) for misfit in self._position_misfits())
        known = self.prior_weight * (self.prior_xyz - self.points) ** 2
        lens = ((self.lenses - self.prior_lenses) / self.lens_sigma) ** 2
        extra = (self.extra / self._extra_sigma()) ** 2
        level = self.level_weight * (self._down() - self.down_seen) ** 2
        total = pixels.sum() + level.sum() + CAUCHY**2 * (plan.sum() + height.sum())
        return 0.5 * float(total + known.sum() + lens.sum() + extra.sum())

    def _down(self) -> Array:
        """Where down is in each photo's camera axes, shape (n, 3)."""
        return -self.rotations[:, :, 2]

    def _extra_sigma(self) -> Array:
        positions = self.positions
        return np.append((positions.offset_sigma, positions.drift_sigma), positions.delay_sigma)

    def system(self, damping: float) -> tuple[Array, Array]:
        """Reduced normal equations with all that is known besides pixels."""
        matrix, right = normal.reduce_points(
            self.first, *self.geometry(), self.shot, self.motion, self.errors, self.weights(),
            damping, self.prior_weight, self.prior_xyz - self.points, self.longest,
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
        positions, count = self.positions, len(self.positions.seconds)
        missing, lags = -self.position_residuals(), -self.receiver()[1]
        place, _ = positions.before(self.extra[6])
        design = np.column_stack((place, np.ones(count), positions.time))
        extra_at = len(right) - EXTRA_SIZE
        for axes, root, misfit in zip(
            ((0, 1), (2,)), positions.roots(), self._position_misfits(), strict=True
        ):
            weight = 1.0 / (1.0 + misfit / CAUCHY**2)
            rows, lag, seen = root @ design, root @ lags, root @ missing
            weighted = rows.T * weight
            own = weighted @ rows
            for axis in axes:
                columns = np.append(
                    POSE_SIZE * positions.shot_index + 3 + axis,
                    [extra_at + axis, extra_at + 3 + axis],
                )
                matrix[np.ix_(columns, columns)] += own
                matrix[columns, -1] += weighted @ lag[:, axis]
                matrix[-1, columns] += weighted @ lag[:, axis]
                matrix[-1, -1] += weight @ lag[:, axis] ** 2
                right[columns] += weighted @ seen[:, axis]
                right[-1] += weight @ (lag[:, axis] * seen[:, axis])

    def _add_level(self, matrix: Array, right: Array) -> None:
        down = self._down()
        gradient = self.level_weight * np.cross(down, self.down_seen)
        for index, axis in enumerate(down):
            columns = slice(POSE_SIZE * index, POSE_SIZE * index + 3)
            matrix[columns, columns] += self.level_weight * (np.eye(3) - np.outer(axis, axis))
            right[columns] += gradient[index]

    def moved(self, step: Array, damping: float) -> Network:
        """The network one step further."""
        points = normal.substitute(
            self.first, *self.geometry(), self.shot, self.motion, self.errors, self.weights(),
            damping, self.prior_weight, self.prior_xyz - self.points, self.longest, step,
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


def build_network(
    cameras: dict[str, Camera],
    shots: tuple[Shot, ...],
    ties: TiePoints,
    positions: MeasuredPositions,
    control: ControlObservations,
    level_sigma_rad: float,
    focal_priors: Mapping[str, FocalPrior],
) -> Network:
    """Arrays of what `reconstruction.adjustment.adjust` is given."""
    names = list(cameras)
    lenses = np.array([_lens(camera) for camera in cameras.values()])
    focal = np.array([[focal_priors[name].focal_px] for name in names])
    focal_sigma = np.array([[focal_priors[name].relative_sigma] for name in names]) * focal
    lens_sigma = np.hstack(
        (focal_sigma, _LENS_SIGMA * np.hstack((focal, focal, np.ones((len(names), 6)))))
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
    noise_px = np.ones(len(ties.point_index)) if ties.noise_px is None else ties.noise_px
    shot = np.concatenate((ties.shot_index, control.shot_index)).astype(np.int32)[order]
    pixels = np.ascontiguousarray(np.concatenate((ties.pixels, control.pixels))[order])
    network = Network(
        rotations=np.array([shot.rotation for shot in shots]),
        centres=np.array([shot.centre for shot in shots]),
        lenses=lenses,
        camera_of=np.array([names.index(shot.camera) for shot in shots], np.int32),
        points=np.concatenate((ties.points, control.xyz)),
        extra=np.zeros(EXTRA_SIZE),
        first=first,
        shot=shot,
        motion=_motion(cameras, shots, shot, pixels),
        point=point,
        pixels=pixels,
        noise_px=np.concatenate((noise_px, np.zeros(len(control.point_index))))[order],
        spread_px=sigma_px[order],
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
    network.drop_singles()
    network.evaluate()
    return network


def _motion(
    cameras: dict[str, Camera], shots: tuple[Shot, ...], shot: Ints, pixels: Array
) -> Array:
    """How far each observation's centre moves for a second of readout, shape (m, 3)."""
    velocity = np.array([shot.velocity_m_s for shot in shots])
    height = np.array([cameras[shot.camera].height_px for shot in shots])
    share = (pixels[:, 1] + 0.5) / height[shot] - 0.5
    return velocity[shot] * share[:, None]


def _lens(camera: Camera) -> list[float]:
    return [getattr(camera, name) for name in LENS_NAMES]
