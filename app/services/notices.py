"""Notices: surveys that were measured or failed, surveys and flights that do not come.

Each is announced to webhooks and mailed to the people of the site, once, however often it is seen.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from flask import current_app
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from app.config import Config
from app.extensions import db
from app.models import Notice, Role, Site, SiteMember, User
from app.services import mail, tries, webhooks

_log = logging.getLogger(__name__)
_AT_ONCE = 50


@dataclass(frozen=True)
class News:
    """What is to be told.

    Parameters
    ----------
    key : str
        What happened; the same key is told once.
    event : str
        Of `app.services.webhooks.EVENTS`.
    facts : dict
        For the webhooks.
    subject, text : str
        For the mail.
    """

    key: str
    event: str
    facts: dict[str, Any]
    subject: str
    text: str


def tell(site: Site, news: News) -> bool:
    """Tell everyone concerned, within the caller's transaction; returns whether it was news."""
    now = datetime.now(UTC)
    row = {
        "id": uuid4(), "site_id": site.id, "key": news.key, "user_id": None,
        "subject": news.subject[:200], "text": news.text, "next_try_at": None,
    }  # fmt: skip
    statement = insert(Notice).values(row).on_conflict_do_nothing().returning(Notice.id)
    if db.session.scalar(statement) is None:
        return False
    webhooks.announce(site.organisation_id, news.event, {"site": str(site.id)} | news.facts)
    for user in _people(site):
        copy = row | {"id": uuid4(), "user_id": user.id, "next_try_at": now}
        db.session.execute(insert(Notice).values(copy))
    return True


def link(path: str) -> str:
    """Address of a page for people outside."""
    config: Config = current_app.extensions["cairn_config"]
    return f"{config.public_url}{path}"


def send_due() -> int:
    """Mail what is due; returns how many mails were taken."""
    if not mail.is_configured():
        return 0
    query = (
        select(Notice, User)
        .join(User, User.id == Notice.user_id)
        .where(Notice.next_try_at <= datetime.now(UTC))
        .order_by(Notice.next_try_at)
        .limit(_AT_ONCE)
        .with_for_update(of=Notice, skip_locked=True)
    )
    taken = sum([_send(notice, user) for notice, user in db.session.execute(query).all()])
    db.session.commit()
    return taken


def _send(notice: Notice, user: User) -> bool:
    notice.attempts += 1
    try:
        mail.send(user.email, notice.subject, notice.text, ())
    except (OSError, smtplib.SMTPException) as error:
        _log.warning("a notice was not taken by the mail server: %s", error)
        notice.next_try_at = tries.next_try_at(notice.attempts)
        return False
    notice.next_try_at = None
    return True


def _people(site: Site) -> Iterator[User]:
    """Surveyors and managers of a site; without any, the administrators."""
    members = (
        select(User)
        .join(SiteMember, SiteMember.user_id == User.id)
        .where(SiteMember.site_id == site.id, SiteMember.role >= Role.SURVEYOR, User.is_active)
    )
    admins = select(User).where(
        User.organisation_id == site.organisation_id, User.is_admin, User.is_active
    )
    yield from db.session.scalars(members).all() or db.session.scalars(admins).all()
