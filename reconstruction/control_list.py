"""Reading ground control points and check points from OpenDroneMap's ``gcp_list.txt`` format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reconstruction.control import CheckPoint, Control, ControlPoint, Observation, SurveyedPoint
from reconstruction.coordinate_file import (
    CoordinateFile,
    PhotoNames,
    Row,
    read_coordinate_file,
)
from reconstruction.errors import InputError
from reconstruction.photo import Photo
from reconstruction.wording import counted

_COLUMNS = "x y z pixel_x pixel_y image [name] [CHK]"
_CHECK_NAME = re.compile(r"(chk|check(point)?)(?![a-z])", re.IGNORECASE)
_CHECK_COLUMN = {"chk", "check", "checkpoint", "check_point", "check-point"}
_CONTROL_COLUMN = {"gcp", "control"}
# A rover with RTK on a pole.
_SIGMA_M = (0.02, 0.03)
_SAME_PLACE_M = 0.0015
_LEAST_PHOTOS = 2
_LEAST_POINTS = 3
_FAR = 20.0  # times the usual distance from the middle of the points
# Ground whose heights nobody measured rises or falls by this share of the extent of the points.
_RISE = 0.05
_METRES_PER_DEGREE = 111_000.0


@dataclass(frozen=True)
class _Mark:
    """One row: a point marked in a photo."""

    row: Row
    label: str
    is_check: bool
    xyz: tuple[float, float, float]
    observation: Observation | None


def read_control(path: Path, photos: tuple[Photo, ...]) -> Control:
    """Read a list of ground control points and check points.

    Rows are ``x y z pixel_x pixel_y image [name] [more]`` with x the easting or longitude. Rows
    with the same name, or without names and with the same x and y, are one point. It is a
    check point if its name begins with ``CHK`` or ``check``, or if one of the further columns
    is such a word, in any of its rows.

    Pixels count from the centre of the upper left pixel, as here: OpenDroneMap's engine reads
    the list in that way, so nothing is added or taken away.

    Elevations that are all the same were not measured: they then hold the level of the survey
    as well as open ground is level.

    Parameters
    ----------
    path : Path
    photos : tuple of Photo
        Usable photos of the flight.

    Returns
    -------
    Control

    Raises
    ------
    InputError
        With line number and remedy; also when nothing of the list can be used, or when the
        photos have no positions and the points are too few to stand in for them.

    References
    ----------
    .. [1] OpenDroneMap, "Ground Control Points", docs.opendronemap.org/gcp.
    """
    file = read_coordinate_file(path, 6, _COLUMNS)
    by_name = {photo.name: photo for photo in photos}
    names = PhotoNames(by_name)
    marks = [_mark(file, row, names, by_name) for row in file.rows]
    groups: dict[object, list[_Mark]] = {}
    for mark in marks:
        groups.setdefault(mark.label or mark.xyz[:2], []).append(mark)
    notes = _unknown_images(marks)
    points: list[SurveyedPoint] = []
    for number, group in enumerate(groups.values(), start=1):
        point = _point(file, group, f"point {number} in line {group[0].row.line}")
        why_not = _useless(file, point.name, len(point.observations), group)
        if why_not:
            notes.append(why_not)
        else:
            points.append(point)
    points, level_notes = _with_unmeasured_heights(points)
    control = Control(
        tuple(point for point in points if isinstance(point, ControlPoint)),
        tuple(point for point in points if isinstance(point, CheckPoint)),
        file.epsg,
        file.vertical_datum,
        (*notes, *level_notes),
    )
    _refuse_too_few(control, path, photos)
    return control


def _mark(file: CoordinateFile, row: Row, names: PhotoNames, photos: dict[str, Photo]) -> _Mark:
    x, y, z, x_px, y_px = (
        file.number(row, index, what)
        for index, what in enumerate(("x", "y", "z", "pixel x", "pixel y"))
    )
    extras = [field for field in row.fields[6:] if field]
    roles = {field.lower() for field in extras}
    labels = [field for field in extras if field.lower() not in _CHECK_COLUMN | _CONTROL_COLUMN]
    label = labels[0] if labels else ""
    is_check = bool(roles & _CHECK_COLUMN) or bool(_CHECK_NAME.match(label))
    found = names.find(row.fields[5])
    if len(found) > 1:
        raise file.error(
            row,
            f"{row.fields[5]} may be {found[0]} or {found[1]}.",
            "Write the name with its folder.",
        )
    observation = None
    if found:
        observation = Observation(found[0], x_px, y_px)
        _check_pixel(file, row, observation, photos[found[0]])
    return _Mark(row, label, is_check, (x, y, z), observation)


def _check_pixel(file: CoordinateFile, row: Row, seen: Observation, photo: Photo) -> None:
    inside = (
        -0.5 <= seen.x_px <= photo.width_px - 0.5 and -0.5 <= seen.y_px <= photo.height_px - 0.5
    )
    if not inside:
        raise file.error(
            row,
            f"pixel {seen.x_px:g}, {seen.y_px:g} is outside {photo.name}, which has"
            f" {photo.width_px} x {photo.height_px} pixels.",
            "Mark the point in the original photo, not in a resized or turned copy.",
        )


def _unknown_images(marks: list[_Mark]) -> list[str]:
    unknown = [mark.row.fields[5] for mark in marks if mark.observation is None]
    if not unknown:
        return []
    different = list(dict.fromkeys(unknown))
    shown = ", ".join(different[:3]) + (", …" if len(different) > 3 else "")
    rows = counted(len(unknown), "row names", "rows name")
    return [f"{rows} images that are not in this flight: {shown}"]


def _point(file: CoordinateFile, marks: list[_Mark], number: str) -> SurveyedPoint:
    first = marks[0]
    name = first.label or number
    latitude_deg, longitude_deg = file.geodetic(first.row, *first.xyz[:2])
    check = any(mark.is_check for mark in marks)
    return (CheckPoint if check else ControlPoint)(
        name,
        latitude_deg,
        longitude_deg,
        file.elevation_m(first.xyz[2]),
        *_SIGMA_M,
        _observations(file, name, marks),
    )


def _useless(file: CoordinateFile, name: str, photo_count: int, marks: list[_Mark]) -> str:
    """Why a point cannot be used, or nothing."""
    for mark in marks[1:]:
        apart_m = _apart_m(file, marks[0], mark)
        if apart_m > _SAME_PLACE_M:
            return (
                f"{name} was left out: in line {mark.row.line} it is {apart_m:.3f} m away from"
                f" where line {marks[0].row.line} has it. Give a point the same coordinates in all"
                " its lines, or different names to two."
            )
    if photo_count < _LEAST_PHOTOS:
        return (
            f"{name} is marked in {counted(photo_count, 'photo', 'photos')} of this flight and is"
            f" left out: mark it in at least {_LEAST_PHOTOS}, better in 5."
        )
    return ""


def _apart_m(file: CoordinateFile, one: _Mark, other: _Mark) -> float:
    if one.xyz == other.xyz:
        return 0.0
    there, here = file.geodetic(one.row, *one.xyz[:2]), file.geodetic(other.row, *other.xyz[:2])
    plan_m = max(abs(a - b) for a, b in zip(there, here, strict=True)) * _METRES_PER_DEGREE
    return max(plan_m, file.elevation_m(abs(one.xyz[2] - other.xyz[2])))


def _observations(file: CoordinateFile, name: str, marks: list[_Mark]) -> tuple[Observation, ...]:
    seen: dict[str, Row] = {}
    kept: list[Observation] = []
    for mark in marks:
        if mark.observation is None or mark.observation in kept:
            continue
        earlier = seen.setdefault(mark.observation.photo, mark.row)
        if earlier is not mark.row:
            raise file.error(
                mark.row,
                f"{name} is marked a second time in {mark.observation.photo}, at another place"
                f" than in line {earlier.line}.",
                "Delete the wrong line, or give two points two names.",
            )
        kept.append(mark.observation)
    return tuple(kept)


def _with_unmeasured_heights(
    points: list[SurveyedPoint],
) -> tuple[list[SurveyedPoint], list[str]]:
    """Points that count little in height where all have the same, and a note of that."""
    elevations = [point.elevation_m for point in points if isinstance(point, ControlPoint)]
    if len(elevations) < _LEAST_POINTS or np.ptp(elevations) > _SAME_PLACE_M:
        return points, []
    # A point that was typed wrong may lie anywhere: it does not make the site larger.
    distance_deg = np.median(np.linalg.norm(_places_deg(points), axis=1))
    rise_m = max(_RISE * 3.0 * _METRES_PER_DEGREE * float(distance_deg), _SIGMA_M[1])
    loose = [
        replace(point, vertical_sigma_m=rise_m) if isinstance(point, ControlPoint) else point
        for point in points
    ]
    return loose, [
        f"All {len(elevations)} ground control points have the elevation {elevations[0]:g} m, as"
        " where nobody measured it: each counts as good to"
        f" ± {2.0 * rise_m:.1f} m in height. The ground is taken to be level on the whole, so"
        " elevations and slopes are not to be relied on; volumes above a plane hardly suffer. Give"
        " measured elevations."
    ]


def _places_deg(points: Sequence[SurveyedPoint]) -> NDArray[np.float64]:
    """Places east and north of the median point, in degrees of latitude, shape (n, 2)."""
    places = np.array([(point.longitude_deg, point.latitude_deg) for point in points])
    return np.asarray(
        (places - np.median(places, axis=0)) * [np.cos(np.deg2rad(places[0, 1])), 1.0]
    )


def _refuse_too_few(control: Control, path: Path, photos: tuple[Photo, ...]) -> None:
    points = control.control_points
    if not points and not control.check_points:
        raise InputError(
            _told(control, f"{path.name}: no point of it can be used."),
            "Compare the image names with those in the folder and mark each point in at least"
            f" {_LEAST_PHOTOS} photos.",
        )
    positioned = sum(photo.position is not None for photo in photos)
    if positioned >= _LEAST_POINTS:
        return
    if len(points) < _LEAST_POINTS:
        raise InputError(
            _told(
                control,
                f"{path.name}: too few usable ground control points ({len(points)}),"
                f" and too few photos with a position ({positioned}).",
            ),
            f"Without positions at least {_LEAST_POINTS} ground control points are needed,"
            " better 5, spread over the site.",
        )
    places = _places_deg(points)
    # A point that was typed wrong may lie anywhere, and all others look like one place from there.
    distance = np.linalg.norm(places, axis=1)
    if distance.max() > _FAR * np.median(distance):
        return
    places = places - places.mean(axis=0)
    long_axis, short_axis = np.linalg.svd(places, compute_uv=False)
    if short_axis < 0.02 * long_axis:
        raise InputError(
            f"{path.name}: the {len(points)} ground control points lie in one line, and the"
            " photos have no positions.",
            "Add a point well beside the line: along it the survey could tilt freely.",
        )


def _told(control: Control, reason: str) -> str:
    """A reason with what was left out before, which may be its cause."""
    return " ".join((reason, *control.notes))
