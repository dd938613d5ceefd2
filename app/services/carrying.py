"""Piles carried over: the last survey's piles laid onto a new one, for somebody to confirm."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from app.auth.actor import require_actor
from app.errors import AppError, Conflict
from app.extensions import db
from app.models import Site, Survey, Toe
from app.outline import Base
from app.queries import surveys, toes
from app.services import aligning, audit, measuring, proposing, snapping, webhooks
from app.services.measuring import Measured
from app.services.proposing import Proposal
from app.services.toes import measurement_of, polygon_of, refuse_if_closed

_log = logging.getLogger(__name__)
# Of a pile that holds less than this share of what it held, nothing worth the name is left.
_LEFT = 0.02


def search(survey_id: UUID) -> None:
    """Look for piles and carry over those of the survey before; people see both or nothing."""
    proposing.propose(survey_id)
    # A closed period keeps its piles.
    with suppress(Conflict):
        carry(surveys.get(survey_id))
    db.session.commit()


def carry(survey: Survey) -> int:
    """Store a toe to confirm for each pile of the survey before that this one does not have.

    Returns
    -------
    int
        How many were carried over; piles of which nothing is left are not, nor those that were
        split or merged, which are proposed anew.

    Raises
    ------
    Conflict
        When the survey lies in a closed period.
    """
    refuse_if_closed(survey)
    before = surveys.previous(survey)
    if before is None:
        return 0
    drawn = {toe.pile_id for toe in toes.of_survey(survey.id)}
    earlier = [
        toe for toe in toes.of_survey(before.id) if toe.is_confirmed and toe.pile_id not in drawn
    ]
    found, regrouped = proposing.follow(survey, earlier)
    count = sum(
        _store(survey, toe, before, found.get(toe.pile_id))
        for toe in earlier
        if toe.pile_id not in regrouped
    )
    site = db.session.get_one(Site, survey.site_id)
    audit.record(
        "toe.carry",
        f"{count} piles from {before.name} to {survey.name}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        survey=str(survey.id),
    )
    db.session.commit()
    return count


def confirm(toe: Toe) -> Toe:
    """Take a toe that was carried over as it is; from now on it counts.

    Raises
    ------
    Conflict
        When it is confirmed already, or the survey lies in a closed period.
    """
    survey = db.session.get_one(Survey, toe.survey_id)
    refuse_if_closed(survey)
    if toe.is_confirmed:
        raise Conflict(f"{toe.pile.name} is confirmed already.", "Draw it again to change it.")
    toe.is_confirmed, toe.created_by = True, require_actor().user.id
    site = db.session.get_one(Site, survey.site_id)
    net_m3 = 0.0 if toe.measurement is None else round(toe.measurement.net_m3, 3)
    facts = {"survey": str(survey.id), "net_m3": net_m3}
    audit.record(
        "toe.confirm",
        f"{toe.pile.name} in {survey.name}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        **facts,
    )
    told = {"site": str(site.id), "pile": toe.pile.name} | facts
    webhooks.announce(site.organisation_id, "measurement.changed", told)
    db.session.commit()
    return toe


def _store(survey: Survey, earlier: Toe, before: Survey, found: Proposal | None) -> bool:
    """Measure and store one pile; returns whether there is something left of it."""
    base = _base_of(earlier)
    material = toes.material_value(earlier.pile.material_id, survey)
    try:
        carried = found or _snapped(survey, earlier)
        measured = measuring.measure(survey.id, earlier.pile.name, carried.outline, base, material)
    except AppError as error:
        _log.info("%s was not carried over: %s", earlier.pile.name, error)
        return False
    if not _is_left(measured, earlier):
        return False
    row = Toe(
        pile_id=earlier.pile_id,
        survey_id=survey.id,
        polygon=polygon_of(carried.outline),
        options={
            "walls": list(carried.outline.walls),
            "base": base.document(),
            "carried": {
                "from": str(before.id),
                "change": carried.change,
                "confidence": carried.confidence,
                "reasons": list(carried.reasons),
            },
        },
        is_confirmed=False,
        created_at=datetime.now(UTC),
    )
    db.session.add(row)
    db.session.flush()
    db.session.add(measurement_of(row, measured))
    return True


def _snapped(survey: Survey, earlier: Toe) -> Proposal:
    found = snapping.snap(survey.id, aligning.moved(toes.outline(earlier), survey))
    return Proposal(found.outline, earlier, "unchanged", found.confidence, found.reasons)


def _base_of(toe: Toe) -> Base:
    kept: dict[str, Any] = dict(toe.options.get("base", {}))
    if "survey_id" in kept:
        kept["survey_id"] = UUID(kept["survey_id"])
    return replace(Base(), **kept)


def _is_left(measured: Measured, earlier: Toe) -> bool:
    net_m3, u95_m3 = measured.document["net_m3"], measured.document["net_u95_m3"]
    was_m3 = 0.0 if earlier.measurement is None else earlier.measurement.net_m3
    return bool(net_m3 > max(u95_m3, _LEFT * was_m3))
