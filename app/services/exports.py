"""The inventory as files: CSV, XLSX, GeoJSON, DXF, KML. The PDF has a file of its own."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any
from xml.etree import ElementTree

import xlsxwriter

from app.amount import Amount
from app.models import Site, Survey, Toe
from app.queries import toes
from app.queries.inventory import Inventory, Line
from app.services import aligning
from app.units import Units

_BOM = "\ufeff"
_KML = "http://www.opengis.net/kml/2.2"
# Tables that were sealed before columns had keys are read by these words (`seals.keys`): a column
# that is called otherwise keeps its old words there.
WORDS = {
    "pile": "pile",
    "material": "material",
    "survey": "survey",
    "volume": "volume [{volume}]",
    "volume_u95": "volume ± 95 % [{volume}]",
    "mass": "mass [{mass}]",
    "mass_u95": "mass ± 95 % [{mass}]",
    "value": "value [{money}]",
    "value_u95": "value ± 95 % [{money}]",
    "change": "change [{volume}]",
    "change_u95": "change ± 95 % [{volume}]",
    "change_since": "change since",
    "ground_u95": "ground below ± 95 % [{volume}]",
    "area": "area [{area}]",
    "area_u95": "area ± 95 % [{area}]",
    "height": "greatest height [{length}]",
    "height_u95": "greatest height ± 95 % [{length}]",
    "seen": "seen [%]",
    "base": "base",
    "confidence": "confidence",
}
DIGITS = {"seen": 1}


@dataclass(frozen=True)
class Table:
    """An inventory as rows: the same numbers in every format.

    Parameters
    ----------
    keys : tuple of str
        Names of the columns, the same in every unit and version; "area_u95" is the ± of "area".
    header : tuple of str
        Their words, with units.
    """

    keys: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    total: tuple[Any, ...]


def table(found: Inventory, units: Units, digits: Mapping[str, int] = DIGITS) -> Table:
    """The inventory as rows, in some units; numbers have two decimals unless `digits` says else."""
    rows = [_row(line, found, units) for line in found.lines]
    total = (
        "total", "", found.survey.flown_on if found.survey else None,
        *_pair(found.volume_m3, units.per_m3), *_pair(found.mass_t, units.per_t),
        *_pair(found.value, 1.0), None, None, None, found.ground_u95_m3 * units.per_m3,
        *(None,) * 7,
    )  # fmt: skip
    *lines, last = (
        tuple(_rounded(cell, digits.get(key, 2)) for key, cell in zip(WORDS, row, strict=True))
        for row in (*rows, total)
    )
    symbols = {name: getattr(units, name) for name in ("volume", "mass", "area", "length")}
    header = tuple(words.format(**symbols, money=units.currency) for words in WORDS.values())
    return Table(tuple(WORDS), header, tuple(lines), last)


def to_csv(site: Site, found: Inventory) -> bytes:
    """UTF-8 with a byte order mark, so spreadsheets read ± and m³."""
    rows = table(found, Units.of(site))
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(rows.header)
    for row in (*rows.rows, rows.total):
        writer.writerow([_plain(cell) for cell in row])
    return (_BOM + file.getvalue()).encode()


def to_xlsx(site: Site, found: Inventory) -> bytes:
    """A workbook with the inventory and what it rests on."""
    units = Units.of(site)
    rows = table(found, units)
    file = io.BytesIO()
    # A name that begins with an equals sign is a name, not a formula.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(file, options) as book:
        bold = book.add_format({"bold": True, "text_wrap": True, "bottom": 1, "valign": "top"})
        total = book.add_format({"bold": True, "top": 1, "num_format": "#,##0.0"})
        plain = book.add_format({"num_format": "#,##0.0"})
        day = book.add_format({"num_format": "yyyy-mm-dd"})
        sheet = book.add_worksheet("Inventory")
        sheet.write_row(0, 0, rows.header, bold)
        sheet.set_row(0, 32)
        for number, row in enumerate((*rows.rows, rows.total), start=1):
            last = number > len(rows.rows)
            for column, cell in enumerate(row):
                if isinstance(cell, date):
                    sheet.write_datetime(number, column, cell, day)
                elif cell is not None:
                    sheet.write(number, column, cell, total if last else plain)
        sheet.set_column(0, 1, 22)
        sheet.set_column(2, len(rows.header), 13)
        sheet.freeze_panes(1, 1)
        about = book.add_worksheet("About")
        for number, pair in enumerate(facts(site, found, units)):
            about.write_row(number, 0, pair)
        about.set_column(0, 1, 40)
    return file.getvalue()


def facts(site: Site, found: Inventory, units: Units) -> list[tuple[str, str]]:
    """What an inventory rests on, in words."""
    survey = found.survey
    known: dict[str, Any] = {} if survey is None else survey.facts
    software = ", ".join(f"{name} {text}" for name, text in known.get("software", {}).items())
    return [
        ("Site", site.name),
        ("Inventory of", str(found.day)),
        ("Survey", "" if survey is None else f"{survey.name}, flown on {survey.flown_on}"),
        ("Photos", f"{known.get('registered_count', '–')} of {known.get('image_count', '–')}"),
        ("Ground sample distance", _gsd(known.get("gsd_m"), units)),
        ("Coordinate reference system", f"EPSG:{known.get('epsg') or site.epsg}"),
        ("Heights", str(known.get("vertical_datum") or "not stated")),
        ("Survey before", _lies(survey, units)),
        ("Software", software),
        ("±", "half-width of the 95 % interval"),
    ]


def to_geojson(site: Site, found: Inventory) -> bytes:
    """Toes with their numbers, in the CRS of the site; for programs, so always in SI."""
    features = [
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": toes.outline(toe).coordinates},
            "properties": {
                "name": line.name,
                "material": line.material.name if line.material else None,
                "net_m3": line.volume_m3.value,
                "net_u95_m3": line.volume_m3.u95,
                "ground_u95_m3": line.ground_u95_m3,
                "area_m2": line.area_m2.value,
                "area_u95_m2": line.area_m2.u95,
                "height_max_m": line.height_m.value,
                "height_max_u95_m": line.height_m.u95,
                "base": line.base,
            },
        }
        for toe, line in _drawn(found)
    ]
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{site.epsg}"}}
    document = {"type": "FeatureCollection", "crs": crs, "features": features}
    return json.dumps(document, indent=1, allow_nan=False).encode()


def to_dxf(site: Site, found: Inventory) -> bytes:
    """Toes as 3D polylines in metres, one layer a material, with names and volumes as text."""
    import ezdxf

    units = Units.of(site)
    drawing = ezdxf.new("R2010", units=6)
    space = drawing.modelspace()
    for toe, line in _drawn(found):
        layer = _layer(line.material.name if line.material else "No material")
        if layer not in drawing.layers:
            drawing.layers.add(layer)
        for ring in toes.outline(toe).coordinates:
            space.add_polyline3d(ring[:-1], close=True, dxfattribs={"layer": layer})
        place = toes.outline(toe).coordinates[0][0]
        text = f"{line.name}: {_volume(line, units)}"
        space.add_text(text, height=1.0, dxfattribs={"layer": layer, "insert": place})
    file = io.StringIO()
    drawing.write(file)
    return file.getvalue().encode()


def to_kml(site: Site, found: Inventory) -> bytes:
    """Toes on the globe, draped on its ground."""
    import pyproj

    to_globe = pyproj.Transformer.from_crs(site.epsg, 4326, always_xy=True)
    units = Units.of(site)
    ElementTree.register_namespace("", _KML)
    root = ElementTree.Element(f"{{{_KML}}}kml")
    document = ElementTree.SubElement(root, f"{{{_KML}}}Document")
    _text(document, "name", f"{site.name}, {found.day}")
    for toe, line in _drawn(found):
        mark = ElementTree.SubElement(document, f"{{{_KML}}}Placemark")
        _text(mark, "name", line.name)
        _text(mark, "description", _volume(line, units))
        polygon = ElementTree.SubElement(mark, f"{{{_KML}}}Polygon")
        _text(polygon, "altitudeMode", "clampToGround")
        for number, ring in enumerate(toes.outline(toe).coordinates):
            side = "innerBoundaryIs" if number else "outerBoundaryIs"
            boundary = ElementTree.SubElement(polygon, f"{{{_KML}}}{side}")
            line_ring = ElementTree.SubElement(boundary, f"{{{_KML}}}LinearRing")
            places = [to_globe.transform(east, north) for east, north, _ in ring]
            _text(line_ring, "coordinates", " ".join(f"{x:.8f},{y:.8f}" for x, y in places))
    written: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def _row(line: Line, found: Inventory, units: Units) -> tuple[Any, ...]:
    return (
        line.name,
        line.material.name if line.material else "",
        found.survey.flown_on if found.survey else None,
        *_pair(line.volume_m3, units.per_m3),
        *_pair(line.mass_t, units.per_t),
        *_pair(line.value, 1.0),
        *_pair(line.change_m3, units.per_m3),
        line.since,
        line.ground_u95_m3 * units.per_m3,
        *_pair(line.area_m2, units.per_m2),
        *_pair(line.height_m, units.per_m),
        100.0 * line.coverage,
        line.base,
        line.confidence,
    )


def _volume(line: Line, units: Units) -> str:
    value, u95 = _pair(line.volume_m3, units.per_m3)
    return f"{value:.1f} ± {u95:.1f} {units.volume}"


def _lies(survey: Survey | None, units: Units) -> str:
    return "–" if survey is None else aligning.statement(survey.alignment, units) or "–"


def _gsd(gsd_m: float | None, units: Units) -> str:
    return "–" if gsd_m is None else f"{gsd_m * units.small_per_m:.1f} {units.small}"


def _pair(amount: Amount | None, factor: float) -> tuple[float | None, float | None]:
    if amount is None:
        return None, None
    return amount.value * factor, amount.u95 * factor


def _rounded(cell: Any, digits: int) -> Any:
    return round(cell, digits) if isinstance(cell, float) else cell


def _plain(cell: Any) -> Any:
    """A cell that no spreadsheet takes for a formula."""
    if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + cell
    return "" if cell is None else cell


def _drawn(found: Inventory) -> list[tuple[Toe, Line]]:
    if found.survey is None:
        return []
    lines = {line.toe_id: line for line in found.lines}
    return [(toe, lines[toe.id]) for toe in toes.of_survey(found.survey.id) if toe.id in lines]


def _layer(name: str) -> str:
    return "".join("_" if sign in '<>/\\":;?*|=`,' else sign for sign in name)[:200]


def _text(parent: ElementTree.Element, name: str, text: str) -> None:
    ElementTree.SubElement(parent, f"{{{_KML}}}{name}").text = text
