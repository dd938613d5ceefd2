"""What flight to simulate."""

from __future__ import annotations

from dataclasses import dataclass

from reconstruction.errors import OptionError


@dataclass(frozen=True)
class Size:
    """A camera and how it is flown.

    Parameters
    ----------
    width_px, height_px : int
    focal_px : float
        Of the true lens.
    height_m : float
        Of the flight above the floor.
    photos, oblique_photos : int
        All photos, and how many of them look forward at a slant.
    forward, side : float
        Overlap along and across the strips.
    centre : tuple of float
        Local x, y of the middle of the flight.
    """

    width_px: int
    height_px: int
    focal_px: float
    height_m: float
    photos: int
    oblique_photos: int
    forward: float
    side: float
    centre: tuple[float, float]

    @property
    def gsd_m(self) -> float:
        """Ground sample distance on the floor."""
        return self.height_m / self.focal_px


SIZES = {
    "small": Size(1400, 1050, 1010.0, 45.0, 12, 0, 0.75, 0.66, (-25.0, 3.0)),
    "demo": Size(3000, 2000, 2080.0, 47.0, 48, 6, 0.78, 0.67, (0.0, 0.0)),
    "large": Size(3000, 2000, 2080.0, 47.0, 150, 12, 0.78, 0.67, (0.0, 0.0)),
}
RECEIVERS = ("rtk", "consumer", "none")


@dataclass(frozen=True)
class FlightOptions:
    """A simulated flight.

    Parameters
    ----------
    seed : int
        The same seed gives the same quarry and the same photos.
    week : int
        0 or 1: the same quarry, its piles a week apart.
    size : str
        A key of `SIZES`.
    photos : int or None
        Another number of photos than the size's own.
    gps : str
        ``rtk``, ``consumer`` or ``none``.
    gcps, check_points : int
        Targets on the ground.

    Raises
    ------
    OptionError
        For values that no flight can have.
    """

    seed: int = 1
    week: int = 0
    size: str = "demo"
    photos: int | None = None
    gps: str = "rtk"
    gcps: int = 0
    check_points: int = 0

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise OptionError(f"The seed is {self.seed}.", "Give 0 or a larger number.")
        if self.week not in (0, 1):
            raise OptionError(f"There is no week {self.week}.", "Choose 0 or 1.")
        if self.size not in SIZES:
            raise OptionError(f"There is no size {self.size!r}.", f"Choose one of {list(SIZES)}.")
        if self.gps not in RECEIVERS:
            raise OptionError(f"There is no GPS {self.gps!r}.", f"Choose one of {RECEIVERS}.")
        if self.photos is not None and not 3 <= self.photos <= 2000:
            raise OptionError(f"{self.photos} photos cannot be flown.", "Give 3 to 2000.")
        if not (0 <= self.gcps <= 40 and 0 <= self.check_points <= 40):
            raise OptionError(
                f"{self.gcps} GCPs and {self.check_points} check points cannot be laid out.",
                "Give 0 to 40 of each.",
            )
