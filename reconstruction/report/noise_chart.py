"""How much two places of a surface differ by its noise alone, by their distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup

from reconstruction.dsm_noise import DsmNoise
from reconstruction.report.canvas import INK, WIDTH, Canvas
from reconstruction.report.text import length, nice

_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, 16.0, 20.0, 52.0
_HEIGHT = 330.0
_LINE = "#1f5a6d"
_GRID = "#dcd7cb"


def noise_chart(values: dict[str, Any] | None) -> tuple[Markup | None, str]:
    """Drawing and text of the noise that ``accuracy.json`` states."""
    if not values or not values.get("sigma_m") or not values.get("components"):
        return None, "Not known: too little of the surface was measured twice to tell."
    # A sum of parts: only what `variogram` needs.
    noise = DsmNoise.from_json({key: values[key] for key in ("sigma_m", "components")})
    ranges = [part.range_m for part in noise.components]
    first, last = 0.5 * min(ranges), 2.0 * max(ranges)
    distance = np.geomspace(first, last, 160)
    difference_mm = 1000.0 * np.sqrt(2.0 * noise.variogram(distance))
    top = float(difference_mm.max()) * 1.08
    canvas = Canvas(WIDTH, _HEIGHT, "Noise of height differences by distance")
    x = _LEFT + (WIDTH - _LEFT - _RIGHT) * np.log(distance / first) / np.log(last / first)
    y = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * difference_mm / top
    step = nice(0.3 * top)
    for tick in np.arange(0.0, top, step):
        level = _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * tick / top
        canvas.line(((_LEFT, level), (WIDTH - _RIGHT, level)), _GRID, 1.0)
        canvas.label((_LEFT - 8.0, level + 4.5), f"{tick:g}", "end")
    for tick in _ticks(first, last):
        place = float(np.interp(np.log(tick), np.log(distance), x))
        canvas.line(((place, _TOP), (place, _HEIGHT - _BOTTOM)), _GRID, 1.0)
        canvas.label((place, _HEIGHT - _BOTTOM + 18.0), length(tick, 1), "middle")
    canvas.line(zip(x, y, strict=True), _LINE, 2.6, stroke_linejoin="round")
    canvas.label((_LEFT - 8.0, _TOP - 6.0), "mm", "end")
    canvas.label((0.5 * (WIDTH + _LEFT), _HEIGHT - 8.0), "distance of the two places", "middle",
                 fill=INK)  # fmt: skip
    return (
        canvas.markup,
        "By how much the heights of two places differ through noise alone (1 sigma). Fine noise"
        " averages out over a pile; what still rises at tens of metres does not, and makes most of"
        " a volume's ±.",
    )


def _ticks(first: float, last: float) -> list[float]:
    powers = 10.0 ** np.arange(np.floor(np.log10(first)), np.floor(np.log10(last)) + 1.0)
    steps = [step * float(power) for power in powers for step in (1.0, 3.0)]
    return [step for step in steps if first <= step <= last]
