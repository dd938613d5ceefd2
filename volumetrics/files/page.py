"""A page for one pile that may be printed and signed, as PDF and PNG."""

from __future__ import annotations

import math
import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from volumetrics.crs import ground_excess
from volumetrics.files.plan import draw_plan
from volumetrics.files.relief import Relief
from volumetrics.files.section import Section, sections
from volumetrics.files.style import (
    ACCENT,
    HAIR,
    INK,
    LEFT_MM,
    MUTED,
    RC,
    RIGHT_MM,
    axes_at,
    rule_at,
    sheet,
    text_at,
)  # fmt: skip
from volumetrics.files.whole import whole
from volumetrics.survey import Survey
from volumetrics.volume import Volume

_DPI = 160
_PLAN_MM = 100.0
_COLUMN_MM = 126.0
_FOOT_MM = 261.0
_SECTION_MM = (RIGHT_MM - LEFT_MM - 10.0, 25.0)
_CAUSES = {
    "surface_noise": "noise of the surface",
    "base_noise": "noise at the toe",
    "shared_noise": "common to both",
    "base_choice": "level of the base",
    "base_distance": "distance of the ground seen",
    "base_survey_noise": "noise of the base survey",
    "vertical_bias": "height of the survey",
    "tilt": "tilt of the survey",
    "toe_position": "position of the toe",
    "scale": "scale of the survey",
    "holes": "holes",
    "hidden_toe": "ground hidden at the toe",
}


def write_page(stem: Path, relief: Relief, survey: Survey, about: dict[str, Any]) -> None:
    """Write ``STEM.pdf`` and ``STEM.png``.

    Parameters
    ----------
    stem : Path
        Without an ending.
    relief : Relief
    survey : Survey
        Gives the ground around the pile, the orthomosaic, and the accuracy.
    about : dict
        What was measured and with what: ``software``, ``surface_sha256``, ``polygons_sha256`` ...
    """
    with mpl.rc_context(RC):
        page = _page(relief, survey, about)
        facts = {"Title": f"Volume of {relief.volume.pile}", "Creator": about["software"]}
        with whole(stem.with_name(stem.name + ".pdf")) as partial:
            page.savefig(partial, metadata=facts)
        with whole(stem.with_name(stem.name + ".png")) as partial:
            page.savefig(partial, dpi=_DPI)


def _page(relief: Relief, survey: Survey, about: dict[str, Any]) -> Figure:
    west, south, east, north = relief.toe.polygon.bounds
    side_m = max(east - west, north - south)
    margin_m = max(2.0, 0.12 * side_m)
    x, y, half_m = 0.5 * (west + east), 0.5 * (south + north), 0.5 * side_m
    ground = survey.window((x - half_m, y - half_m, x + half_m, y + half_m), margin_m)
    cuts = sections(relief, ground, 0.7 * margin_m)
    page = sheet()
    _draw_head(page, relief.volume, survey)
    orthomosaic = survey.dsm_path.parent / "orthomosaic.tif"
    draw_plan(
        axes_at(page, LEFT_MM, 37.0, _PLAN_MM, _PLAN_MM),
        relief.drawing(),
        ground,
        cuts,
        orthomosaic if orthomosaic.is_file() else None,
    )
    text_at(page, LEFT_MM, 141.0, f"Contours every {relief.contour_interval_m:g} m.", 6.5,
            color=MUTED)  # fmt: skip
    below_mm = _draw_rows(page, 40.0, "Measured", _measured(relief.volume))
    _draw_rows(page, below_mm + 5.0, "Accuracy of the survey", _accuracy(relief.volume, survey))
    for number, cut in enumerate(cuts):
        _draw_section(page, 150.0 + 36.0 * number, cut)
    _draw_budget(page, 226.0, relief.volume)
    _draw_remarks(page, 226.0, relief.volume)
    _draw_foot(page, relief, survey, about)
    return page


def _draw_head(page: Figure, volume: Volume, survey: Survey) -> None:
    flown = str(survey.facts.get("captured_at") or "")[:10]
    text_at(page, LEFT_MM, 16.0, "Stockpile volume", 8.0, color=MUTED)
    text_at(page, RIGHT_MM, 16.0, f"Surveyed {flown}" if flown else "", 8.0, color=MUTED,
            align="right")  # fmt: skip
    text_at(page, LEFT_MM, 25.0, textwrap.shorten(volume.pile, 34, placeholder="…"), 17.0,
            weight="bold")  # fmt: skip
    net = pair(volume.net_m3, volume.net_u95_m3, "m³")
    text_at(page, RIGHT_MM, 25.0, net, 17.0, color=ACCENT, weight="bold", align="right")
    text_at(page, LEFT_MM, 30.5, f"Base: {volume.base}", color=MUTED)
    text_at(page, RIGHT_MM, 30.5, "net volume, 95 % interval", color=MUTED, align="right")
    rule_at(page, 33.5, color=ACCENT, width=1.2)


def pair(value: float, u95: float, unit: str) -> str:
    """A value and its ±, which has two significant digits.

    >>> pair(12806.3812, 0.8735, "m³")
    '12 806.38 ± 0.87 m³'
    """
    digits = 2 if u95 <= 0.0 else min(3, max(0, 1 - math.floor(math.log10(u95))))
    return f"{_grouped(value, digits)} ± {_grouped(u95, digits)} {unit}"


def _grouped(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}".replace(",", " ").replace("-", "\N{MINUS SIGN}")


def _measured(volume: Volume) -> list[tuple[str, str]]:
    u95 = volume.u95
    rows = [
        ("Fill above the base", pair(volume.fill_m3, volume.fill_u95_m3, "m³")),
        ("Cut below the base", pair(volume.cut_m3, volume.cut_u95_m3, "m³")),
        ("Area within the toe", pair(volume.area_m2, u95.area_m2, "m²")),
        ("Greatest height", pair(volume.height_max_m, u95.height_max_m, "m")),
        ("Mean height", pair(volume.height_mean_m, u95.height_mean_m, "m")),
    ]
    if volume.tonnes is not None:
        rows += [
            ("Mass as it lies", pair(volume.tonnes.wet_t, volume.tonnes.wet_u95_t, "t")),
            ("Dry mass", pair(volume.tonnes.dry_t, volume.tonnes.dry_u95_t, "t")),
        ]
    if volume.net_with_excluded_m3 is not None:
        rows.append(("With excluded objects", f"{_grouped(volume.net_with_excluded_m3, 1)} m³"))
    seen = f"{volume.coverage:.1%}".replace("%", " %")
    holes = f", {volume.hole_count} holes" if volume.hole_count else ""
    return [*rows, ("Surface seen", seen + holes)]


def _accuracy(volume: Volume, survey: Survey) -> list[tuple[str, str]]:
    rows = [
        ("Noise of a cell, 1 σ", f"{1000.0 * volume.noise.sigma_m:.1f} mm"),
        ("Scale, 1 σ", f"{1e6 * survey.scale_sigma:.0f} mm per km"),
        ("Height as a whole, 1 σ", f"{1000.0 * survey.vertical_sigma_m:.0f} mm"),
        ("Cell size", f"{survey.cell_size_m:g} m"),
    ]
    rmse = survey.accuracy.get("check_point_rmse_m") or {}
    found = [f"{1000.0 * rmse[name]:.0f}" for name in ("horizontal", "vertical") if rmse.get(name)]
    number = len(survey.accuracy.get("check_points") or ())
    told = f"{' / '.join(found)} mm ({number})" if found else "none"
    return [*rows, ("Check points, RMSE plan / height", told)]


def _draw_rows(page: Figure, top_mm: float, title: str, rows: list[tuple[str, str]]) -> float:
    """A small table in the right column; returns where it ends."""
    text_at(page, _COLUMN_MM, top_mm, title, 8.0, weight="bold")
    for label, value in rows:
        top_mm += 5.4
        rule_at(page, top_mm - 3.8, left_mm=_COLUMN_MM)
        text_at(page, _COLUMN_MM, top_mm, label, 7.0, color=MUTED)
        text_at(page, RIGHT_MM, top_mm, value, 7.0, align="right")
    return top_mm + 3.0


def _draw_section(page: Figure, top_mm: float, cut: Section) -> None:
    text_at(page, LEFT_MM, top_mm, f"Section {cut.name}–{cut.name}′", 8.0, weight="bold")
    base_u95_m = float(np.nanmax(cut.base_u95_m, initial=0.0))
    told = (
        f"surface ± {1000.0 * cut.surface_u95_m:.0f} mm,  base ± up to "
        f"{1000.0 * base_u95_m:.0f} mm (95 %);  lengths in metres, heights not exaggerated"
    )
    text_at(page, RIGHT_MM, top_mm, told, 6.5, color=MUTED, align="right")
    axes = axes_at(page, LEFT_MM + 10.0, top_mm + 2.0, *_SECTION_MM)
    axes.fill_between(
        cut.along_m, cut.base_m, cut.surface_m, where=~np.isnan(cut.base_m), color=ACCENT,
        alpha=0.12, lw=0,
    )  # fmt: skip
    _draw_band(axes, cut.along_m, cut.base_m, cut.base_u95_m, MUTED)
    _draw_band(axes, cut.along_m, cut.surface_m, np.full(len(cut.along_m), cut.surface_u95_m), INK)
    _frame_section(axes, cut)
    axes.ticklabel_format(useOffset=False)
    axes.spines[["top", "right"]].set_visible(False)
    axes.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.set_ylabel("elevation m", size=6.5)


def _frame_section(axes: Axes, cut: Section) -> None:
    """Limits with one scale for lengths and heights, around the whole section."""
    width_mm, height_mm = _SECTION_MM
    long_m = float(cut.along_m[-1])
    low_m = float(np.nanmin([np.nanmin(cut.surface_m), np.nanmin(cut.base_m)]))
    top_m = float(np.nanmax([np.nanmax(cut.surface_m), np.nanmax(cut.base_m)]))
    scale = max(long_m / width_mm, 1.15 * (top_m - low_m) / height_mm)
    middle_x, middle_y = 0.5 * long_m, 0.5 * (low_m + top_m)
    half_x, half_y = 0.5 * scale * width_mm, 0.5 * scale * height_mm
    axes.set(
        xlim=(middle_x - half_x, middle_x + half_x), ylim=(middle_y - half_y, middle_y + half_y)
    )
    # A short section does not reach the ends of the axes: nor does its scale.
    steps = np.asarray(MaxNLocator(8, steps=[1, 2, 5, 10]).tick_values(0.0, long_m))
    axes.set_xticks(steps[(steps >= 0.0) & (steps <= long_m)])
    axes.spines["bottom"].set_bounds(0.0, long_m)
    for place, mark in ((0.0, cut.name), (long_m, f"{cut.name}′")):
        axes.annotate(
            mark, (place, 1.0), (0, -6), xycoords=("data", "axes fraction"),
            textcoords="offset points", ha="center", size=7.0, weight="bold",
        )  # fmt: skip


def _draw_band(
    axes: Axes, along_m: np.ndarray, line_m: np.ndarray, u95_m: np.ndarray, color: str
) -> None:
    axes.fill_between(along_m, line_m - u95_m, line_m + u95_m, color=color, alpha=0.25, lw=0)
    axes.plot(along_m, line_m, color=color, lw=0.8)


def _draw_budget(page: Figure, top_mm: float, volume: Volume) -> None:
    """What the ± of the net volume is made of, as bars."""
    budget = volume.budgets["net"]
    text_at(page, LEFT_MM, top_mm, "What the ± is made of", 8.0, weight="bold")
    terms = sorted(
        (term for term in budget.terms if term.variance_m6 != 0.0),
        key=lambda term: abs(term.variance_m6),
    )
    names = ["together", *(_CAUSES.get(term.name, term.name) for term in terms)]
    halves = [budget.u95_m3, *(budget.coverage_factor * term.sigma_m3 for term in terms)]
    axes = axes_at(page, LEFT_MM + 32.0, top_mm + 2.0, 40.0, 26.0)
    colors = [ACCENT, *[MUTED] * len(terms)]
    axes.barh(names, halves, color=colors, height=0.55)
    axes.axvline(0.0, color=HAIR, lw=0.6)
    for place, half in enumerate(halves):
        axes.annotate(
            f"{half:.2g} m³".replace("-", "\N{MINUS SIGN}"), (max(half, 0.0), place), (3, 0),
            textcoords="offset points", va="center", size=6.5, color=INK,
        )  # fmt: skip
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])


def _draw_remarks(page: Figure, top_mm: float, volume: Volume) -> None:
    text_at(page, _COLUMN_MM - 16.0, top_mm, "Remarks", 8.0, weight="bold")
    remarks = volume.warnings or ("None.",)
    line_mm = top_mm + 5.0
    for remark in remarks:
        for line in textwrap.wrap(f"{remark[0].upper()}{remark[1:]}", 64):
            if line_mm > _FOOT_MM - 3.0:
                return
            text_at(page, _COLUMN_MM - 16.0, line_mm, line, 6.5)
            line_mm += 3.3
        line_mm += 1.2


def _draw_foot(page: Figure, relief: Relief, survey: Survey, about: dict[str, Any]) -> None:
    rule_at(page, _FOOT_MM)
    volume, middle = relief.volume, relief.toe.polygon.centroid
    excess = ground_excess(
        survey.crs, (middle.x, middle.y), float(np.nanmean(relief.base.elevation_m))
    )
    datum = about.get("vertical_datum") or "datum not named"
    rows = (
        ("Method", f"surface minus base {volume.base!r}, cells by their share within the toe; "
                   "uncertainty by the GUM (JCGM 100:2008), 95 %"),
        ("System", f"{about['crs']}, heights: {datum}; a map volume, on the ground it is "
                   f"{abs(excess):.2%} {'larger' if excess >= 0.0 else 'smaller'}; "
                   f"{about['software']}"),
        ("Surface", f"SHA-256 {about['surface_sha256']}"),
        ("Polygons", f"SHA-256 {about['polygons_sha256']}"),
    )  # fmt: skip
    for number, (label, value) in enumerate(rows):
        top_mm = _FOOT_MM + 4.0 + 3.4 * number
        text_at(page, LEFT_MM, top_mm, label, 6.0, color=MUTED)
        text_at(page, LEFT_MM + 14.0, top_mm, textwrap.shorten(value, 150), 6.0)
    for left_mm, label in ((LEFT_MM, "Checked by"), (80.0, "Date"), (_COLUMN_MM, "Signature")):
        right_mm = {LEFT_MM: 72.0, 80.0: 118.0}.get(left_mm, RIGHT_MM)
        rule_at(page, 285.0, left_mm=left_mm, right_mm=right_mm, color=MUTED)
        text_at(page, left_mm, 288.5, label, 6.5, color=MUTED)
