"""``python -m volumetrics``: measure piles, or ``detect``, ``snap``, ``objects``, ``change``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from volumetrics.commands import change, detect, measure, objects, snap

_COMMANDS = {
    "detect": detect.main,
    "snap": snap.main,
    "objects": objects.main,
    "change": change.main,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 when all went well, 1 when some piles were refused, 2 on bad input.

    Without the name of a command it measures. A survey that is called like one is ``./detect``.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in _COMMANDS:
            return _COMMANDS[given[0]](given[1:])
        return measure.main(given)
    except OSError as error:
        what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"error: {what}. Check the path, its rights and the space left.", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
