"""Files on their way in: begun, continued after any interruption, checked, taken as photos.

The bytes of an upload lie in one file and the row says how many of them are safe. Whatever a killed
server or a dropped connection left behind that is cut off when the upload goes on.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import current_app
from geoalchemy2.shape import from_shape
from shapely import Point
from sqlalchemy import func, select

from app import turns
from app.auth.actor import actor_id
from app.config import Config
from app.errors import Conflict, InvalidInput, NotFound, TooLarge
from app.extensions import db
from app.models import Photo, Survey, SurveyState, Upload
from app.services import finished_surfaces, ground_pictures
from app.services.receiving import DIGESTS, Arriving, Checksum, Readable, receive
from app.storage import Storage

_EXPIRES = timedelta(days=7)
_SURFACES = (".tif", ".tiff", ".las", ".laz")
_CONTROL = (".txt", ".csv")
_PHOTOS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_LONGEST_NAME = 120


@dataclass(frozen=True)
class Appended:
    """How many bytes of an upload there are; `repeats` is the file that had the same, or ""."""

    offset: int
    repeats: str = ""


class WrongOffsetError(Conflict):
    """The client goes on at another place than the server."""


def safe_name(name: str) -> str:
    """A file name reduced to plain characters, without any folder.

    Examples
    --------
    >>> safe_name("DCIM/DJI_0001.JPG"), safe_name("../../etc/pass wd;.jpg")
    ('DJI_0001.JPG', 'pass wd_.jpg')
    >>> safe_name("...")
    'file'
    """
    base = re.split(r"[/\\]", name)[-1]
    plain = re.sub(r"[^A-Za-z0-9 ._()+-]", "_", base).lstrip(". ").rstrip(". ")
    stem, dot, suffix = plain.rpartition(".")
    kept = stem[: _LONGEST_NAME - len(suffix) - 1] + dot + suffix[:10]
    return kept[:_LONGEST_NAME] or "file"


def begin(survey: Survey, name: str, length: int, sha256: str) -> Upload:
    """Begin an upload.

    Raises
    ------
    InvalidInput, TooLarge, Conflict
        When the file is none that a survey takes, too large, or one too many, or when the survey
        is being processed.
    """
    config: Config = current_app.extensions["cairn_config"]
    if survey.state == SurveyState.PROCESSING:
        raise Conflict("The survey is being processed.", "Cancel that, or make a new survey.")
    kind = kind_of(safe_name(name), survey.kind)
    if kind == "surface" and _has_kind(survey.id, kind) and _has_kind(survey.id, "picture"):
        raise _one_already(kind)
    check_size(name, length, kind)
    count = _file_count(survey.id)
    if count >= config.max_survey_photos:
        raise TooLarge(
            f"The survey has {count} photos, the most that one may have.", "Split the flight."
        )
    upload = Upload(
        survey_id=survey.id,
        name=safe_name(name),
        length=length,
        sha256=sha256.lower(),
        created_by=actor_id(),
        expires_at=datetime.now(UTC) + _EXPIRES,
    )
    db.session.add(upload)
    db.session.flush()
    storage().begin(upload.id)
    db.session.commit()
    return upload


def check_size(name: str, length: int, kind: str) -> None:
    """Refuse a file of a kind that is empty or too large.

    Raises
    ------
    InvalidInput, TooLarge
    """
    config: Config = current_app.extensions["cairn_config"]
    limit_mb = config.max_photo_mb if kind != "surface" else config.max_surface_mb
    if not 0 <= length <= limit_mb * 1_000_000:
        raise TooLarge(
            f"{name} has {length / 1e6:,.0f} MB; the limit is {limit_mb} MB.",
            "Upload the photos as the camera wrote them.",
        )
    if length == 0:
        raise InvalidInput(f"{name} is empty (0 bytes).", "Copy it from the card again.")


def get(upload_id: UUID) -> Upload:
    """An upload that is still open.

    Raises
    ------
    NotFound
        When it is complete, over or terminated.
    """
    upload = db.session.get(Upload, upload_id)
    if upload is None or upload.expires_at < datetime.now(UTC):
        raise NotFound("There is no such upload, or it is over.", "Begin it again.")
    return upload


def append(upload: Upload, offset: int, stream: Readable, checksum: Checksum | None) -> Appended:
    """Take the next bytes of an upload.

    A complete upload is checked and becomes a photo, unless the survey has the same bytes already.

    Raises
    ------
    WrongOffsetError, BusyError, WrongChecksumError
    InvalidInput
        When the complete file is none that can be used; the upload is over then.
    """
    upload_id, length = upload.id, upload.length

    def safe() -> int:
        # Only now, when nobody else writes: another request may have gone on meanwhile.
        db.session.rollback()
        if offset != (now := get(upload_id).offset):
            raise WrongOffsetError(
                f"The upload is at byte {now}, not {offset}.", "Ask where it is and go on."
            )
        # A slow line holds a thread of the server; it must not hold a connection to the database.
        db.session.commit()
        return offset

    repeats = ""
    with storage().go_on(upload_id, safe) as partial:
        arriving = Arriving(upload_id, length, offset, DIGESTS.take(upload_id, offset))
        received = receive(arriving, partial, stream, checksum)
        if received == length:
            partial.complete()
            repeats = _finish(get(upload_id), arriving.sha256)
        elif arriving.sha256:
            DIGESTS.keep(upload_id, received, arriving.sha256)
    return Appended(received, repeats)


def terminate(upload: Upload) -> None:
    """Give an upload up."""
    storage().give_up(upload.id)
    db.session.delete(upload)
    db.session.commit()


def remove_expired() -> int:
    """Remove uploads that nobody went on with; returns how many."""
    over = list(db.session.scalars(select(Upload).where(Upload.expires_at < datetime.now(UTC))))
    for upload in over:
        terminate(upload)
    return len(over)


def _finish(upload: Upload, sha256: Any) -> str:
    """Check the complete file and take it into the survey; it is a photo, or it is gone.

    Returns the name of the file that it repeats, "" where it is new.
    """
    survey = db.session.get_one(Survey, upload.survey_id)
    try:
        with storage().arrived(upload.id) as path:
            digest = sha256.digest() if sha256 else _sha256(path)
            if upload.sha256 and digest.hex() != upload.sha256:
                raise InvalidInput(f"{upload.name} arrived damaged.", "Upload it again.")
            kind = kind_of(upload.name, survey.kind)
            if kind == "surface":
                kind = _check_surface(path, upload.name)
            facts, position = inspect(path, upload.name) if kind == "photo" else ({}, None)
        # Files are taken into a survey one after the other.
        turns.wait_for(survey.id)
        if repeated := _same(survey.id, digest):
            # The same photo twice is one photo.
            terminate(upload)
            return repeated
        if kind in ("surface", "picture") and _has_kind(survey.id, kind):
            raise _one_already(kind)
    except (InvalidInput, Conflict):
        terminate(upload)
        raise
    upload_id, name = upload.id, _free_name(survey.id, upload.name)
    photo = Photo(
        survey_id=survey.id,
        name=name,
        sha256=digest,
        size=upload.length,
        kind=kind,
        facts=facts,
        position=position,
    )
    db.session.add(photo)
    db.session.delete(upload)
    db.session.flush()
    storage().take(upload_id, survey.id, name)
    db.session.commit()
    # Only now: where the rows could not be written the upload goes on.
    storage().give_up(upload_id)
    return ""


def kind_of(name: str, survey_kind: str = "photos") -> str:
    """What a file of this name is to a survey: photo, control or surface.

    Raises
    ------
    InvalidInput
        When it is nothing that such a survey takes.
    """
    suffix = Path(name).suffix.lower()
    if survey_kind == "surface" and suffix in _SURFACES:
        return "surface"
    if suffix in _CONTROL:
        return "control"
    if survey_kind == "photos" and suffix in _PHOTOS:
        return "photo"
    raise InvalidInput(
        f"{name} is no file that this survey takes.",
        "Upload JPEG, PNG or TIFF photos and text files of control points; raw photos as JPEG."
        if survey_kind == "photos"
        else "Upload a GeoTIFF with elevations, its orthomosaic, or a LAS or LAZ point cloud.",
    )


def inspect(path: Path, name: str) -> tuple[dict[str, Any], object | None]:
    """What a photo says of itself, and where it was taken.

    Raises
    ------
    InvalidInput
        When it cannot be used, with the reason.
    """
    from reconstruction.images import read_header

    found = read_header(path)
    if isinstance(found, str):
        raise InvalidInput(f"{name}: {found}.", "Copy it from the card again, or leave it out.")
    if (kind := _written_as(path)) != _named(name):
        # Who converts photos loses what the camera wrote beside the picture.
        raise InvalidInput(
            f"{name} is a {kind} and not what its name says.",
            "Upload the file as the camera wrote it, or give it its right name.",
        )
    facts = {
        "width_px": found.width_px,
        "height_px": found.height_px,
        "captured_at": found.metadata.captured_at,
        "camera": found.metadata.body,
    }
    place = found.metadata.position
    if place is None or not (abs(place.latitude_deg) <= 90 and abs(place.longitude_deg) <= 180):
        return facts, None
    facts["receiver"] = place.source
    return facts, from_shape(Point(place.longitude_deg, place.latitude_deg), srid=4326)


def _written_as(path: Path) -> str:
    """The format of a picture that can be read."""
    with path.open("rb") as file:
        start = file.read(4)
    return {b"\xff\xd8": "JPEG", b"\x89P": "PNG"}.get(start[:2], "TIFF")


def _named(name: str) -> str:
    """The format that a name says."""
    suffix = Path(name).suffix.lower()
    return {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}.get(suffix, "TIFF")


def _same(survey_id: UUID, digest: bytes) -> str | None:
    """The name of the file of a survey that has these bytes."""
    query = select(Photo.name).where(Photo.survey_id == survey_id, Photo.sha256 == digest)
    return db.session.scalar(query.limit(1))


def _file_count(survey_id: UUID) -> int:
    """Files that arrived and files that are on their way."""
    kinds = (Photo, Upload)
    counts = (
        select(func.count()).select_from(row).where(row.survey_id == survey_id).scalar_subquery()
        for row in kinds
    )
    return sum(db.session.execute(select(*counts)).one())


def _check_surface(path: Path, name: str) -> str:
    """Refuse what is neither a surface nor an orthomosaic; tells which of them it is."""
    kind = finished_surfaces.kind_of(path, name)
    if kind == "surface":
        finished_surfaces.check(path, name)
    else:
        ground_pictures.check(path, name)
    return kind


def _one_already(kind: str) -> Conflict:
    found = {"surface": "a surface", "picture": "an orthomosaic"}[kind]
    return Conflict(f"The survey has {found} already.", "Make a new survey for another one.")


def _has_kind(survey_id: UUID, kind: str) -> bool:
    query = select(Photo.id).where(Photo.survey_id == survey_id, Photo.kind == kind)
    return db.session.scalar(query.limit(1)) is not None


def _free_name(survey_id: UUID, name: str) -> str:
    """The name, numbered when another photo of the survey has it: cards count from 1 again."""
    query = select(Photo.name).where(Photo.survey_id == survey_id)
    taken = {taken.lower() for taken in db.session.scalars(query)}
    stem, suffix = os.path.splitext(name)
    candidate, number = name, 1
    while candidate.lower() in taken:
        number += 1
        candidate = f"{stem}_{number}{suffix}"
    return candidate


def _sha256(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def storage() -> Storage:
    """The storage of this application."""
    found: Storage = current_app.extensions["cairn_storage"]
    return found
