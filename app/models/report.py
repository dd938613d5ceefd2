"""Monthly inventories by mail: who wants them, and which were sent."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Key, Now, SiteRef


class ReportReader(db.Model):
    """A person who gets the inventory of a site at the end of each month."""

    site_id: Mapped[UUID] = mapped_column(
        ForeignKey("site.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class ReportMail(db.Model):
    """The inventory of a month that was mailed to a person: once, however often the clock rings."""

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    month: Mapped[date]
    sent_at: Mapped[Now]

    __table_args__ = (UniqueConstraint("site_id", "user_id", "month"),)
