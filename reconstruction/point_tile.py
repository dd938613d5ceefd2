"""A tile of dense points: how the dense surface hands its points to the DSM and the cloud."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.copc import SCALE_M


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

    def in_millimetres(
        self, kept: NDArray[np.intp], offset_m: NDArray[np.float64]
    ) -> NDArray[np.int32]:
        """Some of the points as whole millimetres from ``offset_m``, shape (len(kept), 3)."""
        result: NDArray[np.int32] = _in_millimetres(self.offsets, kept, self.origin - offset_m)
        return result


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


def extent(tiles: tuple[PointTile, ...]) -> tuple[float, float, float, float]:
    """West, south, east, north of all tiles, a metre wider."""
    bounds = np.array([tile.bounds for tile in tiles if tile.count])
    west, south = bounds[:, :2].min(axis=0) - 1.0
    east, north = bounds[:, 2:].max(axis=0) + 1.0
    return float(west), float(south), float(east), float(north)


def offset_of(tiles: tuple[PointTile, ...]) -> NDArray[np.float64]:
    """Whole metres south-west of all points, elevation 0: integers stay small and positive."""
    return np.append(np.floor(extent(tiles)[:2]), 0.0)


@numba.njit(cache=True, nogil=True)
def _in_millimetres(offsets, kept, from_offset):  # type: ignore[no-untyped-def]
    result = np.empty((len(kept), 3), np.int32)
    for i in range(len(kept)):
        for axis in range(3):
            value_m = np.float64(offsets[kept[i], axis]) + from_offset[axis]
            result[i, axis] = np.int32(np.rint(value_m / SCALE_M))
    return result
