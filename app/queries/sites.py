"""The sites that somebody may see."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Select, select

from app.amount import Amount
from app.auth.actor import Actor
from app.extensions import db
from app.models import Site, SiteMember, Survey
from app.queries import paging, surveys


@dataclass(frozen=True)
class Card:
    """A site at a glance.

    Parameters
    ----------
    survey : Survey or None
        The newest finished one.
    piles : int
        Confirmed piles in it.
    volume_m3 : Amount or None
        What they hold together; None without piles.
    is_due : bool
        Whether the site's weekday went by without a survey in the week up to it.
    """

    site: Site
    survey: Survey | None
    piles: int
    volume_m3: Amount | None
    is_due: bool


def visible(actor: Actor) -> list[Site]:
    """Sites in the order of their names, without archived ones."""
    return list(db.session.scalars(_visible(actor).order_by(Site.name)))


def page(actor: Actor, last: UUID | None, limit: int) -> list[Site]:
    """Visible sites after one that is known."""
    one_page = paging.page(_visible(actor), (Site.name,), Site.id, last, limit)
    return list(db.session.scalars(one_page))


def cards(actor: Actor) -> list[Card]:
    """The visible sites, each at a glance."""
    return [_card(site) for site in visible(actor)]


def is_due(weekday: int | None, newest: date | None, today: date) -> bool:
    """Whether a survey is missing: none since the week before the last day it was due.

    Examples
    --------
    >>> friday, monday = date(2026, 11, 20), date(2026, 11, 23)
    >>> is_due(4, friday, monday), is_due(4, friday - timedelta(days=7), monday)
    (False, True)
    """
    if weekday is None:
        return False
    last_due = today - timedelta(days=(today.weekday() - weekday) % 7)
    return newest is None or newest <= last_due - timedelta(days=7)


def _visible(actor: Actor) -> Select[tuple[Site]]:
    query = select(Site).where(
        Site.organisation_id == actor.organisation_id, Site.archived_at.is_(None)
    )
    if not actor.user.is_admin:
        query = query.join(SiteMember).where(SiteMember.user_id == actor.user.id)
    if actor.token is not None and actor.token.sites:
        query = query.where(Site.id.in_(actor.token.sites))
    return query


def _card(site: Site) -> Card:
    survey = surveys.newest_ready(site.id)
    found = None if survey is None else surveys.with_total(survey.id)
    piles, volume = (0, None) if found is None else (found.piles, found.volume_m3)
    today = datetime.now(ZoneInfo(site.timezone)).date()
    newest = None if survey is None else survey.flown_on
    return Card(site, survey, piles, volume, is_due(site.survey_weekday, newest, today))
