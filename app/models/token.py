"""Tokens for machines: scoped, shown once, stored hashed."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, String
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Key, Name, Now, OrganisationRef


class ApiToken(db.Model):
    """A token acts as its owner, on the sites and with the actions that it names only."""

    id: Mapped[Key]
    organisation_id: Mapped[OrganisationRef]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[Name]
    prefix: Mapped[str] = mapped_column(String(12))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    # Site ids as text; empty means all sites of the owner.
    sites: Mapped[list] = mapped_column(JSONB, default=list, server_default="[]")
    actions: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    created_at: Mapped[Now]
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
