"""The schedule of sites: surveys that are overdue, and flights that stopped arriving."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from app.extensions import db
from app.models import Delivery, Site, Survey, SurveyState
from app.queries.deliveries import Standing, standing
from app.services import notices
from app.services.notices import News

_STALLED_AFTER = timedelta(hours=6)
_WEEK = timedelta(days=7)


def last_due(weekday: int, today: date) -> date:
    """The last day by the end of which a survey was due.

    Examples
    --------
    >>> friday = date(2026, 11, 20)
    >>> str(last_due(4, friday)), str(last_due(4, friday + timedelta(days=1)))
    ('2026-11-13', '2026-11-20')
    """
    yesterday = today - timedelta(days=1)
    return yesterday - timedelta(days=(yesterday.weekday() - weekday) % 7)


def tell_overdue(now: datetime) -> int:
    """Tell of sites that had no survey in the week up to their day; returns how many are news."""
    query = select(Site).where(Site.survey_weekday.is_not(None), Site.archived_at.is_(None))
    told = 0
    for site in db.session.scalars(query).all():
        zone = ZoneInfo(site.timezone)
        due = last_due(int(site.survey_weekday or 0), now.astimezone(zone).date())
        newest = _newest(site)
        since = newest or site.created_at.astimezone(zone).date()
        if since <= due - _WEEK:
            last = "There is none yet." if newest is None else f"The last one is of {newest}."
            told += notices.tell(
                site,
                News(
                    f"overdue-{site.id}-{due}",
                    "survey.overdue",
                    {"due": str(due), "newest": None if newest is None else str(newest)},
                    f"{site.name}: the survey of {due} is overdue",
                    f"No survey came for {site.name} by {due:%A}, {due}. {last}\n\n"
                    f"{notices.link(f'/sites/{site.id}/surveys')}\n",
                ),
            )
    db.session.commit()
    return told


def tell_stalled(now: datetime) -> int:
    """Tell of flights that came in part and then no more; returns how many are news."""
    query = (
        select(Delivery, Site)
        .join(Site, Site.id == Delivery.site_id)
        .where(Delivery.completed_at.is_(None), Delivery.changed_at < now - _STALLED_AFTER)
    )
    told = 0
    for delivery, site in db.session.execute(query).all():
        how = standing(delivery)
        since = delivery.changed_at.astimezone(UTC)
        told += notices.tell(
            site,
            News(
                f"stalled-{delivery.id}-{since:%Y%m%dT%H%M%S}",
                "delivery.stalled",
                {"delivery": str(delivery.id), "expected": how.expected, "arrived": how.arrived},
                f"{site.name}: a flight did not arrive in full",
                f"{_count(how)} are there, and none came since "
                f"{since:%Y-%m-%d %H:%M} UTC. Nothing is processed before all are there.\n"
                f"{delivery.problem}\n\n{notices.link(f'/sites/{site.id}/surveys')}\n",
            ),
        )
    db.session.commit()
    return told


def _count(how: Standing) -> str:
    known = "" if how.expected is None else f" of {how.expected}"
    return f"{how.arrived}{known} files"


def _newest(site: Site) -> date | None:
    """Day of the newest survey that has a surface, or is about to."""
    states = (SurveyState.READY, SurveyState.PROCESSING)
    query = select(func.max(Survey.flown_on))
    return db.session.scalar(query.where(Survey.site_id == site.id, Survey.state.in_(states)))
