"""A closed period: an inventory that was signed, sealed with the hashes of all it rests on."""

from __future__ import annotations

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, Index, LargeBinary, Text
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Document, Key, Name, Now, SiteRef, UserRef


class Period(db.Model):
    """A closed inventory. An amendment is a new row with a reason that points to the one before."""

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    name: Mapped[Name]
    ends_on: Mapped[date]
    # The inventory as it was, and SHA-256 of photos, options, versions and polygons.
    document: Mapped[Document]
    seal: Mapped[bytes] = mapped_column(LargeBinary(32))
    amends_id: Mapped[UUID | None] = mapped_column(ForeignKey("period.id"), unique=True)
    reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    # Opened for an amendment: what lies in it may change until it is closed again.
    reopened_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    reopening_reason: Mapped[str] = mapped_column(Text, default="", server_default="")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]

    __table_args__ = (
        Index(
            "uq_period_site_ends_first",
            "site_id",
            "ends_on",
            unique=True,
            postgresql_where=amends_id.is_(None),
        ),
    )
