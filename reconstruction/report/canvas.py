"""Drawing in SVG: a plain canvas, and one that knows its place on the map."""

from __future__ import annotations

import math
from collections.abc import Iterable
from xml.etree import ElementTree

from markupsafe import Markup

from reconstruction.report.pictures import Bounds, Picture
from reconstruction.report.text import length, nice

INK = "#24343b"
WIDTH = 640.0
_STRIP = 40.0
_MARGIN = 8.0

Point = tuple[float, float]


class Canvas:
    """A drawing; its unit is about a pixel on the page.

    Parameters
    ----------
    width, height : float
    title : str
        What it shows, for people who cannot see it.
    """

    def __init__(self, width: float, height: float, title: str) -> None:
        self._root = ElementTree.Element(
            "svg", {"viewBox": f"0 0 {width:.0f} {height:.0f}", "role": "img"}
        )
        ElementTree.SubElement(self._root, "title").text = title

    def add(self, kind: str, text: str | None = None, **attributes: float | str) -> None:
        """Add one element; an attribute's underscores become hyphens."""
        shown = {key.replace("_", "-"): _shown(value) for key, value in attributes.items()}
        ElementTree.SubElement(self._root, kind, shown).text = text

    def line(self, points: Iterable[Point], colour: str, width: float = 1.2, **more: str) -> None:
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.add("polyline", points=path, fill="none", stroke=colour, stroke_width=width, **more)

    def arrow(self, tail: Point, head: Point, colour: str, width: float = 1.6) -> None:
        """An arrow; a very short one is its line alone."""
        dx, dy = head[0] - tail[0], head[1] - tail[1]
        size = math.hypot(dx, dy)
        self.line((tail, head), colour, width, stroke_linecap="round")
        if size > 4.0:
            barb = min(6.0, 0.4 * size) / size
            sides = [
                (head[0] - barb * (dx - turn * dy), head[1] - barb * (dy + turn * dx))
                for turn in (-0.45, 0.45)
            ]
            tip = " ".join(f"{x:.1f},{y:.1f}" for x, y in (sides[0], head, sides[1]))
            self.add("polygon", points=tip, fill=colour)

    def label(self, at: Point, text: str, anchor: str = "start", **more: float | str) -> None:
        """A few words."""
        style = {"font_size": 15.0, "fill": INK, **more}
        self.add("text", text, x=at[0], y=at[1], text_anchor=anchor, **style)

    @property
    def markup(self) -> Markup:
        """The drawing as a part of a page; everything in it is escaped."""
        return Markup(ElementTree.tostring(self._root, encoding="unicode"))  # noqa: S704


class MapCanvas(Canvas):
    """A north-up map with a scale bar and a north arrow.

    Parameters
    ----------
    bounds : tuple of float
        West, south, east, north of what is shown.
    title : str
    """

    def __init__(self, bounds: Bounds, title: str) -> None:
        west, south, east, north = bounds
        self.bounds = bounds
        self.px_per_m = (WIDTH - 2.0 * _MARGIN) / (east - west)
        self._bottom = 2.0 * _MARGIN + (north - south) * self.px_per_m
        super().__init__(WIDTH, self._bottom + _STRIP, title)

    def at(self, easting: float, northing: float) -> Point:
        """Place of map coordinates on the canvas."""
        x = _MARGIN + (easting - self.bounds[0]) * self.px_per_m
        return x, _MARGIN + (self.bounds[3] - northing) * self.px_per_m

    def shows(self, easting: float, northing: float) -> bool:
        """Whether map coordinates lie on the map."""
        west, south, east, north = self.bounds
        return west <= easting <= east and south <= northing <= north

    def picture(self, picture: Picture) -> None:
        """Lay a raster under what follows."""
        x, y = self.at(picture.bounds[0], picture.bounds[3])
        right, bottom = self.at(picture.bounds[2], picture.bounds[1])
        self.add(
            "image", href=picture.uri, x=x, y=y, width=right - x, height=bottom - y,
            preserveAspectRatio="none",
        )  # fmt: skip

    def finish(self) -> Markup:
        """Add the scale bar and the north arrow; the map is then complete."""
        size_m = nice(0.3 * (WIDTH - 2.0 * _MARGIN) / self.px_per_m)
        size, y, half = size_m * self.px_per_m, self._bottom + 18.0, 0.5 * size_m * self.px_per_m
        self.add(
            "rect", x=_MARGIN, y=y - 3, width=size, height=6, fill="#fff", stroke=INK,
            stroke_width=1,
        )  # fmt: skip
        self.add("rect", x=_MARGIN, y=y - 3, width=half, height=6, fill=INK)
        self.label((_MARGIN + size + 8.0, y + 4.5), length(size_m, 1))
        x = WIDTH - 18.0
        self.add("polygon", points=f"{x},{y - 14} {x + 6},{y + 8} {x},{y + 3} {x - 6},{y + 8}",
                 fill=INK)  # fmt: skip
        self.label((x - 12.0, y + 4.5), "grid north", "end")
        return self.markup


def frame_around(inner: Bounds, places: Iterable[Point]) -> Bounds:
    """Bounds of a map with the places near it: far ones would shrink all others to a dot."""
    west, south, east, north = inner
    reach = 0.35 * max(east - west, north - south)
    near = [
        (x, y)
        for x, y in places
        if west - reach < x < east + reach and south - reach < y < north + reach
    ]
    xs, ys = zip(*near, (west, south), (east, north), strict=True)
    pad = 0.02 * max(east - west, north - south)
    west, east = min(west, min(xs) - pad), max(east, max(xs) + pad)
    return west, min(south, min(ys) - pad), east, max(north, max(ys) + pad)


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.1f}".removesuffix(".0")
