"""Secrets of sessions, links and tokens: made by chance, shown once, stored as a hash."""

from __future__ import annotations

import hashlib
import secrets

_BYTES = 32


def new_secret() -> str:
    """A secret of 256 bits, fit for addresses and headers."""
    return secrets.token_urlsafe(_BYTES)


def hash_secret(secret: str) -> bytes:
    """SHA-256 of a secret: enough for 256 bits of chance, which nobody can guess.

    Examples
    --------
    >>> hash_secret("a") == hash_secret("a"), len(hash_secret("a"))
    (True, 32)
    """
    return hashlib.sha256(secret.encode()).digest()
