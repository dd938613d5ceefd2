"""Closed periods: an inventory sealed with the hashes of all that it rests on."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.auth.actor import require_actor
from app.errors import Conflict, InvalidInput, NotFound
from app.extensions import db
from app.models import Period, Photo, Site
from app.queries import inventory, toes
from app.queries import periods as queries
from app.queries.inventory import Inventory
from app.services import audit, exports, webhooks


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
    document = sealed_document(site, found)
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


def sealed_document(site: Site, found: Inventory) -> dict[str, Any]:
    """Everything that an inventory says and rests on, fit for JSON."""
    survey = found.survey
    if survey is None:
        raise InvalidInput("There is no survey.", "Process one first.")
    photos = select(Photo.name, Photo.sha256).where(Photo.survey_id == survey.id)
    rows = exports.table(site, found)
    return {
        "site": site.name,
        "day": str(found.day),
        "survey": {"id": str(survey.id), "name": survey.name, "flown_on": str(survey.flown_on)},
        "options": survey.facts.get("options", {}),
        "software": survey.facts.get("software", {}),
        "photos": {
            name: digest.hex() for name, digest in db.session.execute(photos.order_by(Photo.name))
        },
        "columns": list(rows.header),
        "lines": [[_plain(cell) for cell in row] for row in (*rows.rows, rows.total)],
        "polygons": {
            toe.pile.name: {
                "coordinates": [[list(place) for place in ring] for ring in outline.coordinates],
                "walls": list(outline.walls),
                "base": toe.options.get("base", {}),
                "software": toe.measurement.details.get("software", ""),
            }
            for toe in toes.of_survey(survey.id)
            if toe.is_confirmed and toe.measurement and (outline := toes.outline(toe))
        },
    }


def seal_of(document: dict[str, Any]) -> bytes:
    """SHA-256 of a document in its one canonical form.

    Examples
    --------
    >>> seal_of({"a": 1, "b": 2}) == seal_of({"b": 2, "a": 1})
    True
    """
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).digest()


def differences(period: Period) -> list[str]:
    """What of a sealed period is no longer as it was; empty where all still fits."""
    found = []
    if seal_of(period.document) != period.seal:
        found.append("the stored inventory")
    site = db.session.get_one(Site, period.site_id)
    now = sealed_document(site, inventory.on(site, period.ends_on))
    # A later version may show more columns; those that were sealed are compared.
    rows = [dict(zip(now["columns"], line, strict=True)) for line in now["lines"]]
    now["lines"] = [[row.get(name) for name in period.document["columns"]] for row in rows]
    names = {"lines": "volumes, masses or values", "polygons": "toes", "photos": "photos"}
    names |= {"options": "options", "software": "software", "survey": "the survey"}
    found += [text for key, text in names.items() if now[key] != period.document.get(key)]
    return found


def _plain(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, date) else cell


def _record(action: str, period: Period, site: Site) -> None:
    audit.record(
        action,
        f"{period.name} up to {period.ends_on}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        seal=period.seal.hex(),
        reason=period.reopening_reason or period.reason,
    )
