"""Values of metadata tags, none of which can be trusted to be there or of the right type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

Tags = Mapping[Any, Any]


def number(value: object) -> float | None:
    """A finite number, or None."""
    if isinstance(value, (tuple, list)) and len(value) == 1:
        value = value[0]
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ArithmeticError):
        return None
    return found if math.isfinite(found) else None


def positive(value: object) -> float | None:
    """A finite number above zero, or None."""
    found = number(value)
    return found if found is not None and found > 0.0 else None


def first(values: Tags, *names: str) -> float | None:
    """The first of several values that is a finite number."""
    numbers = (number(values.get(name)) for name in names)
    return next((found for found in numbers if found is not None), None)


def text(value: object) -> str:
    """Printable text without the padding that cameras leave."""
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return ""
    printable = "".join(letter for letter in value.split("\0")[0] if letter.isprintable())
    return " ".join(printable.split())[:64]
