"""Georeferencing: a sparse model and all that is known of its place become an adjusted block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.adjustment import Adjusted, adjust
from reconstruction.block import Block, SparseModel, TiePoints
from reconstruction.control import Control
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame, utm_epsg
from reconstruction.network import ControlObservations, FocalPrior, MeasuredPositions
from reconstruction.network_accuracy import network_accuracy
from reconstruction.photo import Photo
from reconstruction.placement import judge_heights, place, transformed
from reconstruction.rolling_shutter import at_once, with_velocities
from reconstruction.stage import Run, Stage
from reconstruction.turned import as_in_files, suspects, turned_back, turned_pixels

Array = NDArray[np.float64]

# What the measured positions may be off by together, and drift by over a flight, metres
# (east, north, up): by the receiver, and with control by the difference of two datums.
_OFFSET_M = {"rtk": (0.03, 0.03, 0.05), "consumer": (3.0, 3.0, 8.0)}
_DRIFT_M = {"rtk": (0.005, 0.005, 0.01), "consumer": (1.5, 1.5, 3.0)}
_DATUM_OFFSET_M = (20.0, 20.0, 200.0)
_WORTHLESS_M = 1e4
_WILD = 4.0  # sigmas in plan from which on a position is named to the surveyor
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
    level, notes = place(model, photos, measured, control, frame)
    placed = transformed(model, level)
    measured, height_notes = judge_heights(placed, measured, level, bool(control.control_points))
    run.progress(0.15, "Adjusting the block")
    ties = thinned(placed.tie_points, len(placed.shots), placed)
    positions = _positions(placed, photos, measured, control)
    given = _Given(
        replace(placed, shots=with_velocities(placed.shots, photos), tie_points=ties),
        positions,
        _control_observations(placed, control, frame),
        np.radians(level.sigma_deg),
        _focal_priors(placed, photos),
    )
    adjusted, turned = _adjusted(given, photos)
    run.progress(0.9, "Checking the accuracy")
    block = _block(frame, adjusted, turned)
    return Georeferenced(
        block,
        _vertical_datum(model, photos, control),
        network_accuracy(adjusted, block, photos, control, level.sigma_deg),
        (
            *model.notes,
            *control.notes,
            *notes,
            *height_notes,
            *_wild_positions(placed, positions, adjusted),
            *_turned_note(turned),
        ),
    )


@dataclass(frozen=True)
class _Given:
    """What goes into the adjustment."""

    model: SparseModel
    positions: MeasuredPositions
    control: ControlObservations
    level_sigma_rad: float
    focal_priors: dict[str, FocalPrior]

    def adjusted(self, turned: frozenset[str]) -> Adjusted:
        """The block adjusted with some photos turned back."""
        model = turned_back(self.model, turned)
        marks = turned_pixels(self.control.pixels, self.control.shot_index, self.model, turned)
        return adjust(
            model.cameras,
            model.shots,
            model.tie_points,
            self.positions,
            replace(self.control, pixels=marks),
            self.level_sigma_rad,
            self.focal_priors,
        )


def _adjusted(given: _Given, photos: Mapping[str, Photo]) -> tuple[Adjusted, frozenset[str]]:
    """The adjustment, and the photos that are turned in their files.

    A stated yaw may be wrong, so photos only count as turned if all fits better that way.
    """
    adjusted = given.adjusted(frozenset())
    suspected = suspects(given.model, photos)
    if suspected:
        other = given.adjusted(suspected)
        if other.pixel_sigma < adjusted.pixel_sigma:
            return other, suspected
    return adjusted, frozenset()


def _block(frame: LocalFrame, adjusted: Adjusted, turned: frozenset[str]) -> Block:
    """The block as all later stages see it: photos as in their files, all rows taken at once."""
    seen = adjusted.tie_points
    depths_m = np.array(
        [
            np.median(shot.to_camera(seen.points[seen.point_index[seen.shot_index == index]])[:, 2])
            for index, shot in enumerate(adjusted.shots)
        ]
    )
    cameras, shots = at_once(adjusted.cameras, adjusted.shots, depths_m)
    return Block(frame, *as_in_files(cameras, shots, seen, turned))


def _turned_note(turned: frozenset[str]) -> tuple[str, ...]:
    if not turned:
        return ()
    names = sorted(turned)
    listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return (
        f"{len(names)} photos were turned upside down after they were taken, which was taken into"
        f" account: {listed}. Keep the camera's own files.",
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


def _wild_positions(
    placed: SparseModel, positions: MeasuredPositions, adjusted: Adjusted
) -> tuple[str, ...]:
    """A note on measured positions that the photos contradict by what they claim to be good to."""
    if not len(positions.xyz):
        return ()
    off_m = np.linalg.norm(adjusted.position_residuals[:, :2], axis=1)
    wild = np.flatnonzero(off_m > _WILD * positions.sigma[:, 0])
    if not len(wild):
        return ()
    names = [placed.shots[positions.shot_index[index]].name for index in wild]
    listed = ", ".join(names[:5]) + (" …" if len(names) > 5 else "")
    return (
        f"{len(names)} measured positions are up to {off_m.max():.1f} m away from where the photos"
        f" were taken, and count little: {listed}.",
    )


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


GEOREFERENCE = Stage("georeference", 2, 0.3, run, load)
