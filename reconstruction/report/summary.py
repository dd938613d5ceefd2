"""The survey in words: the verdict, and what to know before it is used."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconstruction.report.example_pile import (
    EXAMPLE_M3,
    U95_PER_SIGMA,
    cone_radius_m,
    noise_sigma_m3,
)
from reconstruction.report.facts import Facts, number
from reconstruction.report.text import (
    length,
    with_unit,
)
from reconstruction.wording import counted

# Heights that are known no better than this were not measured at all.
_NO_REFERENCE_M = 100.0
_LEVELS = ("refuse", "warn", "note", "info")


@dataclass(frozen=True)
class Notice:
    """Something to know before the survey is used.

    Parameters
    ----------
    level : str
        ``refuse``, ``warn``, ``note`` or ``info``.
    message, remedy : str
    photos : tuple of str
        Photos that it concerns.
    """

    level: str
    message: str
    remedy: str = ""
    photos: tuple[str, ...] = ()


def example_pile_u95_m3(accuracy: dict[str, Any]) -> float | None:
    """Half-width of the 95 % interval of the example pile by noise and scale; None if unknown."""
    scale = number(accuracy, "scale_sigma")
    components = (accuracy.get("dsm_noise") or {}).get("components")
    if scale is None or not components:
        return None
    parts = [(part["sigma_m"], part["range_m"]) for part in components]
    noise_m3 = noise_sigma_m3(parts, cone_radius_m())
    return U95_PER_SIGMA * math.hypot(noise_m3, 3.0 * scale * EXAMPLE_M3)


def headline(facts: Facts) -> list[str]:
    """The verdict in a few sentences; each says no more than the files do."""
    return [_placed(facts), _pile(facts), _heights(facts.accuracy), _accuracy(facts.accuracy)]


def _placed(facts: Facts) -> str:
    placed, total = facts.survey.get("registered_count"), facts.survey.get("image_count")
    if placed is None or not total:
        return "It is not known how many photos are placed."
    return f"{placed:,} of {counted(total, 'photo is', 'photos are')} placed."


def _accuracy(accuracy: dict[str, Any]) -> str:
    rmse = accuracy.get("check_point_rmse_m")
    if not rmse:
        return (
            "Nothing independent confirms its accuracy, because there are no check points: every ±"
            " here is what the adjustment and the photos say of themselves."
        )
    points = len(accuracy["check_points"])
    return (
        f"By {counted(points, 'independent check point', 'independent check points')} it is"
        f" accurate to {length(rmse['horizontal'])} in plan and {length(rmse['vertical'])} in"
        " height (RMSE)."
    )


def _heights(accuracy: dict[str, Any]) -> str:
    sigma = number(accuracy, "vertical_sigma_m")
    if sigma is None:
        return "How far its heights may differ from another survey's is not known."
    between = U95_PER_SIGMA * math.sqrt(2.0) * sigma
    if between > _NO_REFERENCE_M:
        return "Its elevations hang on nothing: do not compare them with another survey's."
    return (
        f"Heights of two surveys as good as this one differ by up to about ±\u00a0{length(between)}"
        " where nothing has changed (95\u00a0%)."
    )


def _pile(facts: Facts) -> str:
    u95 = example_pile_u95_m3(facts.accuracy)
    if u95 is None:
        return "How good a volume is cannot be told: the noise or the scale is not known."
    return (
        f"A cone of {with_unit(EXAMPLE_M3, 'm³', 4)} measured above the plane through its own toe"
        f" is expected to be good to about ±\u00a0{with_unit(u95, 'm³')} (95\u00a0%), not counting"
        " how the toe line is drawn and what the ground under it is like."
    )


def notices(facts: Facts) -> list[Notice]:
    """Warnings, contradictions and decisions, the gravest first."""
    survey = facts.survey
    found = [Notice("note", note) for note in survey.get("notes") or []]
    found += [
        Notice(item["level"], item["message"], item.get("remedy", ""), tuple(item["photos"]))
        for item in (survey.get("verdict") or {}).get("findings") or []
    ]
    found += _own_notices(facts)
    return sorted(found, key=lambda notice: _LEVELS.index(notice.level))


def _own_notices(facts: Facts) -> Iterator[Notice]:
    lost = [photo for photo in facts.photos if not photo.registered]
    if lost:
        reasons = sorted({photo.reason for photo in lost if photo.reason})
        yield Notice(
            "warn",
            f"{counted(len(lost), 'photo is', 'photos are')} not placed and not used. "
            + " ".join(reasons),
            "Look at the camera map: if they leave a gap, fly it again with more overlap.",
            tuple(photo.name for photo in lost),
        )
    if facts.survey.get("vertical_datum") in (None, "unknown"):
        yield Notice(
            "warn",
            "Neither the photos nor the control points tell above which datum heights are.",
            "Do not compare elevations with another source before that is known.",
        )
    if not facts.accuracy.get("check_points"):
        yield Notice(
            "info",
            "There are no check points, so nothing independent of the adjustment tells how"
            " accurate the survey is.",
            "Survey three points or more that are not used as control, and mark them in the list"
            " with a name that begins with CHK.",
        )


def vertical_datum(facts: Facts) -> str:
    """What elevations are above, in words."""
    name = facts.survey.get("vertical_datum")
    known = {
        "ellipsoidal": "heights above the WGS 84 ellipsoid",
        "unknown": "heights above an unknown datum",
        None: "heights above an unknown datum",
    }
    return known.get(name, f"heights: {name}")
