"""What the books say: production and sales, to hold against what was measured."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Key, Now, SiteRef, UserRef


class BookKind(StrEnum):
    """Direction of a movement."""

    PRODUCTION = "production"
    SALE = "sale"


class BookEntry(db.Model):
    """A movement of material on a day, in tonnes."""

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    material_id: Mapped[UUID] = mapped_column(
        ForeignKey("material.id", ondelete="CASCADE"), index=True
    )
    on: Mapped[date]
    kind: Mapped[str] = mapped_column(String(10))
    mass_t: Mapped[float]
    reference: Mapped[str] = mapped_column(String(200), default="", server_default="")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
