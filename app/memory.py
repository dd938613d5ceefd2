"""Memory: what this process may hold, what it and its children hold, and what a survey needs."""

from __future__ import annotations

import os
from pathlib import Path

# Where a container finds its limit; the second where nodes have the first version of cgroups.
_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Of flights of 12 to 50 photos of 1.5 to 20 megapixels on two and eight cores, and of matching
# pairs of 20 megapixels at each quality. A stage gives back what it took, so the largest counts:
# orthomosaic and model, which keep decoded photos up to a bound, or matching depths. Both take
# bytes for each pixel of the photo on each core, matching as much as on three more for all.
_BASE_BYTES = 0.9e9
_BYTES_A_PHOTO = 3.0e6
_BYTES_A_PIXEL_KEPT, _MOST_KEPT_BYTES, _PICTURES_A_PIXEL_AND_CORE = 5.0, 1.9e9, 16.0
_DEPTHS_A_PIXEL_AND_CORE = {"preview": 10.0, "standard": 22.0, "high": 70.0}
_SHARED_CORES = 3


def limit_bytes() -> int:
    """The container's limit, or the machine's memory."""
    machine = _PAGE_BYTES * os.sysconf("SC_PHYS_PAGES")
    texts = [path.read_text().strip() for path in _LIMITS if path.is_file()]
    # Without a limit it is the word "max", or a number beyond any machine.
    return min([machine, *(int(text) for text in texts if text.isdigit())])


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


def needed_bytes(photo_count: int, photo_px: int, quality: str, cores: int) -> float:
    """Most memory that a survey is expected to need on so many cores.

    Parameters
    ----------
    photo_count : int
    photo_px : int
        Pixels of its largest photo.
    quality : str
        At which it is processed.
    cores : int
    """
    kept = min(photo_count * photo_px * _BYTES_A_PIXEL_KEPT, _MOST_KEPT_BYTES)
    pictures = kept + cores * photo_px * _PICTURES_A_PIXEL_AND_CORE
    depths = (cores + _SHARED_CORES) * photo_px * _DEPTHS_A_PIXEL_AND_CORE[quality]
    return _BASE_BYTES + photo_count * _BYTES_A_PHOTO + max(pictures, depths)


def cores_for(photo_count: int, photo_px: int, quality: str, cores: int, limit: int) -> int:
    """On how many of the cores a survey fits into a limit; one at least."""
    flight = (photo_count, photo_px, quality)
    return next((n for n in range(cores, 0, -1) if needed_bytes(*flight, n) <= limit), 1)
