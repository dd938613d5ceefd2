"""A tile of dense points: how the dense surface hands its points to the DSM and the cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class DensePoints:
    """Points of one tile, in map coordinates.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        Easting, northing, elevation that ``offsets`` count from; float32 keeps millimetres.
    offsets : ndarray of float32, shape (n, 3)
        Metres from ``origin``.
    colors : ndarray of uint8, shape (n, 3)
        Red, green, blue.
    sigma_m : ndarray of float32, shape (n,)
        One standard deviation of the elevation, from the ray geometry and the match.
    """

    origin: NDArray[np.float64]
    offsets: NDArray[np.float32]
    colors: NDArray[np.uint8]
    sigma_m: NDArray[np.float32]


@dataclass(frozen=True)
class PointTile:
    """A file of dense points.

    Parameters
    ----------
    path : Path
        The ``.npz`` file.
    bounds : tuple of float
        West, south, east, north in the map CRS; tiles do not overlap.
    count : int
        Number of points.
    """

    path: Path
    bounds: tuple[float, float, float, float]
    count: int

    def load(self) -> DensePoints:
        """Read the points."""
        with np.load(self.path) as arrays:
            return DensePoints(
                arrays["origin"], arrays["offsets"], arrays["colors"], arrays["sigma_m"]
            )
