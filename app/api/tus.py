"""The tus protocol, version 1.0: its version in each request and answer, and its description."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Response, request

View = TypeVar("View", bound=Callable[..., Any])

VERSION = "1.0.0"
PART = "application/offset+octet-stream"
_BYTES = {"type": "integer", "minimum": 0}
_HEADERS: Mapping[str, tuple[dict[str, Any], str]] = {
    "Tus-Resumable": ({"type": "string", "const": VERSION}, "The version of the protocol."),
    "Upload-Length": (_BYTES, "Bytes of the whole file."),
    "Upload-Offset": (_BYTES, "Bytes that are safe: the next part begins here."),
    "Upload-Metadata": (
        {"type": "string"},
        "Pairs of name and base64 text: `filename`, and `sha256` in hexadecimal, which the whole "
        "file is checked against.",
    ),
    "Upload-Checksum": (
        {"type": "string"},
        "Algorithm (sha256, sha1, md5) and base64 digest of this part; another part is not taken.",
    ),
    "Upload-Expires": ({"type": "string"}, "Until then the upload can be continued."),
    "Upload-Repeats": (
        {"type": "string"},
        "With the last part: the file of the survey that has the same bytes. This one is not kept.",
    ),
    "Location": ({"type": "string"}, "Address of the upload."),
}


def speaks(
    *,
    status: HTTPStatus,
    needs: tuple[str, ...] = (),
    takes: tuple[str, ...] = (),
    tells: tuple[str, ...] = (),
    has_body: bool = False,
) -> Callable[[View], View]:
    """Speak the protocol in a view.

    Parameters
    ----------
    status : HTTPStatus
        Of its answer.
    needs, takes, tells : tuple of str
        Headers that a request must have, that it may have, and those of the answer.
    has_body : bool
        Whether it takes bytes of the file.
    """
    needs = ("Tus-Resumable", *needs)
    operation: dict[str, Any] = {
        "parameters": [
            {"name": name, "in": "header", "required": name in needs} | _described(name)
            for name in (*needs, *takes)
        ],
        "responses": {
            str(int(status)): {"description": "Done."} | _headers("Tus-Resumable", *tells),
            "412": {"description": "Another version of the protocol."} | _headers("Tus-Resumable"),
        },
    }
    if has_body:
        part = {PART: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": "Upload-Offset" in needs, "content": part}

    def wrap(view: View) -> View:
        @wraps(view)
        def spoken(**arguments: Any) -> Response:
            if request.headers.get("Tus-Resumable") != VERSION:
                answer = Response(status=HTTPStatus.PRECONDITION_FAILED)
                answer.headers["Tus-Version"] = VERSION
            else:
                answer = view(**arguments)
            answer.headers["Tus-Resumable"] = VERSION
            answer.headers["Cache-Control"] = "no-store"
            return answer

        spoken.described = operation  # type: ignore[attr-defined]
        return spoken  # type: ignore[return-value]

    return wrap


def _described(name: str) -> dict[str, Any]:
    schema, words = _HEADERS[name]
    return {"schema": schema, "description": words}


def _headers(*names: str) -> dict[str, Any]:
    return {"headers": {name: _described(name) for name in names}}
