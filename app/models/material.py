"""What a pile is made of, and what a tonne of it is worth, from a date on."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.row import Key, Name, Now, SiteRef, UserRef


class Material(db.Model):
    """A product of a site, e.g. "0/32 crushed"."""

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    name: Mapped[Name]
    colour: Mapped[str] = mapped_column(String(7), default="#8a7f72", server_default="#8a7f72")

    values: Mapped[list[MaterialValue]] = relationship(
        order_by="MaterialValue.valid_from", cascade="all, delete-orphan"
    )

    __table_args__ = (UniqueConstraint("site_id", "name"),)


class MaterialValue(db.Model):
    """Density, moisture and price from a date on, each with its 1 sigma; never overwritten."""

    id: Mapped[Key]
    material_id: Mapped[UUID] = mapped_column(
        ForeignKey("material.id", ondelete="CASCADE"), index=True
    )
    valid_from: Mapped[date]
    density_t_m3: Mapped[float]
    density_sigma_t_m3: Mapped[float]
    moisture_share: Mapped[float] = mapped_column(default=0.0, server_default="0")
    moisture_sigma: Mapped[float] = mapped_column(default=0.0, server_default="0")
    price_per_t: Mapped[float | None]
    price_sigma_per_t: Mapped[float] = mapped_column(default=0.0, server_default="0")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]

    __table_args__ = (UniqueConstraint("material_id", "valid_from"),)
