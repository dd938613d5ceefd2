"""Deliveries: a flight is announced, arrives file by file, and is processed once it is whole.

The same photos make one survey, however often and by whatever way they come: a delivery has a key,
and photos that an earlier survey of the site has are left out of a later one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from flask import current_app
from sqlalchemy import select

from app import turns
from app.auth.actor import actor_id
from app.errors import AppError, Conflict, InvalidInput, TooLarge
from app.extensions import db
from app.models import Delivery, DeliverySource, Photo, Run, Site, Survey
from app.queries import deliveries as queries
from app.services import runs, surveys, uploads
from app.services.runs import Choice

_FEWEST_PHOTOS = 3


@dataclass(frozen=True)
class Manifest:
    """What a flight consists of.

    Parameters
    ----------
    files : sequence of dict
        Each with name, size, sha256 (64 hexadecimal digits) and captured_on (ISO date or None).
    name : str
        Of the survey; empty names it after its day.
    flown_on : date or None
        None asks the photos.
    quality : str
        Of the processing.
    """

    files: Sequence[dict[str, Any]]
    name: str = ""
    flown_on: date | None = None
    quality: str = "standard"

    @property
    def key(self) -> str:
        """The same for the same contents, whatever their names and order."""
        digests = sorted({file["sha256"] for file in self.files})
        return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def announce(site: Site, manifest: Manifest) -> Delivery:
    """The delivery of these files by upload: one that is known, or a new one with its survey.

    Raises
    ------
    InvalidInput
        When a file is none that a survey takes, or there are too few photos.
    Conflict
        When they are the rest of a flight that is processed already.
    """
    # Deliveries of a site are announced one after the other.
    turns.wait_for(site.id)
    query = select(Delivery).where(Delivery.site_id == site.id)
    known = query.where(Delivery.source == DeliverySource.UPLOAD, Delivery.key == manifest.key)
    delivery = db.session.scalar(known) or _grown(site, manifest)
    if delivery is None:
        delivery = Delivery(
            site_id=site.id,
            source=DeliverySource.UPLOAD,
            key=manifest.key,
            options={},
            changed_at=datetime.now(UTC),
            created_by=actor_id(),
        )
        admit(site, delivery, manifest)
        db.session.add(delivery)
    db.session.commit()
    return delivery


def admit(site: Site, delivery: Delivery, manifest: Manifest) -> None:
    """Give a delivery its survey, or find that earlier ones have all its photos.

    Raises
    ------
    InvalidInput, Conflict
        As `announce`.
    """
    files = _unique(manifest.files)
    earlier = _earlier(site, delivery, files)
    fresh = [file for file in files if file["sha256"] not in earlier]
    photos = _photos(fresh)
    left_out = len(files) - len(fresh)
    delivery.options = delivery.options | {"quality": manifest.quality, "left_out": left_out}
    if not photos and earlier:
        newest = max(earlier.values(), key=lambda survey: (survey.flown_on, survey.created_at))
        delivery.survey_id, delivery.completed_at = newest.id, datetime.now(UTC)
        return
    if len(photos) < _FEWEST_PHOTOS:
        raise InvalidInput(
            f"There are {len(photos)} photos; a surface needs at least {_FEWEST_PHOTOS}.",
            "Give the whole flight.",
            field="files",
        )
    _check_sizes(fresh, len(photos))
    flown_on = manifest.flown_on or _day(photos)
    _refuse_rest(earlier, flown_on, len(photos))
    delivery.files = fresh
    if delivery.survey_id is None:
        survey = surveys.add(site, manifest.name or f"Flight of {flown_on}", flown_on)
        delivery.survey_id = survey.id


def not_taken(delivery: Delivery, manifest: Manifest) -> tuple[list[str], list[str]]:
    """Names of files that an earlier survey has, and of those that the flight has twice."""
    expected, seen = {file["sha256"] for file in delivery.files}, set()
    earlier, repeated = [], []
    for file in manifest.files:
        if file["sha256"] in seen:
            repeated.append(file["name"])
        elif file["sha256"] not in expected:
            earlier.append(file["name"])
        seen.add(file["sha256"])
    return earlier, repeated


def settle(delivery: Delivery) -> bool:
    """Process a delivery if all of it is there; returns whether it is complete."""
    db.session.refresh(delivery, with_for_update=True)
    if delivery.completed_at is not None or delivery.survey_id is None:
        db.session.rollback()
        return delivery.completed_at is not None
    if queries.standing(delivery).missing:
        db.session.rollback()
        return False
    survey = db.session.get_one(Survey, delivery.survey_id)
    try:
        # A server that was killed in between has started it, and said nothing.
        if db.session.scalar(select(Run.id).where(Run.survey_id == survey.id)) is None:
            runs.start(survey, Choice(quality=delivery.options["quality"]))
        delivery.completed_at, delivery.problem = datetime.now(UTC), ""
    except AppError as error:
        delivery.problem = str(error)
    db.session.commit()
    return delivery.completed_at is not None


def settle_all() -> int:
    """Process what became complete while nobody asked; returns how many deliveries."""
    waiting = db.session.scalars(select(Delivery).where(Delivery.completed_at.is_(None))).all()
    return sum(settle(delivery) for delivery in waiting)


def _grown(site: Site, manifest: Manifest) -> Delivery | None:
    """A delivery on its way that has some of these photos: its folder was read too early."""
    digests = {file["sha256"] for file in _photos(manifest.files)}
    for delivery in queries.waiting(site.id, DeliverySource.UPLOAD):
        if digests & {file["sha256"] for file in _photos(delivery.files)}:
            delivery.key, delivery.changed_at = manifest.key, datetime.now(UTC)
            admit(site, delivery, manifest)
            return delivery
    return None


def _check_sizes(files: Sequence[dict[str, Any]], photo_count: int) -> None:
    """Refuse at once what would be refused after hours of uploading."""
    most = current_app.extensions["cairn_config"].max_survey_photos
    if photo_count > most:
        raise TooLarge(
            f"There are {photo_count} photos; a survey may have {most}.", "Split the flight."
        )
    for file in files:
        uploads.check_size(file["name"], file["size"], uploads.kind_of(file["name"]))


def _refuse_rest(earlier: dict[str, Survey], flown_on: date, count: int) -> None:
    for survey in earlier.values():
        if survey.flown_on == flown_on:
            raise Conflict(
                f"{count} photos are new, but others of the same day are in {survey.name!r}.",
                "Delete that survey to process them together, or add these on its page.",
            )


def _earlier(site: Site, delivery: Delivery, files: Sequence[dict[str, Any]]) -> dict[str, Survey]:
    """The other survey of the site that has a photo already, by the photo's hash."""
    digests = [bytes.fromhex(file["sha256"]) for file in _photos(files)]
    query = (
        select(Photo.sha256, Survey)
        .join(Survey, Survey.id == Photo.survey_id)
        .where(Survey.site_id == site.id, Photo.kind == "photo", Photo.sha256.in_(digests))
    )
    if delivery.survey_id is not None:
        query = query.where(Survey.id != delivery.survey_id)
    return {digest.hex(): survey for digest, survey in db.session.execute(query)}


def _photos(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Files without the control points, which may be the same every week."""
    return [file for file in files if uploads.kind_of(file["name"]) == "photo"]


def _unique(files: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each content once, by its first name."""
    found: dict[str, dict[str, Any]] = {}
    for file in files:
        found.setdefault(file["sha256"], file)
    return list(found.values())


def _day(photos: Sequence[dict[str, Any]]) -> date:
    """The day on which the flight began; today where no photo tells."""
    days = [file["captured_on"] for file in photos if file["captured_on"]]
    return date.fromisoformat(min(days)) if days else datetime.now(UTC).date()
