"""Who changed what, and when. Rows are added and never changed."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Document, Key, Now, OrganisationRef, UserRef


class AuditEvent(db.Model):
    """A change that somebody made."""

    id: Mapped[Key]
    organisation_id: Mapped[OrganisationRef]
    site_id: Mapped[UUID | None] = mapped_column(ForeignKey("site.id", ondelete="SET NULL"))
    user_id: Mapped[UserRef]
    token_id: Mapped[UUID | None] = mapped_column(ForeignKey("api_token.id", ondelete="SET NULL"))
    action: Mapped[str] = mapped_column(String(60))
    subject: Mapped[str] = mapped_column(String(300))
    details: Mapped[Document]
    address: Mapped[str] = mapped_column(String(45), default="", server_default="")
    at: Mapped[Now]

    __table_args__ = (Index("ix_audit_event_organisation_at", "organisation_id", "at"),)
