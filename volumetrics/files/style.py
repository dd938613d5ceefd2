"""How the pages look: quiet ink, hairlines, one accent; places in millimetres of an A4 sheet."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

PAGE_MM = (210.0, 297.0)
LEFT_MM, RIGHT_MM = 18.0, 192.0
INK, MUTED, HAIR, PAPER, ACCENT = "#1c2530", "#66727f", "#d3d9df", "#ffffff", "#0f6b74"
_MM_PER_INCH = 25.4
# Letters stay letters in the PDF, so that it can be searched and read aloud.
RC: dict[Any, Any] = {
    "pdf.fonttype": 42,
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 7.5,
    "text.color": INK,
    "axes.edgecolor": HAIR,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.5,
    "xtick.color": HAIR,
    "ytick.color": HAIR,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.0,
    "ytick.major.size": 2.0,
}


def sheet() -> Figure:
    """An empty page."""
    return Figure(figsize=(PAGE_MM[0] / _MM_PER_INCH, PAGE_MM[1] / _MM_PER_INCH), facecolor=PAPER)


def axes_at(
    figure: Figure, left_mm: float, top_mm: float, width_mm: float, height_mm: float
) -> Axes:
    """Axes in a box that is measured from the upper left corner of the page."""
    width, height = PAGE_MM
    return figure.add_axes(
        (
            left_mm / width,
            1.0 - (top_mm + height_mm) / height,
            width_mm / width,
            height_mm / height,
        )
    )


def text_at(
    figure: Figure,
    left_mm: float,
    top_mm: float,
    text: str,
    size: float = 7.5,
    *,
    color: str = INK,
    weight: str = "normal",
    align: str = "left",
) -> None:
    """Text with its baseline at a distance from the top of the page."""
    # Dollar signs in names are no formulas.
    figure.text(
        left_mm / PAGE_MM[0], 1.0 - top_mm / PAGE_MM[1], text, size=size, color=color,
        weight=weight, ha=align, va="baseline", parse_math=False,
    )  # fmt: skip


def rule_at(
    figure: Figure,
    top_mm: float,
    *,
    left_mm: float = LEFT_MM,
    right_mm: float = RIGHT_MM,
    color: str = HAIR,
    width: float = 0.5,
) -> None:
    """A horizontal line."""
    y = 1.0 - top_mm / PAGE_MM[1]
    figure.add_artist(
        Line2D([left_mm / PAGE_MM[0], right_mm / PAGE_MM[0]], [y, y], color=color, lw=width)
    )
