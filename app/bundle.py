"""A folder as one file, for workers to hand each other.

ZIP, because its reader keeps every name inside of the folder whatever the Python: the filters of
tarfile that do so are missing in Debian 12's 3.11.2.
"""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile


def pack(folder: Path, bundle: Path) -> None:
    """Put all files of a folder into one, as they are: most of them are compressed already."""
    with ZipFile(bundle, "w", strict_timestamps=False) as archive:
        for path in sorted(folder.rglob("*")):
            archive.write(path, path.relative_to(folder))


def unpack(bundle: Path, folder: Path) -> None:
    """Put the files of a bundle into a folder, which is made."""
    with ZipFile(bundle) as archive:
        archive.extractall(folder)
