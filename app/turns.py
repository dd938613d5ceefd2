"""Work that only one process does at a time, however many are told to."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from sqlalchemy import func, select, text

from app.extensions import db


@contextmanager
def alone(work: str) -> Iterator[bool]:
    """Whether this process is the one; the turn ends with the block, or with the process."""
    # The lock belongs to the transaction: a process that dies gives it back, and a pooler that
    # shares connections between transactions does not lose it.
    with db.engine.connect() as connection, connection.begin():
        key = {"key": zlib.crc32(work.encode())}
        yield bool(connection.scalar(text("select pg_try_advisory_xact_lock(:key)"), key))


def wait_for(row_id: UUID) -> None:
    """Let changes around a row be made one after the other, until the transaction ends."""
    db.session.execute(select(func.pg_advisory_xact_lock(row_id.int & (2**63 - 1))))
