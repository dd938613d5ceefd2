"""Webhooks: what happened, told to those who asked, signed, tried until it is taken."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import json
import logging
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from flask import current_app
from sqlalchemy import select

from app.auth.actor import Actor
from app.auth.secrets import new_secret
from app.config import Config
from app.errors import InvalidInput, NotFound
from app.extensions import db
from app.models import Webhook, WebhookDelivery
from app.services import audit, tries

_log = logging.getLogger(__name__)
EVENTS = (
    "survey.ready",
    "survey.measured",
    "survey.failed",
    "survey.overdue",
    "delivery.stalled",
    "measurement.changed",
    "period.closed",
)
_TIMEOUT_S = 10.0
_AT_ONCE = 20
# Addresses that stand for those of version 4 (RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def create(actor: Actor, url: str, events: list[str]) -> Webhook:
    """Add an address; its secret signs what is sent there.

    Raises
    ------
    InvalidInput
        When the address is none, or no event is chosen.
    """
    parts = _parts(url)
    if (
        parts is None
        or parts.scheme not in ("https", "http")
        or not parts.hostname
        or parts.username
    ):
        raise InvalidInput(
            f"{url!r} is no address.", "Give one like https://example.org/cairn.", field="url"
        )
    if not events or set(events) - set(EVENTS):
        raise InvalidInput("No event is chosen.", "Choose what to be told.", field="events")
    row = Webhook(
        organisation_id=actor.organisation_id,
        url=url.strip(),
        secret=new_secret(),
        events=sorted(set(events)),
    )
    db.session.add(row)
    audit.record("webhook.create", parts.hostname, organisation_id=actor.organisation_id)
    db.session.commit()
    return row


def get(actor: Actor, webhook_id: UUID) -> Webhook:
    """An address of the actor's organisation.

    Raises
    ------
    NotFound
        When it is of another one.
    """
    row = db.session.get(Webhook, webhook_id)
    if row is None or row.organisation_id != actor.organisation_id:
        raise NotFound("There is no such webhook.", "Load the page again.")
    return row


def ping(actor: Actor, webhook_id: UUID) -> WebhookDelivery:
    """Send something harmless, to try an address.

    Raises
    ------
    NotFound
        When it is of another organisation.
    """
    row = WebhookDelivery(
        webhook_id=get(actor, webhook_id).id,
        event="ping",
        body={},
        next_try_at=datetime.now(UTC),
    )
    db.session.add(row)
    db.session.commit()
    return row


def remove(actor: Actor, webhook_id: UUID) -> None:
    """Remove an address with what waits for it.

    Raises
    ------
    NotFound
        When it is of another organisation.
    """
    row = get(actor, webhook_id)
    host = urlsplit(row.url).hostname or ""
    audit.record("webhook.remove", host, organisation_id=actor.organisation_id)
    db.session.delete(row)
    db.session.commit()


def announce(organisation_id: UUID, event: str, body: dict[str, Any]) -> None:
    """Note an event for everyone who wants it, within the caller's transaction.

    It is sent once that is committed: a worker looks for what is due.
    """
    query = select(Webhook).where(
        Webhook.organisation_id == organisation_id,
        Webhook.is_active,
        Webhook.events.contains([event]),
    )
    for webhook in db.session.scalars(query):
        db.session.add(
            WebhookDelivery(
                webhook_id=webhook.id, event=event, body=body, next_try_at=datetime.now(UTC)
            )
        )


def deliver_due() -> int:
    """Send what is due; returns how many messages were taken."""
    query = (
        select(WebhookDelivery, Webhook)
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .where(WebhookDelivery.next_try_at <= datetime.now(UTC))
        .order_by(WebhookDelivery.next_try_at)
        .limit(_AT_ONCE)
        .with_for_update(of=WebhookDelivery, skip_locked=True)
    )
    taken = 0
    for delivery, webhook in db.session.execute(query).all():
        delivery.attempts += 1
        delivery.status = _send(webhook, delivery)
        is_taken = delivery.status is not None and 200 <= delivery.status < 300
        if is_taken:
            delivery.delivered_at, delivery.next_try_at = datetime.now(UTC), None
        else:
            delivery.next_try_at = tries.next_try_at(delivery.attempts)
        taken += is_taken
    db.session.commit()
    return taken


def _parts(url: str) -> SplitResult | None:
    """An address in its parts; None where it is none."""
    try:
        parts = urlsplit(url.strip())
        # Reading a port that is none raises.
        return parts if parts.port is None or parts.port > 0 else None
    except ValueError:
        return None


def signature(secret: str, moment: int, body: bytes) -> str:
    """What proves that a message is ours: HMAC-SHA256 over its time and its body.

    Examples
    --------
    >>> signature("key", 1, b"{}")[:9]
    't=1,v1=1b'
    """
    digest = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256)
    return f"t={moment},v1={digest.hexdigest()}"


def _send(webhook: Webhook, delivery: WebhookDelivery) -> int | None:
    """Status of the answer; None where there was none."""
    message = {"id": str(delivery.id), "event": delivery.event, "data": delivery.body}
    body = json.dumps(message, sort_keys=True).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Cairn",
        "Cairn-Signature": signature(webhook.secret, int(time.time()), body),
    }
    parts = urlsplit(webhook.url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection = _connection(parts.scheme, parts.hostname or "", parts.port)
        # Whoever answers a byte at a time would hold up what others wait for.
        hanging_up = threading.Timer(_TIMEOUT_S, _hang_up, [connection.sock])
        hanging_up.start()
        try:
            connection.request("POST", path, body, headers)
            return connection.getresponse().status
        finally:
            hanging_up.cancel()
            connection.close()
    except (OSError, http.client.HTTPException) as error:
        _log.warning("a webhook to %s was not taken: %s", parts.hostname, error)
        return None


def _connection(scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
    """A connection to an address of the outside world.

    The name is looked up once and that address is used: a name that leads elsewhere the next time
    cannot make us talk to machines behind our own walls.
    """
    config: Config = current_app.extensions["cairn_config"]
    port = port or (443 if scheme == "https" else 80)
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4][0]
    if not is_outside(address) and not config.may_call_private:
        raise OSError(f"{host} is {address}, which is no address of the outside world")
    raw = socket.create_connection((address, port), timeout=_TIMEOUT_S)
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
    if scheme == "https":
        # The handshake comes with the first bytes, and within the time for all of it.
        raw = ssl.create_default_context().wrap_socket(
            raw, server_hostname=host, do_handshake_on_connect=False
        )
    connection.sock = raw
    return connection


def is_outside(address: str) -> bool:
    """Whether an address is of the outside world, and the one that gateways make of it, too.

    Examples
    --------
    >>> is_outside("2606:4700::1111"), is_outside("64:ff9b::a00:1"), is_outside("2002:7f00:1::")
    (True, False, False)
    """
    found = meant = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        within = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        meant = within if found in _NAT64 else found.sixtofour or found
    return found.is_global and meant.is_global and not found.is_multicast


def _hang_up(line: socket.socket) -> None:
    # It may be over by now.
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
