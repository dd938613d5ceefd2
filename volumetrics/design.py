"""Designed surfaces from CAD programs: triangles in LandXML or DXF, in map metres.

References
----------
LandXML.org (2008): LandXML-1.2 schema, elements ``Surface``, ``Pnts`` and ``Faces``.

Autodesk (2012): DXF Reference, entities ``3DFACE``, ``MESH`` and ``POLYLINE``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pyproj
from ezdxf import units
from ezdxf.disassemble import make_primitive, recursive_decompose
from ezdxf.filemanagement import readfile
from ezdxf.lldxf.const import DXFError

from volumetrics.errors import InputError
from volumetrics.grid import Array
from volumetrics.tin import Tin

SUFFIXES = frozenset({".xml", ".landxml", ".dxf"})
_HINT = "Export one surface as triangles (LandXML with faces, or DXF with 3DFACEs) in metres."
_FLAT_M2 = 1e-9


def read_design(path: Path, crs: pyproj.CRS) -> Tin:
    """Read the triangles of a designed surface.

    Parameters
    ----------
    path : Path
        LandXML (``.xml``, ``.landxml``) or DXF.
    crs : pyproj.CRS
        Of the survey that is measured above it. A drawing that names no CRS is taken to be in it.

    Raises
    ------
    InputError
        When the file holds no triangles or more than one surface, or is in another unit or CRS.
    """
    corners = _dxf(path) if path.suffix.lower() == ".dxf" else _landxml(path, crs)
    if not np.isfinite(corners).all():
        raise InputError(f"A corner in {path} is not a finite number.", _HINT)
    first, second, third = (corners[:, k, :2] for k in range(3))
    a, b = second - first, third - first
    has_area = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) > _FLAT_M2
    if not has_area.any():
        raise InputError(f"{path} holds no triangles.", _HINT)
    points = corners[has_area].reshape(-1, 3)
    return Tin(points, np.arange(len(points), dtype=np.int64).reshape(-1, 3))


def _landxml(path: Path, crs: pyproj.CRS) -> Array:
    """Corners of all visible faces, shape (n, 3, 3), easting first."""
    try:
        # Expat bounds how entities grow, and ElementTree fetches none from elsewhere.
        root = ElementTree.parse(path).getroot()  # noqa: S314
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{path} is no LandXML that can be read: {error}.", _HINT) from error
    unit = next((u.get("linearUnit") for u in root.findall("./{*}Units/*")), None)
    if unit != "meter":
        raise InputError(f"{path} is in the unit {unit!r}, not in 'meter'.", _HINT)
    system = root.find("./{*}CoordinateSystem")
    code = None if system is None else system.get("epsgCode")
    if code and crs.to_epsg() and code != str(crs.to_epsg()):
        raise InputError(
            f"{path} is in EPSG:{code}, the survey in EPSG:{crs.to_epsg()}.",
            "Export the design in the CRS of the survey.",
        )
    surfaces = [one for one in root.iter() if one.tag.rpartition("}")[2] == "Surface"]
    if len(surfaces) != 1:
        names = ", ".join(str(one.get("name")) for one in surfaces) or "none"
        raise InputError(f"{path} must hold one surface, and holds: {names}.", _HINT)
    try:
        points = {
            one.get("id"): [float(value) for value in (one.text or "").split()]
            for one in surfaces[0].findall(".//{*}Pnts/{*}P")
        }
        faces = [
            [points[number] for number in (face.text or "").split()]
            for face in surfaces[0].findall(".//{*}Faces/{*}F")
            if face.get("i") != "1"
        ]
        # LandXML gives northing before easting.
        return np.array(faces, dtype=np.float64).reshape(-1, 3, 3)[:, :, [1, 0, 2]]
    except (KeyError, ValueError) as error:
        raise InputError(f"A point or face of {path} is broken: {error}.", _HINT) from error


def _dxf(path: Path) -> Array:
    """Corners of all faces in the model space, shape (n, 3, 3)."""
    try:
        document = readfile(path)
    except (OSError, ValueError, DXFError, StopIteration) as error:  # the last at a sudden end
        raise InputError(f"{path} is no DXF that can be read: {error!r}.", _HINT) from error
    if document.units not in (units.M, 0):
        raise InputError(f"{path} is in {units.unit_name(document.units)}, not in metres.", _HINT)
    triangles = [
        [face[0], face[k], face[k + 1]]
        for entity in recursive_decompose(document.modelspace())
        for face in _faces(entity)
        for k in range(1, len(face) - 1)
    ]
    return np.array(triangles, dtype=np.float64).reshape(-1, 3, 3)


def _faces(entity: Any) -> Iterator[list[tuple[float, float, float]]]:
    """Polygons (three corners or more) of an entity that is a surface."""
    if entity.dxftype() == "3DFACE":
        yield [corner.xyz for corner in entity.wcs_vertices()]
    elif entity.dxftype() in ("MESH", "POLYLINE"):
        mesh = make_primitive(entity).mesh
        if mesh is not None:
            yield from ([c.xyz for c in face] for face in mesh.faces_as_vertices())
