"""The photos of one flight on their way in: what is expected, and whether all of it came."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Document, Key, Moment, Now, SiteRef, UserRef


class DeliverySource(StrEnum):
    """How the photos come."""

    UPLOAD = "upload"
    FOLDER = "folder"
    FLIGHTHUB = "flighthub"


class Delivery(db.Model):
    """A flight that is delivered. It is processed once all of it is there, and never before.

    ``key`` is what makes two deliveries of a source the same: the hash of all hashes, the name of a
    folder, the flight's number. A survey that somebody deleted leaves its delivery behind, so the
    same photos are not taken again.
    """

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    survey_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("survey.id", ondelete="SET NULL"), index=True
    )
    source: Mapped[str] = mapped_column(String(10))
    key: Mapped[str] = mapped_column(String(300))
    # Files that are expected: name, size, sha256.
    files: Mapped[list] = mapped_column(JSONB, default=list, server_default="[]")
    # The run's choice.
    options: Mapped[Document]
    # Why it waits, for a surveyor; empty while it simply comes.
    problem: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
    # When it last came nearer to being complete.
    changed_at: Mapped[Moment]
    completed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        Index("uq_delivery_site_source_key", "site_id", "source", "key", unique=True),
        CheckConstraint("source in ('upload', 'folder', 'flighthub')", name="source"),
    )
