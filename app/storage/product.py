"""What storage says of a file that it holds."""

from __future__ import annotations

from dataclasses import dataclass

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
