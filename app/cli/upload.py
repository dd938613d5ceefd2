"""``cairn upload``: a folder becomes one survey, once, however often the command runs."""

from __future__ import annotations

import argparse
import base64
from http import HTTPStatus
from typing import IO, Any

import requests

from app.cli import folder
from app.cli.connection import LATER, Connection, RefusedError, check
from app.cli.folder import File

_TUS = {"Tus-Resumable": "1.0.0"}
# Another process sends the same file, or the server is at another place of it: ask again.
_ASK_AGAIN = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def run(connection: Connection, chosen: argparse.Namespace) -> int:
    """Send a folder; returns the exit code.

    Raises
    ------
    RefusedError, NotNowError
    """
    say = (lambda _words: None) if chosen.quiet else _say
    site = find_site(connection, chosen.site)
    paths = folder.wait_until_still(chosen.folder, chosen.settle)
    files = [folder.read(path) for path in [*paths, *([chosen.gcp] if chosen.gcp else [])]]
    say(f"{len(paths)} photos, {sum(file.size for file in files) / 1e6:,.0f} MB")
    manifest = {
        "files": [file.document for file in files],
        "name": chosen.name,
        "flown_on": None if chosen.flown_on is None else chosen.flown_on.isoformat(),
        "quality": chosen.quality,
    }
    by_digest = {file.sha256: file for file in files}
    address = f"/api/v1/sites/{site['id']}/deliveries"
    # The server knows best what is missing: each round asks anew, whatever happened in between.
    while (told := connection.json("POST", address, manifest))["missing"]:
        if told["problem"]:
            raise RefusedError(told["problem"])
        arrived = told["arrived"]
        for missing in told["missing"]:
            _send(connection, told["uploads_url"], missing, by_digest[missing["sha256"]])
            arrived += 1
            say(f"{arrived} of {told['expected']}: {missing['name']}")
    return _end(told, site["name"], say)


def _say(words: str) -> None:
    print(words, flush=True)


def find_site(connection: Connection, wanted: str) -> dict[str, Any]:
    """The site with a name or an id.

    Raises
    ------
    RefusedError
        When the token sees none, or several.
    """
    sites = list(connection.items("/api/v1/sites"))
    found = [site for site in sites if wanted in (site["id"], site["name"])]
    if len(found) != 1:
        names = ", ".join(site["name"] for site in sites) or "none"
        raise RefusedError(f"There is no site {wanted!r}; the token sees: {names}.")
    return dict(found[0])


def _end(told: dict[str, Any], site: str, say: Any) -> int:
    if told["problem"]:
        raise RefusedError(told["problem"])
    if told["state"] == "removed":
        raise RefusedError(
            f"Somebody deleted the survey of these photos at {site}; they are not taken again. "
            "Move them out of the folder, or upload them on a survey's page."
        )
    left_out = told["left_out"]
    if left_out:
        say(f"{left_out} photos are in earlier surveys and were left out.")
    say(f"All there; {site} processes them. Survey {told['survey_id']}")
    return 0


def _send(connection: Connection, uploads: str, missing: dict[str, Any], file: File) -> None:
    """Send one file, from wherever an earlier attempt left off."""
    address, offset = missing["upload_url"], missing["offset"]
    if address is None:
        address = _begin(connection, uploads, file)
    with file.path.open("rb") as content:
        while offset is not None and offset < file.size:
            offset = _append(connection, address, offset, content, file)


def _begin(connection: Connection, uploads: str, file: File) -> str:
    name = base64.b64encode(file.path.name.encode()).decode()
    digest = base64.b64encode(file.sha256.encode()).decode()
    headers = _TUS | {
        "Upload-Length": str(file.size),
        "Upload-Metadata": f"filename {name},sha256 {digest}",
    }
    while True:
        answer = connection.attempt("POST", uploads, headers)
        if answer is not None and answer.ok:
            connection.got_through()
            return str(answer.headers["Location"])
        _fail_or_wait(connection, answer, file)


def _append(
    connection: Connection, address: str, offset: int, content: IO[bytes], file: File
) -> int | None:
    """Send the rest of a file; returns how much has arrived, None where the upload is over."""
    content.seek(offset)
    part = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    answer = connection.attempt("PATCH", address, _TUS | part, data=content)
    if answer is not None and answer.ok:
        connection.got_through()
        return int(answer.headers["Upload-Offset"])
    _fail_or_wait(connection, answer, file)
    state = connection.attempt("HEAD", address, _TUS)
    if state is None or state.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return offset
    if not state.ok:
        # Taken by now, or expired: the next round tells.
        return None
    reached = int(state.headers["Upload-Offset"])
    if reached > offset:
        connection.got_through()
    return reached


def _fail_or_wait(connection: Connection, answer: requests.Response | None, file: File) -> None:
    is_final = answer is not None and answer.status_code not in (*LATER, *_ASK_AGAIN)
    if answer is not None and is_final:
        try:
            check(answer)
        except RefusedError as error:
            raise RefusedError(f"{file.path}: {error}") from error
    connection.wait(answer)
