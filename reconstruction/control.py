"""Ground control points and check points from a file in OpenDroneMap's ``gcp_list.txt`` format."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reconstruction.coordinate_file import (
    CoordinateFile,
    PhotoNames,
    Row,
    read_coordinate_file,
)
from reconstruction.errors import InputError
from reconstruction.frame import LocalFrame
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


@dataclass(frozen=True)
class Observation:
    """Where a point was marked in a photo.

    Parameters
    ----------
    photo : str
        Photo name.
    x_px, y_px : float
        Pixels of the full image, pixel centres at integers.
    """

    photo: str
    x_px: float
    y_px: float


@dataclass(frozen=True)
class SurveyedPoint:
    """A point on the ground that was surveyed and marked in photos.

    Parameters
    ----------
    name : str
    latitude_deg, longitude_deg : float
        WGS 84.
    elevation_m : float
        In the vertical datum of its list.
    horizontal_sigma_m, vertical_sigma_m : float
        One standard deviation of the survey; the list has no column for it, so it is what RTK
        with a pole gives.
    observations : tuple of Observation
        In two photos or more.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    horizontal_sigma_m: float
    vertical_sigma_m: float
    observations: tuple[Observation, ...]

    def local(self, frame: LocalFrame) -> NDArray[np.float64]:
        """Coordinates in a local frame, shape (3,)."""
        return frame.from_geodetic(
            np.array([self.latitude_deg]),
            np.array([self.longitude_deg]),
            np.array([self.elevation_m]),
        )[0]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        observations = tuple(Observation(**item) for item in values["observations"])
        return cls(**{**values, "observations": observations})


class ControlPoint(SurveyedPoint):
    """A ground control point (GCP): it enters the adjustment."""


class CheckPoint(SurveyedPoint):
    """A check point: it never enters the adjustment, and so tells the accuracy."""


@dataclass(frozen=True)
class Control:
    """A list of surveyed points.

    Parameters
    ----------
    control_points : tuple of ControlPoint
    check_points : tuple of CheckPoint
    epsg : int or None
        Horizontal CRS of the list where it is a projected one in metres with a code.
    vertical_datum : str
        Name of the vertical datum, ``ellipsoidal``, or ``unknown`` where the CRS has none.
    notes : tuple of str
        What a surveyor should know, such as rows that were skipped.
    """

    control_points: tuple[ControlPoint, ...]
    check_points: tuple[CheckPoint, ...]
    epsg: int | None
    vertical_datum: str
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write ``control.json`` into a folder."""
        text = json.dumps(asdict(self), indent=1)
        (folder / "control.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Control:
        """The inverse of `save`."""
        values = json.loads((folder / "control.json").read_text(encoding="utf-8"))
        return cls(
            tuple(ControlPoint.from_json(item) for item in values["control_points"]),
            tuple(CheckPoint.from_json(item) for item in values["check_points"]),
            values["epsg"],
            values["vertical_datum"],
            tuple(values["notes"]),
        )


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
    with the same name, or without names and with the same coordinates, are one point. It is a
    check point if its name begins with ``CHK`` or ``check``, or if one of the further columns
    is such a word, in any of its rows.

    Pixels count from the centre of the upper left pixel, as here: OpenDroneMap's engine reads
    the list in that way, so nothing is added or taken away.

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
        groups.setdefault(mark.label or mark.xyz, []).append(mark)
    notes = _unknown_images(marks)
    points: list[SurveyedPoint] = []
    for number, group in enumerate(groups.values(), start=1):
        point = _point(file, group, f"point {number}")
        if len(point.observations) >= _LEAST_PHOTOS:
            points.append(point)
        else:
            seen = counted(len(point.observations), "photo", "photos")
            notes.append(
                f"{point.name} is marked in {seen} of this flight and is left out: mark it"
                f" in at least {_LEAST_PHOTOS}, better in 5."
            )
    control = Control(
        tuple(point for point in points if isinstance(point, ControlPoint)),
        tuple(point for point in points if isinstance(point, CheckPoint)),
        file.epsg,
        file.vertical_datum,
        tuple(notes),
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
    for mark in marks[1:]:
        _refuse_moved(file, name, first, mark)
    check = any(mark.is_check for mark in marks)
    return (CheckPoint if check else ControlPoint)(
        name,
        latitude_deg,
        longitude_deg,
        file.elevation_m(first.xyz[2]),
        *_SIGMA_M,
        _observations(file, name, marks),
    )


def _refuse_moved(file: CoordinateFile, name: str, first: _Mark, mark: _Mark) -> None:
    """A point has one place; coordinates that differ are a slip of the pen, and which is right?"""
    if mark.xyz == first.xyz:
        return
    there, here = file.geodetic(first.row, *first.xyz[:2]), file.geodetic(mark.row, *mark.xyz[:2])
    apart_m = max(abs(a - b) for a, b in zip(there, here, strict=True)) * 111_000.0
    apart_m = max(apart_m, file.elevation_m(abs(first.xyz[2] - mark.xyz[2])))
    if apart_m > _SAME_PLACE_M:
        raise file.error(
            mark.row,
            f"{name} is {apart_m:.3f} m away from where line {first.row.line} has it.",
            "Give a point the same coordinates in all its lines, or different names to two.",
        )


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


def _refuse_too_few(control: Control, path: Path, photos: tuple[Photo, ...]) -> None:
    points = control.control_points
    if not points and not control.check_points:
        raise InputError(
            f"{path.name}: no point is marked in {_LEAST_PHOTOS} photos of this flight.",
            "Compare the image names with those in the folder and mark each point in at least"
            f" {_LEAST_PHOTOS} photos.",
        )
    positioned = sum(photo.position is not None for photo in photos)
    if positioned >= _LEAST_POINTS:
        return
    if len(points) < _LEAST_POINTS:
        raise InputError(
            f"{path.name}: too few usable ground control points ({len(points)}), and too few photos"
            f" with a position ({positioned}).",
            f"Without positions at least {_LEAST_POINTS} ground control points are needed,"
            " better 5, spread over the site.",
        )
    places = np.array([(point.longitude_deg, point.latitude_deg) for point in points])
    places = (places - np.median(places, axis=0)) * [np.cos(np.deg2rad(places[0, 1])), 1.0]
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
