"""Where photos arrive that nobody uploads: a folder, or a prefix of a store, as ``INBOX_URL`` says.

Each site has a folder of its own in it, named by its id, and each folder in that is a flight:

    INBOX_URL/SITE/2026-11-24 east/DJI_0001.JPG

What other programs put there is only read, never changed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit
from uuid import UUID

from app.storage import s3_client

# Below the folder of a site; FlightHub tells by itself when a flight is whole.
FLIGHTHUB = "flighthub"


@dataclass(frozen=True)
class Arrival:
    """A file that arrived.

    Parameters
    ----------
    name : str
        Below the folder of its flight, with slashes.
    size : int
        In bytes.
    changed : str
        Another one whenever it was written again.
    place : str
        Where the inbox finds it.
    """

    name: str
    size: int
    changed: str
    place: str


class Inbox(Protocol):
    """What the application asks of an inbox."""

    # What stands before the id of a site in the keys of a store.
    prefix: str

    def flights(self, site_id: UUID) -> list[str]:
        """Names of the flights of a site."""

    def files(self, site_id: UUID, flight: str) -> list[Arrival]:
        """The files of a flight, by name."""

    def on_disk(self, arrival: Arrival) -> AbstractContextManager[Path]:
        """A file on disk, for as long as it is looked at."""


def readable(name: str) -> str:
    r"""A name as text, also where a share has one in another encoding.

    Examples
    --------
    >>> readable("S\udcfcd.jpg") == "S\N{REPLACEMENT CHARACTER}d.jpg"
    True
    """
    return os.fsencode(name).decode("utf-8", "replace")


class FolderInbox:
    """An inbox in a folder, local or mounted from a network.

    Parameters
    ----------
    root : Path
    """

    prefix = ""

    def __init__(self, root: Path) -> None:
        self._root = root

    def flights(self, site_id: UUID) -> list[str]:
        """Folders of a site; links lead elsewhere, and are none."""
        folder = self._root / str(site_id)
        if not folder.is_dir():
            return []
        with os.scandir(folder) as entries:
            return sorted(e.name for e in entries if e.is_dir(follow_symlinks=False))

    def files(self, site_id: UUID, flight: str) -> list[Arrival]:
        """All files in the folder of a flight and below it, without links."""
        folder = self._root / str(site_id) / flight
        found = []
        for place, _folders, names in os.walk(folder):
            for name in names:
                path = Path(place, name)
                if path.is_file() and not path.is_symlink():
                    below, stat = readable(path.relative_to(folder).as_posix()), path.stat()
                    found.append(Arrival(below, stat.st_size, str(stat.st_mtime_ns), str(path)))
        return sorted(found, key=lambda arrival: arrival.name)

    @contextmanager
    def on_disk(self, arrival: Arrival) -> Iterator[Path]:
        """The file itself."""
        yield Path(arrival.place)


class S3Inbox:
    """An inbox below a prefix of a bucket.

    Parameters
    ----------
    bucket : str
    prefix : str
        Empty, or with a slash at its end.
    """

    def __init__(self, bucket: str, prefix: str) -> None:
        self._bucket, self.prefix = bucket, prefix
        self._client = s3_client.client()

    def flights(self, site_id: UUID) -> list[str]:
        """What lies between the id of a site and the next slash."""
        prefix = f"{self.prefix}{site_id}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, Delimiter="/"
        )
        return sorted(
            common["Prefix"].removeprefix(prefix).rstrip("/")
            for page in pages
            for common in page.get("CommonPrefixes", [])
        )

    def files(self, site_id: UUID, flight: str) -> list[Arrival]:
        """All objects of a flight."""
        prefix = f"{self.prefix}{site_id}/{flight}/"
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        found = [
            Arrival(item["Key"].removeprefix(prefix), item["Size"], item["ETag"], item["Key"])
            for page in pages
            for item in page.get("Contents", [])
        ]
        # Some programs mark folders by objects without content.
        return sorted((a for a in found if not a.place.endswith("/")), key=lambda a: a.name)

    @contextmanager
    def on_disk(self, arrival: Arrival) -> Iterator[Path]:
        """A copy of an object."""
        with tempfile.TemporaryDirectory(prefix="cairn-") as folder:
            path = Path(folder) / Path(arrival.name).name
            self._client.download_file(self._bucket, arrival.place, str(path))
            yield path


def from_url(url: str) -> Inbox:
    """An inbox at ``file:///folder`` or ``s3://bucket/folder``."""
    parts = urlsplit(url)
    if parts.scheme == "file":
        return FolderInbox(Path(unquote(parts.path)))
    folder = unquote(parts.path).strip("/")
    return S3Inbox(parts.netloc, f"{folder}/" if folder else "")
