"""Toes with their results as GeoJSON, which may be measured again as it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import shapely

from volumetrics.files.whole import whole
from volumetrics.grid import Array
from volumetrics.toe import Toe

# Nine digits of a degree are a tenth of a millimetre.
_DIGITS = 9
_ON_WALL_M = 1e-3


def write_geojson(path: Path, toes: Iterable[tuple[Toe, dict[str, Any]]], crs: pyproj.CRS) -> None:
    """Write toes and their properties, in WGS 84 as the standard has it (RFC 7946).

    Parameters
    ----------
    path : Path
    toes : iterable of (Toe, dict)
        The properties are written beside ``name``, ``walls`` and those of the material.
    crs : pyproj.CRS
        Of the toes.
    """
    to_degrees = pyproj.Transformer.from_crs(crs.to_2d(), 4326, always_xy=True)

    def in_degrees(place_m: Array) -> Array:
        return np.column_stack(to_degrees.transform(place_m[:, 0], place_m[:, 1]))

    features = []
    for toe, more in toes:
        # Outer rings counter-clockwise, as RFC 7946 has them.
        polygon = shapely.orient_polygons(toe.polygon)
        degrees = shapely.transform(polygon, in_degrees)
        features.append(
            {
                "type": "Feature",
                "properties": {"name": toe.name, **more, **_material(toe), **_walls(toe, polygon)},
                "geometry": _rounded(shapely.geometry.mapping(degrees)),
            }
        )
    document = {"type": "FeatureCollection", "features": features}
    text = json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"
    with whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def _rounded(geometry: dict[str, Any]) -> dict[str, Any]:
    def shorten(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [shorten(part) for part in value]
        return round(value, _DIGITS)

    return {"type": geometry["type"], "coordinates": shorten(geometry["coordinates"])}


def _material(toe: Toe) -> dict[str, float]:
    return asdict(toe.material) if toe.material is not None else {}


def _walls(toe: Toe, polygon: shapely.Geometry) -> dict[str, list[list[int]]]:
    """The edges along walls as ``volumetrics.polygons`` reads them."""
    if toe.walls is None:
        return {}
    pairs = []
    for number, part in enumerate(shapely.get_parts(polygon)):
        ring = np.asarray(part.exterior.coords)
        middle = shapely.points(0.5 * (ring[:-1] + ring[1:]))
        count = len(middle)
        for edge in np.flatnonzero(shapely.dwithin(middle, toe.walls, _ON_WALL_M)).tolist():
            pairs.append([number, edge, (edge + 1) % count])
    return {"walls": pairs}
