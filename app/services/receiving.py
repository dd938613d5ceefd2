"""The bytes of an upload, from a request to disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sqlalchemy import text, update

from app.errors import AppError, BusyError
from app.extensions import db
from app.models import Upload
from app.storage import Partial

_BLOCK_BYTES = 1 << 20
# The row is told after this many bytes, so a killed server loses no more than these.
_SAFE_EVERY_BYTES = 32 << 20


class WrongChecksumError(AppError):
    """The bytes that arrived are not those that were sent."""

    status = 460
    title = "Checksum mismatch"


class Readable(Protocol):
    """Where the bytes of a request come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""


@dataclass(frozen=True)
class Checksum:
    """What a part of an upload must hash to."""

    algorithm: str
    digest: bytes


@dataclass
class Arriving:
    """An upload while its bytes arrive.

    Parameters
    ----------
    upload_id : UUID
    length : int
    safe : int
        How many bytes are on disk, and said so in its row.
    """

    upload_id: UUID
    length: int
    safe: int


def receive(
    arriving: Arriving, partial: Partial, stream: Readable, checksum: Checksum | None
) -> int:
    """Write what comes until the upload is complete or the stream ends; returns its bytes then.

    Raises
    ------
    BusyError, WrongChecksumError
    """
    digest = None if checksum is None else hashlib.new(checksum.algorithm)
    received = arriving.safe
    try:
        while received < arriving.length:
            block = stream.read(min(_BLOCK_BYTES, arriving.length - received))
            if not block:
                break
            partial.write(block)
            received += len(block)
            if digest is not None:
                digest.update(block)
            elif received - arriving.safe >= _SAFE_EVERY_BYTES:
                _make_safe(arriving, partial, received)
    finally:
        # A part with a checksum counts as a whole or not at all.
        if digest is None:
            _make_safe(arriving, partial, received)
    if checksum is not None and digest is not None:
        if digest.digest() != checksum.digest:
            raise WrongChecksumError("What arrived differs from what was sent.", "Send it again.")
        _make_safe(arriving, partial, received)
    return received


def _make_safe(arriving: Arriving, partial: Partial, received: int) -> None:
    if received == arriving.safe:
        return
    partial.make_safe()
    # The last byte counts only once the file is taken: a client told that it is complete
    # would never ask again.
    if arriving.safe < received < arriving.length:
        # A database that crashes may forget the last steps; the client then asks where to go on.
        db.session.execute(text("SET LOCAL synchronous_commit TO off"))
        # A folder locks the file, a store cannot: of two requests that write, one is told.
        known = Upload.id == arriving.upload_id, Upload.offset == arriving.safe
        if not db.session.execute(update(Upload).where(*known).values(offset=received)).rowcount:
            db.session.rollback()
            raise BusyError("Another request is sending this file.", "Wait for it to end.")
        db.session.commit()
        arriving.safe = received
