"""One process at a time where two would write over each other's files."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_LOOK_EVERY_S = 0.5


@contextmanager
def alone(lock: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Hold a lock; the system lets go of it when its process ends, however that happens.

    Parameters
    ----------
    lock : Path
        A file for this purpose. It stays: whoever removed it would let two in.
    wait : callable
        Called twice a second while another process holds the lock; what it raises ends the waiting.
    """
    with lock.open("a") as file:
        while not _is_taken(file):
            wait()
            time.sleep(_LOOK_EVERY_S)
        yield


def _is_taken(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # Some network file systems have no locks: then it is as good as it gets.
        return True
    return True
