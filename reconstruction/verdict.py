"""The flight verdict: what was found, how grave it is and what can be done."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from reconstruction.errors import InputError

Level = Literal["refuse", "warn", "info"]


@dataclass(frozen=True)
class Finding:
    """One thing about a flight.

    Parameters
    ----------
    level : str
        ``refuse``, ``warn`` or ``info``.
    code : str
        A stable name, for programs.
    message : str
        What was found, with the value.
    remedy : str
        What a surveyor can do; empty where nothing needs doing.
    photos : tuple of str
        Photos that are concerned; empty where it is the whole flight.
    """

    level: Level
    code: str
    message: str
    remedy: str = ""
    photos: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for people."""
        return f"{'Warning: ' * (self.level == 'warn')}{self.message} {self.remedy}".strip()


@dataclass(frozen=True)
class FlightVerdict:
    """What is known of a flight before any heavy work.

    Parameters
    ----------
    findings : tuple of Finding
        The gravest first.
    photo_count : int
    gsd_m, flying_height_m : float or None
        Medians, None where no height is known.
    area_m2 : float or None
        Ground that the photos show, None where no height is known.
    overlap : float or None
        Median over the photos of the largest share that one has in common with another.
    views : float or None
        Median number of photos that show a place of that ground.
    """

    findings: tuple[Finding, ...]
    photo_count: int
    gsd_m: float | None = None
    flying_height_m: float | None = None
    area_m2: float | None = None
    overlap: float | None = None
    views: float | None = None

    @property
    def usable(self) -> bool:
        """Whether a reconstruction may start."""
        return all(finding.level != "refuse" for finding in self.findings)

    def require_usable(self) -> None:
        """Raise `InputError` with every reason and remedy if the flight is refused."""
        refused = [finding for finding in self.findings if finding.level == "refuse"]
        if refused:
            raise InputError(
                " ".join(finding.message for finding in refused),
                " ".join(finding.remedy for finding in refused),
            )

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> FlightVerdict:
        """The inverse of `to_json`."""
        findings = tuple(
            Finding(**{**item, "photos": tuple(item["photos"])}) for item in values["findings"]
        )
        return cls(**{**values, "findings": findings})
