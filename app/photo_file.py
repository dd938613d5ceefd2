"""A photo as a file: what its content hashes to, and the day that its camera wrote into it."""

from __future__ import annotations

import hashlib
from datetime import date, datetime
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image, UnidentifiedImageError


def document(path: Path, name: str) -> dict[str, Any]:
    """What a delivery says of a file: name, size, sha256, captured_on (ISO date or None).

    Raises
    ------
    OSError
        When it cannot be read.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    day = captured_on(path)
    return {
        "name": name,
        "size": path.stat().st_size,
        "sha256": digest,
        "captured_on": None if day is None else day.isoformat(),
    }


def captured_on(path: Path) -> date | None:
    """The day on which a photo was taken; None where it does not tell, as a text file."""
    try:
        with Image.open(path) as image:
            text = image.getexif().get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        return datetime.strptime(str(text).strip("\x00 "), "%Y:%m:%d %H:%M:%S").date()
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError):
        # What is wrong with a photo is said when it is taken.
        return None
