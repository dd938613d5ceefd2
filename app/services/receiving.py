"""The bytes of an upload, from a request to disk."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import text, update

from app.errors import AppError, BusyError
from app.extensions import db
from app.models import Upload
from app.storage import Partial

_BLOCK_BYTES = 1 << 20
# The row is told after this many bytes, so a killed server loses no more than these.
_SAFE_EVERY_BYTES = 32 << 20
_MOST_DIGESTS = 1000


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
    sha256 : hashlib object or None
        Of the bytes so far, where it is known.
    """

    upload_id: UUID
    length: int
    safe: int
    sha256: Any


class Digests:
    """SHA-256 of what came of uploads, from one request to the next in this process.

    Where it is not known – another process took the part before – the complete file is read again.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[UUID, tuple[int, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, upload_id: UUID, count: int) -> Any:
        """The digest of the first ``count`` bytes, for one request to go on with, or None."""
        with self._lock:
            known, digest = self._known.pop(upload_id, (0, None))
        if count == 0:
            return hashlib.sha256()
        return digest if known == count else None

    def keep(self, upload_id: UUID, count: int, digest: Any) -> None:
        """Keep the digest of the first ``count`` bytes, in the place of the oldest one."""
        with self._lock:
            self._known[upload_id] = (count, digest)
            if len(self._known) > _MOST_DIGESTS:
                self._known.popitem(last=False)


DIGESTS = Digests()


def receive(
    arriving: Arriving, partial: Partial, stream: Readable, checksum: Checksum | None
) -> int:
    """Write what comes until the upload is complete or the stream ends; returns its bytes then.

    Raises
    ------
    BusyError, WrongChecksumError
    """
    digest = None if checksum is None else hashlib.new(checksum.algorithm)
    kept = _Kept(partial, [known for known in (arriving.sha256, digest) if known], arriving.safe)
    asked, last = arriving.safe, _nothing()
    # One block is written and hashed while the next one comes.
    with ThreadPoolExecutor(1) as beside:
        try:
            while asked < arriving.length:
                block = stream.read(min(_BLOCK_BYTES, arriving.length - asked))
                last.result()
                if not block:
                    break
                asked += len(block)
                last = beside.submit(kept.add, block)
                if digest is None and asked - arriving.safe >= _SAFE_EVERY_BYTES:
                    last.result()
                    _make_safe(arriving, partial, asked)
            last.result()
        finally:
            wait([last])
            # A part with a checksum counts as a whole or not at all.
            if digest is None:
                _make_safe(arriving, partial, kept.count)
    if checksum is not None and digest is not None:
        if digest.digest() != checksum.digest:
            raise WrongChecksumError("What arrived differs from what was sent.", "Send it again.")
        _make_safe(arriving, partial, kept.count)
    return kept.count


@dataclass
class _Kept:
    """The bytes of an upload that were written and hashed, ``count`` of them."""

    partial: Partial
    digests: list[Any]
    count: int

    def add(self, block: bytes) -> None:
        self.partial.write(block)
        self.count += len(block)
        for digest in self.digests:
            digest.update(block)


def _nothing() -> Future[None]:
    done: Future[None] = Future()
    done.set_result(None)
    return done


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
