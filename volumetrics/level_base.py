"""Level bases: at the mean elevation of the toe, or at a stated one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from volumetrics.base_surface import BaseSurface
from volumetrics.errors import BaseError, InputError
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise
from volumetrics.toe import ToeSamples


@dataclass(frozen=True)
class Average:
    """A level base at the mean elevation of the toe."""

    name: str = "average"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Fit the level; see `BaseMethod`."""
        count = samples.elevation_m.size
        check_any(samples)
        level = float(samples.elevation_m.mean())
        return level_base(self.name, level, np.full(count, 1.0 / count), grid)


@dataclass(frozen=True)
class Fixed:
    """A level base at a stated elevation.

    Parameters
    ----------
    base_elevation_m : float
        In the vertical datum of the surface.
    sigma_m : float
        1 sigma of this elevation.

    Raises
    ------
    InputError
        When the elevation is not finite, or its sigma is not at least 0.
    """

    base_elevation_m: float
    sigma_m: float = 0.0
    name: str = "fixed"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.base_elevation_m) and 0.0 <= self.sigma_m < math.inf):
            raise InputError(
                f"A base at {self.base_elevation_m} ± {self.sigma_m} m (1 sigma) is impossible.",
                "Give a finite elevation and a sigma of at least 0.",
            )

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Take the stated level; see `BaseMethod`."""
        nothing = np.zeros(samples.elevation_m.size)
        return BaseSurface(
            self.name,
            np.full(grid.elevation_m.shape, self.base_elevation_m),
            lambda load: nothing,
            offset_sigma_m=self.sigma_m,
            is_anchored=False,
            facts={"base_elevation_m": self.base_elevation_m},
        )


def level_base(
    name: str, level_m: float, shares: Array, grid: Grid, offset_sigma_m: float = 0.0
) -> BaseSurface:
    """A level base whose elevation depends on the samples by the given shares (n,)."""
    return BaseSurface(
        name,
        np.full(grid.elevation_m.shape, level_m),
        lambda load: np.asarray(load.sum() * shares),
        offset_sigma_m=offset_sigma_m,
        facts={"base_elevation_m": level_m, "base_elevation_sigma_m": offset_sigma_m},
    )


def check_any(samples: ToeSamples) -> None:
    """Refuse a toe without ground samples."""
    if samples.elevation_m.size == 0:
        raise BaseError(
            "No ground was found beside the toe.",
            "Draw the toe on visible ground, mark fewer edges as wall, or use a fixed elevation.",
        )
