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
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from reconstruction import normal_equations as normal
from reconstruction.block import TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.errors import InputError
from reconstruction.network import (
    LENS_NAMES,
    ControlObservations,
    FocalPrior,
    MeasuredPositions,
    Network,
    build_network,
)
from reconstruction.normal_equations import CAMERA_SIZE, POSE_SIZE
from reconstruction.pixel_noise import OUTLIER, set_pixel_sigma, spread_px
from reconstruction.receiver import plan_covariance

Array = NDArray[np.float64]

_MAX_ITERATIONS = 30
# Relative decrease of the cost, while sigmas and outliers are not settled and when they are.
_ROUGHLY = 1e-4
_CONVERGED = 1e-6
# Photos up to which the threads of BLAS wait for each other longer than they work.
_FEW_SHOTS = 250
_HARMLESS = 300.0  # times the sigma of control with which it holds the place and bends nothing
_DATUM_SIZE = 7  # unknowns that control alone settles: place, turn and scale


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
    position_delay : float
        What they lag behind the photos, on the clock of their ``seconds``.
    position_residuals : ndarray, shape (k, 3)
        Adjusted centre less measured position, offset, drift and delay taken out, metres.
    pixel_sigma : float
        Robust standard deviation of a tie point's coordinate, pixels; half are better.
    reprojection_error_px : float
        Mean length of the reprojection error.
    covariance : ndarray, shape (d, d)
        Of poses, cameras, offset, drift and delay, in the order of `normal_equations`.
    """

    cameras: dict[str, Camera]
    shots: tuple[Shot, ...]
    tie_points: TiePoints
    control_xyz: Array
    position_offset: Array
    position_drift: Array
    position_delay: float
    position_residuals: Array
    pixel_sigma: float
    reprojection_error_px: float
    covariance: Array
    kept: NDArray[np.intp]
    positions: MeasuredPositions
    _network: Network

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
            network.first, *network.geometry(), network.shot, network.motion, network.errors,
            network.weights(), network.prior_weight, network.longest, padded,
        )  # fmt: skip
        return float(np.sqrt(own + q @ self.covariance @ q))

    def camera_sigma(self, name: str) -> dict[str, float]:
        """Standard deviations of a camera's parameters (pixels and unitless)."""
        index = list(self.cameras).index(name)
        at = POSE_SIZE * len(self.shots) + CAMERA_SIZE * index
        variance = np.diagonal(self.covariance)[at : at + CAMERA_SIZE]
        return dict(zip(LENS_NAMES, np.sqrt(variance).tolist(), strict=True))


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

    Raises
    ------
    InputError
        When tie points do not hold all photos in place.
    """
    network = build_network(
        cameras, shots, tie_points, positions, control, level_sigma_rad, focal_priors
    )
    threads = 1 if len(shots) <= _FEW_SHOTS else None
    try:
        with threadpool_limits(threads, user_api="blas"):
            return _result(_converged(network), cameras, shots, tie_points)
    except np.linalg.LinAlgError as error:
        raise torn_apart(len(shots)) from error


def torn_apart(count: int) -> InputError:
    """The error of a block of so many photos that tie points do not hold together."""
    return InputError(
        f"Tie points do not hold the {count} photos together: they show too little that others"
        " show, too.",
        "Check that the photos are sharp and overlap by 60 % or more; low sun brings out the grain"
        " of smooth material.",
    )


def _converged(network: Network) -> Network:
    """The adjusted network, sigmas settled and outliers left out."""
    # Wide first: a sigma far below the initial errors would make every observation an outlier.
    # Control only holds the place then. What is wrong with it would bend the block, whose tie
    # points would say that they are not worth much, and it would fit.
    given = network.prior_weight
    set_pixel_sigma(network)
    network = _iterate(replace(network, prior_weight=given / _HARMLESS**2))
    set_pixel_sigma(network)
    network = _iterate(replace(network, prior_weight=given))
    for _ in range(2):
        set_pixel_sigma(network)
        _drop_outliers(network)
        network = _set_position_sigma(network)
        network = _set_control_sigma(network)
        network = _iterate(network, _CONVERGED)
    return network


def _iterate(network: Network, least_gain: float = _ROUGHLY) -> Network:
    """Levenberg-Marquardt until a step lessens the cost by less than a share of it."""
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
            if gain < least_gain:
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


def _drop_outliers(network: Network) -> None:
    """Take out tie points' observations that do not fit, and tracks that are left with one."""
    length = np.linalg.norm(network.errors, axis=1) / network.spread_px
    ties = network.of_ties
    network.active &= ~(ties & (length > OUTLIER))
    network.drop_singles()


def _set_position_sigma(network: Network) -> Network:
    """Raise the positions' sigmas where their residuals contradict them; never lower them.

    Residuals that are small may still be wrong together. Where positions are far coarser than the
    block, their residuals in plan tell how they are.
    """
    if len(network.positions.xyz) < 4:
        return network
    scaled = np.abs(network.position_residuals() / network.positions.sigma)
    plan = 1.4826 * float(np.median(scaled[:, :2]))
    height = 1.4826 * float(np.median(scaled[:, 2]))
    factor = np.maximum(1.0, np.array([plan, plan, height]))
    positions = replace(network.positions, sigma=network.positions.sigma * factor)
    if not positions.are_precise:
        places, velocities = network.receiver()
        covariance = plan_covariance(
            network.position_residuals()[:, :2],
            places[:, :2],
            velocities[:, :2],
            positions.delay_sigma,
            positions.seconds,
            positions.sigma[:, 0],
        )
        root = np.linalg.cholesky(covariance)
        whitening = scipy.linalg.solve_triangular(root, np.eye(len(root)), lower=True)
        positions = replace(positions, whitening=whitening)
    return replace(network, positions=positions)


def _set_control_sigma(network: Network) -> Network:
    """Raise the sigmas of control and its marks to what their residuals say; never lower them.

    Targets are marked by people and surveyed in all ways. Marks of a point agree with each other
    as well as they were made, whatever its coordinates are; points lie to each other as well as
    they were surveyed.
    """
    marks = network.active & ~network.of_ties
    known = network.prior_weight[:, 0] > 0.0
    mark_squares = np.sum((network.errors[marks] / network.sigma_px[marks, None]) ** 2)
    point_squares = np.sum(
        (network.prior_weight * (network.prior_xyz - network.points) ** 2)[known]
    )
    of_marks = _excess(mark_squares, 2 * int(marks.sum()) - 3 * int(known.sum()))
    of_points = _excess(point_squares, 3 * int(known.sum()) - _DATUM_SIZE)
    factors = np.where(marks, np.sqrt(of_marks), 1.0)
    return replace(
        network,
        spread_px=factors * network.spread_px,
        sigma_px=factors * network.sigma_px,
        prior_weight=network.prior_weight / of_points,
    )


def _excess(squares: float, redundancy: int) -> float:
    """By how much residuals, in sigmas, exceed what is expected of them; never less than one."""
    return max(1.0, float(squares) / redundancy) if redundancy > 0 else 1.0


def _result(
    network: Network,
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
        name: replace(camera, **dict(zip(LENS_NAMES, lens.tolist(), strict=True)))
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
            network.noise_px[kept],
        ),
        control_xyz=network.points[tie_count:],
        position_offset=network.extra[:3],
        position_drift=network.extra[3:6],
        position_delay=float(network.extra[6]),
        position_residuals=network.position_residuals(),
        pixel_sigma=float(np.median(spread_px(network))),
        reprojection_error_px=float(np.linalg.norm(errors, axis=1).mean()),
        covariance=covariance,
        kept=used.astype(np.intp),
        positions=network.positions,
        _network=network,
    )
