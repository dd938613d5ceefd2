"""Slips in ground control are found, named and left out, or they make the survey less certain."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from reconstruction.block import SparseModel
from reconstruction.control import Control, ControlPoint, Observation
from reconstruction.errors import InputError

from .planted_survey import FRAME, TARGETS, errors, flight, free, photos_of, run, surveyed

Points = tuple[ControlPoint, ...]


@pytest.fixture(scope="module")
def truth() -> SparseModel:
    return flight()[0]


def _outcome(truth: SparseModel, points: Points, receiver: str | None = None):
    control = Control(points, (), 32633, "EVRF2007 height")
    return run(free(truth), photos_of(truth, receiver), control)


def _moved(point: ControlPoint, east: float, north: float, up: float) -> ControlPoint:
    xyz = point.local(FRAME) + np.array([east, north, up])
    latitude, longitude, elevation = FRAME.to_geodetic(xyz[None])
    return replace(
        point,
        latitude_deg=float(latitude[0]),
        longitude_deg=float(longitude[0]),
        elevation_m=float(elevation[0]),
    )


def _replaced(points: Points, index: int, point: ControlPoint) -> Points:
    return (*points[:index], point, *points[index + 1 :])


def _typo(points: Points) -> Points:
    return _replaced(points, 1, _moved(points[1], 1.0, 0.0, 0.0))


def _wrong_height(points: Points) -> Points:
    return _replaced(points, 1, _moved(points[1], 0.0, 0.0, -0.5))


def _swapped(points: Points) -> Points:
    """Easting and northing in each other's column."""
    return _replaced(points, 1, replace(points[1], latitude_deg=4.5, longitude_deg=58.0))


@pytest.mark.parametrize(
    ("receiver", "slip", "away"),
    [
        (None, _typo, "east \\+(0.99|1.0)"),
        ("rtk", _wrong_height, "up -0.(49|5)"),
        ("consumer", _swapped, "are 6042 km"),
    ],
)
def test_a_wrong_point_is_left_out_and_named(
    truth, receiver, slip: Callable[[Points], Points], away: str
):
    points = surveyed(truth, ControlPoint, TARGETS)
    result = _outcome(truth, slip(points), receiver)
    (note,) = [note for note in result.notes if "left out" in note]
    assert "ControlPoint1" in note
    assert re.search(away, note)
    clean = _outcome(truth, (points[0], *points[2:]), receiver)
    np.testing.assert_allclose(errors(result, truth), errors(clean, truth), atol=1e-3)


def test_exchanged_names_are_left_out(truth):
    points = surveyed(truth, ControlPoint, TARGETS)
    one = replace(points[0], observations=points[1].observations)
    two = replace(points[1], observations=points[0].observations)
    result = _outcome(truth, _replaced(_replaced(points, 0, one), 1, two))
    assert sum("left out" in note for note in result.notes) == 2
    clean = _outcome(truth, points[2:])
    np.testing.assert_allclose(errors(result, truth), errors(clean, truth), atol=1e-3)


def test_points_of_which_most_are_wrong_are_refused(truth):
    points = surveyed(truth, ControlPoint, TARGETS[:4])
    wrong = tuple(_moved(point, 20.0 * (-1) ** k, 9.0 * k, 0.0) for k, point in enumerate(points))
    with pytest.raises(InputError, match=r"contradict each other.*easting and northing"):
        _outcome(truth, wrong)


def test_three_points_that_disagree_make_the_survey_less_certain(truth):
    """Nobody can tell which is wrong, so all of them count less."""
    points = surveyed(truth, ControlPoint, [*TARGETS[:2], TARGETS[3]])
    agreeing, disagreeing = (
        _outcome(truth, chosen) for chosen in (points, _replaced(points, 1, _typo(points)[1]))
    )
    (note,) = [note for note in disagreeing.notes if "contradict each other" in note]
    assert "cannot be told from 3 points" in note
    what = "horizontal_scale_sigma"
    assert disagreeing.accuracy[what] > 2.0 * agreeing.accuracy[what]


def test_a_wrong_mark_is_left_out_and_named(truth):
    points = surveyed(truth, ControlPoint, TARGETS)
    marks = points[4].observations
    wrong = replace(marks[2], x_px=marks[2].x_px + 150.0)
    slip = replace(points[4], observations=(*marks[:2], wrong, *marks[3:]))
    result = _outcome(truth, _replaced(points, 4, slip))
    (note,) = [note for note in result.notes if "left out" in note]
    assert "ControlPoint4" in note
    assert marks[2].photo in note
    clean = _outcome(truth, _replaced(points, 4, replace(slip, observations=marks)))
    assert np.abs(errors(result, truth) - errors(clean, truth)).max() < 0.02


def test_a_point_whose_two_marks_disagree_is_left_out(truth):
    points = surveyed(truth, ControlPoint, TARGETS)
    one, two = points[0].observations[:2]
    # Off across the line between the photos, where two rays can disagree.
    slip = replace(points[0], observations=(one, replace(two, x_px=two.x_px + 250.0)))
    result = _outcome(truth, _replaced(points, 0, slip))
    (note,) = [note for note in result.notes if "left out" in note]
    assert note.startswith("ControlPoint0 was left out: its marks contradict each other")


def test_a_mark_that_two_others_contradict_is_left_out(truth):
    points = surveyed(truth, ControlPoint, TARGETS)
    one, two, _, three = points[4].observations
    wrong = replace(three, x_px=three.x_px - 1100.0, y_px=three.y_px + 900.0)
    result = _outcome(
        truth, _replaced(points, 4, replace(points[4], observations=(one, two, wrong)))
    )
    (note,) = [note for note in result.notes if "left out" in note]
    assert note.startswith("ControlPoint4 is marked up to")
    assert f"other 2 marks have it in {three.photo}" in note
    clean = _outcome(truth, _replaced(points, 4, replace(points[4], observations=(one, two))))
    np.testing.assert_allclose(errors(result, truth), errors(clean, truth), atol=1e-3)


def test_marks_on_smaller_copies_are_brought_to_the_size_of_the_photos(truth):
    """Planted: copies of 1600 px of photos of 3000 px, marked to a pixel of the copy."""
    share = 1600 / 3000

    def reduced(mark: Observation) -> Observation:
        x_px, y_px = (round(share * (v + 0.5)) - 0.5 for v in (mark.x_px, mark.y_px))
        return replace(mark, x_px=x_px, y_px=y_px)

    def enlarged(mark: Observation) -> Observation:
        x_px, y_px = ((v + 0.5) / share - 0.5 for v in (mark.x_px, mark.y_px))
        return replace(mark, x_px=x_px, y_px=y_px)

    def marked(points: Points, change: Callable[[Observation], Observation]) -> Points:
        return tuple(
            replace(point, observations=tuple(change(mark) for mark in point.observations))
            for point in points
        )

    small = marked(surveyed(truth, ControlPoint, TARGETS), reduced)
    result = _outcome(truth, small)
    assert "copies of 1,600 px" in result.notes[0]
    clean = _outcome(truth, marked(small, enlarged))
    np.testing.assert_allclose(errors(result, truth), errors(clean, truth), atol=1e-3)


def test_marks_that_no_size_explains_are_told_of(truth):
    rng = np.random.default_rng(7)
    points = tuple(
        replace(
            point,
            observations=tuple(
                replace(mark, x_px=rng.uniform(0, 2999), y_px=rng.uniform(0, 1999))
                for mark in point.observations[:3]
            ),
        )
        for point in surveyed(truth, ControlPoint, TARGETS)
    )
    with pytest.raises(
        InputError, match=r"most ground control points contradict.*ControlPoint2 was"
    ):
        _outcome(truth, points)


def _size(places: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.sum((places - places.mean(axis=0)) ** 2, axis=1))))


def test_points_of_a_handheld_receiver_all_count_as_they_agree(truth):
    """None of them is wrong: what is stated holds the scale that they give together."""
    planted = truth.tie_points.points[:, :2]
    scaled = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        points = tuple(
            _moved(point, *rng.normal(0.0, 0.8, 3))
            for point in surveyed(truth, ControlPoint, [*TARGETS, [-5, 44, 1], [41, 3, 1]])
        )
        result = _outcome(truth, points)
        assert len(result.accuracy["control_points"]) >= len(points) - 1
        assert any("contradict each other by up to" in note for note in result.notes)
        on_map = result.block.frame.to_map(result.block.tie_points.points)
        found = FRAME.from_map(on_map)[:, :2]
        distance, nearest = cKDTree(planted).query(found)
        near = distance < 2.0
        scale = _size(found[near]) / _size(planted[nearest[near]])
        scaled.append((scale - 1.0) / result.accuracy["horizontal_scale_sigma"])
    assert 0.1 < np.mean(np.square(scaled)) < 2.5


def test_good_control_is_left_alone(truth):
    points = surveyed(truth, ControlPoint, TARGETS)
    result = _outcome(truth, points)
    assert len(result.accuracy["control_points"]) == len(points)
    assert result.notes == ()


def test_what_is_said_of_heights_holds_for_careless_control(truth):
    """Surveyed to 3 cm and marked to 2.5 px, while 1 cm and 0.7 px are taken for granted."""
    planted = truth.tie_points.points
    scaled = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points = tuple(
            replace(
                _moved(point, *rng.normal(0.0, [0.03, 0.03, 0.04])),
                observations=tuple(
                    replace(mark, x_px=mark.x_px + away[0], y_px=mark.y_px + away[1])
                    for mark in point.observations
                    for away in [rng.normal(0.0, 2.5, 2)]
                ),
            )
            for point in surveyed(truth, ControlPoint, TARGETS)
        )
        result = _outcome(truth, points)
        on_map = result.block.frame.to_map(result.block.tie_points.points)
        distance, nearest = cKDTree(planted[:, :2]).query(FRAME.from_map(on_map)[:, :2])
        near = distance < 0.5
        up = (FRAME.from_map(on_map)[:, 2] - planted[nearest, 2])[near]
        scaled.append(np.median(up) / result.accuracy["vertical_sigma_m"])
    assert np.mean(np.square(scaled)) < 2.0
