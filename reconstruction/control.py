"""Ground control points and check points: places that were surveyed and marked in photos."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from reconstruction.frame import LocalFrame


@dataclass(frozen=True)
class Observation:
    """Where a point was marked in a photo.

    Parameters
    ----------
    photo : str
        Photo name.
    x_px, y_px : float
        Pixels of the full image, pixel centres at integers.
    """

    photo: str
    x_px: float
    y_px: float


@dataclass(frozen=True)
class SurveyedPoint:
    """A point on the ground that was surveyed and marked in photos.

    Parameters
    ----------
    name : str
    latitude_deg, longitude_deg : float
        WGS 84.
    elevation_m : float
        In the vertical datum of its list.
    horizontal_sigma_m, vertical_sigma_m : float
        One standard deviation of the survey; the list has no column for it, so it is what RTK
        with a pole gives.
    observations : tuple of Observation
        In two photos or more.
    """

    name: str
    latitude_deg: float
    longitude_deg: float
    elevation_m: float
    horizontal_sigma_m: float
    vertical_sigma_m: float
    observations: tuple[Observation, ...]

    def local(self, frame: LocalFrame) -> NDArray[np.float64]:
        """Coordinates in a local frame, shape (3,)."""
        return frame.from_geodetic(
            np.array([self.latitude_deg]),
            np.array([self.longitude_deg]),
            np.array([self.elevation_m]),
        )[0]

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        observations = tuple(Observation(**item) for item in values["observations"])
        return cls(**{**values, "observations": observations})


class ControlPoint(SurveyedPoint):
    """A ground control point (GCP): it enters the adjustment."""


class CheckPoint(SurveyedPoint):
    """A check point: it never enters the adjustment, and so tells the accuracy."""


@dataclass(frozen=True)
class Control:
    """A list of surveyed points.

    Parameters
    ----------
    control_points : tuple of ControlPoint
    check_points : tuple of CheckPoint
    epsg : int or None
        Horizontal CRS of the list where it is a projected one in metres with a code.
    vertical_datum : str
        Name of the vertical datum, ``ellipsoidal``, or ``unknown`` where the CRS has none.
    notes : tuple of str
        What a surveyor should know, such as rows that were skipped.
    """

    control_points: tuple[ControlPoint, ...]
    check_points: tuple[CheckPoint, ...]
    epsg: int | None
    vertical_datum: str
    notes: tuple[str, ...] = ()

    def save(self, folder: Path) -> None:
        """Write ``control.json`` into a folder."""
        text = json.dumps(asdict(self), indent=1)
        (folder / "control.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Control:
        """The inverse of `save`."""
        values = json.loads((folder / "control.json").read_text(encoding="utf-8"))
        return cls(
            tuple(ControlPoint.from_json(item) for item in values["control_points"]),
            tuple(CheckPoint.from_json(item) for item in values["check_points"]),
            values["epsg"],
            values["vertical_datum"],
            tuple(values["notes"]),
        )
