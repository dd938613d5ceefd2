"""Proposed toes: piles that a program found in a survey, for somebody to accept or pass over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import shapely

from app.errors import NotFound
from app.extensions import db
from app.models import Survey, Toe
from app.outline import Outline
from app.queries import surveys, toes
from app.services import measuring, snapping

if TYPE_CHECKING:
    from volumetrics.toe import Toe as Ground

# One earlier pile and one of now: the same pile.
_SAME = ("unchanged", "moved", "grown", "shrunk")
# A proposal of which more lies in drawn toes is one of those.
_DRAWN_SHARE = 0.3


@dataclass(frozen=True)
class Proposal:
    """A toe as a program thinks it is.

    Parameters
    ----------
    pile : Toe or None
        The toe of the same pile in the survey before, where there is one.
    change : str
        What became of it, a kind of `volumetrics.identity.Link`.
    confidence : float
        0 to 1.
    reasons : tuple of str
    """

    outline: Outline
    pile: Toe | None
    change: str
    confidence: float
    reasons: tuple[str, ...]


def propose(survey_id: UUID) -> int:
    """Look for piles in the surface of a survey and keep what is found; returns how many."""
    found = _detected(survey_id)
    survey = db.session.get(Survey, survey_id)
    if survey is None:
        raise NotFound("There is no such survey.", "Check the address.")
    survey.proposals = {"found_at": datetime.now(UTC).isoformat(), "items": found}
    db.session.commit()
    return len(found)


def of_survey(survey: Survey) -> list[Proposal]:
    """What was found and is not drawn yet, the surest first."""
    before = surveys.previous(survey)
    drawn = shapely.unary_union([_polygon(toes.outline(toe)) for toe in toes.of_survey(survey.id)])
    taken = {toe.pile_id for toe in toes.of_survey(survey.id)}
    earlier = [] if before is None else toes.of_survey(before.id)
    found = [
        item
        for item in _linked(survey, earlier)
        if _polygon(item.outline).intersection(drawn).area
        <= _DRAWN_SHARE * _polygon(item.outline).area
    ]
    free = [
        item if item.pile is None or item.pile.pile_id not in taken else _anew(item)
        for item in found
    ]
    return sorted(free, key=lambda item: -item.confidence)


def follow(survey: Survey, earlier: Sequence[Toe]) -> dict[UUID, Proposal]:
    """Earlier piles that were found again in a survey, each with its toe of now."""
    return {
        item.pile.pile_id: item
        for item in _linked(survey, earlier)
        if item.pile is not None and item.change in _SAME
    }


def _anew(item: Proposal) -> Proposal:
    return Proposal(item.outline, None, "new", item.confidence, item.reasons)


def _linked(survey: Survey, earlier: Sequence[Toe]) -> list[Proposal]:
    """What was found, each with the earlier pile that it is."""
    items: list[dict[str, Any]] = survey.proposals.get("items", [])
    if not items:
        return []
    from volumetrics.identity import carry

    outlines = [Outline(item["coordinates"], tuple(item["walls"])) for item in items]
    links = carry([_ground(toes.outline(toe)) for toe in earlier], [_ground(o) for o in outlines])
    found = []
    for link in links:
        for place in link.after:
            item = items[place]
            was = earlier[link.before[0]] if len(link.before) == 1 and link.after else None
            is_same = was is not None and link.kind in _SAME
            sure = min(item["confidence"], link.confidence) if is_same else item["confidence"]
            found.append(
                Proposal(
                    outlines[place],
                    was if is_same else None,
                    link.kind,
                    sure,
                    tuple(item["reasons"]),
                )
            )
    return found


def _detected(survey_id: UUID) -> list[dict[str, Any]]:
    from volumetrics.detect import propose_in_survey

    found = []
    for one in propose_in_survey(measuring.surface(survey_id)):
        outline = snapping.drape(survey_id, one.toe.polygon, one.toe.walls)
        found.append(
            {
                "coordinates": outline.coordinates,
                "walls": list(outline.walls),
                "confidence": one.confidence,
                "reasons": list(one.reasons),
            }
        )
    return found


def _ground(outline: Outline) -> Ground:
    return measuring.toe_of("pile", outline)


def _polygon(outline: Outline) -> shapely.Polygon:
    rings = [[place[:2] for place in ring] for ring in outline.coordinates]
    return shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
