"""Uploads by the tus protocol, version 1.0: any client of it continues where it was cut off."""

from __future__ import annotations

import base64
import binascii
import sys
from http import HTTPStatus
from typing import Any
from uuid import UUID
from wsgiref.handlers import format_date_time

from flask import Blueprint, Response, request, url_for

from app import files
from app.api import tus
from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.auth import policy
from app.errors import InvalidInput, UnsupportedMediaType
from app.models import Role, Upload
from app.queries import photos, surveys
from app.services import uploads
from app.services.receiving import Checksum

blueprint = Blueprint("uploads", __name__, url_prefix="/api/v1")

_EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
_CHECKSUMS = ("sha256", "sha1", "md5")


class _Body:
    """The body of the request, straight from the server.

    Werkzeug's stream, made for forms, copies each byte three times more: a second for a gigabyte.
    """

    def __init__(self) -> None:
        self._input = request.environ["wsgi.input"]
        is_bounded = bool(request.environ.get("wsgi.input_terminated"))
        self._left = request.content_length or (sys.maxsize if is_bounded else 0)

    def read(self, size: int, /) -> bytes:
        """The next bytes; none after the last, and where the connection broke."""
        try:
            block: bytes = self._input.read(min(size, self._left))
        except OSError:
            return b""
        self._left -= len(block)
        return block


class PhotoShape(Shape):
    """A file of a survey; `position` is longitude and latitude."""

    id: UUID
    name: str
    kind: str
    size: int
    sha256: str
    position: list[float] | None
    facts: dict[str, Any]


@blueprint.route("/surveys/<uuid:survey_id>/uploads", methods=["OPTIONS"])
@policy.role(Role.SURVEYOR)
def abilities(survey_id: UUID) -> Response:
    """Tell what of the protocol is spoken."""
    answer = Response(status=HTTPStatus.NO_CONTENT)
    answer.headers["Tus-Resumable"] = answer.headers["Tus-Version"] = tus.VERSION
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
@tus.speaks(
    status=HTTPStatus.CREATED,
    needs=("Upload-Length", "Upload-Metadata"),
    takes=("Upload-Checksum",),
    tells=("Location", "Upload-Offset", "Upload-Expires", "Upload-Repeats"),
    has_body=True,
)
def create(survey_id: UUID) -> Response:
    """Begin an upload, with its first bytes if they come along."""
    known = _metadata()
    length = _number("Upload-Length")
    upload = uploads.begin(
        surveys.get(survey_id), known.get("filename", ""), length, known.get("sha256", "")
    )
    answer = Response(status=HTTPStatus.CREATED)
    answer.headers["Location"] = url_for("uploads.where", upload_id=upload.id)
    if request.content_type == tus.PART:
        _append(answer, upload, 0)
    _tell_end(answer, upload)
    return answer


@blueprint.route("/uploads/<uuid:upload_id>", methods=["HEAD"])
@policy.role(Role.SURVEYOR)
@tus.speaks(status=HTTPStatus.OK, tells=("Upload-Offset", "Upload-Length", "Upload-Expires"))
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
@tus.speaks(
    status=HTTPStatus.NO_CONTENT,
    needs=("Upload-Offset",),
    takes=("Upload-Checksum",),
    tells=("Upload-Offset", "Upload-Expires", "Upload-Repeats"),
    has_body=True,
)
def append(upload_id: UUID) -> Response:
    """Send the next bytes of an upload. The same photo twice is one photo: `Upload-Repeats`."""
    if request.content_type != tus.PART:
        raise UnsupportedMediaType(f"Send the part as {tus.PART}.")
    upload = uploads.get(upload_id)
    expires = format_date_time(upload.expires_at.timestamp())
    answer = Response(status=HTTPStatus.NO_CONTENT)
    _append(answer, upload, _number("Upload-Offset"))
    answer.headers["Upload-Expires"] = expires
    return answer


@blueprint.delete("/uploads/<uuid:upload_id>")
@policy.role(Role.SURVEYOR)
@tus.speaks(status=HTTPStatus.NO_CONTENT)
def terminate(upload_id: UUID) -> Response:
    """Give an upload up."""
    uploads.terminate(uploads.get(upload_id))
    return Response(status=HTTPStatus.NO_CONTENT)


def _append(answer: Response, upload: Upload, offset: int) -> None:
    appended = uploads.append(upload, offset, _Body(), _checksum())
    answer.headers["Upload-Offset"] = str(appended.offset)
    if appended.repeats:
        answer.headers["Upload-Repeats"] = appended.repeats


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
