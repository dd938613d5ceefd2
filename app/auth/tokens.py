"""API tokens: `Authorization: Bearer cairn_…`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import request
from sqlalchemy import select

from app.auth.actor import Actor
from app.auth.secrets import hash_secret, new_secret
from app.errors import NotSignedIn
from app.extensions import db
from app.models import ApiToken, User

_PREFIX = "cairn_"
_SHOWN = 12
_SEEN_EVERY = timedelta(minutes=5)


def new_token() -> tuple[str, str, bytes]:
    """A token, the part of it that lists may show, and the hash to store."""
    token = _PREFIX + new_secret()
    return token, token[:_SHOWN], hash_secret(token)


def actor_of_header() -> Actor | None:
    """Who the token of this request belongs to; None where the request has no token.

    Raises
    ------
    NotSignedIn
        When there is a token, and it is unknown, revoked or expired.
    """
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    found = db.session.execute(
        select(ApiToken, User)
        .join(User, User.id == ApiToken.user_id)
        .where(ApiToken.secret_hash == hash_secret(token.strip()))
    ).one_or_none()
    now = datetime.now(UTC)
    if found is None or not _is_valid(found[0], found[1], now):
        raise NotSignedIn("The token is unknown, revoked or expired.", "Make a new one.")
    row, user = found
    if row.used_at is None or row.used_at + _SEEN_EVERY < now:
        row.used_at = now
        db.session.commit()
    return Actor(user=user, token=row)


def _is_valid(row: ApiToken, user: User, now: datetime) -> bool:
    is_over = row.expires_at is not None and row.expires_at < now
    return row.revoked_at is None and not is_over and user.is_active
