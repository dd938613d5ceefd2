"""A survey: one date of one site, from photos or from a finished surface."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum

from geoalchemy2 import Geometry
from sqlalchemy import DateTime, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.row import Bytes, Document, Key, Name, Now, SiteRef, SurveyRef, UserRef
from app.models.site import Site


class SurveyKind(StrEnum):
    """Where the surface comes from."""

    PHOTOS = "photos"
    SURFACE = "surface"


class SurveyState(StrEnum):
    """How far a survey has come. Only `READY` has products."""

    COLLECTING = "collecting"
    PROCESSING = "processing"
    READY = "ready"
    FAILED = "failed"


class Survey(db.Model):
    """A dated survey. Its products lie in storage under ``surveys/<id>/products``."""

    id: Mapped[Key]
    site_id: Mapped[SiteRef]
    name: Mapped[Name]
    flown_on: Mapped[date]
    kind: Mapped[str] = mapped_column(String(10), default=SurveyKind.PHOTOS)
    state: Mapped[str] = mapped_column(String(12), default=SurveyState.COLLECTING)
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
    # survey.json and the flight verdict as the pipeline wrote them.
    facts: Mapped[Document]
    verdict: Mapped[Document]
    # Piles that a program found, as `app.services.proposing` keeps them.
    proposals: Mapped[Document]
    # How it lies on the survey before, as `app.services.aligning` found.
    alignment: Mapped[Document]
    # When piles were found and carried over; none while that is still to be done.
    followed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    outline: Mapped[object | None] = mapped_column(Geometry("POLYGON", srid=4326))

    site: Mapped[Site] = relationship()
    photos: Mapped[list[Photo]] = relationship(
        order_by="Photo.name", cascade="all, delete-orphan", passive_deletes=True
    )


class Photo(db.Model):
    """A photo or another file of a survey that was uploaded in full."""

    id: Mapped[Key]
    survey_id: Mapped[SurveyRef]
    name: Mapped[Name]
    sha256: Mapped[bytes] = mapped_column(LargeBinary(32))
    size: Mapped[Bytes]
    kind: Mapped[str] = mapped_column(String(10), default="photo", server_default="photo")
    position: Mapped[object | None] = mapped_column(Geometry("POINT", srid=4326))
    facts: Mapped[Document]
    created_at: Mapped[Now]

    __table_args__ = (
        UniqueConstraint("survey_id", "sha256"),
        UniqueConstraint("survey_id", "name"),
    )
