"""Proposed toes: piles that a program found in a survey, for somebody to accept or pass over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import shapely

from app.errors import NotFound
from app.extensions import db
from app.models import Site, Survey, Toe
from app.outline import Outline
from app.queries import surveys, toes
from app.services import audit, measuring, snapping

if TYPE_CHECKING:
    from volumetrics.identity import Link
    from volumetrics.toe import Toe as Ground

# One earlier pile and one of now: the same pile.
_SAME = ("unchanged", "moved", "grown", "shrunk")
# A proposal of which more lies in drawn toes is one of those.
_DRAWN_SHARE = 0.3
# Outlines that share more of what both cover are of the same thing: it stands where it stood.
_SAME_SHARE = 0.6


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
    was : tuple of str
        Names of the earlier piles that it is made of.
    number : int or None
        Place among what was found; None for an earlier toe that was merely snapped.
    """

    outline: Outline
    pile: Toe | None
    change: str
    confidence: float
    reasons: tuple[str, ...]
    was: tuple[str, ...] = ()
    number: int | None = None


def propose(survey_id: UUID) -> int:
    """Look for piles in the surface of a survey and keep what is found; returns how many.

    At the first look, what somebody left out of the survey before and still lies there is left out
    again. The caller commits, as it may have more to keep at once.
    """
    found = _detected(survey_id)
    survey = db.session.get(Survey, survey_id)
    if survey is None:
        raise NotFound("There is no such survey.", "Check the address.")
    left_out = [] if survey.proposals else _still_left_out(survey, found)
    survey.proposals = {
        "found_at": datetime.now(UTC).isoformat(),
        "items": found,
        "left_out": left_out,
    }
    db.session.flush()
    return len(found)


def of_survey(survey: Survey) -> list[Proposal]:
    """What was found and is neither drawn nor left out yet, the surest first."""
    if not survey.proposals.get("items"):
        return []
    found_at = datetime.fromisoformat(survey.proposals["found_at"])
    taken_out = toes.taken_out(survey.id, found_at)
    before = surveys.previous(survey)
    own = toes.of_survey(survey.id)
    drawn = shapely.unary_union([_polygon(toes.outline(toe)) for toe in own])
    taken = {toe.pile_id for toe in own}
    earlier = [] if before is None else toes.of_survey(before.id)
    found = [
        item
        for item in _linked(survey, earlier, _links(survey, earlier))
        if item.number not in _left_out(survey)
        and (item.pile is None or item.pile.pile_id not in taken_out)
        and _polygon(item.outline).intersection(drawn).area
        <= _DRAWN_SHARE * _polygon(item.outline).area
    ]
    free = [
        item if item.pile is None or item.pile.pile_id not in taken else _anew(item)
        for item in found
    ]
    return sorted(free, key=lambda item: -item.confidence)


def leave_out(survey: Survey, number: int) -> None:
    """Show a proposal no more, until piles are looked for again.

    Raises
    ------
    NotFound
        When nothing with this number was found.
    """
    if number >= len(survey.proposals.get("items", [])):
        raise NotFound("There is no such proposal.", "Load the survey again.")
    survey.proposals = survey.proposals | {"left_out": sorted({*_left_out(survey), number})}
    site = db.session.get_one(Site, survey.site_id)
    audit.record(
        "proposal.leave_out",
        f"proposal {number + 1} in {survey.name}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        survey=str(survey.id),
    )
    db.session.commit()


def follow(survey: Survey, earlier: Sequence[Toe]) -> tuple[dict[UUID, Proposal], set[UUID]]:
    """What became of earlier piles in a survey.

    Returns
    -------
    found : dict
        Those that were found again, each with its toe of now.
    regrouped : set
        Those that were split or merged: what is there now is proposed anew.
    """
    links = _links(survey, earlier)
    found = {
        item.pile.pile_id: item
        for item in _linked(survey, earlier, links)
        if item.pile is not None and item.change in _SAME
    }
    return found, {earlier[place].pile_id for link in links for place in _mixed(link)}


def _mixed(link: Link) -> tuple[int, ...]:
    return link.before if link.before and link.after and link.kind not in _SAME else ()


def _left_out(survey: Survey) -> list[int]:
    kept: list[int] = survey.proposals.get("left_out", [])
    return kept


def _still_left_out(survey: Survey, found: Sequence[dict[str, Any]]) -> list[int]:
    """Numbers of what was found where something of the survey before was left out."""
    before = surveys.previous(survey)
    if before is None:
        return []
    items = before.proposals.get("items", [])
    known = [_polygon(_outline(items[number])) for number in _left_out(before)]
    now = [_polygon(_outline(item)) for item in found]
    return [n for n, polygon in enumerate(now) if any(_is_same(polygon, old) for old in known)]


def _is_same(one: shapely.Polygon, other: shapely.Polygon) -> bool:
    return bool(one.intersection(other).area > _SAME_SHARE * one.union(other).area)


def _anew(item: Proposal) -> Proposal:
    return replace(item, pile=None, change="new")


def _links(survey: Survey, earlier: Sequence[Toe]) -> tuple[Link, ...]:
    items = survey.proposals.get("items", [])
    if not items:
        return ()
    from volumetrics.identity import carry

    now = [_ground(_outline(item)) for item in items]
    return carry([_ground(toes.outline(toe)) for toe in earlier], now)


def _linked(survey: Survey, earlier: Sequence[Toe], links: Sequence[Link]) -> list[Proposal]:
    """What was found, each with the earlier pile that it is."""
    items: list[dict[str, Any]] = survey.proposals.get("items", [])
    found = []
    for link in links:
        was = tuple(earlier[place] for place in link.before)
        for number in link.after:
            item = items[number]
            is_same = link.kind in _SAME
            sure = min(item["confidence"], link.confidence) if is_same else item["confidence"]
            found.append(
                Proposal(
                    _outline(item),
                    was[0] if is_same else None,
                    link.kind,
                    sure,
                    tuple(item["reasons"]),
                    tuple(toe.pile.name for toe in was),
                    number,
                )
            )
    return found


def _outline(item: dict[str, Any]) -> Outline:
    return Outline(item["coordinates"], tuple(item["walls"]))


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
