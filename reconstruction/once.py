"""What an object makes once, whoever asks first, on however many threads."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from threading import RLock
from typing import TypeVar

T = TypeVar("T")


class once(cached_property[T]):  # noqa: N801, named like what it is used in place of
    """A cached property that threads make once.

    From Python 3.12 on `functools.cached_property` has no lock: each thread that asks before the
    first one is done makes a value of its own. For photos as they see a surface, that is a
    gigabyte and the time of a tile each.
    """

    def __init__(self, function: Callable[..., T]) -> None:
        super().__init__(function)
        self._making = RLock()

    def __get__(self, instance: object, owner: type[object] | None = None) -> T:  # type: ignore[override]
        """The value, made now if it is not there."""
        with self._making:
            return super().__get__(instance, owner)
