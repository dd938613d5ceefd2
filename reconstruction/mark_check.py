"""Slips in marking: the marks of a point are compared with each other.

Rays to one point meet. Where those of a point do not, a mark is at the wrong place; where those of
most points do not, they were marked in smaller copies of the photos, and meet again at the right
size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeVar

import numpy as np
from scipy.optimize import minimize_scalar

from reconstruction.block import SparseModel
from reconstruction.camera import Camera, Shot
from reconstruction.control import Control, Observation, SurveyedPoint
from reconstruction.intersection import locate
from reconstruction.tie_points import errors_px

_Point = TypeVar("_Point", bound=SurveyedPoint)

# A mark this far from where the others of its point say is another place, not a shaky hand: as a
# share of the photo's longer side, and of the usual error of a tie point.
_WRONG_MARK = 4e-3
_WRONG_TO_USUAL = 8.0
_LEAST_MARKS = 3  # of which one can be told to be wrong
_ALONE = 4.0  # limits by which the third mark contradicts two that agree
# Sizes of copies are looked for in steps of one per cent, down to a fifteenth of the photos'
# size, by so many points at the most.
_STEP = 0.01
_TRIED = 12
_LEAST_POINTS = 3
_LEAST_SHARE = 1 / 15
_FIT_BETTER = 5.0  # times, at the size of the copies
_AS_GOOD = 2.0  # times the least misfit, which four points cannot tell from it
_MOST = 2 / 3  # of the points that agree then
_UNCLEAR = (
    "The marks of most ground control points contradict each other, whatever size of the photos"
    " they were made in. Marks are x and y in pixels from the upper left corner of the photos as"
    " they are given here, neither turned nor cropped."
)


@dataclass(frozen=True)
class _Rays:
    """Where a model's photos look, and how far marks of one point may be apart.

    ``limit`` is a share of the photo's longer side.
    """

    cameras: Mapping[str, Camera]
    shots: Mapping[str, Shot]
    limit: float

    def marks(self, point: SurveyedPoint) -> list[Observation]:
        """Those in photos that the model has."""
        return [mark for mark in point.observations if mark.photo in self.shots]

    def camera(self, mark: Observation) -> Camera:
        return self.cameras[self.shots[mark.photo].camera]

    def apart(self, point: SurveyedPoint) -> tuple[float, float]:
        """Farthest of a point's marks from where all have it: of the longer side, and in pixels."""
        place = locate(point, self.cameras, self.shots)
        if place is None:
            return 0.0, 0.0
        found = []
        for mark in self.marks(point):
            camera = self.camera(mark)
            seen = camera.project(self.shots[mark.photo].to_camera(place.xyz[None]))[0]
            off_px = float(np.hypot(seen[0] - mark.x_px, seen[1] - mark.y_px))
            found.append((off_px / _longer_side(camera), off_px))
        return max(found)


def with_agreeing_marks(control: Control, model: SparseModel) -> tuple[Control, tuple[str, ...]]:
    """Leave out marks that the other marks of their point contradict.

    Parameters
    ----------
    control : Control
    model : SparseModel

    Returns
    -------
    control : Control
        In pixels of the full photos, without wrong marks, and without points of which nobody can
        tell which mark is wrong.
    notes : tuple of str
    """
    usual = np.median(errors_px(model)) / max(camera.width_px for camera in model.cameras.values())
    rays = _Rays(
        model.cameras,
        {shot.name: shot for shot in model.shots},
        max(_WRONG_MARK, _WRONG_TO_USUAL * float(usual)),
    )
    control, notes = _in_full_size(control, rays)
    control_points, control_notes = _agreeing(control.control_points, rays)
    check_points, check_notes = _agreeing(control.check_points, rays)
    agreeing = replace(control, control_points=control_points, check_points=check_points)
    return agreeing, (*notes, *control_notes, *check_notes)


def _agreeing(points: tuple[_Point, ...], rays: _Rays) -> tuple[tuple[_Point, ...], list[str]]:
    kept, notes = [], []
    for point in points:
        wrong, off_px = _wrong_marks(point, rays)
        good = tuple(mark for mark in point.observations if mark not in wrong)
        if not wrong:
            kept.append(point)
        elif sum(mark.photo in rays.shots for mark in good) < 2:
            notes.append(
                f"{point.name} was left out: its marks contradict each other by {off_px:.0f} px."
                " Mark it anew, better in 5 photos."
            )
        else:
            kept.append(_with(point, good))
            listed = ", ".join(mark.photo for mark in wrong)
            notes.append(
                f"{point.name} is marked up to {off_px:.0f} px away from where its other"
                f" {len(good)} marks have it in {listed}; left out there. Mark it anew."
            )
    return tuple(kept), notes


def _wrong_marks(point: SurveyedPoint, rays: _Rays) -> tuple[list[Observation], float]:
    """Marks to leave out until the others agree, and how far they are off in pixels.

    All of them where nobody can tell which are wrong.
    """
    marks = rays.marks(point)
    off, off_px = rays.apart(point)
    if off <= rays.limit:
        return [], 0.0
    good = marks
    while len(good) > _LEAST_MARKS and rays.apart(_with(point, good))[0] > rays.limit:
        good = min(
            map(list, combinations(good, len(good) - 1)),
            key=lambda rest: rays.apart(_with(point, rest)),
        )
    if rays.apart(_with(point, good))[0] > rays.limit:
        good = _only_pair(point, marks, rays)
    return [mark for mark in marks if mark not in good], off_px


def _only_pair(point: SurveyedPoint, good: list[Observation], rays: _Rays) -> list[Observation]:
    """The two of three marks that agree while the third is far from either, or nothing."""
    if len(good) != _LEAST_MARKS:
        return []
    (best, least), *others = sorted(
        ((pair, rays.apart(_with(point, pair))[0]) for pair in combinations(good, 2)),
        key=lambda item: item[1],
    )
    far = min(off for _, off in others) > _ALONE * rays.limit
    return list(best) if least <= rays.limit and far else []


def _with(point: _Point, marks: Sequence[Observation]) -> _Point:
    return replace(point, observations=tuple(marks))


def _in_full_size(control: Control, rays: _Rays) -> tuple[Control, list[str]]:
    """Control in pixels of the full photos, where it was marked in smaller copies of them."""
    points = [
        point
        for point in (*control.control_points, *control.check_points)
        if len(rays.marks(point)) > 1
    ][:_TRIED]
    apart = float(np.median([rays.apart(point)[0] for point in points])) if points else 0.0
    if len(points) < _LEAST_POINTS or apart <= rays.limit:
        return control, []
    side_px = _side_of_copies(points, rays, apart)
    stretched = np.array([rays.apart(_stretched(point, side_px, rays))[0] for point in points])
    agree = stretched <= rays.limit
    if agree.sum() < max(_LEAST_POINTS, _MOST * len(points)) or (
        np.median(stretched) > apart / _FIT_BETTER
    ):
        return control, [_UNCLEAR]
    changed = replace(
        control,
        control_points=tuple(_stretched(point, side_px, rays) for point in control.control_points),
        check_points=tuple(_stretched(point, side_px, rays) for point in control.check_points),
    )
    return changed, [
        "The marks of the ground control points fit the photos only if they were made in copies"
        f" of {side_px:,.0f} px on the longer side, so they were brought to the photos' own size."
        " Check that, and mark points in the photos as they are given here."
    ]


def _side_of_copies(points: Sequence[SurveyedPoint], rays: _Rays, apart: float) -> float:
    """Longer side in pixels of copies in which marks agree best.

    All copies have the same, as programs make them, whatever the photos have. People choose round
    numbers, which count where marks do not tell better.
    """

    def misfit(log_side: float) -> float:
        stretched = (_stretched(point, float(np.exp(log_side)), rays) for point in points)
        return float(np.mean([min(rays.apart(point)[0], apart) for point in stretched]))

    longest = max(_longer_side(camera) for camera in rays.cameras.values())
    least = max(_needed_px(mark, rays.camera(mark)) for p in points for mark in rays.marks(p))
    sides = np.arange(np.log(max(least, _LEAST_SHARE * longest)), np.log(longest), _STEP)
    start = min(sides, key=misfit)
    bounds = (start - _STEP, start + _STEP)
    best = float(np.exp(minimize_scalar(misfit, bounds=bounds, method="bounded").x))
    rounded = [100 * round(best / 100), 128 * round(best / 128), longest / round(longest / best)]
    nicest = min(rounded, key=lambda side_px: misfit(np.log(side_px)))
    as_good = misfit(np.log(nicest)) < _AS_GOOD * misfit(np.log(best))
    return float(nicest) if as_good else best


def _needed_px(mark: Observation, camera: Camera) -> float:
    """Longer side of the smallest copy that holds a mark."""
    share = max((mark.x_px + 0.5) / camera.width_px, (mark.y_px + 0.5) / camera.height_px)
    return share * _longer_side(camera)


def _stretched(point: _Point, side_px: float, rays: _Rays) -> _Point:
    """A point whose marks were made in copies with that longer side."""

    def full(mark: Observation) -> Observation:
        factor = _longer_side(rays.camera(mark)) / side_px
        return replace(
            mark, x_px=factor * (mark.x_px + 0.5) - 0.5, y_px=factor * (mark.y_px + 0.5) - 0.5
        )

    return _with(point, [full(mark) for mark in rays.marks(point)])


def _longer_side(camera: Camera) -> int:
    return max(camera.width_px, camera.height_px)
