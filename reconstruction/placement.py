"""Placement: the first, rough place of a model in the local frame, and which heights to believe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconstruction.block import SparseModel
from reconstruction.control import Control
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame
from reconstruction.intersection import locate
from reconstruction.level import Level, find_level
from reconstruction.photo import Photo

Array = NDArray[np.float64]

# Altitudes are believed when levelling by them would turn the block by no more than this many
# standard deviations of its level, and when they then fit to so many of their own.
_LEVEL_LIMIT = 3.0
_ALTITUDE_LIMIT = 4.0


def place(
    model: SparseModel,
    photos: Mapping[str, Photo],
    measured: Array,
    control: Control,
    frame: LocalFrame,
) -> tuple[Level, tuple[str, ...]]:
    """The first place of a model: by control where there is enough, else by positions.

    Parameters
    ----------
    model : SparseModel
    photos : mapping of str to Photo
    measured : ndarray, shape (n, 3)
        Measured local positions of the shots, NaN where unknown.
    control : Control
    frame : LocalFrame

    Returns
    -------
    level : Level
    notes : tuple of str
        Contradictions in the evidence.

    Raises
    ------
    InputError
        When neither control nor positions say where the site is.
    """
    pairs = _control_pairs(model, control, frame)
    if pairs is not None:
        level = similarity(*pairs)
        return level, ()
    if np.isfinite(measured[:, 0]).sum() < 3:
        raise InputError(
            "The control points seen in the registered photos lie in a line or are fewer than"
            " three, and the photos have no positions.",
            "Add control points away from the line, marked in two photos or more each.",
        )
    sigma = np.array([_plan_sigma(photos[shot.name]) for shot in model.shots])
    level = find_level(model, photos, measured[:, :2], sigma)
    heights = np.isfinite(measured[:, 2])
    if heights.any():
        centres = np.array([shot.centre for shot in model.shots])
        up = level.scale * (centres @ level.rotation.T)[:, 2]
        rise = float(np.median((measured[:, 2] - up)[heights]))
        level = replace(level, shift=np.array([*level.shift[:2], rise]))
    return level, level.contradictions


def _plan_sigma(photo: Photo) -> float:
    # A model that is not adjusted yet bends: no position is worth more than half a metre here.
    return 0.5 if photo.position is None else max(photo.position.horizontal_sigma_m, 0.5)


def _control_pairs(
    model: SparseModel, control: Control, frame: LocalFrame
) -> tuple[Array, Array] | None:
    """Control points in the model and in the local frame, if they span a plane."""
    index = {shot.name: shot for shot in model.shots}
    in_model, in_frame = [], []
    for point in control.control_points:
        found = locate(point, model.cameras, index)
        if found is not None:
            in_model.append(found.xyz)
            in_frame.append(point.local(frame))
    if len(in_model) < 3 or not spans_plane(np.array(in_frame)):
        return None
    return np.array(in_model), np.array(in_frame)


def spans_plane(points: Array) -> bool:
    """Whether points (n, 3) lie beside a line by a tenth of their extent or more."""
    size = np.linalg.svd(points - points.mean(axis=0), compute_uv=False)
    return bool(size[1] > 0.1 * size[0])


def similarity(source: Array, target: Array) -> Level:
    """Least-squares similarity; a single wrong point is outvoted when there are five or more.

    References
    ----------
    .. [1] S. Umeyama, "Least-squares estimation of transformation parameters between two point
       patterns", IEEE PAMI 13(4), 1991.
    """
    weight = np.ones(len(source))
    for _ in range(10):
        total = weight.sum()
        mean_source = weight @ source / total
        mean_target = weight @ target / total
        s, t = source - mean_source, target - mean_target
        u, size, vt = np.linalg.svd((t * weight[:, None]).T @ s)
        mirror = np.diag([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
        rotation = u @ mirror @ vt
        scale = float((size * np.diagonal(mirror)).sum() / (weight @ (s**2).sum(axis=1)))
        errors = np.linalg.norm(scale * s @ rotation.T - t, axis=1)
        if len(source) < 5:
            break
        weight = 1.0 / (1.0 + (errors / (2.0 * max(float(np.median(errors)), 1e-6))) ** 2)
    shift = mean_target - scale * rotation @ mean_source
    return Level(scale, rotation, shift, 2.0, ())


def transformed(model: SparseModel, level: Level) -> SparseModel:
    """The model in the local frame."""
    shots = tuple(
        replace(
            shot,
            rotation=shot.rotation @ level.rotation.T,
            centre=level.scale * level.rotation @ shot.centre + level.shift,
        )
        for shot in model.shots
    )
    points = level.scale * model.tie_points.points @ level.rotation.T + level.shift
    return replace(model, shots=shots, tie_points=replace(model.tie_points, points=points))


def judge_heights(
    placed: SparseModel, measured: Array, level: Level, has_control: bool
) -> tuple[Array, tuple[str, ...]]:
    """Drop measured heights that contradict the level of the block.

    A plane through measured less modelled heights shows how far the block would have to turn to
    please them.

    Parameters
    ----------
    placed : SparseModel
        In the local frame.
    measured : ndarray, shape (n, 3)
    level : Level
    has_control : bool
        Whether control points have levelled the block.

    Returns
    -------
    measured : ndarray, shape (n, 3)
        Third column NaN where heights are not believed.
    notes : tuple of str
    """
    known = np.isfinite(measured[:, 2])
    if known.sum() < 4:
        return measured, ()
    centres = np.array([shot.centre for shot in placed.shots])
    offset = centres[known, :2] - np.median(centres[known, :2], axis=0)
    missing = measured[known, 2] - centres[known, 2]
    slope, spread = _robust_plane(offset, missing)
    turn_deg = float(np.degrees(np.arctan(np.linalg.norm(slope))))
    extent = float(np.ptp(offset, axis=0).max())
    # A free model bends by a few per mille of its extent before it is adjusted.
    limit_deg = _LEVEL_LIMIT * (level.sigma_deg if not has_control else 2.0)
    limit_m = _ALTITUDE_LIMIT * 8.0 + 0.02 * extent
    if turn_deg <= limit_deg and spread <= limit_m:
        return measured, ()
    doubted = measured.copy()
    doubted[known, 2] = np.nan
    rise = float(np.ptp(missing))
    return doubted, (
        f"The measured altitudes contradict the geometry: they rise or fall by {rise:.0f} m against"
        f" the photos and would tilt the survey by {turn_deg:.0f}°. They were used for the mean"
        " elevation only; elevations are not to be compared with other surveys."
        " Ground control points would settle them.",
    )


def _robust_plane(offset: Array, height: Array) -> tuple[Array, float]:
    """Slope (2,) of a robust plane and the spread of its residuals."""
    design = np.column_stack((offset, np.ones(len(offset))))
    weight = np.ones(len(offset))
    for _ in range(10):
        scaled = design * weight[:, None]
        # Positions in a line leave the slope across it at zero (least norm).
        fit = np.linalg.lstsq(scaled, height * weight, rcond=1e-2)[0]
        residual = np.abs(height - design @ fit)
        spread = 1.4826 * float(np.median(residual))
        weight = 1.0 / np.sqrt(1.0 + (residual / max(2.0 * spread, 1e-6)) ** 2)
    return np.asarray(fit[:2]), spread
