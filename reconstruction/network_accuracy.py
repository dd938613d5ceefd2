"""What the adjustment knows of its own accuracy: residuals, check points, sigmas."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.adjustment import Adjusted
from reconstruction.block import Block
from reconstruction.control import Control, SurveyedPoint
from reconstruction.intersection import locate
from reconstruction.network import FocalPrior
from reconstruction.photo import Photo

Array = NDArray[np.float64]

# Bending is asked for over these parts of the site's extent, at this many places.
_PARTS = (1 / 12, 1 / 5)
_PLACES = 8
_LEAST_POINTS = 8
_HOLDING_POINTS = 3  # of control, which hold a block
_U95 = 1.96  # half of a 95 % interval, in sigmas
# Volumes that scale leaves less certain than this share are told of.
_LOOSE = 0.02
_POOR_FIT_PX = 1.5
_CONTRADICTION = 2.0  # sigmas between the focal length that is stated and the one that fits


def network_accuracy(
    adjusted: Adjusted,
    block: Block,
    photos: Mapping[str, Photo],
    control: Control,
    level_sigma_deg: float,
    focal_priors: Mapping[str, FocalPrior],
) -> dict[str, Any]:
    """The adjustment's part of ``accuracy.json``.

    Parameters
    ----------
    adjusted : Adjusted
    block : Block
    photos : mapping of str to Photo
        All photos, registered or not.
    control : Control
    level_sigma_deg : float
    focal_priors : mapping of str to FocalPrior
        By camera name, as they entered the adjustment.

    Returns
    -------
    dict
        Residuals in metres are east, north, up of the survey's grid, adjusted less measured.
    """
    shots = {shot.name: shot for shot in block.shots}
    scale, height_scale = _scale_sigmas(adjusted, block)
    return {
        "image_count": len(photos),
        "registered_count": len(shots),
        "images": _images(adjusted, block, photos),
        "reprojection_error_px": adjusted.reprojection_error_px,
        "pixel_sigma": adjusted.pixel_sigma,
        "cameras": {name: _camera(adjusted, name, focal_priors[name]) for name in adjusted.cameras},
        "position_offset_m": adjusted.position_offset.tolist(),
        "position_drift_m": adjusted.position_drift.tolist(),
        "position_delay_s": adjusted.position_delay,
        "position_delay_s_sigma": float(np.sqrt(adjusted.covariance[-1, -1])),
        "position_rmse_m": _rmse(adjusted.position_residuals),
        "control_points": [
            _point(point, "residual_m", xyz, block)
            for point, xyz in zip(control.control_points, adjusted.control_xyz, strict=True)
        ],
        **_check_points(block, control, shots),
        "level_sigma_deg": level_sigma_deg,
        "horizontal_scale_sigma": scale,
        "height_scale_sigma": height_scale,
        # A volume grows with two horizontal scales and one vertical.
        "scale_sigma": (2.0 * scale + height_scale) / 3.0,
        "vertical_sigma_m": adjusted.functional_sigma(_mean_height(block)),
        "tilt_sigma": _tilt_sigma(adjusted, block),
        "block_deformation": _deformation(adjusted, block),
    }


def loosely_known(
    accuracy: Mapping[str, Any], is_precise: bool, control: Control
) -> tuple[str, ...]:
    """A note where scale makes volumes uncertain, with its cause and what would help.

    Parameters
    ----------
    accuracy : mapping
        Of `network_accuracy`.
    is_precise : bool
        Whether positions are good to centimetres, and agree with the photos.
    control : Control
        As it was used in the end.
    """
    volume_u95 = _U95 * 3.0 * accuracy["scale_sigma"]
    if volume_u95 <= _LOOSE:
        return ()
    lens = max(accuracy["cameras"].values(), key=lambda c: c["focal_px_sigma"] / c["focal_px"])
    causes, remedies = [], []
    lens_sigma = lens["focal_px_sigma"] / lens["focal_px"]
    plan_sigma = accuracy["horizontal_scale_sigma"]
    has_control = len(control.control_points) >= _HOLDING_POINTS
    if not is_precise and not (has_control and lens_sigma > plan_sigma):
        causes.append(f"distances are known to ± {_U95 * plan_sigma:.1%} only")
        better = (
            "Five control points around the site that are measured by RTK or a total station"
            if has_control
            else "Five ground control points around the site, or RTK,"
        )
        remedies.append(
            f"{better} make them accurate; a long distance measured on the ground shows how far"
            " off they are."
        )
    if is_precise or lens_sigma > plan_sigma:
        causes.append(
            "the photos hardly tell the lens (focal length"
            f" {lens['focal_px']:.0f} ± {_U95 * lens['focal_px_sigma']:.0f} px)"
        )
        remedies.append(
            "Fly several strips side by side, and some photos with the camera tilted by 30°"
            + ("; or add ground control points, five or more." if is_precise else ".")
        )
    return (
        f"Volumes are uncertain by ± {volume_u95:.0%} and elevations by"
        f" ± {_U95 * accuracy['vertical_sigma_m']:.1f} m, because {' and '.join(causes)}."
        f" {' '.join(remedies)}",
    )


def poor_fit(accuracy: Mapping[str, Any]) -> tuple[str, ...]:
    """A note where the photos agree with each other far worse than those of a usual camera do."""
    error_px = accuracy["reprojection_error_px"]
    if error_px <= _POOR_FIT_PX:
        return ()
    return (
        f"The photos fit each other to {error_px:.1f} px only, usual are 0.3 to 0.6 px: less of the"
        " surface is found, and all ± may be too small. Cameras that read their rows slowly, very"
        " wide lenses, vibration and photos that were edited do that: fly slower or with a"
        " mechanical shutter, and give the camera's own files.",
    )


def contradicting_lenses(accuracy: Mapping[str, Any]) -> tuple[str, ...]:
    """Notes on focal lengths that the photos state and the block contradicts.

    What is stated took part in the adjustment, so the two are apart by less than they differ.
    """
    notes = []
    for name, lens in accuracy["cameras"].items():
        if "focal_stated_px" not in lens:
            continue
        apart_px = abs(lens["focal_px"] - lens["focal_stated_px"])
        variance = lens["focal_stated_px_sigma"] ** 2 - lens["focal_px_sigma"] ** 2
        if apart_px > _CONTRADICTION * np.sqrt(max(variance, 0.0)):
            notes.append(
                f"{name}: the photos state a focal length of {lens['focal_stated_px']:.0f}"
                f" ± {_U95 * lens['focal_stated_px_sigma']:.0f} px, and {lens['focal_px']:.0f}"
                f" ± {_U95 * lens['focal_px_sigma']:.0f} px came out of what they show. Give the"
                " camera's own files, neither cropped nor scaled; control points or tilted"
                " photos tell which is right."
            )
    return tuple(notes)


def _images(adjusted: Adjusted, block: Block, photos: Mapping[str, Photo]) -> list[dict[str, Any]]:
    ties = block.tie_points
    residuals = dict(
        zip(
            adjusted.positions.shot_index.tolist(),
            adjusted.position_residuals.tolist(),
            strict=True,
        )
    )
    count = np.bincount(ties.shot_index, minlength=len(block.shots))
    registered = {
        shot.name: {
            "name": shot.name,
            "registered": True,
            "tie_points": int(count[index]),
            "position_residual_m": residuals.get(index),
        }
        for index, shot in enumerate(block.shots)
    }
    missing = {"registered": False, "tie_points": 0, "position_residual_m": None}
    return [registered.get(name, {"name": name, **missing}) for name in sorted(photos)]


def _camera(adjusted: Adjusted, name: str, prior: FocalPrior) -> dict[str, float]:
    camera = adjusted.cameras[name]
    sigmas = adjusted.camera_sigma(name)
    values = {key: float(getattr(camera, key)) for key in sigmas}
    values |= {f"{key}_sigma": value for key, value in sigmas.items()}
    if prior.stated:
        values["focal_stated_px"] = prior.focal_px
        values["focal_stated_px_sigma"] = prior.focal_px * prior.relative_sigma
    return values


def _check_points(block: Block, control: Control, shots: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of the points that took no part, and their root mean square."""
    found = []
    for point in control.check_points:
        place = locate(point, block.cameras, shots)
        if place is not None:
            found.append(_point(point, "error_m", place.xyz, block))
    rmse = _rmse(np.array([item["error_m"] for item in found]).reshape(-1, 3))
    return {"check_points": found, "check_point_rmse_m": rmse}


def _point(point: SurveyedPoint, key: str, xyz: Array, block: Block) -> dict[str, Any]:
    """A surveyed point: name, surveyed place on the map, and photogrammetric less surveyed."""
    local = point.local(block.frame)
    on_map = block.frame.to_map(local[None])[0]
    return {"name": point.name, "coordinates": on_map.tolist(), key: (xyz - local).tolist()}


def _rmse(residuals: Array) -> dict[str, float] | None:
    if not len(residuals):
        return None
    horizontal = float(np.sqrt(np.mean(np.sum(residuals[:, :2] ** 2, axis=1))))
    return {"horizontal": horizontal, "vertical": float(np.sqrt(np.mean(residuals[:, 2] ** 2)))}


def _mean_height(block: Block) -> Array:
    count = len(block.tie_points.points)
    return _of_heights(np.full(count, 1.0 / count))


def _scale_sigmas(adjusted: Adjusted, block: Block) -> tuple[float, float]:
    """Relative sigmas of horizontal distances and of height differences.

    A height over a flat flight is base times focal length over parallax: what the focal length
    does not know, heights do not know either.
    """
    horizontal = adjusted.functional_sigma(_scale(block.tie_points.points))
    lens = max(
        adjusted.camera_sigma(name)["focal_px"] / camera.focal_px
        for name, camera in adjusted.cameras.items()
    )
    return horizontal, float(np.hypot(horizontal, lens))


def _tilt_sigma(adjusted: Adjusted, block: Block) -> float:
    """Sigma of the slope of the whole surface in any direction, metres a metre."""
    sigmas = [adjusted.functional_sigma(slope) for slope in _slopes(block.tie_points.points)]
    return float(np.sqrt(np.mean(np.square(sigmas))))


def _of_heights(weight: Array) -> Array:
    """Coefficients (n, 3) of a functional of heights alone."""
    return np.column_stack((np.zeros((len(weight), 2)), weight))


def _scale(points: Array) -> Array:
    """Coefficients (n, 3) of the scale in plan."""
    offset = points - points.mean(axis=0)
    offset[:, 2] = 0.0
    return np.asarray(offset / np.sum(offset**2))


def _slopes(points: Array) -> Array:
    """Coefficients (2, n, 3) of the slopes to the east and to the north of the plane of all."""
    offset = points[:, :2] - points[:, :2].mean(axis=0)
    return np.array([_of_heights(slope) for slope in np.linalg.pinv(offset)])


def _deformation(adjusted: Adjusted, block: Block) -> list[dict[str, float]]:
    """How well a spot's height above its surroundings is known, by the size of the spot.

    This is the bending that all depth maps share, so that no comparison between them shows it.
    A scale or a tilt of the whole, which moves a spot that lies high or aside, is no bending.
    """
    points = block.tie_points.points
    extent = float(np.ptp(np.quantile(points[:, :2], [0.05, 0.95], axis=0), axis=0).mean())
    places = _spread_places(points[:, :2])
    offset = points - points.mean(axis=0)
    rigid = np.stack((*_slopes(points), _scale(points)))
    found = []
    for part in _PARTS:
        radius = part * extent
        sigmas = [
            adjusted.functional_sigma(_of_heights(weight) - np.tensordot(weight @ offset, rigid, 1))
            for place in places
            if (weight := _spot(points, place, radius)) is not None
        ]
        if sigmas:
            rms = float(np.sqrt(np.mean(np.square(sigmas))))
            found.append({"sigma_m": rms, "range_m": 2.0 * radius})
    return found


def _spread_places(plan: Array) -> Array:
    """Places far from each other inside the site (farthest point sampling)."""
    low, high = np.quantile(plan, [0.15, 0.85], axis=0)
    inner = plan[np.all((plan > low) & (plan < high), axis=1)]
    if not len(inner):
        return inner
    chosen = [inner[np.argmin(np.linalg.norm(inner - inner.mean(axis=0), axis=1))]]
    for _ in range(_PLACES - 1):
        distance = np.min([np.linalg.norm(inner - place, axis=1) for place in chosen], axis=0)
        chosen.append(inner[np.argmax(distance)])
    return np.array(chosen)


def _spot(points: Array, place: Array, radius: float) -> Array | None:
    """Weights (n,) of the mean height of a disc less that of the ring around it."""
    distance = np.linalg.norm(points[:, :2] - place, axis=1)
    disc = distance < radius
    ring = (distance >= radius) & (distance < 2.0 * radius)
    if disc.sum() < _LEAST_POINTS or ring.sum() < _LEAST_POINTS:
        return None
    return np.asarray(disc / disc.sum() - ring / ring.sum())
