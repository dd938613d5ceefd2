"""Piles of a site, and one pile through time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select

from app.amount import Amount
from app.errors import NotFound
from app.extensions import db
from app.models import Measurement, Pile, Survey, SurveyState, Toe, User

# Weeks that a sparkline shows.
_SPARK = 26


@dataclass(frozen=True)
class Moment:
    """A pile at one survey."""

    day: date
    survey_id: UUID
    survey: str
    volume_m3: Amount
    height_m: Amount
    area_m2: Amount
    base: str
    coverage: float
    drawn_by: str
    details: dict[str, Any]


def get(pile_id: UUID) -> Pile:
    """A pile that the request was let in to.

    Raises
    ------
    NotFound
        When it was deleted meanwhile.
    """
    pile = db.session.get(Pile, pile_id)
    if pile is None:
        raise NotFound("There is no such pile.", "Check the address.")
    return pile


def of_site(site_id: UUID) -> list[Pile]:
    """All piles in use, by name."""
    query = select(Pile).where(Pile.site_id == site_id, Pile.retired_at.is_(None))
    return list(db.session.scalars(query.order_by(func.lower(Pile.name), Pile.id)))


def history(pile_id: UUID) -> list[Moment]:
    """A pile at each finished survey, the newest first."""
    query = (
        select(Measurement, Survey, User.name)
        .join(Toe, Toe.id == Measurement.toe_id)
        .join(Survey, Survey.id == Toe.survey_id)
        .outerjoin(User, User.id == Toe.created_by)
        .where(
            Toe.pile_id == pile_id,
            Toe.superseded_at.is_(None),
            Toe.is_confirmed,
            Survey.state == SurveyState.READY,
        )
        .order_by(Survey.flown_on.desc())
    )
    return [
        Moment(
            survey.flown_on,
            survey.id,
            survey.name,
            row.volume_m3,
            row.height,
            row.area,
            row.base,
            row.coverage,
            name or "",
            row.details,
        )
        for row, survey, name in db.session.execute(query)
    ]


def volumes(site_id: UUID, until: date) -> list[tuple[UUID, list[float]]]:
    """The last volumes of each pile of a site up to a day, the oldest first."""
    query = (
        select(Toe.pile_id, Measurement.net_m3)
        .join(Measurement, Measurement.toe_id == Toe.id)
        .join(Survey, Survey.id == Toe.survey_id)
        .where(
            Survey.site_id == site_id,
            Survey.state == SurveyState.READY,
            Survey.flown_on <= until,
            Survey.flown_on > date.fromordinal(until.toordinal() - 7 * _SPARK),
            Toe.superseded_at.is_(None),
            Toe.is_confirmed,
        )
        .order_by(Survey.flown_on)
    )
    found: dict[UUID, list[float]] = defaultdict(list)
    for key, net_m3 in db.session.execute(query):
        found[key].append(net_m3)
    return list(found.items())
