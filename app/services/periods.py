"""Closed periods: an inventory is sealed, and opened again only with a reason."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

from app.auth.actor import require_actor
from app.errors import Conflict, InvalidInput, NotFound
from app.extensions import db
from app.models import Period, Site
from app.queries import inventory
from app.queries import periods as queries
from app.services import audit, webhooks
from app.services.seals import seal_of, sealed_document
from app.units import Units


def get(period_id: UUID) -> Period:
    """A period that the request was let in to.

    Raises
    ------
    NotFound
    """
    period = db.session.get(Period, period_id)
    if period is None:
        raise NotFound("There is no such period.", "Check the address.")
    return period


def close(site: Site, name: str, ends_on: date) -> Period:
    """Close a period with the inventory of its last day; a reopened one is closed as an amendment.

    Raises
    ------
    InvalidInput
        When it has no name, ends in the future, or nothing was measured.
    Conflict
        When a period that ends then or later is closed.
    """
    if not name.strip():
        raise InvalidInput("The period has no name.", "Give it one.", field="name")
    if ends_on > date.today():
        raise InvalidInput(f"{ends_on} is yet to come.", "Close it on its last day.", "ends_on")
    closed = queries.closing(site.id, ends_on)
    if closed is not None:
        raise Conflict(
            f"The period {closed.name!r} is closed up to {closed.ends_on}.",
            "Reopen it with a reason to amend it.",
            field="ends_on",
        )
    found = inventory.on(site, ends_on)
    if found.survey is None or not found.lines:
        raise InvalidInput(
            f"Nothing was measured up to {ends_on}.", "Draw the piles of a survey first.", "ends_on"
        )
    if found.unconfirmed:
        raise Conflict(
            f"{found.unconfirmed} proposed piles wait for somebody to confirm them.",
            "Confirm or remove them first.",
        )
    before = queries.reopened(site.id, ends_on)
    document = sealed_document(site, found, Units.of(site))
    period = Period(
        site_id=site.id,
        name=name.strip()[:200],
        ends_on=ends_on,
        document=document,
        seal=seal_of(document),
        amends_id=None if before is None else before.id,
        reason="" if before is None else before.reopening_reason,
        created_by=require_actor().user.id,
    )
    db.session.add(period)
    _record("period.close" if before is None else "period.amend", period, site)
    webhooks.announce(
        site.organisation_id,
        "period.closed",
        {"site": str(site.id), "period": period.name, "ends_on": str(ends_on)}
        | {"seal": period.seal.hex()},
    )
    db.session.commit()
    return period


def reopen(period: Period, reason: str) -> None:
    """Open a period to amend it; what was sealed stays as it was.

    Raises
    ------
    InvalidInput
        Without a reason.
    Conflict
        When it is open, or was amended already.
    """
    if len(reason.strip()) < 5:
        raise InvalidInput(
            "There is no reason.", "Say why the period must be amended.", field="reason"
        )
    if period.reopened_at is not None or queries.is_amended(period.id):
        raise Conflict("The period is open, or was amended already.", "Look at the newest one.")
    period.reopened_at, period.reopening_reason = datetime.now(UTC), reason.strip()
    _record("period.reopen", period, db.session.get_one(Site, period.site_id))
    db.session.commit()


def _record(action: str, period: Period, site: Site) -> None:
    audit.record(
        action,
        f"{period.name} up to {period.ends_on}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        seal=period.seal.hex(),
        reason=period.reopening_reason or period.reason,
    )
