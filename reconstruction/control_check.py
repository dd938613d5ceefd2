"""Slips in ground control: wrong marks and coordinates are found before they bend a survey.

A point that was typed wrong or marked in the wrong place is worth centimetres to an adjustment
that is not told. So marks are compared with each other, points with each other, and each point
with the block that all others hold; what contradicts is left out and named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconstruction.adjustment import Adjusted
from reconstruction.block import Block, SparseModel
from reconstruction.camera import Camera, Shot
from reconstruction.control import Control, ControlPoint, Observation
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame
from reconstruction.intersection import locate
from reconstruction.level import Level
from reconstruction.placement import similarity, spans_plane
from reconstruction.tie_points import errors_px

Array = NDArray[np.float64]

# A mark this far from where the others of its point say is another place, not a shaky hand: as a
# share of the photo's longer side, and of the usual error of a tie point.
_WRONG_MARK = 4e-3
_WRONG_TO_USUAL = 8.0
_LEAST_MARKS = 3  # of which one can be told to be wrong
_LEAST_POINTS = 3
# Coordinates may be off from a model that is not adjusted yet: of the distance from the cameras
# (the focal length may be wrong by more), and of the extent of the site (the model bends).
_OFF_OF_DISTANCE = 0.03
_OFF_OF_EXTENT = 0.01
_TRIPLES = 500
# Sigmas from which on a point contradicts the block, and how many points are then tried.
_CONTRADICTION = 4.0
_TRIED = 3
_BETTER = 0.6  # of the sum of squares, without a point that is wrong
_USUAL = 2.0  # sigmas of the worst point where nothing is wrong
_MARKING_PX = 0.7


class Fit(NamedTuple):
    """An adjustment with a certain control.

    Parameters
    ----------
    adjusted : Adjusted
    turned : frozenset of str
        Photos that were turned in their files.
    block : Block
        As later stages see it.
    """

    adjusted: Adjusted
    turned: frozenset[str]
    block: Block


def with_agreeing_marks(control: Control, model: SparseModel) -> tuple[Control, tuple[str, ...]]:
    """Leave out marks that the other marks of their point contradict.

    Parameters
    ----------
    control : Control
    model : SparseModel

    Returns
    -------
    control : Control
        Without wrong marks, and without points of which nobody can tell which mark is wrong.
    notes : tuple of str
    """
    shots = _shots(model)
    usual = np.median(errors_px(model)) / max(camera.width_px for camera in model.cameras.values())
    limit = max(_WRONG_MARK, _WRONG_TO_USUAL * float(usual))
    kept, notes = [], []
    for point in control.control_points:
        wrong, off_px = _wrong_marks(point, model.cameras, shots, limit)
        good = tuple(mark for mark in point.observations if mark not in wrong)
        if not wrong:
            kept.append(point)
        elif sum(mark.photo in shots for mark in good) < _LEAST_MARKS:
            notes.append(
                f"{point.name} was left out: its marks contradict each other by {off_px:.0f} px."
                " Mark it anew, better in 5 photos."
            )
        else:
            kept.append(replace(point, observations=good))
            listed = ", ".join(mark.photo for mark in wrong)
            notes.append(
                f"{point.name} is marked up to {off_px:.0f} px away from where its other"
                f" {len(good)} marks have it in {listed}; left out there. Mark it anew."
            )
    return replace(control, control_points=tuple(kept)), tuple(notes)


def _wrong_marks(
    point: ControlPoint, cameras: Mapping[str, Camera], shots: Mapping[str, Shot], limit: float
) -> tuple[list[Observation], float]:
    """Marks to leave out until the others agree, and how far they are off in pixels."""
    marks = [mark for mark in point.observations if mark.photo in shots]
    wrong: list[Observation] = []
    first_px = 0.0
    while len(marks) > 1:
        off, off_px = _disagreement(replace(point, observations=tuple(marks)), cameras, shots)
        if off <= limit:
            break
        first_px = first_px or off_px
        without = [
            replace(point, observations=(*marks[:index], *marks[index + 1 :]))
            for index in range(len(marks))
        ]
        best = min(
            range(len(marks)), key=lambda index: _disagreement(without[index], cameras, shots)
        )
        wrong.append(marks.pop(best))
    return wrong, first_px


def _disagreement(
    point: ControlPoint, cameras: Mapping[str, Camera], shots: Mapping[str, Shot]
) -> tuple[float, float]:
    """Farthest of a point's marks from where all have it: of the photo's longer side, pixels."""
    place = locate(point, cameras, shots)
    if place is None:
        return 0.0, 0.0
    found = []
    for mark in point.observations:
        camera = cameras[shots[mark.photo].camera]
        seen = camera.project(shots[mark.photo].to_camera(place.xyz[None]))[0]
        off_px = float(np.hypot(seen[0] - mark.x_px, seen[1] - mark.y_px))
        found.append((off_px / max(camera.width_px, camera.height_px), off_px))
    return max(found)


def without_misplaced(
    control: Control, model: SparseModel, frame: LocalFrame
) -> tuple[Control, tuple[str, ...]]:
    """Leave out control points that are far from where the others and the photos have them.

    Parameters
    ----------
    control : Control
    model : SparseModel
        Not yet placed.
    frame : LocalFrame

    Returns
    -------
    control : Control
    notes : tuple of str

    Raises
    ------
    InputError
        When most of the points contradict each other.
    """
    shots = _shots(model)
    places = {
        point.name: place.xyz
        for point in control.control_points
        if (place := locate(point, model.cameras, shots)) is not None
    }
    points = [point for point in control.control_points if point.name in places]
    in_model = np.array([places[point.name] for point in points]).reshape(-1, 3)
    in_frame = np.array([point.local(frame) for point in points]).reshape(-1, 3)
    # What is marked along a line leaves the turn about it open.
    if len(points) < _LEAST_POINTS or not spans_plane(in_model):
        return control, ()
    fitting = _fitting(in_model, in_frame, model)
    if fitting.sum() < _LEAST_POINTS or 2 * fitting.sum() <= len(points):
        names = ", ".join(point.name for point in points)
        raise InputError(
            f"The ground control points contradict each other: no {_LEAST_POINTS} of them, or not"
            f" most ({names}), lie to each other as the photos show them.",
            "Check the order of easting and northing, the CRS in the first line, typing errors,"
            " and whether each mark is at the target that its name says.",
        )
    fit = similarity(in_model[fitting], in_frame[fitting])
    off = in_frame - _moved(fit, in_model)
    wrong = {points[index].name: off[index] for index in np.flatnonzero(~fitting)}
    return _without(control, *wrong), tuple(_left_out(*item) for item in wrong.items())


def _fitting(in_model: Array, in_frame: Array, model: SparseModel) -> NDArray[np.bool_]:
    """Which points fit the similarity of three of them that most others agree with."""
    ties = model.tie_points
    centres = np.array([shot.centre for shot in model.shots])
    view = np.mean([shot.rotation[2] for shot in model.shots], axis=0)
    seen = ties.points[ties.point_index] - centres[ties.shot_index]
    distance = float(np.median(np.linalg.norm(seen, axis=1)))
    limit = _OFF_OF_DISTANCE * distance + _OFF_OF_EXTENT * float(np.ptp(in_model, axis=0).max())
    triples = np.array(list(combinations(range(len(in_model)), 3)))
    if len(triples) > _TRIPLES:
        triples = np.random.default_rng(0).choice(triples, _TRIPLES, replace=False)
    best, best_rank = np.zeros(len(in_model), bool), (0, 0.0)
    for triple in triples:
        fit = similarity(in_model[triple], in_frame[triple])
        # Two exchanged points turn the site over: its cameras would look at it from below.
        if (fit.rotation @ view)[2] > 0.0:
            continue
        off = np.linalg.norm(_moved(fit, in_model) - in_frame, axis=1) / fit.scale
        fitting = off < limit
        rank = int(fitting.sum()), -float(off[fitting].sum())
        if rank > best_rank:
            best, best_rank = fitting, rank
    return best


def _moved(fit: Level, points: Array) -> Array:
    return fit.scale * points @ fit.rotation.T + fit.shift


def settle(
    control: Control, fit_with: Callable[[Control], Fit], holds_alone: bool
) -> tuple[Control, Fit, tuple[str, ...]]:
    """Adjust, leaving out control points that the rest of the evidence contradicts.

    Where none can be told to be the wrong one, all count less.

    Parameters
    ----------
    control : Control
    fit_with : callable
        Adjusts with a control.
    holds_alone : bool
        Whether positions hold the block without control.

    Returns
    -------
    control : Control
        What was used in the end.
    fit : Fit
    notes : tuple of str
    """
    rest, fit = control, fit_with(control)
    notes: list[str] = []
    for left in range(len(control.control_points) // 3, -1, -1):
        if max(misfits(rest, fit.block).values(), default=0.0) <= _CONTRADICTION:
            return rest, fit, tuple(notes)
        found = _better(rest, fit, fit_with, holds_alone) if left else None
        if found is None:
            break
        name, rest, fit = found
        point = next(point for point in control.control_points if point.name == name)
        place = locate(point, fit.block.cameras, _shots(fit.block))
        if place is not None:
            notes.append(_left_out(name, point.local(fit.block.frame) - place.xyz))
    loose, note = _loosened(control, fit.block)
    return loose, fit_with(loose), (note,)


def misfits(control: Control, block: Block) -> dict[str, float]:
    """How far the photos have each control point from its coordinates, in sigmas, by name."""
    shots = _shots(block)
    found = {}
    for point in control.control_points:
        place = locate(point, block.cameras, shots)
        if place is not None:
            surveyed = np.array([point.horizontal_sigma_m] * 2 + [point.vertical_sigma_m])
            sigma = np.hypot(surveyed, _MARKING_PX * place.sigma_per_px)
            off = (place.xyz - point.local(block.frame)) / sigma
            found[point.name] = float(np.abs(off).max())
    return found


def _better(
    control: Control, fit: Fit, fit_with: Callable[[Control], Fit], holds_alone: bool
) -> tuple[str, Control, Fit] | None:
    """The point without which the others fit far better, these, and their adjustment.

    None where no point is, or where two are as likely to be the wrong one.
    """
    off = misfits(control, fit.block)
    if len(off) <= _LEAST_POINTS and not holds_alone:
        return None
    trials = []
    for name in sorted(off, key=lambda name: -off[name])[:_TRIED]:
        rest = _without(control, name)
        trial = fit_with(rest)
        trials.append((_squares(misfits(rest, trial.block)), name, rest, trial))
    best, second, *_ = sorted(trials, key=lambda trial: trial[0])
    if best[0] > _BETTER * min(_squares(off), second[0]):
        return None
    return best[1:]


def _squares(off: Mapping[str, float]) -> float:
    """Sum of squares, those of ordinary errors counted as if they were the usual ones."""
    return sum(max(value, _USUAL) ** 2 for value in off.values())


def _loosened(control: Control, block: Block) -> tuple[Control, str]:
    """Control that counts as much as its points agree, and what to say of it."""
    factor = max(misfits(control, block).values()) / _USUAL
    points = tuple(
        replace(
            point,
            horizontal_sigma_m=factor * point.horizontal_sigma_m,
            vertical_sigma_m=factor * point.vertical_sigma_m,
        )
        for point in control.control_points
    )
    off_m = max(
        float(np.linalg.norm(place.xyz - point.local(block.frame)))
        for point in control.control_points
        if (place := locate(point, block.cameras, _shots(block))) is not None
    )
    note = (
        f"The ground control points contradict each other by {off_m:.2f} m or more, and which of"
        f" them are wrong cannot be told from {len(points)} points: they count less, and the survey"
        " is less certain. Check their coordinates and marks, or measure more points."
    )
    return replace(control, control_points=points), note


def _without(control: Control, *names: str) -> Control:
    kept = tuple(point for point in control.control_points if point.name not in names)
    return replace(control, control_points=kept)


def _left_out(name: str, off: Array) -> str:
    distance_m = float(np.linalg.norm(off))
    if distance_m > 10_000.0:
        away = f"{distance_m / 1000.0:.0f} km"
    else:
        east, north, up = off
        away = f"{distance_m:.2f} m (east {east:+.2f}, north {north:+.2f}, up {up:+.2f})"
    return (
        f"Control point {name} was left out: its coordinates are {away} away from where the photos"
        " and the other points have it. Check its coordinates, and whether its marks are at the"
        " target of that name."
    )


def _shots(model: SparseModel | Block) -> dict[str, Shot]:
    return {shot.name: shot for shot in model.shots}
