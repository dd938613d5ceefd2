"""Toe polygons from GeoJSON.

A feature's ``name`` names its pile. An optional property ``walls`` marks edges that run along a
wall, where no ground is seen: a list of pairs ``[i, j]``, the first and the last vertex of the
wall on the polygon's outer ring, counted from 0 in the order of the file. In a multi-part polygon
the part comes first: ``[part, i, j]``. A bunker drawn from its open corner round the back is
``"walls": [[0, 3]]``. Proposals have ``"confirmed": false`` until somebody has looked at them.

Optional properties ``density_t_m3``, ``density_sigma_t_m3``, ``moisture`` and ``moisture_sigma``
give tonnes, see `volumetrics.density`.

GeoJSON is in WGS 84 by its standard (RFC 7946), and in a named CRS by the older convention that
GIS programs still write (``crs`` member). Where there is no name and the coordinates fall into the
survey as they are, they are taken to be in the survey's CRS, and the result says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely

from volumetrics.crs import parse_crs
from volumetrics.density import material_of
from volumetrics.errors import InputError, ToeError
from volumetrics.grid import Array
from volumetrics.survey import Survey
from volumetrics.toe import Toe, clean, wall_lines


def read_toes(
    path: Path, survey: Survey, *, must_be_confirmed: bool = True
) -> tuple[list[Toe], dict[str, str]]:
    """Read the toe polygons of a survey's piles.

    Parameters
    ----------
    path : Path
        GeoJSON of polygons.
    survey : Survey
        Gives the CRS that the polygons are brought into.
    must_be_confirmed : bool
        Refuse proposals (``"confirmed": false``): what is counted, a person has looked at.

    Returns
    -------
    toes : list of Toe
    refused : dict of str to str
        Name and reason of each polygon that cannot be measured; the others can.

    Raises
    ------
    InputError
        When the file cannot be read as a whole.
    """
    document = _load(path)
    features = _features(document, path)
    shapes = [_shape(feature) for feature in features]
    to_map, note = _to_survey(document, shapes, survey)
    toes: list[Toe] = []
    refused: dict[str, str] = {}
    names: set[str] = set()
    for number, (feature, drawn) in enumerate(zip(features, shapes, strict=True), start=1):
        name = _name(feature, number)
        try:
            if name in names:
                raise ToeError(
                    f"{name}: two polygons have this name.",
                    "Give each pile a name of its own, or join its parts to one multi-polygon.",
                )
            names.add(name)
            if must_be_confirmed:
                _check_confirmed(name, feature)
            toes.append(_toe(name, feature, drawn, to_map, note))
        except ToeError as error:
            refused[name] = str(error)
    return toes, refused


def read_exclusions(path: Path, survey: Survey) -> list[shapely.Geometry]:
    """Read polygons of what is no pile.

    Raises
    ------
    InputError
        When one of them cannot be used: leaving it out would count what it covers.
    """
    toes, refused = read_toes(path, survey)
    if refused:
        raise InputError(
            f"{path}: {next(iter(refused.values()))}", "Nothing was measured without it."
        )
    return [toe.polygon for toe in toes]


def _load(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
        document = json.loads(text, parse_constant=_refuse_constant)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except ValueError as error:
        raise InputError(
            f"{path} is not GeoJSON: {error}.", "Export the polygons again."
        ) from error
    if not isinstance(document, dict) or "type" not in document:
        raise InputError(f"{path} is JSON, but not GeoJSON.", "Export the polygons as GeoJSON.")
    return document


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no coordinate")


def _features(document: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    if document["type"] == "FeatureCollection":
        features = list(document.get("features") or [])
    elif document["type"] == "Feature":
        features = [document]
    else:
        features = [{"type": "Feature", "geometry": document, "properties": {}}]
    if not features:
        raise InputError(f"{path} holds no polygons.", "Draw a toe around each pile.")
    return features


def _shape(feature: dict[str, Any]) -> shapely.Geometry | ToeError:
    geometry = feature.get("geometry") or {}
    if geometry.get("type") not in ("Polygon", "MultiPolygon"):
        return ToeError(
            f"its geometry is {geometry.get('type') or 'empty'}, not a polygon.",
            "Draw the toe as a closed polygon.",
        )
    try:
        return shapely.geometry.shape(geometry)
    except (ValueError, TypeError, IndexError, KeyError, shapely.errors.ShapelyError):
        return ToeError(
            "its coordinates make no polygon.",
            "Draw the toe again, with at least three vertices of two numbers each.",
        )


def _name(feature: dict[str, Any], number: int) -> str:
    properties = feature.get("properties") or {}
    for value in (properties.get("name"), feature.get("id")):
        if value is not None and str(value).strip():
            return str(value).strip()
    return f"pile {number}"


def _to_survey(
    document: dict[str, Any], shapes: Sequence[shapely.Geometry | ToeError], survey: Survey
) -> tuple[pyproj.Transformer | None, str]:
    """The way from the file's coordinates to the survey's, and what was assumed for it."""
    member = document.get("crs") or {}
    named = (member.get("properties") or {}).get("name") if isinstance(member, dict) else None
    if named:
        crs = parse_crs(str(named))
        if crs == survey.crs:
            return None, ""
        return pyproj.Transformer.from_crs(crs, survey.crs, always_xy=True), ""
    drawn = [shape for shape in shapes if not isinstance(shape, ToeError)]
    coordinates = shapely.get_coordinates(drawn)
    coordinates = coordinates[np.isfinite(coordinates).all(axis=1)]
    west, south, east, north = survey.bounds_m
    x, y = coordinates.T
    if bool(np.any((x > west) & (x < east) & (y > south) & (y < north))):
        return None, "the polygons name no CRS, taken as the survey's"
    if bool(np.all((np.abs(x) <= 180.0) & (np.abs(y) <= 90.0))):
        return pyproj.Transformer.from_crs(4326, survey.crs, always_xy=True), ""
    raise InputError(
        f"The polygons name no CRS and their coordinates (about {x.mean():.1f}, {y.mean():.1f}) "
        "are neither degrees nor inside the survey.",
        "Export them in WGS 84 or in the survey's CRS, with the CRS named in the file.",
    )


def _check_confirmed(name: str, feature: dict[str, Any]) -> None:
    if (feature.get("properties") or {}).get("confirmed") is False:
        raise ToeError(
            f"{name}: nobody has confirmed this proposal.",
            'Look at its line on the orthomosaic, correct it, and set "confirmed" to true.',
        )


def _toe(
    name: str,
    feature: dict[str, Any],
    drawn: shapely.Geometry | ToeError,
    to_map: pyproj.Transformer | None,
    note: str,
) -> Toe:
    if isinstance(drawn, ToeError):
        raise ToeError(f"{name}: {drawn.reason}", drawn.hint)

    def on_map(coordinates: Array) -> Array:
        if to_map is None:
            return coordinates
        return np.column_stack(to_map.transform(coordinates[:, 0], coordinates[:, 1]))

    mapped = shapely.transform(shapely.force_2d(drawn), on_map)
    properties = feature.get("properties") or {}
    walls = properties.get("walls")
    try:
        material = material_of(properties)
    except InputError as error:
        raise ToeError(f"{name}: {error.reason}", error.hint) from error
    lines = _walls(name, mapped, walls) if walls else None
    # As drawn first: only a simple polygon can be tidied up.
    polygon, repairs = clean(Toe(name, mapped).polygon)
    notes = (*repairs, note) if note else repairs
    return Toe(name, polygon, lines, material, notes)


def _walls(name: str, polygon: shapely.Geometry, walls: Any) -> shapely.Geometry | None:
    if not isinstance(walls, list) or not all(isinstance(wall, list) for wall in walls):
        raise ToeError(
            f"{name}: walls = {walls!r} is no list of vertex pairs.", 'Write "walls": [[0, 3]].'
        )
    parts = shapely.get_parts(polygon)
    lines = []
    for wall in walls:
        part, pair = (wall[0], wall[1:]) if len(wall) == 3 else (0, wall)
        if not isinstance(part, int) or not 0 <= part < len(parts):
            raise ToeError(f"{name}: there is no part {part!r}.", f"It has {len(parts)} parts.")
        ring = np.asarray(parts[part].exterior.coords)[:-1]
        try:
            lines.append(wall_lines(ring, [pair]))
        except ToeError as error:
            raise ToeError(f"{name}: {error.reason}", error.hint) from error
    return shapely.union_all(lines)
