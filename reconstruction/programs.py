"""Programs that others wrote, run to their end, or ended with all that they started."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_POLL_S = 0.2
_GRACE_S = 3.0
_TAIL_LINES = 8


def execute(
    arguments: Sequence[str],
    log: Path,
    report: Callable[[], None],
    environment: Mapping[str, str] | None = None,
) -> int:
    """Exit code of a program that runs in a process group of its own.

    Parameters
    ----------
    arguments : sequence of str
        The program and what it is told.
    log : Path
        Gets what the program writes, after what is there.
    report : callable
        Is called while it runs; whatever it raises ends the whole group.
    environment : mapping of str to str or None
        The program's; None hands on one's own.

    Raises
    ------
    OSError
        When it cannot be started.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env=environment,
        )
    try:
        while True:
            report()
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(_POLL_S)
    except BaseException:
        _end(process)
        raise


def ending(code: int, log: Path) -> str:
    """How a program ended that failed, and the end of its log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    tail = "\n".join(lines[-_TAIL_LINES:]) or "it wrote nothing"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
    return f"{how}:\n{tail}\n"


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask all of a process group to stop, then make it."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):  # it is gone
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_S)
