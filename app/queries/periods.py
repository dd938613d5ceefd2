"""Closed periods."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import select

from app.extensions import db
from app.models import Period


def of_site(site_id: UUID) -> list[Period]:
    """All periods with their amendments, the newest first."""
    query = select(Period).where(Period.site_id == site_id)
    return list(db.session.scalars(query.order_by(Period.ends_on.desc(), Period.created_at.desc())))


def closing(site_id: UUID, day: date) -> Period | None:
    """The closed period that a day lies in, or None where the day is open."""
    amended = select(Period.amends_id).where(Period.amends_id.is_not(None))
    query = select(Period).where(
        Period.site_id == site_id,
        Period.ends_on >= day,
        Period.reopened_at.is_(None),
        Period.id.not_in(amended),
    )
    return db.session.scalar(query.order_by(Period.ends_on, Period.created_at.desc()).limit(1))


def reopened(site_id: UUID, ends_on: date) -> Period | None:
    """The period with a last day that was reopened and not closed again yet."""
    query = select(Period).where(
        Period.site_id == site_id, Period.ends_on == ends_on, Period.reopened_at.is_not(None)
    )
    found = db.session.scalar(query.order_by(Period.created_at.desc()).limit(1))
    return None if found is None or is_amended(found.id) else found


def is_amended(period_id: UUID) -> bool:
    """Whether a later row amends a period."""
    return db.session.scalar(select(Period.id).where(Period.amends_id == period_id)) is not None
