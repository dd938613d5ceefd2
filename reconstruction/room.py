"""Room on the disk: what a run will write at the most, and whether that fits."""

from __future__ import annotations

import shutil
from pathlib import Path

from reconstruction.errors import RoomError

# Of flights of 26 and 48 photos of 12 and 6 megapixels. Most is what pairs say of the surface,
# which lies on disk until all are matched, and later the draft of the orthomosaic. How much that is
# varies with overlap and the rounding of cells, so the law is up to twice what was measured.
_BASE_BYTES = 50e6
_BYTES_A_PHOTO = 1.5e6
_BYTES_A_PIXEL = {"preview": 0.8, "standard": 3.3, "high": 8.0}


def needed_bytes(photo_count: int, photo_px: float, quality: str) -> float:
    """Most room that a flight takes before its products are finished.

    Parameters
    ----------
    photo_count : int
    photo_px : float
        Pixels of a photo.
    quality : str
        At which it is processed.
    """
    a_photo = _BYTES_A_PHOTO + photo_px * _BYTES_A_PIXEL[quality]
    return _BASE_BYTES + photo_count * a_photo


def require(folder: Path, needed_bytes: float) -> None:
    """Refuse what would not fit.

    Parameters
    ----------
    folder : Path
        On the disk that is written to.
    needed_bytes : float

    Raises
    ------
    RoomError
    """
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise RoomError(folder, needed_bytes, free)
