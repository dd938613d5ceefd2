"""Toes with all results, and contours, as a GeoPackage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw  # type: ignore[import-untyped]
import pyproj
import shapely

from volumetrics.files.relief import Drawing
from volumetrics.files.whole import whole
from volumetrics.io import COLUMNS, table_row

TOES, CONTOURS = "toes", "contours"
_TEXTS = ("pile", "base", "warnings")
_WHOLE = ("holes",)


def write_geopackage(path: Path, drawings: Sequence[Drawing], crs: pyproj.CRS) -> None:
    """Write the layers ``toes``, with the columns of ``volumes.csv``, and ``contours``."""
    rows = [table_row(drawing.volume) for drawing in drawings]
    columns = {name: _column(name, rows) for name in COLUMNS if name != "refused"}
    lines = [(drawing.volume.pile, line) for drawing in drawings for line in drawing.contours]
    levels = {
        "pile": np.array([pile for pile, _ in lines], dtype=object),
        "elevation_m": np.array([line.coords[0][2] for _, line in lines], dtype=np.float64),
    }
    with whole(path) as partial:
        toes = [shapely.multipolygons(shapely.get_parts(drawing.toe)) for drawing in drawings]
        _layer(partial, TOES, "MultiPolygon Z", toes, columns, crs)
        _layer(partial, CONTOURS, "LineString Z", [line for _, line in lines], levels, crs)


def _column(name: str, rows: Sequence[dict[str, Any]]) -> np.ndarray:
    if name in _TEXTS:
        return np.array([row[name] for row in rows], dtype=object)
    if name in _WHOLE:
        return np.array([row[name] for row in rows], dtype=np.int32)
    return np.array([row.get(name, np.nan) for row in rows], dtype=np.float64)


def _layer(
    path: Path,
    layer: str,
    geometry_type: str,
    shapes: Sequence[shapely.Geometry],
    columns: dict[str, np.ndarray],
    crs: pyproj.CRS,
) -> None:
    pyogrio.raw.write(
        path,
        geometry=np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object),
        field_data=list(columns.values()),
        fields=np.array(list(columns), dtype=object),
        geometry_type=geometry_type,
        crs=crs.to_wkt(),
        layer=layer,
        driver="GPKG",
        append=path.exists(),
    )
