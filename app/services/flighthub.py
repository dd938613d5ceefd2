"""FlightHub Sync: DJI's cloud puts photos into our store and reports each; the last one starts it.

Each report names a file and says how many of its flight are uploaded and how many are expected. The
photos go to the inbox of the site, below ``flighthub/``; only reports that show the site's secret
count.

References
----------
DJI SDK forum, "Cloud-to-Cloud Integration": ``files`` with a ``key`` each, ``folder_info`` with
``folder_id``, ``uploaded_file_count`` and ``expected_file_count``. DJI Cloud API, "Media
Management", method ``file_upload_callback``: ``file`` with ``object_key`` and ``ext.flight_id``,
``flight_task`` with the same counts.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from flask import current_app
from sqlalchemy import select

from app import inbox as places
from app import turns
from app.auth.secrets import hash_secret
from app.config import Config
from app.errors import AppError, InvalidInput, NotSignedIn
from app.extensions import db
from app.inbox import FLIGHTHUB
from app.models import Delivery, DeliverySource, Inbox, Site
from app.services import inboxes, taking
from app.storage import FAILURES

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """What FlightHub says of one file that it uploaded."""

    object_key: str
    flight_id: str
    uploaded_count: int
    expected_count: int


def site_of(secret: str) -> UUID:
    """The site that a secret is of.

    Raises
    ------
    NotSignedIn
        When it is that of no site.
    """
    query = select(Inbox.site_id).where(Inbox.secret_hash == hash_secret(secret))
    site_id = db.session.scalar(query)
    if site_id is None:
        raise NotSignedIn(
            "The secret is that of no site.", "Send it as X-Auth-Token, or as token in the address."
        )
    return site_id


def note(site_id: UUID, report: Report) -> Delivery:
    """Note that a file of a flight is there.

    Raises
    ------
    InvalidInput
        When the file lies elsewhere than in the inbox of the site.
    """
    name = _name(site_id, report.object_key)
    # Reports of one flight come at the same time.
    turns.wait_for(site_id)
    delivery = taking.delivery_of(site_id, DeliverySource.FLIGHTHUB, report.flight_id)
    if name not in {file["name"] for file in delivery.files}:
        if delivery.completed_at is not None:
            delivery.problem = f"{name} came after the flight was complete."
        else:
            delivery.files = [*delivery.files, {"name": name}]
            delivery.changed_at = datetime.now(UTC)
    counts = delivery.options
    delivery.options = counts | {
        "uploaded_count": max(report.uploaded_count, counts.get("uploaded_count", 0)),
        "expected_count": max(report.expected_count, counts.get("expected_count", 0)),
    }
    db.session.commit()
    return delivery


def take_whole() -> int:
    """Take the flights of which all files were reported; returns how many became complete."""
    config: Config = current_app.extensions["cairn_config"]
    query = (
        select(Delivery, Inbox, Site)
        .join(Inbox, Inbox.site_id == Delivery.site_id)
        .join(Site, Site.id == Delivery.site_id)
        .where(Delivery.source == DeliverySource.FLIGHTHUB, Delivery.completed_at.is_(None))
    )
    found = db.session.execute(query).all()
    inbox = places.from_url(config.inbox_url) if found else None
    return sum(_take(inbox, *row) for row in found) if inbox is not None else 0


def _take(inbox: places.Inbox, delivery: Delivery, row: Inbox, site: Site) -> bool:
    if not _is_whole(delivery):
        return False
    try:
        here = {a.name: a for a in inbox.files(site.id, FLIGHTHUB)}
        names = [file["name"] for file in delivery.files if inboxes.is_wanted(file["name"])]
        missing = [name for name in names if name not in here]
        if missing:
            delivery.problem = f"{missing[0]} was reported, but is not in the store."
            db.session.commit()
            return False
        delivery.options = delivery.options | {"seen": "whole"}
        return taking.take(inbox, site, delivery, [here[n] for n in names], row.quality, {})
    except AppError as error:
        db.session.rollback()
        delivery.problem = str(error)
        db.session.commit()
    except FAILURES as error:
        db.session.rollback()
        _log.warning("the inbox of site %s cannot be read: %s", site.id, error)
    return False


def _is_whole(delivery: Delivery) -> bool:
    counts = delivery.options
    expected = counts["expected_count"]
    if delivery.survey_id is not None:
        # Begun before, by a worker that was killed.
        return True
    return bool(counts["uploaded_count"] == expected and len(delivery.files) == expected)


def _name(site_id: UUID, key: str) -> str:
    """Name of an object below the folder that FlightHub may write to."""
    config: Config = current_app.extensions["cairn_config"]
    prefix = f"{places.from_url(config.inbox_url).prefix}{site_id}/{FLIGHTHUB}/"
    if not key.startswith(prefix) or ".." in key.split("/"):
        raise InvalidInput(
            f"{key!r} is not in the inbox of the site.", f"Let FlightHub write below {prefix}."
        )
    return key.removeprefix(prefix)
