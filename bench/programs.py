"""Runs the project's programs as a user would, each in a process of its own, and weighs them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The demo quarry's flights, rendered once for all programs: a folder a week.
FLIGHTS = ROOT / "build" / "demo_flights"


@dataclass(frozen=True)
class Usage:
    """What a program took.

    Parameters
    ----------
    exit_code : int
    seconds, cpu_seconds : float
        On the clock; on all cores together.
    peak_mb : float
        Largest resident memory.
    """

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float


def run(module: str, *arguments: object, is_quiet: bool = False) -> Usage:
    """Run ``python -m module arguments`` and wait for it.

    Parameters
    ----------
    module : str
    *arguments : object
    is_quiet : bool
        Print what it says only when it refuses to work (exit codes above 1).

    Returns
    -------
    Usage
    """
    words = [str(argument) for argument in arguments]
    print("\n$ python -m", module, *(_short(word) for word in words), flush=True)
    started = time.monotonic()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words],
            cwd=ROOT,
            stdout=said if is_quiet else None,
            stderr=said if is_quiet else None,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except KeyboardInterrupt:
            # The terminal has told the program, too: let it leave a folder that can be resumed.
            process.wait()
            raise
        if is_quiet and os.waitstatus_to_exitcode(status) not in (0, 1):
            said.seek(0)
            print(said.read())
    process.returncode = os.waitstatus_to_exitcode(status)
    return Usage(
        process.returncode,
        time.monotonic() - started,
        used.ru_utime + used.ru_stime,
        used.ru_maxrss / 1024.0,
    )


def _short(word: str) -> str:
    return word.removeprefix(f"{ROOT}/")
