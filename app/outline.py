"""What people draw: the toe of a pile, and the base it is measured against."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

MAX_VERTICES = 2000


@dataclass(frozen=True)
class Outline:
    """The toe of a pile as it is drawn and stored.

    Parameters
    ----------
    coordinates : sequence of rings
        Outer ring, then holes; each closed, of (easting, northing, elevation).
    walls : tuple of int
        Edges of the outer ring that stand against a wall.
    """

    coordinates: Sequence[Sequence[Sequence[float]]]
    walls: tuple[int, ...] = ()


@dataclass(frozen=True)
class Base:
    """What a pile is measured against; see `volumetrics` for the methods."""

    method: str = "plane"
    elevation_m: float | None = None
    survey_id: UUID | None = None

    def document(self) -> dict[str, Any]:
        """As it is stored."""
        survey = None if self.survey_id is None else str(self.survey_id)
        every = {"method": self.method, "elevation_m": self.elevation_m, "survey_id": survey}
        return {name: value for name, value in every.items() if value is not None}
