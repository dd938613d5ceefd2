"""Progress of long work for people at a terminal."""

from __future__ import annotations

import sys
import time


class Meter:
    """Prints stage, percentage and remaining time: in place on a terminal, else now and then."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._begun: float | None = None
        self._printed = 0.0
        self._stage = ""

    def __call__(self, stage: str, fraction: float, message: str) -> None:
        """Report progress."""
        now = time.monotonic()
        if self._begun is None or "done before" in message:
            # What an earlier run had done says nothing about this one's speed.
            self._started, self._begun = now, fraction
        terminal = sys.stderr.isatty()
        if stage == self._stage and now - self._printed < (0.1 if terminal else 5.0):
            return
        self._printed, self._stage = now, stage
        line = f"{fraction:4.0%}  {stage:<13} {message}{self._remaining(now, fraction)}"
        print(
            f"\r\033[K{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr
        )
        sys.stderr.flush()

    def tell(self, text: str) -> None:
        """Print a line that stays."""
        print(f"\r\033[K{text}" if sys.stderr.isatty() else text, file=sys.stderr, flush=True)

    def _remaining(self, now: float, fraction: float) -> str:
        done = fraction - (self._begun or 0.0)
        if done < 0.02:
            return ""
        seconds = (now - self._started) * (1.0 - fraction) / done
        return f"  (about {seconds // 60:.0f} min {seconds % 60:02.0f} s left)"
