"""Work that only one process does at a time, however many are told to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from app.extensions import db


@contextmanager
def alone(work: str) -> Iterator[bool]:
    """Whether this process is the one; the turn ends with the block, or with the process."""
    # The lock belongs to the connection: one that dies gives it back.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        key = {"key": zlib.crc32(work.encode())}
        is_ours = bool(connection.scalar(text("select pg_try_advisory_lock(:key)"), key))
        try:
            yield is_ours
        finally:
            if is_ours:
                connection.execute(text("select pg_advisory_unlock(:key)"), key)
