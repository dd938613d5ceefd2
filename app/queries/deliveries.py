"""Deliveries: how far each has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import select

from app.extensions import db
from app.models import Delivery, DeliverySource, Photo, Upload
from app.queries import paging


@dataclass(frozen=True)
class Missing:
    """A file that has not arrived in full; `upload_id` is what came of it, if anything did."""

    name: str
    sha256: str
    upload_id: UUID | None
    offset: int


@dataclass(frozen=True)
class Standing:
    """How far a delivery has come."""

    delivery: Delivery
    missing: tuple[Missing, ...]

    @property
    def expected(self) -> int | None:
        """How many files there should be; None for a folder without a list of its files."""
        if any("sha256" in file for file in self.delivery.files):
            return len(self.delivery.files)
        count: int | None = self.delivery.options.get("expected_count")
        return count

    @property
    def arrived(self) -> int:
        """How many of them are there."""
        return len(self.delivery.files) - len(self.missing)

    @property
    def state(self) -> str:
        """The state in a word: waiting, complete or removed."""
        if self.delivery.completed_at is None:
            return "waiting"
        return "removed" if self.delivery.survey_id is None else "complete"


def page(site_id: UUID, after: UUID | None, limit: int) -> list[Standing]:
    """Deliveries to a site, the newest first."""
    query = paging.page(
        select(Delivery).where(Delivery.site_id == site_id),
        (Delivery.created_at,),
        Delivery.id,
        after,
        limit,
        is_descending=True,
    )
    return [standing(delivery) for delivery in db.session.scalars(query)]


def arriving(site_id: UUID) -> list[Standing]:
    """How far those are that are not complete, the oldest first."""
    query = select(Delivery).where(Delivery.site_id == site_id, Delivery.completed_at.is_(None))
    return [standing(row) for row in db.session.scalars(query.order_by(Delivery.created_at))]


def waiting(site_id: UUID, source: DeliverySource) -> list[Delivery]:
    """Deliveries to a site that are not complete, the oldest first."""
    query = select(Delivery).where(
        Delivery.site_id == site_id, Delivery.source == source, Delivery.completed_at.is_(None)
    )
    return list(db.session.scalars(query.order_by(Delivery.created_at)))


def standing(delivery: Delivery) -> Standing:
    """How far one has come."""
    if delivery.completed_at is not None:
        return Standing(delivery, ())
    of_survey = select(Photo.sha256).where(Photo.survey_id == delivery.survey_id)
    here = {digest.hex() for digest in db.session.scalars(of_survey)}
    open_uploads = select(Upload).where(
        Upload.survey_id == delivery.survey_id, Upload.expires_at > datetime.now(UTC)
    )
    uploads = {upload.sha256: upload for upload in db.session.scalars(open_uploads)}
    missing = []
    for file in delivery.files:
        # Of files in an inbox that were not read yet, only the name is known.
        if "sha256" in file and file["sha256"] not in here:
            upload = uploads.get(file["sha256"])
            upload_id, offset = (None, 0) if upload is None else (upload.id, upload.offset)
            missing.append(Missing(file["name"], file["sha256"], upload_id, offset))
    return Standing(delivery, tuple(missing))
