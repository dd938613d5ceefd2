"""Toes and contours as DXF for CAD programs: 3D polylines in map metres."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import shapely
from ezdxf import units
from ezdxf.enums import TextEntityAlignment
from ezdxf.filemanagement import new
from ezdxf.layouts.layout import Modelspace

from volumetrics.files.relief import Drawing
from volumetrics.files.whole import whole

TOES, CONTOURS, NAMES = "TOES", "CONTOURS", "NAMES"
# Colours of the AutoCAD index: red, grey, and whatever contrasts with the background.
_COLOURS = {TOES: 1, CONTOURS: 8, NAMES: 7}
_TEXT_HEIGHT_M = 0.8


def write_dxf(path: Path, drawings: Iterable[Drawing]) -> None:
    """Write the toes, contours and names of piles, each kind on a layer of its own."""
    document = new("R2010", units=units.M)
    for layer, colour in _COLOURS.items():
        document.layers.add(layer, color=colour)
    space = document.modelspace()
    for drawing in drawings:
        _draw(space, drawing)
    with whole(path) as partial:
        document.saveas(partial)


def _draw(space: Modelspace, drawing: Drawing) -> None:
    for part in shapely.get_parts(drawing.toe):
        for ring in (part.exterior, *part.interiors):
            corners = list(ring.coords)[:-1]
            space.add_polyline3d(corners, close=True, dxfattribs={"layer": TOES})
    for line in drawing.contours:
        corners = list(line.coords)
        is_closed = line.is_closed
        space.add_polyline3d(
            corners[:-1] if is_closed else corners,
            close=is_closed,
            dxfattribs={"layer": CONTOURS},
        )
    volume = drawing.volume
    words = f"{volume.pile}: {volume.net_m3:.1f} ± {volume.net_u95_m3:.1f} m³"
    place = shapely.point_on_surface(drawing.toe)
    ground_m = float(shapely.get_coordinates(drawing.toe, include_z=True)[:, 2].mean())
    space.add_text(words, height=_TEXT_HEIGHT_M, dxfattribs={"layer": NAMES}).set_placement(
        (place.x, place.y, ground_m), align=TextEntityAlignment.MIDDLE_CENTER
    )
