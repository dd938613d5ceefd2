"""Notices: what happened without anybody looking, to be mailed once to each person concerned."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Key, Now, SiteRef


class Notice(db.Model):
    """A mail to a person, tried until it is taken; ``user_id`` is none on the notice itself.

    ``key`` says what happened: the same never makes two notices.
    """

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    key: Mapped[str] = mapped_column(String(200))
    user_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), index=True
    )
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    next_try_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), index=True)
    created_at: Mapped[Now]

    __table_args__ = (UniqueConstraint("key", "user_id", postgresql_nulls_not_distinct=True),)
