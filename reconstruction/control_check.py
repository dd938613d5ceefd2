"""Slips in ground control: wrong coordinates are found before they bend a survey.

A point that was typed wrong or marked at the wrong target is worth centimetres to an adjustment
that is not told. So points are compared with each other, and each point with the block that all
others hold; what contradicts is left out and named. Where all contradict each other alike, as
those of a handheld receiver do, none is wrong: all count less.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from reconstruction.adjustment import Adjusted
from reconstruction.block import Block, SparseModel
from reconstruction.camera import Shot
from reconstruction.control import Control, ControlPoint
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame
from reconstruction.intersection import locate
from reconstruction.level import Level
from reconstruction.placement import similarity, spans_plane

Array = NDArray[np.float64]

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


class Aside(NamedTuple):
    """A control point that was left out.

    Parameters
    ----------
    point : ControlPoint
    off : ndarray, shape (3,)
        Its coordinates less where the photos and the other points have it, metres.
    """

    point: ControlPoint
    off: Array

    def __str__(self) -> str:
        """For people: which, how far it is off, and what to do."""
        distance_m = float(np.linalg.norm(self.off))
        if distance_m > 10_000.0:
            away = f"{distance_m / 1000.0:.0f} km"
        else:
            east, north, up = self.off
            away = f"{distance_m:.2f} m (east {east:+.2f}, north {north:+.2f}, up {up:+.2f})"
        return (
            f"Control point {self.point.name} was left out: its coordinates are {away} away from"
            " where the photos and the other points have it. Check its coordinates, and whether"
            " its marks are at the target of that name."
        )


def without_misplaced(
    control: Control, model: SparseModel, frame: LocalFrame
) -> tuple[Control, tuple[Aside, ...]]:
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
    aside : tuple of Aside

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
    vague_m = np.array([[0.0, 0.0, 2.0 * point.vertical_sigma_m] for point in points])
    fitting = _fitting(in_model, in_frame, vague_m, model)
    if fitting.sum() < _LEAST_POINTS or 2 * fitting.sum() <= len(points):
        names = ", ".join(point.name for point in points)
        raise InputError(
            f"The ground control points contradict each other: no {_LEAST_POINTS} of them, or not"
            f" most ({names}), lie to each other as the photos show them.",
            "Check the order of easting and northing, the CRS in the first line, typing errors,"
            " and whether each mark is at the target that its name says. What a handheld receiver"
            " measures is too coarse for a small site.",
        )
    fit = similarity(in_model[fitting], in_frame[fitting])
    off = in_frame - _moved(fit, in_model)
    aside = tuple(Aside(points[index], off[index]) for index in np.flatnonzero(~fitting))
    return _without(control, *(item.point.name for item in aside)), aside


def _fitting(
    in_model: Array, in_frame: Array, vague_m: Array, model: SparseModel
) -> NDArray[np.bool_]:
    """Which points fit the similarity of three of them that most others agree with.

    Up to ``vague_m`` metres in each coordinate a point is not off.
    """
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
        away_m = np.maximum(np.abs(_moved(fit, in_model) - in_frame) - vague_m, 0.0)
        off = np.linalg.norm(away_m, axis=1) / fit.scale
        fitting = off < limit
        rank = int(fitting.sum()), -float(off[fitting].sum())
        if rank > best_rank:
            best, best_rank = fitting, rank
    return best


def _moved(fit: Level, points: Array) -> Array:
    return fit.scale * points @ fit.rotation.T + fit.shift


def settle(
    control: Control,
    aside: tuple[Aside, ...],
    fit_with: Callable[[Control], Fit],
    holds_alone: bool,
) -> tuple[Control, Fit, tuple[str, ...]]:
    """Adjust, leaving out control points that the rest of the evidence contradicts.

    Where none can be told to be the wrong one, all count less.

    Parameters
    ----------
    control : Control
    aside : tuple of Aside
        Points that are left out already.
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
    for left in range(len(control.control_points) // 3, -1, -1):
        if max(misfits(rest.control_points, fit.block).values(), default=0.0) <= _CONTRADICTION:
            return rest, fit, tuple(map(str, aside))
        found = _better(rest, fit, fit_with, holds_alone) if left else None
        if found is None:
            break
        point, rest, fit = found
        off = _off_m(point, fit.block)
        if off is not None:
            aside = (*aside, Aside(point, -off))
    return _loosened(rest, aside, fit, fit_with)


def misfits(points: Iterable[ControlPoint], block: Block) -> dict[str, float]:
    """How far the photos have each control point from its coordinates, in sigmas, by name."""
    return {name: float(np.abs(off).max()) for name, off in _off_sigmas(points, block).items()}


def _off_sigmas(points: Iterable[ControlPoint], block: Block) -> dict[str, Array]:
    """Where the photos have points less their coordinates, in sigmas, shape (3,), by name."""
    shots = _shots(block)
    found = {}
    for point in points:
        place = locate(point, block.cameras, shots)
        if place is not None:
            surveyed = np.array([point.horizontal_sigma_m] * 2 + [point.vertical_sigma_m])
            sigma = np.hypot(surveyed, _MARKING_PX * place.sigma_per_px)
            found[point.name] = (place.xyz - point.local(block.frame)) / sigma
    return found


def _off_m(point: ControlPoint, block: Block) -> Array | None:
    """Where the photos have a point less its coordinates, metres, shape (3,)."""
    place = locate(point, block.cameras, _shots(block))
    return None if place is None else place.xyz - point.local(block.frame)


def _better(
    control: Control, fit: Fit, fit_with: Callable[[Control], Fit], holds_alone: bool
) -> tuple[ControlPoint, Control, Fit] | None:
    """The point without which the others fit far better, these, and their adjustment.

    None where no point is, or where two are as likely to be the wrong one.
    """
    off = misfits(control.control_points, fit.block)
    if len(off) <= _LEAST_POINTS and not holds_alone:
        return None
    trials = []
    for name in sorted(off, key=lambda name: -off[name])[:_TRIED]:
        rest = _without(control, name)
        trial = fit_with(rest)
        left = _squares(misfits(rest.control_points, trial.block))
        trials.append((left, name, rest, trial))
    best, second, *_ = sorted(trials, key=lambda trial: trial[0])
    if best[0] > _BETTER * min(_squares(off), second[0]):
        return None
    _, name, rest, trial = best
    (point,) = (point for point in control.control_points if point.name == name)
    return point, rest, trial


def _squares(off: Mapping[str, float]) -> float:
    """Sum of squares, those of ordinary errors counted as if they were the usual ones."""
    return sum(max(value, _USUAL) ** 2 for value in off.values())


def _loosened(
    control: Control, aside: tuple[Aside, ...], fit: Fit, fit_with: Callable[[Control], Fit]
) -> tuple[Control, Fit, tuple[str, ...]]:
    """Control that counts as much as its points agree, its adjustment, and what to say of it.

    Points that were left out come back if they are off by no more than that.
    """
    points = control.control_points
    while True:
        factors = _factors(points, fit.block)
        loose = replace(control, control_points=tuple(_loose(p, *factors) for p in points))
        fit = fit_with(loose)
        off = misfits((_loose(item.point, *factors) for item in aside), fit.block)
        back = {name for name, sigmas in off.items() if sigmas <= _CONTRADICTION}
        if not back:
            break
        points = (*points, *(item.point for item in aside if item.point.name in back))
        aside = tuple(item for item in aside if item.point.name not in back)
    off_m = {
        point.name: float(np.linalg.norm(away))
        for point in points
        if (away := _off_m(point, fit.block)) is not None
    }
    worst = max(off_m, key=lambda name: off_m[name])
    sigma_m = factors[0] * float(np.median([point.horizontal_sigma_m for point in points]))
    note = (
        f"The ground control points contradict each other by up to {off_m[worst]:.2f} m ({worst}),"
        f" and which of them are wrong cannot be told from {len(points)} points: they count as"
        f" good to ± {2.0 * sigma_m:.2f} m, and the survey is less certain. Check their coordinates"
        " and marks, or measure more points; a handheld receiver is good to metres only."
    )
    return loose, fit, (*map(str, aside), note)


def _factors(points: tuple[ControlPoint, ...], block: Block) -> tuple[float, float]:
    """By how much sigmas in plan and in height fall short of how points agree.

    A block that control alone holds takes four unknowns of its place in plan and three in height
    from the points. Few residuals tell their spread badly, hence Student's distribution.
    """
    off = np.array(list(_off_sigmas(points, block).values()))

    def factor(squares: float, redundancy: int) -> float:
        student = scipy.stats.t.ppf(0.975, redundancy) / scipy.stats.norm.ppf(0.975)
        return max(1.0, float(student * np.sqrt(squares / redundancy)))

    plan = factor(float(np.sum(off[:, :2] ** 2)), max(2 * len(off) - 4, 2))
    if len(off) <= _LEAST_POINTS:
        return plan, plan
    return plan, factor(float(np.sum(off[:, 2] ** 2)), max(len(off) - 3, 2))


def _loose(point: ControlPoint, plan: float, height: float) -> ControlPoint:
    return replace(
        point,
        horizontal_sigma_m=plan * point.horizontal_sigma_m,
        vertical_sigma_m=height * point.vertical_sigma_m,
    )


def _without(control: Control, *names: str) -> Control:
    kept = tuple(point for point in control.control_points if point.name not in names)
    return replace(control, control_points=kept)


def _shots(model: SparseModel | Block) -> dict[str, Shot]:
    return {shot.name: shot for shot in model.shots}
