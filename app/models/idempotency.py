"""Answers to writing requests that may be sent twice."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Document, Key, Now


class IdempotencyKey(db.Model):
    """The answer to a request with an ``Idempotency-Key``; sent again, it is answered from here."""

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(200))
    request_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    status: Mapped[int]
    body: Mapped[Document]
    created_at: Mapped[Now]

    __table_args__ = (UniqueConstraint("user_id", "key"),)
