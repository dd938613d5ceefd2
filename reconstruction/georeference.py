"""Georeferencing: a sparse model and all that is known of its place become an adjusted block."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.adjustment import Adjusted, adjust, torn_apart
from reconstruction.block import Block, SparseModel, TiePoints
from reconstruction.control import Control
from reconstruction.control_check import Fit, settle, without_misplaced
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame, utm_epsg
from reconstruction.mark_check import with_agreeing_marks
from reconstruction.network import (
    PRECISE_M,
    ControlObservations,
    FocalPrior,
    MeasuredPositions,
)
from reconstruction.network_accuracy import (
    contradicting_lenses,
    loosely_known,
    network_accuracy,
    poor_fit,
)
from reconstruction.observations import (
    control_observations,
    focal_priors,
    late_positions,
    measured_places,
    position_observations,
    wild_positions,
)
from reconstruction.photo import Photo
from reconstruction.placement import judge_heights, place, transformed
from reconstruction.rolling_shutter import at_once, with_velocities
from reconstruction.stage import Run, Stage
from reconstruction.tie_points import held
from reconstruction.turned import as_in_files, suspects, turned_back, turned_pixels
from reconstruction.wording import counted

Array = NDArray[np.float64]

_LEAST_SHOTS = 3
# A network of tie points this dense determines everything; more only costs time.
_GRID = 8
_PER_CELL = 16


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
        When neither positions nor control fix the place and scale, when nothing tells which way
        is down, and when the photos show too little that others show, too.
    """
    photos = {photo.name: photo for photo in inputs.photos}
    model = held(inputs.model)
    if len(model.shots) < _LEAST_SHOTS:
        raise torn_apart(len(inputs.model.shots))
    control = inputs.control or Control((), (), None, "unknown")
    control, mark_notes = with_agreeing_marks(control, model)
    frame = _frame(model, photos, control, options.epsg, mark_notes)
    control, aside = without_misplaced(control, model, frame)
    measured = measured_places(model, photos, frame)
    run.progress(0.05, "Finding the level")
    level, notes = place(model, photos, measured, control, frame)
    placed = transformed(model, level)
    measured, height_notes = judge_heights(placed, measured, level, bool(control.control_points))
    run.progress(0.15, "Adjusting the block")
    given = _Given(
        replace(
            placed,
            shots=with_velocities(placed.shots, photos),
            tie_points=thinned(placed.tie_points, len(placed.shots), placed),
        ),
        position_observations(placed, photos, measured, control),
        np.radians(level.sigma_deg),
        focal_priors(placed, photos),
    )
    precise = given.positions.are_precise
    control, fit, contradictions = settle(
        control, aside, partial(_fit, given, photos, frame), precise
    )
    adjusted, turned, block = fit
    run.progress(0.9, "Checking the accuracy")
    accuracy = network_accuracy(
        adjusted, block, photos, control, level.sigma_deg, given.focal_priors
    )
    return Georeferenced(
        block,
        _vertical_datum(model, photos, control),
        accuracy,
        (
            *model.notes,
            *mark_notes,
            *contradictions,
            *notes,
            *height_notes,
            *late_positions(adjusted),
            *wild_positions(placed, given.positions, adjusted),
            *_turned_note(turned),
            *poor_fit(accuracy),
            *contradicting_lenses(accuracy),
            *loosely_known(accuracy, precise and _agreeing(adjusted), control),
        ),
    )


def _agreeing(adjusted: Adjusted) -> bool:
    """Whether most positions are where the photos have them, to centimetres."""
    off_m = np.linalg.norm(adjusted.position_residuals[:, :2], axis=1)
    return bool(np.median(off_m) < PRECISE_M)


@dataclass(frozen=True)
class _Given:
    """What goes into the adjustment besides control."""

    model: SparseModel
    positions: MeasuredPositions
    level_sigma_rad: float
    focal_priors: dict[str, FocalPrior]

    def adjusted(self, control: ControlObservations, turned: frozenset[str]) -> Adjusted:
        """The block adjusted with some photos turned back."""
        model = turned_back(self.model, turned)
        marks = turned_pixels(control.pixels, control.shot_index, self.model, turned)
        return adjust(
            model.cameras,
            model.shots,
            model.tie_points,
            self.positions,
            replace(control, pixels=marks),
            self.level_sigma_rad,
            self.focal_priors,
        )


def _fit(given: _Given, photos: Mapping[str, Photo], frame: LocalFrame, control: Control) -> Fit:
    """The adjustment, and the photos that are turned in their files.

    A stated yaw may be wrong, so photos only count as turned if all fits better that way.
    """
    marks = control_observations(given.model, control, frame)
    adjusted, turned = given.adjusted(marks, frozenset()), frozenset[str]()
    suspected = suspects(given.model, photos)
    if suspected:
        other = given.adjusted(marks, suspected)
        if other.pixel_sigma < adjusted.pixel_sigma:
            adjusted, turned = other, suspected
    return Fit(adjusted, turned, _block(frame, adjusted, turned))


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
        f"{counted(len(names), 'photo was', 'photos were')} turned upside down after being taken,"
        f" which was taken into account: {listed}. Keep the camera's own files.",
    )


def _frame(
    model: SparseModel,
    photos: Mapping[str, Photo],
    control: Control,
    epsg: int | None,
    mark_notes: tuple[str, ...],
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
            f"Too few of the {len(model.shots)} registered photos have a position ({len(places)}),"
            f" and there are too few control points ({len(control.control_points)}): scale and"
            " place are unknown, and without scale there is no volume."
            + "".join(f" {note}" for note in mark_notes),
            "Give positions or at least three ground control points.",
        )
    latitude = float(np.median([place[0] for place in places]))
    longitude = float(np.median([place[1] for place in places]))
    heights = [place[2] for place in places if place[2] is not None]
    elevation = float(np.median(heights)) if heights else 0.0
    code = epsg or control.epsg or utm_epsg(latitude, longitude)
    return LocalFrame(code, latitude, longitude, elevation)


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
    return ties.only(chosen[ties.point_index])


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


GEOREFERENCE = Stage("georeference", 6, 0.3, run, load)
