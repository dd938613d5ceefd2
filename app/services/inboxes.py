"""Inboxes: flights that arrive in the folder of a site are taken once they are whole.

Whole is a flight whose list of files, ``SHA256SUMS`` as ``sha256sum`` writes it, is fulfilled, or,
without such a list, one in which nothing has changed for some minutes. What is less waits, and the
delivery says what for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath

from flask import current_app
from sqlalchemy import select

from app import inbox as places
from app.auth.secrets import hash_secret, new_secret
from app.config import Config
from app.errors import AppError, InvalidInput, NotFound
from app.extensions import db
from app.inbox import FLIGHTHUB, Arrival
from app.models import Delivery, DeliverySource, Inbox, Site
from app.services import audit, taking, uploads
from app.storage import FAILURES

_log = logging.getLogger(__name__)
_LIST = "SHA256SUMS"
_LONGEST_LIST_BYTES = 10_000_000
# What programs call files that they have not finished writing.
_UNFINISHED = (".part", ".partial", ".tmp", ".crdownload", ".filepart")


@dataclass(frozen=True)
class Settings:
    """What somebody chose for the inbox of a site."""

    quality: str
    quiet_minutes: int


def find(site: Site) -> Inbox | None:
    """The inbox of a site, if it has one."""
    return db.session.get(Inbox, site.id)


def get(site: Site) -> Inbox:
    """The inbox of a site.

    Raises
    ------
    NotFound
        When it has none.
    """
    row = find(site)
    if row is None:
        raise NotFound("The site has no inbox.", "Open it by PUT.")
    return row


def address(site: Site) -> str:
    """Where the flights of a site are to be put; empty where the installation has no such place."""
    return f"{_url().rstrip('/')}/{site.id}" if _url() else ""


def open_for(site: Site, settings: Settings) -> Inbox:
    """Watch the folder of a site, or change how.

    Raises
    ------
    InvalidInput
        When this installation has no folder for what arrives.
    """
    if not _url():
        raise InvalidInput(
            "This installation watches no folder.", "Its operator sets INBOX_URL, see README."
        )
    row = find(site) or Inbox(site_id=site.id)
    row.quality, row.quiet_minutes = settings.quality, settings.quiet_minutes
    db.session.add(row)
    _record(site, "inbox.open", quality=settings.quality, quiet_minutes=settings.quiet_minutes)
    db.session.commit()
    return row


def close(site: Site) -> None:
    """Watch the folder of a site no longer."""
    db.session.delete(get(site))
    _record(site, "inbox.close")
    db.session.commit()


def renew_secret(site: Site) -> str:
    """Make the secret that FlightHub must show; the one before ends. It cannot be shown again."""
    row, secret = get(site), new_secret()
    row.secret_hash = hash_secret(secret)
    _record(site, "inbox.secret")
    db.session.commit()
    return secret


def scan() -> int:
    """Look into all inboxes; returns how many flights are complete that were not before."""
    if not _url():
        return 0
    inbox = places.from_url(_url())
    query = select(Inbox, Site).join(Site, Site.id == Inbox.site_id)
    taken = 0
    for row, site in db.session.execute(query.where(Site.archived_at.is_(None))).all():
        try:
            flights = [name for name in inbox.flights(site.id) if name != FLIGHTHUB]
            taken += sum(_look(inbox, row, site, name) for name in flights)
        except FAILURES as error:
            # A share or a store that is away is asked again by the next look.
            db.session.rollback()
            _log.warning("the inbox of site %s cannot be read: %s", site.id, error)
        except Exception:
            # What is wrong in one site must not keep the others waiting.
            db.session.rollback()
            _log.exception("the inbox of site %s cannot be taken", site.id)
    return taken


def _look(inbox: places.Inbox, row: Inbox, site: Site, flight: str) -> bool:
    """Look at one flight; returns whether it became complete."""
    arrivals = inbox.files(site.id, flight)
    key = places.readable(flight)[:300]
    delivery = taking.delivery_of(site.id, DeliverySource.FOLDER, key)
    seen = _digest(arrivals)
    if delivery.completed_at is not None:
        if seen != delivery.options.get("seen") and not delivery.problem:
            delivery.problem = "Files changed after it was taken. Put new ones in a new folder."
            db.session.commit()
        return False
    if seen != delivery.options.get("seen"):
        delivery.options = delivery.options | {"seen": seen, "refused": ""}
        delivery.changed_at = datetime.now(UTC)
        if delivery.survey_id is None:
            files = [a for a in arrivals if is_wanted(a.name)]
            delivery.files = [{"name": a.name, "size": a.size} for a in files]
    if delivery.options.get("refused"):
        # The same files would be refused for the same reason.
        db.session.commit()
        return False
    wanted = [arrival for arrival in arrivals if is_wanted(arrival.name)]
    try:
        expected = _expected(inbox, arrivals)
        if expected:
            delivery.options = delivery.options | {"expected_count": len(expected)}
        delivery.problem = _waits_for(row, delivery, arrivals, expected)
        db.session.commit()
        if delivery.problem:
            return False
        return taking.take(inbox, site, delivery, wanted, row.quality, expected)
    except AppError as error:
        db.session.rollback()
        delivery.problem = str(error)
        delivery.options = delivery.options | {"refused": str(error)}
        db.session.commit()
        return False


def _waits_for(
    row: Inbox, delivery: Delivery, arrivals: Sequence[Arrival], expected: dict[str, str]
) -> str:
    """Why a flight is not whole, in words; empty when it is."""
    count = len(delivery.files)
    if any(_is_unfinished(arrival.name) for arrival in arrivals):
        return f"{count} files so far; one is still being written."
    if expected:
        here = {arrival.name for arrival in arrivals}
        missing = sorted(expected.keys() - here)
        if missing:
            return (
                f"{_LIST} lists {len(expected)} files; {len(missing)} are missing, "
                f"the first of them {missing[0]}."
            )
        return ""
    quiet = timedelta(minutes=row.quiet_minutes)
    if datetime.now(UTC) - delivery.changed_at < quiet:
        return (
            f"{count} files so far; taken once nothing has changed for {row.quiet_minutes} minutes."
        )
    return ""


def _expected(inbox: places.Inbox, arrivals: Sequence[Arrival]) -> dict[str, str]:
    """Hashes by name of the list of files; empty without one.

    Raises
    ------
    InvalidInput
        When it is no such list.
    """
    found = next((arrival for arrival in arrivals if arrival.name == _LIST), None)
    if found is None:
        return {}
    if found.size > _LONGEST_LIST_BYTES:
        raise InvalidInput(f"{_LIST} has {found.size / 1e6:,.0f} MB.", "Write it by sha256sum.")
    with inbox.on_disk(found) as path:
        text = path.read_text("utf-8", errors="replace")
    expected = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        digest, _, name = line.partition(" ")
        name = name.strip().removeprefix("*").removeprefix("./")
        if len(digest) != 64 or not name or set(digest.lower()) - set("0123456789abcdef"):
            raise InvalidInput(f"{_LIST} has the line {line[:100]!r}.", "Write it by sha256sum.")
        expected[name] = digest.lower()
    return expected


def is_wanted(name: str) -> bool:
    """Whether a survey takes it; videos, logs and hidden files may lie beside the photos."""
    path = PurePosixPath(name)
    return _is_taken(path.name) and not any(part.startswith(".") for part in path.parts)


def _is_unfinished(name: str) -> bool:
    """Whether a program is writing it: `a.JPG.part`, or `.a.JPG.x7Ykz2` as rsync does."""
    path = PurePosixPath(name)
    is_hidden_photo = path.name.startswith(".") and any(map(_is_taken, path.suffixes[:-1]))
    return path.suffix.lower() in _UNFINISHED or is_hidden_photo


def _is_taken(name: str) -> bool:
    try:
        uploads.kind_of(f"file{name}")
    except InvalidInput:
        return False
    return True


def _digest(arrivals: Sequence[Arrival]) -> str:
    lines = "\n".join(f"{arrival.name}\t{arrival.size}\t{arrival.changed}" for arrival in arrivals)
    return hashlib.sha256(lines.encode()).hexdigest()


def _url() -> str:
    config: Config = current_app.extensions["cairn_config"]
    return config.inbox_url


def _record(site: Site, action: str, **details: object) -> None:
    audit.record(
        action, site.name, organisation_id=site.organisation_id, site_id=site.id, **details
    )
