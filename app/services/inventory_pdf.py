"""The inventory as a PDF that somebody signs: plan, table, trend, what it rests on, signatures."""

from __future__ import annotations

import io
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from flask import current_app
from reportlab.graphics.shapes import Drawing, Line, Polygon, PolyLine, String
from reportlab.lib import colors
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    Flowable,
    KeepTogether,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    Table,
    TableStyle,
)

from app.amount import Amount
from app.charts import nice_step
from app.models import Site
from app.queries import inventory, toes
from app.queries.inventory import Inventory
from app.rasters import overview_with_place
from app.services import exports
from app.storage import Storage
from app.units import Units

_ACCENT, _INK, _GREY, _RULE = "#0b6a5d", "#1d2124", "#5c6166", "#d9d5cc"
_LABEL_HIGH = 10
# A frame pads its content by 6 points a side.
_WIDTH = A4[0] - 36 * mm - 12


def to_pdf(site: Site, found: Inventory, units: Units, seal: str = "") -> bytes:
    """The inventory on A4.

    Parameters
    ----------
    site : Site
    found : Inventory
    units : Units
    seal : str
        Of a closed period; printed at the foot of each page.
    """
    _fonts()
    file = io.BytesIO()
    document = SimpleDocTemplate(
        file,
        pagesize=A4,
        leftMargin=18 * mm,
        rightMargin=18 * mm,
        topMargin=18 * mm,
        bottomMargin=20 * mm,
        title=f"Inventory of {site.name}, {found.day}",
        author="Cairn",
    )
    story: list[Flowable] = [
        Paragraph("Stockpile inventory", _style(9, _GREY)),
        Paragraph(escape(site.name), _style(22, _INK, bold=True, after=2)),
        Paragraph(_when(found), _style(10, _GREY, after=10)),
        _totals(found, units),
        Spacer(1, 5 * mm),
        _picture(found),
        Spacer(1, 5 * mm),
        _table(found, units),
    ]
    points = [(d, a * units.per_m3) for d, a in inventory.trend(site.id) if d <= found.day]
    if len(points) > 1:
        title = Paragraph(f"Volume of all piles, {units.volume}", _style(9, _GREY, after=3))
        story += [Spacer(1, 5 * mm), KeepTogether([title, _trend(points)])]
    story += [Spacer(1, 5 * mm), KeepTogether(_rests_on(site, found, units)), _signatures()]

    def foot(canvas: Canvas, _document: Any) -> None:
        canvas.setFont("Sans", 7)
        canvas.setFillColor(colors.HexColor(_GREY))
        left = f"{site.name} · inventory of {found.day}" + (f" · sealed {seal}" if seal else "")
        canvas.drawString(18 * mm, 10 * mm, left)
        canvas.drawRightString(A4[0] - 18 * mm, 10 * mm, f"page {canvas.getPageNumber()}")

    document.build(story, onFirstPage=foot, onLaterPages=foot)
    return file.getvalue()


@cache
def _fonts() -> None:
    """DejaVu has the letters of all languages of our users; the standard fonts do not."""
    import matplotlib

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    pdfmetrics.registerFont(TTFont("Sans", folder / "DejaVuSans.ttf"))
    pdfmetrics.registerFont(TTFont("Sans-Bold", folder / "DejaVuSans-Bold.ttf"))


def _style(size: float, colour: str, *, bold: bool = False, after: float = 0.0) -> ParagraphStyle:
    return ParagraphStyle(
        "text",
        fontName="Sans-Bold" if bold else "Sans",
        fontSize=size,
        leading=size * 1.3,
        textColor=colors.HexColor(colour),
        spaceAfter=after,
    )


def _when(found: Inventory) -> str:
    if found.survey is None:
        return f"As of {found.day}. There is no survey up to this day."
    return escape(
        f"As of {found.day}, by the survey {found.survey.name!r} flown on {found.survey.flown_on}."
    )


def _shown(amount: Amount | None, factor: float = 1.0) -> str:
    if amount is None:
        return "–"
    shown = amount * factor
    # A hyphen is no minus.
    return f"{shown.value:,.{shown.digits}f} ± {shown.u95:,.{shown.digits}f}".replace("-", "\u2212")


def _hidden(u95_m3: float, units: Units) -> str:
    shown = Amount(0.0, u95_m3 * units.per_m3)
    return f"± {shown.u95:,.{shown.digits}f}" if shown.u95 else "–"


def _totals(found: Inventory, units: Units) -> Table:
    cells = [
        ("Volume", _shown(found.volume_m3, units.per_m3), units.volume),
        ("Mass", _shown(found.mass_t, units.per_t), units.mass),
        ("Value", _shown(found.value), units.currency),
        ("Piles", str(len(found.lines)), ""),
    ]
    labels = [Paragraph(label, _style(7.5, _GREY)) for label, _, _ in cells]
    values = [Paragraph(f"{text} {unit}", _style(10.5, _INK, bold=True)) for _, text, unit in cells]
    table = Table([labels, values], colWidths=[_WIDTH * w for w in (0.25, 0.33, 0.3, 0.12)])
    rule = colors.HexColor(_ACCENT)
    table.setStyle(
        TableStyle(
            [
                ("LINEABOVE", (0, 0), (-1, 0), 1.2, rule),
                ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
            ]
        )
    )
    return table


def _table(found: Inventory, units: Units) -> Table:
    header = [
        "Pile", "Material", f"Volume, {units.volume}", "Ground *", f"Mass, {units.mass}",
        f"Value, {units.currency}", f"Change, {units.volume}",
    ]  # fmt: skip
    new = "new" if any(line.change_m3 for line in found.lines) else "–"
    rows = [
        [
            Paragraph(escape(line.name), _style(8, _INK)),
            Paragraph(escape(line.material.name if line.material else "–"), _style(8, _INK)),
            _shown(line.volume_m3, units.per_m3),
            _hidden(line.ground_u95_m3, units),
            _shown(line.mass_t, units.per_t),
            _shown(line.value),
            new if line.change_m3 is None else _shown(line.change_m3, units.per_m3),
        ]
        for line in found.lines
    ]
    total = [
        "Total", "", _shown(found.volume_m3, units.per_m3), _hidden(found.ground_u95_m3, units),
        _shown(found.mass_t, units.per_t), _shown(found.value), "",
    ]  # fmt: skip
    widths = [_WIDTH * share for share in (0.18, 0.13, 0.15, 0.085, 0.16, 0.155, 0.14)]
    table = Table([header, *rows, total], colWidths=widths, repeatRows=1)
    rule = colors.HexColor(_RULE)
    table.setStyle(
        TableStyle(
            [
                ("FONT", (0, 0), (-1, -1), "Sans", 8),
                ("FONT", (0, -1), (-1, -1), "Sans-Bold", 8),
                ("TEXTCOLOR", (0, 0), (-1, 0), colors.HexColor(_GREY)),
                ("ALIGN", (2, 0), (-1, -1), "RIGHT"),
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LINEBELOW", (0, 0), (-1, -2), 0.4, rule),
                ("LINEABOVE", (0, -1), (-1, -1), 0.8, colors.HexColor(_INK)),
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("RIGHTPADDING", (-1, 0), (-1, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 3),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
            ]
        )
    )
    return table


class _Plan(Flowable):
    """The orthomosaic with the toes drawn on it."""

    def __init__(self, picture: Any, rings: list[tuple[str, list[tuple[float, float]]]]) -> None:
        super().__init__()
        self._picture, self._rings = picture, rings
        high = picture.height / picture.width
        self.width, self.height = (_WIDTH, _WIDTH * high)
        most = 88 * mm
        if self.height > most:
            self.width, self.height = most / high, most

    def wrap(self, _width: float, _height: float) -> tuple[float, float]:
        return _WIDTH, self.height

    def draw(self) -> None:
        from reportlab.lib.utils import ImageReader

        canvas, left = self.canv, (_WIDTH - self.width) / 2
        canvas.drawImage(ImageReader(self._picture), left, 0, self.width, self.height, mask="auto")
        for _, ring in self._rings:
            places = [(left + x * self.width, (1 - y) * self.height) for x, y in ring]
            path = canvas.beginPath()
            path.moveTo(*places[0])
            for place in places[1:]:
                path.lineTo(*place)
            path.close()
            canvas.setStrokeColor(colors.HexColor("#35f0d0"))
            canvas.setLineWidth(1.1)
            canvas.drawPath(path)
        for name, x, y, wide in self._labels(left):
            canvas.setFillColor(colors.Color(0.08, 0.1, 0.11, 0.8))
            canvas.roundRect(x - wide / 2, y - 3, wide, _LABEL_HIGH, 2, stroke=0, fill=1)
            canvas.setFillColor(colors.white)
            canvas.setFont("Sans-Bold", 6.5)
            canvas.drawCentredString(x, y, name)

    def _labels(self, left: float) -> list[tuple[str, float, float, float]]:
        """Names with the middle and the width of their labels, moved up where others stand."""
        placed: list[tuple[str, float, float, float]] = []
        for name, ring in self._rings:
            x = left + self.width * sum(place[0] for place in ring) / len(ring)
            y = self.height * (1 - sum(place[1] for place in ring) / len(ring))
            wide = pdfmetrics.stringWidth(name, "Sans-Bold", 6.5) + 6
            while any(
                abs(x - other_x) < (wide + other_wide) / 2 and abs(y - other_y) < _LABEL_HIGH
                for _, other_x, other_y, other_wide in placed
            ):
                y += 1
            placed.append((name, x, y, wide))
        return placed


def _picture(found: Inventory) -> Flowable:
    if found.survey is None:
        return Spacer(1, 1)
    storage: Storage = current_app.extensions["cairn_storage"]
    names = storage.names(found.survey.id)
    name = next((n for n in ("orthomosaic.tif", "dsm.tif") if n in names), None)
    if name is None:
        return Spacer(1, 1)
    product = storage.product(found.survey.id, name)
    picture, (west, south, east, north) = overview_with_place(product.path)
    counted = {line.toe_id for line in found.lines}
    rings = []
    for toe in toes.of_survey(found.survey.id):
        if toe.id in counted:
            ring = toes.outline(toe).coordinates[0]
            wide, tall = east - west, north - south
            places = [((e - west) / wide, (north - n) / tall) for e, n, _ in ring]
            rings.append((toe.pile.name, places))
    return _Plan(picture, rings)


def _trend(points: list[tuple[date, Amount]]) -> Drawing:
    width, height, left, bottom = _WIDTH, 38 * mm, 14 * mm, 6 * mm
    drawing = Drawing(width, height)
    first, last = points[0][0].toordinal(), points[-1][0].toordinal()
    step = nice_step(max(a.value + a.u95 for _, a in points) or 1.0)
    top = step * -(-max(a.value + a.u95 for _, a in points) // step)

    def place(day: date, value: float) -> tuple[float, float]:
        share = (day.toordinal() - first) / ((last - first) or 1)
        return left + share * (width - left), bottom + max(value, 0) / top * (height - bottom - 8)

    for number in range(round(top / step) + 1):
        y = place(points[0][0], number * step)[1]
        drawing.add(Line(left, y, width, y, strokeColor=colors.HexColor(_RULE), strokeWidth=0.4))
        drawing.add(_label(left - 4, y - 2.5, f"{number * step:,.0f}", "end"))
    upper = [place(d, a.value + a.u95) for d, a in points]
    lower = [place(d, a.value - a.u95) for d, a in reversed(points)]
    band = colors.HexColor(_ACCENT)
    flat = [value for pair in (*upper, *lower) for value in pair]
    pale = colors.Color(band.red, band.green, band.blue, 0.2)
    drawing.add(Polygon(flat, fillColor=pale, strokeColor=None))
    line = [value for d, a in points for value in place(d, a.value)]
    drawing.add(PolyLine(line, strokeColor=band, strokeWidth=1.3))
    drawing.add(_label(left, 0, str(points[0][0]), "start"))
    drawing.add(_label(width, 0, str(points[-1][0]), "end"))
    return drawing


def _label(x: float, y: float, text: str, anchor: str) -> String:
    grey = colors.HexColor(_GREY)
    return String(x, y, text, fontName="Sans", fontSize=7, fillColor=grey, textAnchor=anchor)


def _rests_on(site: Site, found: Inventory, units: Units) -> list[Flowable]:
    small = _style(7.5, _INK)
    rows = [
        [Paragraph(escape(name), _style(7.5, _GREY)), Paragraph(escape(text) or "–", small)]
        for name, text in exports.facts(site, found, units)
    ]
    table = Table(rows, colWidths=[_WIDTH * 0.26, _WIDTH * 0.74])
    table.setStyle(
        TableStyle(
            [
                ("LEFTPADDING", (0, 0), (0, -1), 0),
                ("TOPPADDING", (0, 0), (-1, -1), 1),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 1),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ]
        )
    )
    method = (
        "Each volume lies between the surveyed surface and a base fitted to the ground along the "
        "pile's toe. Its ± holds the noise of the surface, its correlation, the fit of the base, "
        "the drawn line, the scale of the survey and unseen parts; masses add the density's ±. "
        "In totals, what all piles share adds up, the rest adds in quadrature."
    )
    ground = (
        "* What ground as uneven as that around a pile could hide under it. No photo shows it, so "
        "no other ± holds it; it is the same at the next survey, so no change holds it either."
    )
    return [
        Paragraph("What it rests on", _style(9, _INK, bold=True, after=3)),
        table,
        Spacer(1, 2 * mm),
        Paragraph(method, _style(7.5, _GREY, after=3)),
        Paragraph(ground, _style(7.5, _GREY)),
    ]


def _signatures() -> Flowable:
    line = colors.HexColor(_INK)
    drawing = Drawing(_WIDTH, 26 * mm)
    for index, who in enumerate(("Surveyed by", "Checked by")):
        x, y = index * _WIDTH / 2, 8 * mm
        end = x + _WIDTH / 2 - 8 * mm
        drawing.add(Line(x, y, end, y, strokeColor=line, strokeWidth=0.5))
        drawing.add(_label(x, 4 * mm, f"{who}: name, date, signature", "start"))
    return drawing
