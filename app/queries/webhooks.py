"""Webhooks of an organisation with their last deliveries."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from app.extensions import db
from app.models import Webhook, WebhookDelivery
from app.queries import paging

_LAST = 5


@dataclass(frozen=True)
class Watched:
    """An address with what was sent to it last."""

    webhook: Webhook
    deliveries: list[WebhookDelivery]


def of_organisation(organisation_id: UUID) -> list[Watched]:
    """All addresses, the oldest first."""
    query = select(Webhook).where(Webhook.organisation_id == organisation_id)
    rows = list(db.session.scalars(query.order_by(Webhook.created_at)))
    return [Watched(row, _last(row.id)) for row in rows]


def deliveries(webhook_id: UUID, last: UUID | None, limit: int) -> list[WebhookDelivery]:
    """What an address was told, the newest first."""
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    order = (WebhookDelivery.created_at,)
    one_page = paging.page(query, order, WebhookDelivery.id, last, limit, is_descending=True)
    return list(db.session.scalars(one_page))


def _last(webhook_id: UUID) -> list[WebhookDelivery]:
    query = select(WebhookDelivery).where(WebhookDelivery.webhook_id == webhook_id)
    return list(db.session.scalars(query.order_by(WebhookDelivery.created_at.desc()).limit(_LAST)))
