"""``cairn upload``: a folder becomes one survey, once, however often the command runs."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, TypeAlias

import requests

from app.cli import folder
from app.cli.connection import LATER, Connection, RefusedError, check

Say: TypeAlias = Callable[[str], None]

_TUS = {"Tus-Resumable": "1.0.0"}
# Another process sends the same file, or the server is at another place of it: ask again.
_NOT_TAKEN = {
    "left_out_files": "earlier surveys have them",
    "repeated_files": "others of the folder are the same",
}
_MOST_NAMED = 12
_ASK_AGAIN = (HTTPStatus.CONFLICT, HTTPStatus.LOCKED, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def run(connection: Connection, chosen: argparse.Namespace) -> int:
    """Send a folder; returns the exit code.

    Raises
    ------
    RefusedError, NotNowError
    """
    say = speaker(chosen)
    site = find_site(connection, chosen.site)
    paths = folder.wait_until_still(chosen.folder, chosen.settle)
    files = [folder.read(path) for path in [*paths, *([chosen.gcp] if chosen.gcp else [])]]
    say(f"{len(paths)} photos, {sum(file.size for file in files) / 1e6:,.0f} MB")
    by_digest = {file.sha256: file.path for file in files}
    manifest = {
        "files": [file.document for file in files],
        "name": chosen.name,
        "flown_on": None if chosen.flown_on is None else chosen.flown_on.isoformat(),
        "quality": chosen.quality,
    }
    told = deliver(connection, site, manifest, lambda sha256: nullcontext(by_digest[sha256]), say)
    say(f"All there; {site['name']} processes them. Survey {told['survey_id']}")
    return 0


def speaker(chosen: argparse.Namespace) -> Say:
    """What says how far it is, or says nothing."""
    return (lambda _words: None) if chosen.quiet else _say


def _say(words: str) -> None:
    print(words, flush=True)


def deliver(
    connection: Connection,
    site: dict[str, Any],
    manifest: dict[str, Any],
    content: Callable[[str], AbstractContextManager[Path]],
    say: Say,
) -> dict[str, Any]:
    """Deliver a flight; returns what the server says of it when all is there.

    Parameters
    ----------
    content : callable
        The file with a hash, on disk.

    Raises
    ------
    RefusedError, NotNowError
    """
    address = f"/api/v1/sites/{site['id']}/deliveries"
    # The server knows best what is missing: each round asks anew, whatever happened in between.
    while (told := connection.json("POST", address, manifest))["missing"]:
        arrived = told["arrived"]
        for missing in told["missing"]:
            with content(missing["sha256"]) as path:
                _send(connection, told["uploads_url"], missing, path)
            arrived += 1
            say(f"{arrived} of {told['expected']}: {missing['name']}")
    if told["problem"]:
        raise RefusedError(told["problem"])
    if told["state"] == "removed":
        raise RefusedError(
            f"Somebody deleted the survey of these photos at {site['name']}; they are not taken "
            "again. Move them out of the folder, or upload them on a survey's page."
        )
    for kind, why in _NOT_TAKEN.items():
        # A server of an earlier version does not tell.
        if names := told.get(kind):
            say(f"{len(names)} left out, {why}: {_listed(names)}")
    return dict(told)


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


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


def _send(connection: Connection, uploads: str, missing: dict[str, Any], path: Path) -> None:
    """Send one file, from wherever an earlier attempt left off."""
    address, offset, size = missing["upload_url"], missing["offset"], path.stat().st_size
    if address is None:
        address = _begin(connection, uploads, missing, path)
    with path.open("rb") as content:
        while offset is not None and offset < size:
            offset = _append(connection, address, offset, content, path)


def _begin(connection: Connection, uploads: str, missing: dict[str, Any], path: Path) -> str:
    name = base64.b64encode(missing["name"].encode()).decode()
    digest = base64.b64encode(missing["sha256"].encode()).decode()
    headers = _TUS | {
        "Upload-Length": str(path.stat().st_size),
        "Upload-Metadata": f"filename {name},sha256 {digest}",
    }
    while True:
        answer = connection.attempt("POST", uploads, headers)
        if answer is not None and answer.ok:
            connection.got_through()
            return str(answer.headers["Location"])
        _fail_or_wait(connection, answer, path)


def _append(
    connection: Connection, address: str, offset: int, content: IO[bytes], path: Path
) -> int | None:
    """Send the rest of a file; returns how much has arrived, None where the upload is over."""
    content.seek(offset)
    part = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
    answer = connection.attempt("PATCH", address, _TUS | part, data=content)
    if answer is not None and answer.ok:
        connection.got_through()
        return int(answer.headers["Upload-Offset"])
    _fail_or_wait(connection, answer, path)
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


def _fail_or_wait(connection: Connection, answer: requests.Response | None, path: Path) -> None:
    is_final = answer is not None and answer.status_code not in (*LATER, *_ASK_AGAIN)
    if answer is not None and is_final:
        try:
            check(answer)
        except RefusedError as error:
            raise RefusedError(f"{path}: {error}") from error
    connection.wait(answer)
