"""The audit log of an organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select

from app.extensions import db
from app.models import AuditEvent, User
from app.queries import paging

_PAGE = 50


@dataclass(frozen=True)
class Entry:
    """A line of the log, with who it was."""

    event: AuditEvent
    who: str


def page(organisation_id: UUID, before: str = "", limit: int = _PAGE) -> list[Entry]:
    """The newest lines, or those before a moment."""
    query = (
        select(AuditEvent, User.name)
        .outerjoin(User, User.id == AuditEvent.user_id)
        .where(AuditEvent.organisation_id == organisation_id)
        .order_by(AuditEvent.at.desc())
        .limit(limit)
    )
    moment = _moment(before)
    if moment is not None:
        query = query.where(AuditEvent.at < moment)
    return [Entry(event, name or "") for event, name in db.session.execute(query)]


def after(organisation_id: UUID, last: UUID | None, limit: int) -> list[Entry]:
    """The newest lines, or those after one that is known."""
    query = (
        select(AuditEvent, User.name)
        .outerjoin(User, User.id == AuditEvent.user_id)
        .where(AuditEvent.organisation_id == organisation_id)
    )
    one_page = paging.page(query, (AuditEvent.at,), AuditEvent.id, last, limit, is_descending=True)
    return [Entry(event, name or "") for event, name in db.session.execute(one_page)]


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
