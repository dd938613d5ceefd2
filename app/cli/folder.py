"""A folder of photos: what is in it, whether it is still being written, what its files hash to."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app import photo_file
from app.cli.connection import RefusedError

_PHOTOS = (".jpg", ".jpeg", ".png", ".tif", ".tiff")
_LOOK_EVERY_S = 2.0


@dataclass(frozen=True)
class File:
    """A file that is to be sent; `document` is what the server is told of it."""

    path: Path
    document: dict[str, Any]

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.document["size"])

    @property
    def sha256(self) -> str:
        """As hexadecimal digits."""
        return str(self.document["sha256"])


def photos(folder: Path) -> list[Path]:
    """The photos of a folder and of those in it, without hidden ones.

    Raises
    ------
    RefusedError
        When there is none.
    """
    if not folder.is_dir():
        raise RefusedError(f"{folder} is no folder.")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _PHOTOS
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise RefusedError(f"{folder} has no photos ({', '.join(_PHOTOS)}).")
    return found


def wait_until_still(folder: Path, settle_s: float) -> list[Path]:
    """The photos of a folder, once nothing in it has changed for a while.

    Raises
    ------
    RefusedError
        When it has none.
    """
    still_since, before = time.monotonic(), None
    while True:
        found = photos(folder)
        now = [(path, path.stat().st_size, path.stat().st_mtime_ns) for path in found]
        # Copies keep the times of the card, but not that of their last change on this disk.
        changed_s = max(max(path.stat().st_mtime, path.stat().st_ctime) for path in found)
        if before is not None and now != before:
            still_since = time.monotonic()
        is_old = time.time() - changed_s >= settle_s
        if is_old or time.monotonic() - still_since >= settle_s:
            return found
        before = now
        time.sleep(min(_LOOK_EVERY_S, settle_s))


def read(path: Path) -> File:
    """A file with what the server wants to know of it.

    Raises
    ------
    RefusedError
        When it cannot be read.
    """
    try:
        return File(path, photo_file.document(path, path.name))
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}.") from error
