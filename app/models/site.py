"""A quarry: where surveys, piles and people come together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, DateTime, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Key, Name, Now, OrganisationRef


class Site(db.Model):
    """A quarry of an organisation.

    ``epsg`` is the projected CRS in metres of all its surveys; 0 until the first survey tells it.
    ``survey_weekday`` (0 is Monday) is the day by which a survey is due; without it none is.
    """

    id: Mapped[Key]
    organisation_id: Mapped[OrganisationRef]
    name: Mapped[Name]
    epsg: Mapped[int] = mapped_column(default=0, server_default="0")
    volume_unit: Mapped[str] = mapped_column(String(3), default="m3", server_default="m3")
    mass_unit: Mapped[str] = mapped_column(String(10), default="t", server_default="t")
    currency: Mapped[str] = mapped_column(String(3), default="EUR", server_default="EUR")
    timezone: Mapped[str] = mapped_column(String(60), default="UTC", server_default="UTC")
    survey_weekday: Mapped[int | None]
    created_at: Mapped[Now]
    archived_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    __table_args__ = (
        UniqueConstraint("organisation_id", "name"),
        CheckConstraint("volume_unit in ('m3', 'yd3')", name="volume_unit"),
        CheckConstraint("mass_unit in ('t', 'short_ton')", name="mass_unit"),
        CheckConstraint("survey_weekday between 0 and 6", name="survey_weekday"),
    )
