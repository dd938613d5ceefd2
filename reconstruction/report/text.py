"""Numbers as people read them: two digits that mean something, and a unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

# A no-break space: a number and its unit stay on one line.
_GAP = "\u00a0"


def significant(value: float, digits: int = 2) -> str:
    """A number with so many significant digits, never in powers of ten.

    Examples
    --------
    >>> significant(1234.5), significant(-0.01234), significant(0.0)
    ('1,234', '−0.012', '0')
    """
    if value == 0.0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{decimals}f}".replace("-", "−")


def with_unit(value: float, unit: str, digits: int = 2) -> str:
    """A number, its unit, and no line break between them."""
    return f"{significant(value, digits)}{_GAP}{unit}"


def length(value_m: float, digits: int = 2) -> str:
    """A length in the unit that suits its size.

    Examples
    --------
    >>> length(0.0031).replace(chr(160), " "), length(0.25).replace(chr(160), " ")
    ('3.1 mm', '25 cm')
    """
    size = abs(value_m)
    if size < 5e-5:
        return f"0{_GAP}mm"
    if size < 0.01:
        return with_unit(value_m * 1000.0, "mm", digits)
    if size < 1.0:
        return with_unit(value_m * 100.0, "cm", digits)
    return with_unit(value_m, "m", digits)


def centimetres(value_m: float | None) -> str:
    """Centimetres without the unit, for a column of a table; a dash where nothing is known.

    Examples
    --------
    >>> centimetres(-0.0123), centimetres(-0.0001), centimetres(None)
    ('−1.2', '0.0', '–')
    """
    if value_m is None:
        return "–"
    # Adding zero makes a rounded -0.0 a plain one.
    return f"{round(value_m * 100.0, 1) + 0.0:.1f}".replace("-", "−")


def share(value: float) -> str:
    """A share in per cent.

    Examples
    --------
    >>> share(0.9874).replace(chr(160), " "), share(0.0001).replace(chr(160), " ")
    ('98.7 %', '0.010 %')
    """
    percent = 100.0 * value
    shown = f"{percent:.1f}" if percent >= 1.0 else significant(percent)
    return f"{shown}{_GAP}%"


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def duration(seconds: float) -> str:
    """A time as a person says it.

    Examples
    --------
    >>> duration(3725.0).replace(chr(160), " "), duration(8.24).replace(chr(160), " ")
    ('1 h 02 min', '8.2 s')
    """
    if seconds < 100.0:
        return f"{seconds:.1f}{_GAP}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}{_GAP}min {rest:02d}{_GAP}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}{_GAP}h {minutes:02d}{_GAP}min"


def file_size(size_bytes: int) -> str:
    """A file size in decimal units.

    Examples
    --------
    >>> file_size(38592612).replace(chr(160), " ")
    '38.6 MB'
    """
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB"):
        if size < 1000.0:
            break
        size, unit = size / 1000.0, larger
    return f"{size_bytes}{_GAP}B" if unit == "B" else f"{size:.1f}{_GAP}{unit}"


def nice(value: float) -> float:
    """The largest 1, 2 or 5 times a power of ten that is not above a value.

    Examples
    --------
    >>> nice(37.0), nice(0.9), nice(5.0)
    (20.0, 0.5, 5.0)
    """
    power = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return power * max(step for step in (1.0, 2.0, 5.0) if step * power <= value * (1.0 + 1e-9))
