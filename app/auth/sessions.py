"""Sessions of browsers: a secret in the signed cookie, its hash in the database, an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import request, session
from sqlalchemy import delete, select

from app.auth.actor import Actor
from app.auth.secrets import hash_secret, new_secret
from app.extensions import db
from app.models import SignIn, User

_KEY = "sign_in"
_IDLE = timedelta(days=7)
_LONGEST = timedelta(days=30)
# Each request would otherwise write a row.
_SEEN_EVERY = timedelta(minutes=5)


def begin(user: User) -> None:
    """Sign a person in on this browser. The caller commits."""
    now = datetime.now(UTC)
    secret = new_secret()
    db.session.add(
        SignIn(
            user_id=user.id,
            secret_hash=hash_secret(secret),
            seen_at=now,
            expires_at=now + _LONGEST,
            address=(request.remote_addr or "")[:45],
            browser=request.headers.get("User-Agent", "")[:300],
        )
    )
    # What a stranger planted in the cookie must not outlive the sign-in.
    session.clear()
    session[_KEY] = secret
    session.permanent = True


def end() -> None:
    """Sign out on this browser. The caller commits."""
    secret = session.get(_KEY, "")
    db.session.execute(delete(SignIn).where(SignIn.secret_hash == hash_secret(secret)))
    session.clear()


def end_all(user: User, but: SignIn | None = None) -> None:
    """Sign a person out everywhere, as after a new password. The caller commits."""
    query = delete(SignIn).where(SignIn.user_id == user.id)
    db.session.execute(query if but is None else query.where(SignIn.id != but.id))


def actor_of_cookie() -> Actor | None:
    """Who the cookie of this request belongs to, or None."""
    secret = session.get(_KEY)
    if not isinstance(secret, str):
        return None
    sign_in = db.session.scalar(select(SignIn).where(SignIn.secret_hash == hash_secret(secret)))
    now = datetime.now(UTC)
    if sign_in is None or sign_in.expires_at < now or sign_in.seen_at + _IDLE < now:
        return None
    if not sign_in.user.is_active:
        return None
    if sign_in.seen_at + _SEEN_EVERY < now:
        sign_in.seen_at = now
        db.session.commit()
    return Actor(user=sign_in.user, sign_in=sign_in)
