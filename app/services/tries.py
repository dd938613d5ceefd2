"""When a message that was not taken is sent again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

# They span a day and a half, over a weekend's Sunday.
_WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360, 720, 1080))


def next_try_at(attempts: int) -> datetime | None:
    """When to try again after so many attempts; None when it was tried for long enough.

    Examples
    --------
    >>> next_try_at(2) - datetime.now(UTC) > timedelta(minutes=4)
    True
    >>> next_try_at(8) is None
    True
    """
    return datetime.now(UTC) + _WAITS[attempts - 1] if attempts <= len(_WAITS) else None
