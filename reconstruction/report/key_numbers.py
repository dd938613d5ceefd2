"""The key numbers of a survey, each with its unit and what it says, or why it is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from reconstruction.report import pictures
from reconstruction.report.example_pile import EXAMPLE_M3
from reconstruction.report.facts import Facts, number
from reconstruction.report.summary import example_pile_u95_m3
from reconstruction.report.text import (
    length,
    listed,
    share,
    significant,
    with_unit,
)
from reconstruction.wording import counted


@dataclass(frozen=True)
class KeyNumber:
    """One line of the key numbers.

    Parameters
    ----------
    label : str
    value : str or None
        With its unit; None where it is not known.
    meaning : str
        What it says, or why it is not known.
    """

    label: str
    value: str | None
    meaning: str


def tiles(facts: Facts) -> list[KeyNumber]:
    """The few numbers that come first."""
    accuracy, survey = facts.accuracy, facts.survey
    u95 = example_pile_u95_m3(accuracy)
    rmse = accuracy.get("check_point_rmse_m")
    noise = number(accuracy, "dsm_noise", "sigma_m")
    pixels = number(accuracy, "reprojection_error_px")
    gsd = number(survey, "gsd_m")
    placed = survey.get("registered_count")
    return [
        KeyNumber(
            "photos placed",
            None if placed is None else f"{placed:,} / {survey['image_count']:,}",
            "",
        ),
        KeyNumber("ground per pixel (GSD)", None if gsd is None else length(gsd), ""),
        KeyNumber("reprojection error", None if pixels is None else with_unit(pixels, "px"), ""),
        KeyNumber(
            "check points, height",
            f"{length(rmse['vertical'])}" if rmse else None,
            "RMSE" if rmse else "none given",
        ),
        KeyNumber("surface noise (1 sigma)", None if noise is None else length(noise), ""),
        KeyNumber(
            f"on {with_unit(EXAMPLE_M3, 'm³', 4)} (95 %)",
            None if u95 is None else f"±\u00a0{with_unit(u95, 'm³')}",
            "",
        ),
    ]


def key_numbers(facts: Facts) -> list[tuple[str, list[KeyNumber]]]:
    """All key numbers in groups."""
    return [
        ("Photos", list(_photo_numbers(facts))),
        ("Adjustment", list(_adjustment_numbers(facts.accuracy))),
        ("Accuracy, by check points only", list(_check_numbers(facts.accuracy))),
        (
            "What the adjustment expects of itself (1 sigma)",
            list(_expected_numbers(facts.accuracy)),
        ),
        ("Surface", list(_surface_numbers(facts))),
    ]


def _known(label: str, value: float | None, shown: str, meaning: str, why: str) -> KeyNumber:
    return KeyNumber(label, shown, meaning) if value is not None else KeyNumber(label, None, why)


def _photo_numbers(facts: Facts) -> Iterator[KeyNumber]:
    survey = facts.survey
    placed, total = number(survey, "registered_count"), number(survey, "image_count")
    yield _known(
        "Placed photos", placed, f"{placed or 0:,.0f} of {total or 0:,.0f}",
        "Photos whose place and direction were found.", "survey.json does not say.",
    )  # fmt: skip
    gsd = number(survey, "gsd_m")
    yield _known(
        "GSD", gsd, length(gsd or 0.0),
        "What one pixel of a photo shows of the ground, median.", "survey.json does not say.",
    )  # fmt: skip
    height = number(survey, "verdict", "flying_height_m")
    why = "The photos do not tell their height before matching."
    yield _known(
        "Flying height", height, length(height or 0.0, 3), "Above the ground, median.", why
    )
    overlap = number(survey, "verdict", "overlap")
    yield _known(
        "Overlap", overlap, f"{100.0 * (overlap or 0.0):.0f}\u00a0%",
        "What a photo has in common with its nearest neighbour, median, by the positions.", why,
    )  # fmt: skip


def _adjustment_numbers(accuracy: dict[str, Any]) -> Iterator[KeyNumber]:
    pixels = number(accuracy, "reprojection_error_px")
    yield _known(
        "Reprojection error", pixels, with_unit(pixels or 0.0, "px"),
        "Mean distance between where a point is seen and where it is computed to be.",
        "accuracy.json does not say.",
    )  # fmt: skip
    yield _pair(
        "Position residuals", accuracy.get("position_rmse_m"),
        "RMSE of adjusted less measured photo positions: how well GPS and photos agree.",
        "No placed photo has a measured position.",
    )  # fmt: skip
    offset = accuracy.get("position_offset_m") if accuracy.get("position_rmse_m") else None
    yield _known(
        "Common offset of the positions", 0.0 if offset else None,
        listed([f"{length(value)} {way}" for value, way in
                zip(offset or (), ("east", "north", "up"), strict=False)] or ["–"]),
        "What all measured positions were found to be off by together. Without control points"
        " nothing can tell it.",
        "No placed photo has a measured position.",
    )  # fmt: skip
    points = accuracy.get("control_points") or []
    yield _pair(
        "Control point residuals", _rms([point["residual_m"] for point in points]),
        f"RMS of {counted(len(points), 'control point', 'control points')}. They took part in the"
        " adjustment, so this is a residual and no accuracy.",
        "The survey has no control points.",
    )  # fmt: skip


def _check_numbers(accuracy: dict[str, Any]) -> Iterator[KeyNumber]:
    points = accuracy.get("check_points") or []
    yield _pair(
        "Check points", accuracy.get("check_point_rmse_m"),
        f"RMSE of {counted(len(points), 'point', 'points')} that took no part in the adjustment:"
        " the accuracy of the survey.",
        "No check points were given, or none is seen in two placed photos.",
    )  # fmt: skip


def _expected_numbers(accuracy: dict[str, Any]) -> Iterator[KeyNumber]:
    why = "accuracy.json does not say."
    for label, key, meaning in (
        ("Scale in plan", "horizontal_scale_sigma",
         "A distance of 100\u00a0m may be wrong by this share."),
        ("Scale in height", "height_scale_sigma",
         "A height difference may be wrong by this share; the focal length has a part in it."),
        ("Scale of a volume", "scale_sigma",
         "Mean of the three directions; a volume is wrong by three times this share."),
    ):  # fmt: skip
        value = number(accuracy, key)
        yield _known(label, value, f"±\u00a0{share(value or 0.0)}", meaning, why)
    vertical = number(accuracy, "vertical_sigma_m")
    yield _known(
        "Height of the whole surface", vertical, f"±\u00a0{length(vertical or 0.0)}",
        "All heights too high or too low together. A pile above its own toe does not feel it.", why,
    )  # fmt: skip
    tilt = number(accuracy, "tilt_sigma")
    yield _known(
        "Tilt of the whole surface", tilt, f"±\u00a0{length(100.0 * (tilt or 0.0))} in 100\u00a0m",
        "A pile above a base that leans along with it does not feel it.", why,
    )  # fmt: skip
    level = number(accuracy, "level_sigma_deg")
    yield _known(
        "Level before the adjustment", level, f"±\u00a0{significant(level or 0.0)}°",
        "How well down was known at the start; positions and control points then hold it better.",
        why,
    )  # fmt: skip


def _surface_numbers(facts: Facts) -> Iterator[KeyNumber]:
    survey, accuracy = facts.survey, facts.accuracy
    why = "accuracy.json does not say."
    cell = number(survey, "cell_size_m")
    yield _known("Cell size", cell, length(cell or 0.0), "Of the surface model (DSM).",
                 "survey.json does not say.")  # fmt: skip
    area = number(accuracy, "dsm_area_m2")
    yield _known("Measured area", area, f"{area or 0.0:,.0f}\u00a0m²",
                 "All cells with a measured elevation.", why)  # fmt: skip
    covered = _coverage(facts)
    yield _known(
        "Coverage of the flown area", covered, share(covered or 0.0),
        "Share of the ground between the outermost placed photos that was measured; the rest is"
        " holes.",
        "There is no surface model, or fewer than three placed photos.",
    )  # fmt: skip
    yield from _noise_numbers(accuracy)
    matches = number(accuracy, "dsm_median_matches")
    pairs = number(accuracy, "stereo_pair_count")
    yield _known(
        "Matches per cell", matches, f"{matches or 0.0:.0f}",
        f"Median, from {pairs or 0:.0f} stereo pairs.", why,
    )  # fmt: skip


def _noise_numbers(accuracy: dict[str, Any]) -> Iterator[KeyNumber]:
    noise, bending = accuracy.get("dsm_noise") or {}, accuracy.get("block_deformation") or []
    sigma = number(noise, "sigma_m")
    parts = [part for part in noise.get("components") or [] if part not in bending]
    yield _known(
        "Noise of the surface", sigma, f"±\u00a0{length(sigma or 0.0)}",
        "1 sigma of a cell, from two halves of the photos that share none. By the distance over"
        f" which errors hang together: {_by_range(parts)}.",
        "Too little of the surface was measured twice to tell.",
    )  # fmt: skip
    shown = _by_range(bending)
    yield _known(
        "Bending of the block", 1.0 if bending else None, shown,
        "1 sigma of a height above its surroundings: errors of the adjustment, which all photos"
        " share and no comparison of them shows.",
        "The adjustment did not tell.",
    )  # fmt: skip


def _by_range(parts: list[dict[str, float]]) -> str:
    """Sigmas with the distance over which each is shared."""
    words = [f"{length(part['sigma_m'])} up to {length(part['range_m'])}" for part in parts]
    return listed(words or ["not known"])


def _pair(label: str, rmse: dict[str, float] | None, meaning: str, why: str) -> KeyNumber:
    if not rmse:
        return KeyNumber(label, None, why)
    plan, height = length(rmse["horizontal"]), length(rmse["vertical"])
    return KeyNumber(label, f"{plan} in plan, {height} in height", meaning)


def _rms(residuals: list[list[float]]) -> dict[str, float] | None:
    if not residuals:
        return None
    squares = np.mean(np.square(residuals), axis=0)
    plan = float(np.sqrt(squares[0] + squares[1]))
    return {"horizontal": plan, "vertical": float(np.sqrt(squares[2]))}


def _coverage(facts: Facts) -> float | None:
    places = [photo.adjusted for photo in facts.photos if photo.registered and photo.adjusted]
    dsm = facts.folder / "dsm.tif"
    if len(places) < 3 or not dsm.is_file():
        return None
    return pictures.measured_share(dsm, np.array(places))
