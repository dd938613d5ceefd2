"""Telling what was refused, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping


def print_refused(refused: Mapping[str, str]) -> None:
    """Print one line a refused polygon, which names it once."""
    for name, why in refused.items():
        print(f"refused: {why if name in why else f'{name}: {why}'}", file=sys.stderr)
