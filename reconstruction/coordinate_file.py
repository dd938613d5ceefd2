"""Text files of coordinates in OpenDroneMap's manner: a line with the CRS, then rows.

References
----------
.. [1] OpenDroneMap, "Ground Control Points" and "Image Geolocation Files", docs.opendronemap.org.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyproj
from pyproj.exceptions import CRSError, ProjError

from reconstruction.errors import InputError

_SIZE_LIMIT = 50_000_000
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # byte order marks, of which a text must have one
# What spreadsheets put around a column, or leave of empty ones.
_AROUND = " \t;,'\""
_UTM = re.compile(r"WGS\s*84(?:\s*/?\s*UTM(?:\s+zone)?\s+(\d{1,2})\s*([NS]?))?", re.IGNORECASE)
_CRS_HINT = (
    "Write the CRS in the first line, for example EPSG:32616, WGS84 UTM 16N, or a PROJ string"
    " like +proj=utm +zone=16 +datum=WGS84."
)


@dataclass(frozen=True)
class Row:
    """One row of a coordinate file.

    Parameters
    ----------
    line : int
        Line number, counted from 1.
    fields : tuple of str
    """

    line: int
    fields: tuple[str, ...]


@dataclass(frozen=True)
class CoordinateFile:
    """A parsed coordinate file.

    Parameters
    ----------
    path : Path
    crs : pyproj.CRS
    rows : tuple of Row
    """

    path: Path
    crs: pyproj.CRS
    rows: tuple[Row, ...]

    @cached_property
    def _horizontal(self) -> pyproj.CRS:
        """The CRS without its vertical part."""
        return self.crs.sub_crs_list[0] if self.crs.is_compound else self.crs.to_2d()

    @property
    def epsg(self) -> int | None:
        """EPSG code of the horizontal part where that is a projected CRS in metres."""
        metric = self._horizontal.is_projected and self._horizontal_unit_m == 1.0
        return self._horizontal.to_epsg() if metric else None

    @property
    def _horizontal_unit_m(self) -> float:
        return self._horizontal.axis_info[0].unit_conversion_factor

    @property
    def vertical_datum(self) -> str:
        """Name of the vertical datum, ``ellipsoidal``, or ``unknown`` where the CRS has none."""
        if self.crs.is_compound:
            return self.crs.sub_crs_list[1].name
        return "ellipsoidal" if len(self.crs.axis_info) == 3 else "unknown"

    @cached_property
    def _elevation_unit_m(self) -> float:
        """Metres in one unit of elevation."""
        if self.crs.is_compound:
            return self.crs.sub_crs_list[1].axis_info[0].unit_conversion_factor
        if len(self.crs.axis_info) == 3:
            return self.crs.axis_info[2].unit_conversion_factor
        if self._horizontal.is_projected and self._horizontal_unit_m != 1.0:
            raise InputError(
                f"{self.path.name}: {self.crs.name} is not in metres and does not say the unit"
                " of the elevations.",
                "Name a compound CRS that does, for example EPSG:2264+6360, or convert the"
                " coordinates to a CRS in metres.",
            )
        return 1.0

    @cached_property
    def _to_geodetic(self) -> pyproj.Transformer:
        return pyproj.Transformer.from_crs(self._horizontal, 4326, always_xy=True)

    def elevation_m(self, value: float) -> float:
        """An elevation of this file in metres, in the file's own vertical datum."""
        return value * self._elevation_unit_m

    def geodetic(self, row: Row, x: float, y: float) -> tuple[float, float]:
        """WGS 84 latitude and longitude in degrees of a row's x (east) and y (north).

        The elevation takes no part: it stays in the file's own vertical datum.
        """
        try:
            longitude, latitude = self._to_geodetic.transform(x, y, errcheck=True)
        except ProjError:
            longitude, latitude = math.inf, math.inf
        if not (abs(latitude) <= 90.0 and abs(longitude) <= 180.0):
            raise self.error(
                row,
                f"x {x:g}, y {y:g} is no place in {self.crs.name}.",
                "Check the CRS, and that x is the easting or longitude and y the northing or"
                " latitude.",
            )
        return latitude, longitude

    def number(self, row: Row, index: int, what: str) -> float:
        """A field of a row as a finite number."""
        text = row.fields[index]
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        hint = (
            "Use a decimal point, not a comma, and spaces, tabs or semicolons between the columns."
            if "," in text
            else f"Correct the {what} in this line."
        )
        raise self.error(row, f"{what} {text[:40]!r} is not a number.", hint)

    def error(self, row: Row, reason: str, hint: str) -> InputError:
        """An error that names file and line."""
        return InputError(f"{self.path.name}, line {row.line}: {reason}", hint)


def read_coordinate_file(path: Path, least_fields: int, columns: str) -> CoordinateFile:
    """Read a coordinate file; empty lines and lines that begin with ``#`` are skipped.

    Parameters
    ----------
    path : Path
    least_fields : int
        Number of columns that every row must have.
    columns : str
        What the columns are, for the error message.

    Raises
    ------
    InputError
        With the line and a remedy.
    """
    lines = [(number, line.strip()) for number, line in enumerate(_lines(path), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if not lines:
        raise InputError(f"{path.name} is empty.", _CRS_HINT)
    file = CoordinateFile(
        path,
        parse_crs(lines[0][1], path.name),
        tuple(Row(number, _fields(line, least_fields)) for number, line in lines[1:]),
    )
    for row in file.rows:
        if len(row.fields) < least_fields:
            raise file.error(
                row,
                f"{len(row.fields)} columns where at least {least_fields} are needed.",
                f"Each line is: {columns}, separated by spaces, tabs, semicolons or commas.",
            )
    return file


def _lines(path: Path) -> list[str]:
    try:
        if path.stat().st_size > _SIZE_LIMIT:
            raise InputError(f"{path.name} is larger than 50 MB.", "Is it the right file?")
        content = path.read_bytes()
        encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
        return content.decode(encoding, errors="replace").splitlines()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}.", "Check the file's path and permissions."
        ) from error


def _fields(line: str, least: int) -> tuple[str, ...]:
    """Columns by tabs or semicolons where there are enough of them (names may then hold spaces).

    Else by spaces, else by commas; spreadsheets put texts into quotes.
    """
    columns = [_bare(line.split(mark)) for mark in ("\t", ";", None, ",")]
    enough = (some for some in columns if len(some) >= least and all(some[:least]))
    return next(enough, columns[2])


def _bare(columns: list[str]) -> tuple[str, ...]:
    return tuple(column.strip(_AROUND) for column in columns)


def parse_crs(text: str, source: str) -> pyproj.CRS:
    """The CRS that a header line names.

    Parameters
    ----------
    text : str
        ``EPSG:code`` (also ``EPSG:horizontal+vertical``), ``WGS84 UTM 16N``, ``WGS84``
        (longitude and latitude in degrees) or a PROJ string.
    source : str
        File name, for the error message.

    Raises
    ------
    InputError

    Examples
    --------
    >>> parse_crs("WGS84 UTM 16S", "gcp_list.txt").to_epsg()
    32716
    """
    text = text.strip(_AROUND)
    try:
        named = _UTM.fullmatch(text)
        if named:
            crs = pyproj.CRS.from_epsg(_wgs84_code(named))
        elif "+proj" in text or text.lower().startswith("epsg:"):
            crs = pyproj.CRS.from_user_input(text)
        else:
            raise InputError(f"{source}: {text[:80]!r} is not a CRS.", _CRS_HINT)
    except CRSError as error:
        raise InputError(f"{source}: {text[:80]!r} is not a CRS.", _CRS_HINT) from error
    horizontal = crs.sub_crs_list[0] if crs.is_compound else crs
    if not (horizontal.is_projected or horizontal.is_geographic):
        raise InputError(f"{source}: {crs.name} has no horizontal coordinates.", _CRS_HINT)
    return crs


def _wgs84_code(named: re.Match[str]) -> int:
    zone, hemisphere = named.groups()
    if zone is None:
        return 4326
    if not 1 <= int(zone) <= 60:
        raise CRSError(f"UTM zone {zone}")
    return (32700 if hemisphere.upper() == "S" else 32600) + int(zone)


class PhotoNames:
    """Finds the photo that a text file means, whatever folder, case or extension it wrote.

    Parameters
    ----------
    names : iterable of str
        Photo names.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._found: list[dict[str, list[str]]] = [{}, {}, {}, {}]
        for name in names:
            for keys, key in zip(self._found, _spellings(name), strict=True):
                keys.setdefault(key, []).append(name)

    def find(self, written: str) -> tuple[str, ...]:
        """Photos that a written name may mean: one, none, or several where it is ambiguous."""
        for keys, key in zip(self._found, _spellings(written), strict=True):
            if key in keys:
                return tuple(keys[key])
        return ()


def _spellings(name: str) -> tuple[str, str, str, str]:
    """From exact to forgiving: the path, its case ignored, the file name, without extension."""
    path = PurePosixPath(name.replace("\\", "/"))
    return str(path), str(path).lower(), path.name.lower(), path.stem.lower()
