"""Georeferencing: a sparse model and all that is known of its place become an adjusted block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.adjustment import (
    ControlObservations,
    FocalPrior,
    MeasuredPositions,
    adjust,
)
from reconstruction.block import Block, SparseModel, TiePoints
from reconstruction.control import Control
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame, utm_epsg
from reconstruction.intersection import locate
from reconstruction.level import Level, find_level
from reconstruction.network_accuracy import network_accuracy
from reconstruction.photo import Photo
from reconstruction.stage import Run, Stage

Array = NDArray[np.float64]

# What the measured positions may be off by together, and drift by over a flight, metres
# (east, north, up): by the receiver, and with control by the difference of two datums.
_OFFSET_M = {"rtk": (0.03, 0.03, 0.05), "consumer": (3.0, 3.0, 8.0)}
_DRIFT_M = {"rtk": (0.005, 0.005, 0.01), "consumer": (1.5, 1.5, 3.0)}
_DATUM_OFFSET_M = (20.0, 20.0, 200.0)
# Altitudes are believed when levelling by them would turn the block by no more than this many
# standard deviations of its level, and when they then fit to so many of their own.
_LEVEL_LIMIT = 3.0
_ALTITUDE_LIMIT = 4.0
_WORTHLESS_M = 1e4
# Of a focal length that the photos state (nominal, rounded, sometimes before a crop that nobody
# mentions), and of one that was found without any hint; relative.
_FOCAL_SIGMA = {"stated": 0.1, "found": 0.15}
# A network of tie points this dense determines everything; more only costs time.
_GRID = 8
_PER_CELL = 8


@dataclass(frozen=True)
class GeoreferenceInputs:
    """Input of the stage.

    Parameters
    ----------
    model : SparseModel
    photos : tuple of Photo
    control : Control or None
    """

    model: SparseModel
    photos: tuple[Photo, ...]
    control: Control | None


@dataclass(frozen=True)
class GeoreferenceOptions:
    """Options of the stage.

    Parameters
    ----------
    epsg : int or None
        CRS of the survey; None takes the control's or the fitting UTM zone.
    """

    epsg: int | None = None


@dataclass(frozen=True)
class Georeferenced:
    """Output of the stage.

    Parameters
    ----------
    block : Block
    vertical_datum : str
        Name of the datum that elevations are in.
    accuracy : dict
        The adjustment's part of ``accuracy.json``.
    notes : tuple of str
        Contradictions and decisions that a surveyor should know.
    """

    block: Block
    vertical_datum: str
    accuracy: dict[str, Any]
    notes: tuple[str, ...]


def georeference(
    inputs: GeoreferenceInputs, options: GeoreferenceOptions, run: Run
) -> Georeferenced:
    """Place, level, scale and adjust a model.

    Raises
    ------
    InputError
        When neither positions nor control fix the place and scale, or when nothing tells
        which way is down.
    """
    photos = {photo.name: photo for photo in inputs.photos}
    model = inputs.model
    control = inputs.control or Control((), (), None, "unknown")
    frame = _frame(model, photos, control, options.epsg)
    measured = _measured(model, photos, frame)
    run.progress(0.05, "Finding the level")
    level, notes = _place(model, photos, measured, control, frame)
    placed = _transformed(model, level)
    measured, height_notes = _judge_heights(placed, measured, level, bool(control.control_points))
    run.progress(0.15, "Adjusting the block")
    ties = thinned(placed.tie_points, len(placed.shots), placed)
    adjusted = adjust(
        placed.cameras,
        placed.shots,
        ties,
        _positions(placed, photos, measured, control),
        _control_observations(placed, control, frame),
        np.radians(level.sigma_deg),
        _focal_priors(placed, photos),
    )
    run.progress(0.9, "Checking the accuracy")
    block = Block(frame, adjusted.cameras, adjusted.shots, adjusted.tie_points)
    return Georeferenced(
        block,
        _vertical_datum(model, photos, control),
        network_accuracy(adjusted, block, photos, control, level.sigma_deg),
        (*model.notes, *control.notes, *notes, *height_notes),
    )


def _frame(
    model: SparseModel, photos: Mapping[str, Photo], control: Control, epsg: int | None
) -> LocalFrame:
    """A frame at the middle of the site; wild positions do not move it."""
    known = [photos[shot.name].position for shot in model.shots]
    places = [
        (p.latitude_deg, p.longitude_deg, p.altitude_m) for p in known if p is not None
    ]  # fmt: skip
    if len(control.control_points) >= 3:
        places = [
            (p.latitude_deg, p.longitude_deg, p.elevation_m) for p in control.control_points
        ]  # fmt: skip
    if len(places) < 3:
        raise InputError(
            f"Only {len(places)} of the {len(model.shots)} registered photos have a position and"
            f" there are {len(control.control_points)} control points: scale and place are"
            " unknown, and without scale there is no volume.",
            "Give positions (--geo FILE) or at least three ground control points (--gcp FILE).",
        )
    latitude = float(np.median([place[0] for place in places]))
    longitude = float(np.median([place[1] for place in places]))
    heights = [place[2] for place in places if place[2] is not None]
    elevation = float(np.median(heights)) if heights else 0.0
    code = epsg or control.epsg or utm_epsg(latitude, longitude)
    return LocalFrame(code, latitude, longitude, elevation)


def _measured(model: SparseModel, photos: Mapping[str, Photo], frame: LocalFrame) -> Array:
    """Measured local positions of the shots, shape (n, 3), NaN where unknown."""
    measured = np.full((len(model.shots), 3), np.nan)
    for index, shot in enumerate(model.shots):
        position = photos[shot.name].position
        if position is None:
            continue
        altitude = position.altitude_m
        xyz = frame.from_geodetic(
            np.array([position.latitude_deg]),
            np.array([position.longitude_deg]),
            np.array([frame.elevation_m if altitude is None else altitude]),
        )[0]
        measured[index] = xyz
        if altitude is None:
            measured[index, 2] = np.nan
    return measured


def _place(
    model: SparseModel,
    photos: Mapping[str, Photo],
    measured: Array,
    control: Control,
    frame: LocalFrame,
) -> tuple[Level, tuple[str, ...]]:
    """Initial place of the model: by control where there is enough, else by positions."""
    pairs = _control_pairs(model, control, frame)
    if pairs is not None:
        level = _similarity(*pairs)
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
        point_xyz = locate(point, model.cameras, index)
        if point_xyz is not None:
            in_model.append(point_xyz)
            in_frame.append(point.local(frame))
    if len(in_model) < 3:
        return None
    offset = np.array(in_frame) - np.mean(in_frame, axis=0)
    size = np.linalg.svd(offset, compute_uv=False)
    return (np.array(in_model), np.array(in_frame)) if size[1] > 0.1 * size[0] else None


def _similarity(source: Array, target: Array) -> Level:
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


def _transformed(model: SparseModel, level: Level) -> SparseModel:
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


def _judge_heights(
    placed: SparseModel, measured: Array, level: Level, has_control: bool
) -> tuple[Array, tuple[str, ...]]:
    """Drop measured heights that contradict the level of the block.

    A plane through measured less modelled heights shows how far the block would have to turn to
    please them.
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
        " Ground control points (--gcp) would settle them.",
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


def thinned(ties: TiePoints, shot_count: int, model: SparseModel) -> TiePoints:
    """The tie points that hold a block together: the longest tracks of each part of each photo.

    Parameters
    ----------
    ties : TiePoints
    shot_count : int
    model : SparseModel
        For the image sizes.
    """
    size = np.array(
        [
            (model.cameras[shot.camera].width_px, model.cameras[shot.camera].height_px)
            for shot in model.shots
        ]
    )
    cell = np.clip((ties.pixels / size[ties.shot_index] * _GRID).astype(int), 0, _GRID - 1)
    key = (ties.shot_index.astype(np.int64) * _GRID + cell[:, 1]) * _GRID + cell[:, 0]
    length = np.bincount(ties.point_index, minlength=len(ties.points))[ties.point_index]
    order = np.lexsort((-length, key))
    first = np.searchsorted(key[order], np.arange(shot_count * _GRID * _GRID))
    rank = np.empty(len(key), np.int64)
    rank[order] = np.arange(len(key)) - first[key[order]]
    chosen = np.zeros(len(ties.points), bool)
    chosen[ties.point_index[rank < _PER_CELL]] = True
    number = np.cumsum(chosen) - 1
    kept = chosen[ties.point_index]
    return TiePoints(
        ties.points[chosen],
        ties.shot_index[kept],
        number[ties.point_index[kept]].astype(np.int32),
        ties.pixels[kept],
    )


def _positions(
    placed: SparseModel, photos: Mapping[str, Photo], measured: Array, control: Control
) -> MeasuredPositions:
    known = np.flatnonzero(np.isfinite(measured[:, 0]))
    given = [photos[placed.shots[index].name].position for index in known]
    positions = [position for position in given if position is not None]
    sigma = np.array(
        [(p.horizontal_sigma_m, p.horizontal_sigma_m, p.vertical_sigma_m) for p in positions]
    ).reshape(-1, 3)
    xyz = measured[known].copy()
    centres = np.array([placed.shots[index].centre for index in known]).reshape(-1, 3)
    # A height that is unknown or not believed hangs by a thread that only fixes the mean.
    lost = np.isnan(xyz[:, 2])
    sigma[lost, 2] = _WORTHLESS_M
    xyz[lost, 2] = centres[lost, 2]
    kind = _receiver(positions)
    offset = _DATUM_OFFSET_M if control.control_points else _OFFSET_M[kind]
    return MeasuredPositions(
        known.astype(np.int32),
        xyz,
        sigma,
        _times([photos[placed.shots[index].name] for index in known]),
        np.array(offset),
        np.array(_DRIFT_M[kind]),
    )


def _focal_priors(placed: SparseModel, photos: Mapping[str, Photo]) -> dict[str, FocalPrior]:
    """What EXIF says of each focal length, or failing that what the free model found."""
    stated = {photos[shot.name].camera: photos[shot.name].focal_px for shot in placed.shots}
    priors = {}
    for name, camera in placed.cameras.items():
        focal_px = stated.get(name)
        priors[name] = (
            FocalPrior(camera.focal_px, _FOCAL_SIGMA["found"])
            if focal_px is None
            else FocalPrior(focal_px, _FOCAL_SIGMA["stated"])
        )
    return priors


def _receiver(positions: list[Any]) -> str:
    precise = sum(position.horizontal_sigma_m < 0.1 for position in positions)
    return "rtk" if precise > 0.5 * len(positions) else "consumer"


def _times(photos: list[Photo]) -> Array:
    """When each photo was taken, by rank over the flight: -0.5 to 0.5."""
    if not photos:
        return np.empty(0)
    order = np.argsort([photo.captured_at or photo.name for photo in photos], kind="stable")
    rank = np.empty(len(photos))
    rank[order] = np.linspace(-0.5, 0.5, len(photos))
    return rank


def _control_observations(
    placed: SparseModel, control: Control, frame: LocalFrame
) -> ControlObservations:
    index = {shot.name: number for number, shot in enumerate(placed.shots)}
    shot_index, point_index, pixels = [], [], []
    points = control.control_points
    for number, point in enumerate(points):
        for mark in point.observations:
            if mark.photo in index:
                shot_index.append(index[mark.photo])
                point_index.append(number)
                pixels.append((mark.x_px, mark.y_px))
    return ControlObservations(
        np.array([point.local(frame) for point in points]).reshape(-1, 3),
        np.array(
            [(p.horizontal_sigma_m, p.horizontal_sigma_m, p.vertical_sigma_m) for p in points]
        ).reshape(-1, 3),
        np.array(shot_index, np.int32),
        np.array(point_index, np.int32),
        np.array(pixels, dtype=np.float64).reshape(-1, 2),
    )


def _vertical_datum(model: SparseModel, photos: Mapping[str, Photo], control: Control) -> str:
    """Control rules; else what most positions say."""
    if len(control.control_points) >= 3:
        return control.vertical_datum
    names = [photos[shot.name].altitude_datum for shot in model.shots]
    return max(sorted(set(names)), key=names.count)


def run(
    inputs: GeoreferenceInputs, options: GeoreferenceOptions, folder: Path, run: Run
) -> Georeferenced:
    """The stage's work: `georeference`, written into a folder."""
    result = georeference(inputs, options, run)
    result.block.save(folder)
    facts = {
        "vertical_datum": result.vertical_datum,
        "accuracy": result.accuracy,
        "notes": result.notes,
    }
    (folder / "georeference.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    return result


def load(folder: Path) -> Georeferenced:
    """The inverse of what `run` wrote."""
    facts = json.loads((folder / "georeference.json").read_text(encoding="utf-8"))
    return Georeferenced(
        Block.load(folder), facts["vertical_datum"], facts["accuracy"], tuple(facts["notes"])
    )


GEOREFERENCE = Stage("georeference", 1, 0.3, run, load)
