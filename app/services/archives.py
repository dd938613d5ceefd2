"""A folder as a ZIP that is made while it is sent: no gigabytes in memory or on disk."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 1 << 20


class _Pipe(io.RawIOBase):
    """Keeps what was written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        part = bytes(data)  # type: ignore[call-overload]
        self._parts.append(part)
        return len(part)

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def stream(folder: Path) -> Iterator[bytes]:
    """The files below a folder as a ZIP; they are compressed already, so they are only stored."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            name = path.relative_to(folder).as_posix()
            info = zipfile.ZipInfo.from_file(path, name)
            with archive.open(info, "w") as entry, path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    entry.write(block)
                    yield pipe.take()
    yield pipe.take()
