"""Uploads by the tus protocol, version 1.0: any client of it continues where it was cut off."""

from __future__ import annotations

import base64
import binascii
import sys
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar
from uuid import UUID
from wsgiref.handlers import format_date_time

from flask import Blueprint, Response, request, url_for

from app import files
from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.auth import policy
from app.errors import InvalidInput
from app.models import Role, Upload
from app.queries import photos, surveys
from app.services import uploads
from app.services.uploads import Checksum

blueprint = Blueprint("uploads", __name__, url_prefix="/api/v1")

_VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
_CHECKSUMS = ("sha256", "sha1", "md5")
_PART = "application/offset+octet-stream"

View = TypeVar("View", bound=Callable[..., Any])


class PhotoShape(Shape):
    """A file of a survey; `position` is longitude and latitude."""

    id: UUID
    name: str
    kind: str
    size: int
    sha256: str
    position: list[float] | None
    facts: dict[str, Any]


def _tus(view: View) -> View:
    """Speak the protocol: its version in each request and answer."""

    @wraps(view)
    def spoken(**arguments: Any) -> Response:
        if request.headers.get("Tus-Resumable") != _VERSION:
            answer = Response(status=HTTPStatus.PRECONDITION_FAILED)
            answer.headers["Tus-Version"] = _VERSION
        else:
            answer = view(**arguments)
        answer.headers["Tus-Resumable"] = _VERSION
        answer.headers["Cache-Control"] = "no-store"
        return answer

    return spoken  # type: ignore[return-value]


@blueprint.route("/surveys/<uuid:survey_id>/uploads", methods=["OPTIONS"])
@policy.role(Role.SURVEYOR)
def abilities(survey_id: UUID) -> Response:
    """Tell what of the protocol is spoken."""
    answer = Response(status=HTTPStatus.NO_CONTENT)
    answer.headers["Tus-Resumable"] = answer.headers["Tus-Version"] = _VERSION
    answer.headers["Tus-Extension"] = _EXTENSIONS
    answer.headers["Tus-Checksum-Algorithm"] = ",".join(_CHECKSUMS)
    return answer


@blueprint.get("/surveys/<uuid:survey_id>/photos")
@policy.role(Role.VIEWER)
@contract(query=PageQuery, answer=Page[PhotoShape])
def index(survey_id: UUID, query: PageQuery) -> dict[str, Any]:
    """List the files of a survey that arrived in full, by name."""
    items = [PhotoShape(**facts) for facts in photos.page(survey_id, query.after, query.limit)]
    return {"items": items, "next": next_page(items, query)}


@blueprint.get("/surveys/<uuid:survey_id>/photos/<name>")
@policy.role(Role.VIEWER)
@contract(media_type="application/octet-stream")
def show(survey_id: UUID, name: str) -> Response:
    """Send a file as it was uploaded, or a range of it."""
    storage = uploads.storage()
    return files.send(storage, storage.original(survey_id, photos.get(survey_id, name).name))


@blueprint.post("/surveys/<uuid:survey_id>/uploads")
@policy.role(Role.SURVEYOR)
@_tus
def create(survey_id: UUID) -> Response:
    """Begin an upload, with its first bytes if they come along."""
    _allow_length()
    known = _metadata()
    length = _number("Upload-Length")
    upload = uploads.begin(
        surveys.get(survey_id), known.get("filename", ""), length, known.get("sha256", "")
    )
    answer = Response(status=HTTPStatus.CREATED)
    answer.headers["Location"] = url_for("uploads.where", upload_id=upload.id)
    if request.content_type == _PART:
        answer.headers["Upload-Offset"] = str(_append(upload, 0))
    _tell_end(answer, upload)
    return answer


@blueprint.route("/uploads/<uuid:upload_id>", methods=["HEAD"])
@policy.role(Role.SURVEYOR)
@_tus
def where(upload_id: UUID) -> Response:
    """Tell how many bytes of an upload are safe."""
    upload = uploads.get(upload_id)
    answer = Response(status=HTTPStatus.OK)
    answer.headers["Upload-Offset"] = str(upload.offset)
    answer.headers["Upload-Length"] = str(upload.length)
    _tell_end(answer, upload)
    return answer


@blueprint.patch("/uploads/<uuid:upload_id>")
@policy.role(Role.SURVEYOR)
@_tus
def append(upload_id: UUID) -> Response:
    """Send the next bytes of an upload."""
    _allow_length()
    if request.content_type != _PART:
        return Response(status=HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    upload = uploads.get(upload_id)
    expires = format_date_time(upload.expires_at.timestamp())
    answer = Response(status=HTTPStatus.NO_CONTENT)
    answer.headers["Upload-Offset"] = str(_append(upload, _number("Upload-Offset")))
    answer.headers["Upload-Expires"] = expires
    return answer


@blueprint.delete("/uploads/<uuid:upload_id>")
@policy.role(Role.SURVEYOR)
@_tus
def terminate(upload_id: UUID) -> Response:
    """Give an upload up."""
    uploads.terminate(uploads.get(upload_id))
    return Response(status=HTTPStatus.NO_CONTENT)


def _append(upload: Upload, offset: int) -> int:
    return uploads.append(upload, offset, request.stream, _checksum())


def _allow_length() -> None:
    """Lift the bound on bodies: an upload has its own, and is never held in memory."""
    # None would mean the application's bound.
    request.max_content_length = sys.maxsize


def _tell_end(answer: Response, upload: Upload) -> None:
    answer.headers["Upload-Expires"] = format_date_time(upload.expires_at.timestamp())


def _number(header: str) -> int:
    text = request.headers.get(header, "")
    if not text.isdigit() or len(text) > 15:
        raise InvalidInput(f"{header} is {text!r}.", "It must be a whole number of bytes.")
    return int(text)


def _metadata() -> dict[str, str]:
    """Pairs of name and base64 text."""
    known = {}
    for pair in request.headers.get("Upload-Metadata", "").split(","):
        name, _, text = pair.strip().partition(" ")
        try:
            known[name] = base64.b64decode(text, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError) as error:
            raise InvalidInput(
                f"Upload-Metadata has {name!r} in no base64 text.", "Encode its value."
            ) from error
    return known


def _checksum() -> Checksum | None:
    header = request.headers.get("Upload-Checksum", "")
    if not header:
        return None
    algorithm, _, text = header.partition(" ")
    if algorithm not in _CHECKSUMS:
        raise InvalidInput(
            f"{algorithm!r} is no checksum that is known here.", f"Take {', '.join(_CHECKSUMS)}."
        )
    try:
        return Checksum(algorithm, base64.b64decode(text, validate=True))
    except binascii.Error as error:
        raise InvalidInput("Upload-Checksum is no base64 text.", "Encode the digest.") from error
