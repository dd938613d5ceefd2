"""Which way is down: every piece of evidence there is, weighed against each other.

Altitudes alone have tilted whole surveys: a receiver whose altitude drifts makes a similarity
transform lean the scene until it fits. So a block is levelled by how the photos were taken and
where they lie in plan, and the altitudes are believed only when they agree with that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel
from reconstruction.errors import InputError
from reconstruction.photo import Photo

Array = NDArray[np.float64]

# One standard deviation of each kind of evidence, degrees. Gimbals are calibrated to about a
# degree; a mapping flight looks down on average; it is flown level; and the ground of a site
# seldom leans as a whole.
_GIMBAL_DEG = 1.5
_VIEW_DEG = 5.0
_FLIGHT_DEG = 5.0
_GROUND_DEG = 6.0
# Evidence this far apart cannot be weighed, only misjudged.
_HOPELESS_DEG = 25.0
_MEDIAN_LENGTH = 1.1774  # of a vector in the plane, in sigmas of its coordinates
_WILD = 2.5  # spreads at which a position counts half
_ROUNDS = 5
_LEAST_MIRRORED = 8  # places
_MIRRORED = 0.2  # of their width, by which places may be off of which that is said


@dataclass(frozen=True)
class Evidence:
    """One opinion about down.

    Parameters
    ----------
    source : str
        What it rests on, in words.
    down : ndarray, shape (3,)
        Unit vector in the model's axes.
    sigma_deg : float
    """

    source: str
    down: Array
    sigma_deg: float


@dataclass(frozen=True)
class Level:
    """A levelled and oriented model: what turns model axes into east, north, up.

    Parameters
    ----------
    scale : float
        Metres a model unit.
    rotation : ndarray, shape (3, 3)
        Model axes to local axes.
    shift : ndarray, shape (3,)
        Local = scale * rotation @ model + shift; the third is 0 when no height is known.
    sigma_deg : float
        How well the level is known.
    contradictions : tuple of str
        Evidence that does not agree with the outcome.
    """

    scale: float
    rotation: Array
    shift: Array
    sigma_deg: float
    contradictions: tuple[str, ...]


def find_level(
    model: SparseModel, photos: Mapping[str, Photo], plan: Array, plan_sigma_m: Array
) -> Level:
    """Level, turn, scale and place a model by attitude and positions in plan.

    Parameters
    ----------
    model : SparseModel
    photos : mapping of str to Photo
        By name, for the gimbal angles.
    plan : ndarray, shape (n, 2)
        Measured east and north of each shot in metres; NaN where unknown.
    plan_sigma_m : ndarray, shape (n,)

    Raises
    ------
    InputError
        When the evidence is too contradictory to tell, and when the positions are mirrored.
    """
    evidence = gather(model, photos)
    down = _weigh(evidence)
    upright = _turn_down(down)
    known = np.isfinite(plan[:, 0])
    centres = np.array([shot.centre for shot in model.shots])[known]
    _refuse_mirrored((centres @ upright.T)[:, :2], plan[known])
    start = _plan_similarity((centres @ upright.T)[:, :2], plan[known])
    sigma_deg = float(1.0 / np.sqrt(sum(1.0 / item.sigma_deg**2 for item in evidence)))
    rotation, scale, shift = _refine(
        centres, plan[known], plan_sigma_m[known], upright, start, sigma_deg
    )
    final = -rotation.T[:, 2]
    contradictions = tuple(
        f"{item.source} says down is {angle:.0f}° away from where everything else has it."
        for item in evidence
        if (angle := _angle_deg(item.down, final)) > 3.0 * item.sigma_deg
    )
    return Level(scale, rotation, np.array([*shift, 0.0]), sigma_deg, contradictions)


def gather(model: SparseModel, photos: Mapping[str, Photo]) -> list[Evidence]:
    """All evidence about down that a model and its photos hold."""
    views = np.array([shot.rotation[2] for shot in model.shots])
    evidence = []
    gimbal = _gimbal(model, photos)
    if gimbal is not None:
        evidence.append(gimbal)
    spread = float(np.median(_angles_deg(views, _mean_direction(views))))
    # A few oblique photos pull the mean to their side: the wider the views, the less they say.
    sigma = max(_VIEW_DEG, spread)
    evidence.append(Evidence("The mean viewing direction", _mean_direction(views), sigma))
    hint = evidence[0].down
    centres = np.array([shot.centre for shot in model.shots])
    flight = _plane_down(centres, hint, 0.3)
    if flight is not None:
        evidence.append(Evidence("The plane of the flight", flight, _FLIGHT_DEG))
    ground = _plane_down(_without_far(model.tie_points.points), hint, 0.3)
    if ground is not None:
        evidence.append(Evidence("The lie of the ground", ground, _GROUND_DEG))
    return evidence


def _gimbal(model: SparseModel, photos: Mapping[str, Photo]) -> Evidence | None:
    """Down from the gimbal angles of at least half of the photos."""
    downs = []
    for shot in model.shots:
        photo = photos[shot.name]
        if photo.pitch_deg is None:
            continue
        pitch, roll = np.radians([photo.pitch_deg, photo.roll_deg or 0.0])
        level = np.cos(pitch)
        seen = np.array([np.sin(roll) * level, np.cos(roll) * level, -np.sin(pitch)])
        downs.append(shot.rotation.T @ seen)
    if len(downs) < max(3, len(model.shots) // 2):
        return None
    mean = _mean_direction(np.array(downs))
    spread = float(np.median(_angles_deg(np.array(downs), mean)))
    return Evidence("The gimbal", mean, max(_GIMBAL_DEG, spread))


def _mean_direction(directions: Array) -> Array:
    """Robust mean of unit vectors: the mean of those near the median direction."""
    centre = np.median(directions, axis=0)
    for _ in range(5):
        angles = _angles_deg(directions, centre)
        weight = 1.0 / (1.0 + (angles / 10.0) ** 2)
        centre = weight @ directions
        centre = centre / np.linalg.norm(centre)
    return np.asarray(centre, dtype=np.float64)


def _without_far(points: Array) -> Array:
    """Points less the twentieth that lies farthest out, such as mismatches near the horizon."""
    distance = np.linalg.norm(points - np.median(points, axis=0), axis=1)
    return points[distance <= np.quantile(distance, 0.95)]


def _plane_down(points: Array, hint: Array, least_ratio: float) -> Array | None:
    """Normal of the plane through points, on the hint's side; None where they are in a line."""
    if len(points) < 4:
        return None
    offset = points - np.median(points, axis=0)
    for _ in range(5):
        _, size, axes = np.linalg.svd(offset, full_matrices=False)
        height = np.abs(offset @ axes[2])
        keep = height <= max(3.0 * float(np.median(height)), 1e-12)
        if size[1] < least_ratio * size[0] or keep.sum() < 4:
            return None
        offset = offset[keep] - offset[keep].mean(axis=0)
    normal = axes[2]
    return np.asarray(normal if normal @ hint > 0.0 else -normal)


def _weigh(evidence: list[Evidence]) -> Array:
    """Robustly weighted mean of the opinions, started from the most reliable one."""
    downs = np.array([item.down for item in evidence])
    sigma = np.array([item.sigma_deg for item in evidence])
    best = int(np.argmin(sigma))
    down = downs[best]
    for _ in range(20):
        angles = _angles_deg(downs, down)
        weight = 1.0 / (sigma**2 * (1.0 + (angles / (2.0 * sigma)) ** 2))
        mean = weight @ downs
        down = mean / np.linalg.norm(mean)
    if _angle_deg(down, downs[best]) > _HOPELESS_DEG:
        listed = "; ".join(
            f"{item.source.lower()}: {_angle_deg(item.down, down):.0f}°" for item in evidence
        )
        raise InputError(
            f"Which way is down cannot be told: the evidence disagrees ({listed}).",
            "Add ground control points, or fly again with the camera looking down.",
        )
    return np.asarray(down, dtype=np.float64)


def _turn_down(down: Array) -> Array:
    """A rotation that takes ``down`` to (0, 0, -1)."""
    target = np.array([0.0, 0.0, -1.0])
    axis = np.cross(down, target)
    sine, cosine = np.linalg.norm(axis), down @ target
    if sine < 1e-12:
        return np.eye(3) if cosine > 0 else np.diag([1.0, -1.0, -1.0])
    return Rotation.from_rotvec(axis / sine * np.arctan2(sine, cosine)).as_matrix()


def _refuse_mirrored(seen: Array, measured: Array) -> None:
    """Refuse positions that only a mirror brings onto what the photos show, shape (n, 2) each.

    They fit turned, stretched and leaning in whatever way: swapped latitude and longitude also
    have the wrong scale. Few positions fit a mirror by chance.
    """
    if len(seen) < _LEAST_MIRRORED:
        return
    weight = np.ones((len(seen), 1))
    for _ in range(_ROUNDS):
        middle, target = (
            places - np.average(places, 0, weight[:, 0]) for places in (seen, measured)
        )
        turn = np.linalg.lstsq(middle * weight, target * weight, rcond=None)[0]
        off_m = np.linalg.norm(target - middle @ turn, axis=1, keepdims=True)
        weight = 1.0 / (1.0 + off_m / max(float(np.median(off_m)), 1e-3))
    width_m = np.linalg.svd(middle @ turn, compute_uv=False)[1] / np.sqrt(len(seen))
    if np.linalg.det(turn) < 0.0 and np.median(off_m) < _MIRRORED * width_m:
        raise InputError(
            "The measured positions lie to each other as in a mirror of what the photos show.",
            "East and north are most likely swapped: give x as easting or longitude and y as"
            " northing or latitude.",
        )


def _plan_similarity(model: Array, plan: Array) -> tuple[complex, complex]:
    """Plan = a * model + b in complex numbers, from the pair of photos most others agree with.

    Every pair of photos proposes a similarity; the one with the least median error wins, so that
    up to half of the positions may be wild.
    """
    m = model[:, 0] + 1j * model[:, 1]
    p = plan[:, 0] + 1j * plan[:, 1]
    first, second = np.triu_indices(len(m), 1)
    if len(first) > 3000:
        chosen = np.random.default_rng(0).choice(len(first), 3000, replace=False)
        first, second = first[chosen], second[chosen]
    base = m[second] - m[first]
    apart = np.abs(base) > 0.2 * np.max(np.abs(base))
    first, second, base = first[apart], second[apart], base[apart]
    a = (p[second] - p[first]) / base
    b = p[first] - a * m[first]
    errors = np.median(np.abs(a[:, None] * m + b[:, None] - p), axis=1)
    best = int(np.argmin(errors / np.maximum(np.abs(a), 1e-12) + 1e-9 * errors))
    return complex(a[best]), complex(b[best])


def _refine(
    centres: Array,
    plan: Array,
    sigma_m: Array,
    upright: Array,
    start: tuple[complex, complex],
    level_sigma_deg: float,
) -> tuple[Array, float, Array]:
    """Rotation, scale and shift in plan from positions in plan and the evidence together.

    Positions that lag or wander may fit best when the block leans. So it leans first as they like
    it; what they do not fit to even then they are not good to, and weigh against the evidence.
    """
    a, b = start
    first = Rotation.from_euler("z", np.angle(a)).as_matrix() @ upright
    weight = np.zeros(len(plan))

    def unpack(values: Array) -> tuple[Array, float]:
        rotation = Rotation.from_rotvec(values[:3]).as_matrix() @ first
        return rotation, float(np.abs(a) * np.exp(values[3]))

    def in_plan(values: Array) -> Array:
        rotation, scale = unpack(values)
        return np.asarray(scale * (centres @ rotation.T)[:, :2] + values[4:6] - plan)

    def residuals(values: Array) -> Array:
        lean = values[:2] / np.radians(level_sigma_deg)
        return np.concatenate(((in_plan(values) * weight[:, None]).ravel(), lean))

    values = np.array([0.0, 0.0, 0.0, 0.0, b.real, b.imag])
    for is_judged in (False,) * _ROUNDS + (True,) * _ROUNDS:
        off_m = np.linalg.norm(in_plan(values), axis=1)
        fit_m = float(np.median(off_m)) / _MEDIAN_LENGTH if is_judged else 0.0
        spread_m = np.maximum(sigma_m, fit_m)
        weight = 1.0 / (spread_m * np.sqrt(1.0 + (off_m / (_WILD * spread_m)) ** 2))
        values = least_squares(residuals, values, x_scale="jac").x
    rotation, scale = unpack(values)
    return rotation, scale, values[4:6]


def _angles_deg(directions: Array, axis: Array) -> Array:
    length = np.linalg.norm(directions, axis=1) * np.linalg.norm(axis)
    return np.asarray(np.degrees(np.arccos(np.clip(directions @ axis / length, -1.0, 1.0))))


def _angle_deg(one: Array, other: Array) -> float:
    return float(_angles_deg(one[None], other)[0])
