"""Webhooks: addresses that are told when something happens, and what they were told."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.auth import policy
from app.auth.actor import require_actor
from app.models import Webhook, WebhookDelivery
from app.queries import webhooks as queries
from app.services import webhooks

blueprint = Blueprint("webhooks", __name__, url_prefix="/api/v1/organisation/webhooks")

Event = Literal[
    "survey.ready",
    "survey.measured",
    "survey.failed",
    "survey.overdue",
    "delivery.stalled",
    "measurement.changed",
    "period.closed",
]


class NewWebhook(Shape):
    """An address that wants to be told."""

    url: Annotated[str, Field(min_length=8, max_length=2000)]
    events: Annotated[list[Event], Field(min_length=1, max_length=10)]


class MadeWebhook(Shape):
    """The secret that signs what is sent to a new address; it is told this once.

    The header `Cairn-Signature: t=TIME,v1=HEX` holds HMAC-SHA256 of `TIME.BODY` with it.
    """

    id: UUID
    secret: str


class WebhookShape(Shape):
    """An address without its secret."""

    id: UUID
    url: str
    events: list[str]
    is_active: bool
    created_at: datetime


class MessageShape(Shape):
    """A message; `status` is what was answered last, `next_try_at` null when it is over."""

    id: UUID
    event: str
    body: dict[str, Any]
    attempts: int
    status: int | None
    created_at: datetime
    next_try_at: datetime | None
    delivered_at: datetime | None


@blueprint.get("")
@policy.admin
@contract(answer=list[WebhookShape])
def index() -> list[Webhook]:
    """List the addresses."""
    return [found.webhook for found in queries.of_organisation(require_actor().organisation_id)]


@blueprint.post("")
@policy.admin
@contract(body=NewWebhook, answer=MadeWebhook, status=201, is_secret=True)
def create(body: NewWebhook) -> MadeWebhook:
    """Add an address."""
    row = webhooks.create(require_actor(), body.url, list(body.events))
    return MadeWebhook(id=row.id, secret=row.secret)


@blueprint.delete("/<uuid:webhook_id>")
@policy.admin
@contract(status=204)
def remove(webhook_id: UUID) -> None:
    """Remove an address with what waits for it."""
    webhooks.remove(require_actor(), webhook_id)


@blueprint.post("/<uuid:webhook_id>/test")
@policy.admin
@contract(answer=MessageShape, status=202)
def test(webhook_id: UUID) -> WebhookDelivery:
    """Send the event `ping`, to try the address."""
    return webhooks.ping(require_actor(), webhook_id)


@blueprint.get("/<uuid:webhook_id>/deliveries")
@policy.admin
@contract(query=PageQuery, answer=Page[MessageShape])
def deliveries(webhook_id: UUID, query: PageQuery) -> dict[str, Any]:
    """List what an address was told, the newest first."""
    row = webhooks.get(require_actor(), webhook_id)
    items = queries.deliveries(row.id, query.after, query.limit)
    return {"items": items, "next": next_page(items, query)}
