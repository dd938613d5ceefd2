"""Charts as SVG: drawn on the server, coloured by the style sheet, readable without colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from flask_babel import format_date, format_decimal
from markupsafe import Markup, escape

from app.amount import Amount

_WIDTH, _HEIGHT = 760, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 28
_SPARK_WIDTH, _SPARK_HEIGHT = 110, 28
_MOST_DOTS = 60
# What a day at the end of an axis needs.
_DAY_WIDTH = 190
_LINE, _LETTER = 15, 8
_PLAN_WIDTH, _PLAN_HEIGHT, _PLAN_MARGIN = 760, 420, 16


@dataclass(frozen=True)
class Shape:
    """A pile on the plan: its outer ring in map coordinates, colour and label."""

    ring: Sequence[Sequence[float]]
    colour: str
    label: str


def nice_step(span: float, count: int = 4) -> float:
    """A round distance between ticks.

    Examples
    --------
    >>> nice_step(0.9), nice_step(830.0), nice_step(12.0)
    (0.25, 250.0, 5.0)
    """
    raw = span / count
    power = 10.0 ** math.floor(math.log10(raw))
    return power * next(step for step in (1.0, 2.0, 2.5, 5.0, 10.0) if step * power >= raw)


def trend(points: Sequence[tuple[date, Amount]], unit: str) -> Markup:
    """A line through amounts with the band of their 95 % intervals."""
    if len(points) < 2:
        return Markup("")
    days = [day.toordinal() for day, _ in points]
    values = [amount.value for _, amount in points]
    top = max(amount.value + amount.u95 for _, amount in points)
    low = min(0.0, *(amount.value - amount.u95 for _, amount in points))
    step = nice_step((top - low) or 1.0)
    high = math.ceil(top / step) * step

    def x(day: float) -> float:
        share = (day - days[0]) / ((days[-1] - days[0]) or 1)
        return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / ((high - low) or 1.0) * (_HEIGHT - _TOP - _BOTTOM)

    parts = []
    for tick in range(math.floor(low / step), round(high / step) + 1):
        at = y(tick * step)
        parts.append(f'<path class="axis" d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">'
            f"{escape(format_decimal(tick * step))}</text>"
        )
    upper = [(x(d), y(a.value + a.u95)) for d, (_, a) in zip(days, points, strict=True)]
    lower = [(x(d), y(a.value - a.u95)) for d, (_, a) in zip(days, points, strict=True)]
    parts.append(f'<polygon class="band" points="{_points([*upper, *reversed(lower)])}"/>')
    line = [(x(d), y(v)) for d, v in zip(days, values, strict=True)]
    parts.append(f'<polyline class="line" points="{_points(line)}"/>')
    dot = "dot" if len(points) <= _MOST_DOTS else "dot dense"
    for (day, amount), (left, at) in zip(points, line, strict=True):
        said = f"{format_date(day)}: {_words(amount)} {unit}"
        parts.append(
            f'<circle class="{dot}" cx="{left:.1f}" cy="{at:.1f}" r="3.5">'
            f"<title>{escape(said)}</title></circle>"
        )
    parts += _days([day for day, _ in points], x)
    first, last = points[0], points[-1]
    about = (
        f"From {format_date(first[0])} to {format_date(last[0])}: "
        f"{_words(first[1])} to {_words(last[1])} {unit}"
    )
    return _svg(_WIDTH, _HEIGHT, "chart", about, parts)


def _days(days: Sequence[date], x: Callable[[float], float]) -> list[str]:
    """The first and the last day below a chart, and the years that begin between them."""
    parts, bottom = [], _HEIGHT - 8
    for year in range(days[0].year + 1, days[-1].year + 1):
        at = x(date(year, 1, 1).toordinal())
        parts.append(f'<path class="axis" d="M{at:.1f} {_HEIGHT - _BOTTOM}v5"/>')
        if _LEFT + _DAY_WIDTH < at < _WIDTH - _RIGHT - _DAY_WIDTH:
            parts.append(f'<text x="{at:.1f}" y="{bottom}" text-anchor="middle">{year}</text>')
    for day, anchor in ((days[0], "start"), (days[-1], "end")):
        at, words = x(day.toordinal()), escape(format_date(day))
        parts.append(f'<text x="{at:.1f}" y="{bottom}" text-anchor="{anchor}">{words}</text>')
    return parts


def sparkline(amounts: Sequence[float]) -> Markup:
    """A line as high as a row of text."""
    if len(amounts) < 2:
        return Markup("")
    high, low = max(amounts), min(0.0, *amounts)
    span = (high - low) or 1.0
    step = (_SPARK_WIDTH - 6) / (len(amounts) - 1)
    places = [
        (3 + index * step, 3 + (high - value) / span * (_SPARK_HEIGHT - 6))
        for index, value in enumerate(amounts)
    ]
    line = f'<polyline class="line" points="{_points(places)}"/>'
    return _svg(_SPARK_WIDTH, _SPARK_HEIGHT, "chart spark", "", [line])


def plan(shapes: Sequence[Shape], scale_m: float, scale: str) -> Markup:
    """The piles seen from above, north up, coloured by material, with a bar of some length."""
    if not shapes:
        return Markup("")
    east = [place[0] for shape in shapes for place in shape.ring]
    north = [place[1] for shape in shapes for place in shape.ring]
    west, south = min(east), min(north)
    wide, tall = max(east) - west, max(north) - south
    per_m = min(
        (_PLAN_WIDTH - 2 * _PLAN_MARGIN) / (wide or 1.0),
        (_PLAN_HEIGHT - 2 * _PLAN_MARGIN - 20) / (tall or 1.0),
    )
    left = (_PLAN_WIDTH - wide * per_m) / 2
    parts: list[str] = []
    named: list[tuple[float, float, float, float]] = []
    for shape in shapes:
        ring = [
            (left + (place[0] - west) * per_m, _PLAN_MARGIN + (south + tall - place[1]) * per_m)
            for place in shape.ring
        ]
        parts.append(
            f'<polygon class="shape" fill="{escape(shape.colour)}" points="{_points(ring)}">'
            f"<title>{escape(shape.label)}</title></polygon>"
        )
        middle = [sum(xy) / len(ring) for xy in zip(*ring, strict=True)]
        parts.append(_name(shape.label, middle, named))
    at = _PLAN_HEIGHT - 10
    parts.append(f'<path class="scale" d="M{_PLAN_MARGIN} {at}h{scale_m * per_m:.1f}"/>')
    parts.append(f'<text x="{_PLAN_MARGIN}" y="{at - 6}">{escape(scale)}</text>')
    return _svg(_PLAN_WIDTH, _PLAN_HEIGHT, "chart plan", "Plan of the piles, north up", parts)


def _name(
    label: str, middle: Sequence[float], named: list[tuple[float, float, float, float]]
) -> str:
    """A name near a place, a word a line, where it meets none of those that are `named` already."""
    words = label.split() or [""]
    half_width, half_height = _LETTER * max(map(len, words)) / 2.0, _LINE * len(words) / 2.0
    x, y = middle
    for lines_down in (0, 1, -1, 2, -2):
        top = y + lines_down * _LINE - half_height
        box = (x - half_width, top, x + half_width, top + 2.0 * half_height)
        if not any(
            box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
            for other in named
        ):
            break
    named.append(box)
    lines = "".join(
        f'<tspan x="{x:.1f}" y="{top + (place + 0.8) * _LINE:.1f}">{escape(word)}</tspan>'
        for place, word in enumerate(words)
    )
    return f'<text class="name" text-anchor="middle">{lines}</text>'


def _words(amount: Amount) -> str:
    shown = [format_decimal(round(part, amount.digits)) for part in (amount.value, amount.u95)]
    return " ± ".join(shown)


def _svg(width: int, height: int, kind: str, about: str, parts: list[str]) -> Markup:
    said = f'role="img" aria-label="{escape(about)}"' if about else 'aria-hidden="true"'
    opening = f'<svg class="{kind}" viewBox="0 0 {width} {height}" {said}>'
    # All that people wrote was escaped where it was put in.
    return Markup(opening + "".join(parts) + "</svg>")  # noqa: S704


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
