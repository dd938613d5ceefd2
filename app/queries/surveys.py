"""Surveys of a site."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import and_, func, select

from app.errors import NotFound
from app.extensions import db
from app.models import Measurement, Survey, SurveyState, Toe
from app.queries import paging

_NEWEST = (Survey.flown_on.desc(), Survey.created_at.desc())


def get(survey_id: UUID) -> Survey:
    """A survey that the request was let in to.

    Raises
    ------
    NotFound
        When it was deleted meanwhile.
    """
    survey = db.session.get(Survey, survey_id)
    if survey is None:
        raise NotFound("There is no such survey.", "Check the address.")
    return survey


def page(site_id: UUID, last: UUID | None, limit: int) -> list[Survey]:
    """Surveys, the newest first, after one that is known."""
    query = select(Survey).where(Survey.site_id == site_id)
    order = (Survey.flown_on, Survey.created_at)
    one_page = paging.page(query, order, Survey.id, last, limit, is_descending=True)
    return list(db.session.scalars(one_page))


@dataclass(frozen=True)
class Summary:
    """A survey with how many piles it has and what they hold together."""

    survey: Survey
    piles: int
    net_m3: float


def with_totals(site_id: UUID) -> list[Summary]:
    """All surveys, the newest first, with their piles."""
    query = (
        select(Survey, func.count(Measurement.id), func.coalesce(func.sum(Measurement.net_m3), 0.0))
        .outerjoin(
            Toe,
            and_(Toe.survey_id == Survey.id, Toe.superseded_at.is_(None), Toe.is_confirmed),
        )
        .outerjoin(Measurement, Measurement.toe_id == Toe.id)
        .where(Survey.site_id == site_id)
        .group_by(Survey.id)
        .order_by(*_NEWEST)
    )
    return [Summary(survey, piles, net_m3) for survey, piles, net_m3 in db.session.execute(query)]


def previous(survey: Survey) -> Survey | None:
    """The newest finished survey before one."""
    return newest_ready(survey.site_id, before=survey.flown_on)


def newest_ready(site_id: UUID, before: date | None = None) -> Survey | None:
    """The newest finished survey of a site, before a day where one is given."""
    query = select(Survey).where(Survey.site_id == site_id, Survey.state == SurveyState.READY)
    if before is not None:
        query = query.where(Survey.flown_on < before)
    return db.session.scalar(query.order_by(*_NEWEST).limit(1))
