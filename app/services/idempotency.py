"""Requests that are done once, however often they are sent: claimed, then settled or released."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from app.errors import Conflict, InvalidInput
from app.extensions import db
from app.models import IdempotencyKey

_KEPT = timedelta(days=1)
# A server that was killed in the middle leaves its claim behind.
_LONGEST = timedelta(minutes=5)
_IN_PROGRESS, _NOT_TOLD = 0, -1


@dataclass(frozen=True)
class Earlier:
    """What was answered before; `body` is None where the answer was empty."""

    status: int
    body: Any


def claim(user_id: UUID, key: str, digest: bytes) -> Earlier | None:
    """Take a key for a request; returns the answer where it was done before.

    Raises
    ------
    InvalidInput
        When the key belongs to another request.
    Conflict
        When that request is not done yet, or its answer is not told twice.
    """
    now = datetime.now(UTC)
    is_over = (IdempotencyKey.created_at < now - _KEPT) | (
        (IdempotencyKey.status == _IN_PROGRESS) & (IdempotencyKey.created_at < now - _LONGEST)
    )
    db.session.execute(delete(IdempotencyKey).where(IdempotencyKey.user_id == user_id, is_over))
    statement = insert(IdempotencyKey).values(
        user_id=user_id, key=key, request_hash=digest, status=_IN_PROGRESS, body={}
    )
    added = db.session.execute(statement.on_conflict_do_nothing().returning(IdempotencyKey.id))
    is_ours = added.scalar_one_or_none() is not None
    db.session.commit()
    return None if is_ours else _earlier(user_id, key, digest)


def settle(user_id: UUID, key: str, status: int, body: Any, *, is_told: bool) -> None:
    """Keep the answer to a request that was done."""
    values = {"status": status if is_told else _NOT_TOLD, "body": {"body": body}}
    query = update(IdempotencyKey).where(*_named(user_id, key))
    db.session.execute(query.values(values))
    db.session.commit()


def release(user_id: UUID, key: str) -> None:
    """Give the key of a request back that was refused or failed."""
    db.session.rollback()
    db.session.execute(delete(IdempotencyKey).where(*_named(user_id, key)))
    db.session.commit()


def _named(user_id: UUID, key: str) -> tuple[Any, Any]:
    return IdempotencyKey.user_id == user_id, IdempotencyKey.key == key


def _earlier(user_id: UUID, key: str, digest: bytes) -> Earlier:
    row = db.session.scalar(select(IdempotencyKey).where(*_named(user_id, key)))
    if row is None or row.status == _IN_PROGRESS:
        raise Conflict("The same request is being done.", "Wait for its answer.")
    if row.request_hash != digest:
        raise InvalidInput(
            "This Idempotency-Key came with another request.", "Take a new key for each request."
        )
    if row.status == _NOT_TOLD:
        raise Conflict("The request was done; its answer is not told twice.", "Look at the list.")
    return Earlier(row.status, row.body["body"])
