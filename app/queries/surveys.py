"""Surveys of a site."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from sqlalchemy import Select, and_, func, select

from app.amount import Amount, Part, total
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
    """A survey with how many piles it has and what they hold together; None where it has none."""

    survey: Survey
    piles: int
    volume_m3: Amount | None


def with_totals(site_id: UUID) -> list[Summary]:
    """All surveys, the newest first, with their piles."""
    query = _totals().where(Survey.site_id == site_id).order_by(*_NEWEST)
    return [_summary(*row) for row in db.session.execute(query)]


def with_total(survey_id: UUID) -> Summary:
    """A survey with its piles."""
    return _summary(*db.session.execute(_totals().where(Survey.id == survey_id)).one())


def _totals() -> Select[tuple[Survey, int, float, float, float, float]]:
    row = Measurement
    counted = and_(Toe.survey_id == Survey.id, Toe.superseded_at.is_(None), Toe.is_confirmed)
    return (
        select(
            Survey,
            func.count(row.id),
            func.sum(row.net_m3),
            func.sum(row.own_sigma_m3 * row.own_sigma_m3),
            func.sum(row.scale_effect_m3),
            func.sum(row.bias_effect_m3),
        )
        .outerjoin(Toe, counted)
        .outerjoin(row, row.toe_id == Toe.id)
        .group_by(Survey.id)
    )


def _summary(
    survey: Survey, piles: int, net: float, variance: float, scale: float, bias: float
) -> Summary:
    if not piles:
        return Summary(survey, 0, None)
    # What a pile errs by itself adds in quadrature; scale and bias are the same for all.
    return Summary(survey, piles, total([Part(net, math.sqrt(variance), scale, bias)]))


def previous(survey: Survey) -> Survey | None:
    """The newest finished survey before one."""
    return newest_ready(survey.site_id, before=survey.flown_on)


def newest_ready(site_id: UUID, before: date | None = None) -> Survey | None:
    """The newest finished survey of a site, before a day where one is given."""
    query = select(Survey).where(Survey.site_id == site_id, Survey.state == SurveyState.READY)
    if before is not None:
        query = query.where(Survey.flown_on < before)
    return db.session.scalar(query.order_by(*_NEWEST).limit(1))
