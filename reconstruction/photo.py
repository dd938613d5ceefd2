"""A photo and what is known of it before any measurement in its pixels."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Fewer make no reconstruction, and calibrate no camera.
LEAST_PHOTOS = 3


@dataclass(frozen=True)
class Position:
    """Where a photo was taken, as the drone or a position file says.

    Parameters
    ----------
    latitude_deg, longitude_deg : float
        WGS 84.
    altitude_m : float or None
        As written by the source; see ``Photo.altitude_datum``.
    horizontal_sigma_m, vertical_sigma_m : float
        One standard deviation: from RTK metadata or the position file, else what the kind of
        receiver usually gives.
    source : str
        ``exif``, ``rtk`` or ``geo``.
    """

    latitude_deg: float
    longitude_deg: float
    altitude_m: float | None
    horizontal_sigma_m: float
    vertical_sigma_m: float
    source: str


@dataclass(frozen=True)
class Photo:
    """One usable photo of a flight.

    Parameters
    ----------
    name : str
        Path relative to the photo folder, with forward slashes: its key everywhere.
    path : Path
        Where the file is.
    sha256 : str
        Digest of the file.
    width_px, height_px : int
        Size as stored (EXIF orientation is not applied anywhere).
    camera : str
        Key of the physical camera and image size.
    focal_px : float or None
        Focal length from EXIF and XMP, None where nothing tells.
    focal_sigma : float or None
        Its standard deviation, as a share of it.
    captured_at : str or None
        ISO 8601 with fractions, as EXIF has it (local time of the drone).
    position : Position or None
    yaw_deg, pitch_deg, roll_deg : float or None
        Gimbal angles: yaw clockwise from north, pitch -90 looking straight down.
    relative_altitude_m : float or None
        Above the take-off point.
    altitude_datum : str
        ``ellipsoidal``, ``unknown``, or the name of a vertical CRS, as a position file has it.
    """

    name: str
    path: Path
    sha256: str
    width_px: int
    height_px: int
    camera: str
    focal_px: float | None
    focal_sigma: float | None
    captured_at: str | None
    position: Position | None
    yaw_deg: float | None
    pitch_deg: float | None
    roll_deg: float | None
    relative_altitude_m: float | None
    altitude_datum: str

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {**asdict(self), "path": str(self.path)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Photo:
        """The inverse of `to_json`."""
        position = Position(**values["position"]) if values["position"] else None
        return cls(**{**values, "path": Path(values["path"]), "position": position})


def names_of(photos: tuple[Photo, ...], chosen: NDArray[Any]) -> tuple[str, ...]:
    """Names of the photos at indices, or where a mask is set."""
    indices = np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen
    return tuple(photos[index].name for index in indices)
