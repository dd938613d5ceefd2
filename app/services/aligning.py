"""Aligning: how a survey lies on the one before, over ground that did not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from app.amount import NORMAL_95, Amount
from app.errors import NotFound
from app.models import Survey, Toe
from app.outline import Outline
from app.queries import surveys, toes
from app.services import measuring
from app.units import Units


def align(survey: Survey) -> dict[str, Any]:
    """Find how a survey lies on the one before.

    Returns
    -------
    dict
        As `volumetrics.alignment.Alignment.summary`, with `against` and `vertical_sigma_m`; or with
        `problem` where they cannot be aligned; empty for the first survey of a site.
    """
    from volumetrics.errors import VolumetricsError
    from volumetrics.site_change import measure_site_change

    before = surveys.previous(survey)
    if before is None:
        return {}
    known: dict[str, Any] = {"against": str(before.id)}
    try:
        piles = [measuring.toe_of(toe.pile.name, toes.outline(toe)) for toe in _piles(before)]
        change = measure_site_change(
            measuring.surface(before.id),
            measuring.surface(survey.id),
            piles,
            measuring.TOE_SIGMA_M,
        )
    except (VolumetricsError, NotFound) as error:
        return known | {"problem": str(error)}
    found = change.alignment
    return known | found.summary() | {"vertical_sigma_m": found.offset_sigma_m(found.centre_m)}


def offsets(found: dict[str, Any]) -> list[tuple[str, Amount]]:
    """How far a survey lies from the one before, in metres by direction, each with its ±.

    Directions that nothing is known of are left out: ground that is level tells no shift.
    """
    directions = (("vertical", "in height"), ("east", "to the east"), ("north", "to the north"))
    known = [
        (words, found.get(f"{name}_m"), found.get(f"{name}_sigma_m")) for name, words in directions
    ]
    return [
        (words, Amount(offset_m, NORMAL_95 * sigma_m))
        for words, offset_m, sigma_m in known
        if offset_m is not None and sigma_m is not None
    ]


def statement(found: dict[str, Any], units: Units) -> str:
    """The same in a sentence; empty where there is no survey before."""
    if "problem" in found:
        problem = units.sentence(found["problem"])
        return f"It could not be aligned to the survey before: {problem}"
    told = ", ".join(
        f"{_signed(offset_m.value * units.per_m)} {units.length} "
        f"± {offset_m.u95 * units.per_m:.3f} {units.length} {words}"
        for words, offset_m in offsets(found)
    )
    return f"Over unchanged ground it lies {told} of the survey before." if told else ""


def moved(outline: Outline, survey: Survey) -> Outline:
    """An outline of the survey before, at the place that it has in this one."""
    east_m, north_m = (survey.alignment.get(name) or 0.0 for name in ("east_m", "north_m"))
    rings = [
        [[x + east_m, y + north_m, *rest] for x, y, *rest in ring] for ring in outline.coordinates
    ]
    return replace(outline, coordinates=rings)


def _signed(value: float) -> str:
    # No "-0.000".
    return f"{round(value, 3) + 0.0:+.3f}"


def _piles(before: Survey) -> Sequence[Toe]:
    return [toe for toe in toes.of_survey(before.id) if toe.is_confirmed]
