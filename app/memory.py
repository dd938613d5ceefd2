"""Memory: what this process may hold, and what it and its children hold."""

from __future__ import annotations

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/memory.max")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def limit_bytes() -> int:
    """The container's limit, or the machine's memory."""
    machine = _PAGE_BYTES * os.sysconf("SC_PHYS_PAGES")
    try:
        text = _CGROUP.read_text().strip()
    except OSError:
        return machine
    return min(machine, int(text)) if text.isdigit() else machine


def held_bytes(pid: int | None = None) -> int:
    """Resident memory of a process, this one unless told, and of its children."""
    root = Path("/proc") / str(pid or os.getpid())
    try:
        pages = int((root / "statm").read_text().split()[1])
        children = "".join(path.read_text() for path in root.glob("task/*/children")).split()
    except OSError:
        # It ended meanwhile.
        return 0
    return pages * _PAGE_BYTES + sum(held_bytes(int(child)) for child in children)
