"""What storage says of files that it holds."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.errors import NotFound


@dataclass(frozen=True)
class Product:
    """A product of a survey.

    Parameters
    ----------
    name : str
        In its survey folder, as ``model/tileset.json``.
    path : str
        Where GDAL opens it: on disk, or by range from a store.
    version : str
        Changes whenever the content does.
    size : int
        In bytes.
    key : str
        Of the object in a store; empty on disk.
    """

    name: str
    path: str
    version: str
    size: int
    key: str = ""


def no_such(name: str) -> NotFound:
    """What to say of a file that is not there."""
    return NotFound(f"The survey has no file {name!r}.", "Its page lists those it has.")


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, which others may be writing; 0 where there is none."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.lstat(Path(place) / name).st_size
    return total
