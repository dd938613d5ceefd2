"""Webhooks: what happened, told to those who asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.extensions import db
from app.models import Webhook, WebhookDelivery

EVENTS = ("survey.ready", "survey.failed", "measurement.changed", "period.closed")


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
