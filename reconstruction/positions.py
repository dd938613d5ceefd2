"""Photo positions from a file in OpenDroneMap's ``geo.txt`` format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from reconstruction.coordinate_file import (
    CoordinateFile,
    PhotoNames,
    Row,
    read_coordinate_file,
)
from reconstruction.errors import InputError
from reconstruction.frame import median_apart_m
from reconstruction.photo import LEAST_PHOTOS, Photo, Position
from reconstruction.wording import counted

_COLUMNS = "image x y [z] [yaw pitch roll] [horizontal accuracy] [vertical accuracy]"
_CONSUMER_M = (3.0, 8.0)
_WITH_ANGLES, _WITH_ACCURACIES = 7, 9  # columns
# No receiver is this wrong; a CRS that is not the file's may be.
_ELSEWHERE_M = 1000.0


def apply_positions(
    path: Path, photos: tuple[Photo, ...]
) -> tuple[tuple[Photo, ...], tuple[str, ...]]:
    """Photos with their positions replaced by those of a position file.

    The angles in the file are not used: the format has one order of columns and two
    conventions for pitch. A photo that the file does not list keeps its horizontal position
    and loses its altitude, which may be in another vertical datum.

    Parameters
    ----------
    path : Path
        First line a CRS, then ``image x y [z] [yaw pitch roll] [h v]``; x is the easting or
        longitude, accuracies are standard deviations in metres.
    photos : tuple of Photo

    Returns
    -------
    photos : tuple of Photo
    notes : tuple of str
        What a surveyor should know.

    Raises
    ------
    InputError
        With line number and remedy.
    """
    file = read_coordinate_file(path, 3, _COLUMNS)
    names = PhotoNames(photo.name for photo in photos)
    listed: dict[str, tuple[Row, Position]] = {}
    unknown = []
    for row in file.rows:
        found = names.find(row.fields[0])
        if not found:
            unknown.append(row.fields[0])
            continue
        name = _only(file, row, found)
        if name in listed:
            raise file.error(
                row,
                f"{name} is listed a second time, first in line {listed[name][0].line}.",
                "Delete one of the two lines.",
            )
        listed[name] = row, _position(file, row)
    if not listed:
        raise InputError(
            f"{path.name}: none of its rows names a photo of this flight.",
            "Compare the image names in the file with those in the folder.",
        )
    places = {name: position for name, (_, position) in listed.items()}
    notes = _notes(path.name, unknown, len(photos) - len(listed))
    notes += _half_written(file) + _elsewhere(path.name, photos, places)
    moved = tuple(
        replace(photo, position=places[photo.name], altitude_datum=file.vertical_datum)
        if photo.name in places
        else _without_altitude(photo, file.vertical_datum)
        for photo in photos
    )
    return moved, notes


def without_unmeasured(
    photos: tuple[Photo, ...],
) -> tuple[tuple[Photo, ...], tuple[str, ...]]:
    """Photos without what their receiver did not measure, and a note of that.

    Positions that are all the same to the last digit, and altitudes that are all exactly zero.
    """
    positions = [photo.position for photo in photos if photo.position]
    if len(positions) < LEAST_PHOTOS:
        return photos, ()
    if len({(position.latitude_deg, position.longitude_deg) for position in positions}) == 1:
        return tuple(replace(photo, position=None) for photo in photos), (
            f"The positions of all {len(positions)} photos are the same to the last digit, as of a"
            " receiver that stood still, and are not used.",
        )
    if any(position.altitude_m != 0.0 for position in positions):
        return photos, ()
    return tuple(_without_altitude(photo, photo.altitude_datum) for photo in photos), (
        "All altitudes of the photos are 0 m, as where none was measured, and are not used.",
    )


def _only(file: CoordinateFile, row: Row, found: tuple[str, ...]) -> str:
    if len(found) > 1:
        raise file.error(
            row,
            f"{row.fields[0]} may be {found[0]} or {found[1]}.",
            "Write the name with its folder.",
        )
    return found[0]


def _position(file: CoordinateFile, row: Row) -> Position:
    values = [
        file.number(row, index, what)
        for index, what in enumerate(("x", "y", "z"), start=1)
        if index < len(row.fields)
    ]
    latitude_deg, longitude_deg = file.geodetic(row, values[0], values[1])
    horizontal_m, vertical_m = _CONSUMER_M
    if len(row.fields) >= _WITH_ACCURACIES:
        horizontal_m = _accuracy(file, row, 7, "horizontal accuracy") or horizontal_m
        vertical_m = _accuracy(file, row, 8, "vertical accuracy") or vertical_m
    altitude_m = file.elevation_m(values[2]) if len(values) == 3 else None
    return Position(latitude_deg, longitude_deg, altitude_m, horizontal_m, vertical_m, "geo")


def _accuracy(file: CoordinateFile, row: Row, index: int, what: str) -> float:
    """An accuracy in metres; zero stands for unknown, as in the angles' columns."""
    value = file.number(row, index, what)
    if value < 0.0:
        raise file.error(row, f"{what} {value:g} is negative.", "Give a standard deviation.")
    return value


def _without_altitude(photo: Photo, datum: str) -> Photo:
    if photo.position is None:
        return photo
    return replace(photo, position=replace(photo.position, altitude_m=None), altitude_datum=datum)


def _notes(file_name: str, unknown: list[str], unlisted: int) -> tuple[str, ...]:
    notes = []
    if unknown:
        shown = ", ".join(unknown[:3]) + (", …" if len(unknown) > 3 else "")
        images = counted(len(unknown), "image that is", "images that are")
        notes.append(f"{file_name} lists {images} not here: {shown}")
    if unlisted:
        photos = counted(unlisted, "photo, whose altitude is", "photos, whose altitudes are")
        notes.append(f"{file_name} does not list {photos} not used")
    return tuple(notes)


def _half_written(file: CoordinateFile) -> tuple[str, ...]:
    """Accuracies right after z are what this file most likely means, and what nobody reads."""
    for row in file.rows:
        count = len(row.fields)
        if count in (5, 6, 8):
            return (
                f"{file.path.name}, line {row.line}, has {count} columns: what follows"
                f" {'the angles' if count > _WITH_ANGLES else 'z'} is not used. Accuracies are the"
                " 8th and 9th column, after three angles; write 0 0 0 for angles that you do not"
                " know.",
            )
    return ()


def _elsewhere(
    file_name: str, photos: tuple[Photo, ...], places: dict[str, Position]
) -> tuple[str, ...]:
    """A note where the photos' own positions are far from those in the file."""
    both = [
        (photo.position, places[photo.name])
        for photo in photos
        if photo.position and photo.name in places
    ]
    if not both:
        return ()
    own, given = (
        [(place.latitude_deg, place.longitude_deg) for place in some]
        for some in zip(*both, strict=True)
    )
    apart_m = median_apart_m(own, given)
    if apart_m < _ELSEWHERE_M:
        return ()
    return (
        f"{file_name} places the photos {apart_m / 1000.0:,.0f} km away from where they themselves"
        " say. Check the file's CRS, and that x is the easting or longitude and y the northing or"
        " latitude.",
    )
