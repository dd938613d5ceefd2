"""Passwords: hashed with argon2id, long rather than complicated (NIST SP 800-63B)."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidInput

_MIN_LENGTH = 10
_MAX_LENGTH = 200
_MIN_DISTINCT = 5

_hasher = PasswordHasher()
# Checked against when there is no such person, so both answers take the same time.
_NOBODY = _hasher.hash("nobody has this password")


def hash_password(password: str, email: str = "") -> str:
    """Hash a new password.

    Raises
    ------
    InvalidInput
        When it is short, of few characters, or the address itself.
    """
    if len(password) < _MIN_LENGTH:
        raise InvalidInput(
            f"The password has {len(password)} characters.",
            f"Take at least {_MIN_LENGTH}, for example four words that only you put together.",
            field="password",
        )
    if len(password) > _MAX_LENGTH:
        raise InvalidInput(
            f"The password has {len(password)} characters.",
            f"Take at most {_MAX_LENGTH}.",
            field="password",
        )
    name = email.partition("@")[0].lower()
    if len(set(password)) < _MIN_DISTINCT or (name and password.lower() in (name, email.lower())):
        raise InvalidInput("The password is easy to guess.", "Take another one.", field="password")
    return _hasher.hash(password)


def is_password(password_hash: str | None, password: str) -> bool:
    """Whether a password is the one that was hashed; False where there is no hash.

    Examples
    --------
    >>> is_password(hash_password("gravel by the tonne"), "gravel by the tonne")
    True
    >>> is_password(None, "nobody has this password")
    False
    """
    try:
        is_right = _hasher.verify(password_hash or _NOBODY, password[:_MAX_LENGTH])
    except (VerificationError, InvalidHashError):
        return False
    return is_right and password_hash is not None
