"""Monthly reports: the inventory of each month's last day, mailed to those who asked for it."""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert

from app.amount import Amount
from app.errors import InvalidInput
from app.extensions import db
from app.models import ReportMail, ReportReader, Site, SiteMember, User
from app.queries import inventory
from app.queries.inventory import Inventory
from app.services import audit, mail, notices
from app.services.inventory_files import FORMATS
from app.units import Units

_log = logging.getLogger(__name__)
# By then people at the site have drawn what was flown on the last day.
_SENT_FROM = timedelta(days=1, hours=6)


def is_reader(site: Site, user: User) -> bool:
    """Whether somebody gets the reports of a site."""
    return db.session.get(ReportReader, (site.id, user.id)) is not None


def set_reader(site: Site, user: User, *, is_wanted: bool) -> None:
    """Send somebody the reports of a site from now on, or no longer.

    Raises
    ------
    InvalidInput
        When the installation sends no mail.
    """
    row = db.session.get(ReportReader, (site.id, user.id))
    if is_wanted and not mail.is_configured():
        raise InvalidInput("This installation sends no mail.", "Ask who runs it for a mail server.")
    if is_wanted and row is None:
        db.session.add(ReportReader(site_id=site.id, user_id=user.id))
    elif row is not None and not is_wanted:
        db.session.delete(row)
    audit.record(
        "report.subscribe" if is_wanted else "report.unsubscribe",
        user.email,
        organisation_id=site.organisation_id,
        site_id=site.id,
    )
    db.session.commit()


def send_due_reports(now: datetime) -> int:
    """Mail the reports of the month before to whoever has not got them; returns how many.

    May be called as often as one likes: a report is noted in the transaction that mails it. A mail
    server that does not answer is asked again the next time.
    """
    if not mail.is_configured():
        return 0
    is_read = Site.id.in_(select(ReportReader.site_id))
    sites = db.session.scalars(select(Site).where(Site.archived_at.is_(None), is_read)).all()
    return sum(_send(site, now) for site in sites)


def last_day(now: datetime, timezone: str) -> date:
    """The last day of the month whose report is due.

    Examples
    --------
    >>> from datetime import UTC
    >>> str(last_day(datetime(2026, 12, 2, 7, tzinfo=UTC), "UTC"))
    '2026-11-30'
    >>> str(last_day(datetime(2026, 12, 2, 5, tzinfo=UTC), "UTC"))
    '2026-10-31'
    """
    today = (now.astimezone(ZoneInfo(timezone)) - _SENT_FROM).date()
    return today.replace(day=1) - timedelta(days=1)


def _send(site: Site, now: datetime) -> int:
    day = last_day(now, site.timezone)
    readers = _waiting(site, day)
    found = inventory.on(site, day) if readers else None
    if found is None or not found.lines:
        return 0
    subject, text = f"{site.name}: inventory of {day:%B %Y}", _text(site, found)
    file = (f"inventory-{day}.pdf", FORMATS["pdf"].write(site, found), "application/pdf")
    sent = 0
    for user_id, email in readers:
        try:
            if _note(site.id, user_id, day):
                mail.send(email, subject, text, (file,))
                sent += 1
            db.session.commit()
        except (OSError, smtplib.SMTPException):
            db.session.rollback()
            _log.exception("a report to a reader of %s was not taken", site.id)
    return sent


def _waiting(site: Site, day: date) -> Sequence[tuple[UUID, str]]:
    """Readers without the report of a month who may still see the site."""
    has_it = select(ReportMail.user_id).where(
        ReportMail.site_id == site.id, ReportMail.month == day.replace(day=1)
    )
    is_member = User.id.in_(select(SiteMember.user_id).where(SiteMember.site_id == site.id))
    query = (
        select(User.id, User.email)
        .join(ReportReader, ReportReader.user_id == User.id)
        .where(
            ReportReader.site_id == site.id,
            User.organisation_id == site.organisation_id,
            User.is_active,
            or_(User.is_admin, is_member),
            User.id.not_in(has_it),
        )
        .order_by(User.email)
    )
    return [(user_id, email) for user_id, email in db.session.execute(query)]


def _note(site_id: UUID, user_id: UUID, day: date) -> bool:
    """Note a report as mailed, in the transaction that mails it; whether nobody else does."""
    row = {"id": uuid4(), "site_id": site_id, "user_id": user_id, "month": day.replace(day=1)}
    statement = insert(ReportMail).values(row).on_conflict_do_nothing().returning(ReportMail.id)
    return db.session.scalar(statement) is not None


def _text(site: Site, found: Inventory) -> str:
    units = Units.of(site)
    survey = "" if found.survey is None else f", by the survey of {found.survey.flown_on}"
    piles = "1 pile" if len(found.lines) == 1 else f"{len(found.lines)} piles"
    lines = [
        f"What lay at {site.name} on {found.day}{survey}:",
        "",
        f"  {_shown(found.volume_m3, units.per_m3)} {units.volume} in {piles}",
    ]
    if found.mass_t is not None:
        lines.append(f"  {_shown(found.mass_t, units.per_t)} {units.mass}")
    if found.value is not None:
        lines.append(f"  {_shown(found.value, 1.0)} {units.currency}")
    address = notices.link(f"/sites/{site.id}/inventory?on={found.day}")
    closing = ("", "± is the half-width of the 95 % interval. The PDF has each pile.", "", address)
    return "\n".join((*lines, *closing)) + "\n"


def _shown(amount: Amount, factor: float) -> str:
    shown = amount * factor
    return f"{shown.value:,.{shown.digits}f} ± {shown.u95:,.{shown.digits}f}"
