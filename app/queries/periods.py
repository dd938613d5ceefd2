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
