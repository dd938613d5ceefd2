"""Messages to other programs: survey ready, measurement changed, period closed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, String, Text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Document, Key, Now, OrganisationRef


class Webhook(db.Model):
    """An address that wants to be told. The secret signs each message."""

    id: Mapped[Key]
    organisation_id: Mapped[OrganisationRef]
    url: Mapped[str] = mapped_column(Text)
    secret: Mapped[str] = mapped_column(String(100))
    events: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    is_active: Mapped[bool] = mapped_column(default=True, server_default="true")
    created_at: Mapped[Now]


class WebhookDelivery(db.Model):
    """One message to one address, tried until it is taken or given up."""

    id: Mapped[Key]
    webhook_id: Mapped[UUID] = mapped_column(
        ForeignKey("webhook.id", ondelete="CASCADE"), index=True
    )
    event: Mapped[str] = mapped_column(String(40))
    body: Mapped[Document]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    status: Mapped[int | None]
    created_at: Mapped[Now]
    next_try_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
    delivered_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
