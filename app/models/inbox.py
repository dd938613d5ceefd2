"""How the photos of a site come by themselves: from a watched folder, or from FlightHub."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Now


class Inbox(db.Model):
    """What to do with what arrives in the folder of a site below ``INBOX_URL``."""

    site_id: Mapped[UUID] = mapped_column(
        ForeignKey("site.id", ondelete="CASCADE"), primary_key=True
    )
    quality: Mapped[str] = mapped_column(String(10))
    # A flight without a list of its files is whole when nothing has changed for so long.
    quiet_minutes: Mapped[int]
    # Of what FlightHub sends along; nothing is taken from it without one.
    secret_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[Now]
