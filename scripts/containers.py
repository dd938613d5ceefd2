"""Run podman and podman-compose, and stop with their words where they fail."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "containers"
START_S = 600.0


def podman(*words: str, given: str = "", may_fail: bool = False) -> str:
    """What podman says."""
    return run("podman", *words, given=given, may_fail=may_fail)


def compose(folder: Path, *words: str) -> str:
    """What podman-compose says of the project in a folder."""
    return run("podman-compose", *words, cwd=folder)


def run(
    *words: str,
    cwd: Path = ROOT,
    given: str = "",
    may_fail: bool = False,
    environment: Mapping[str, str] | None = None,
) -> str:
    """What a program says; nothing where it fails and may."""
    done = subprocess.run(
        words, cwd=cwd, input=given, text=True, capture_output=True, env=environment
    )
    if done.returncode and not may_fail:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}\n{done.stderr}")
    return done.stdout if not done.returncode else ""


def wait(url: str) -> None:
    """Wait until somebody answers there."""
    until = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            if time.monotonic() > until:
                raise SystemExit(f"{url}: {error}") from error
        time.sleep(1)


def told(*words: str) -> None:
    """Print a finding."""
    print("  " + " ".join(word.strip() for word in words), flush=True)
