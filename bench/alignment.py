"""Lays a reference cloud onto a surface: seven parameters, found on ground that both show."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Array = NDArray[np.float64]

_SEARCH_M = 3.0
_ITERATIONS = 30
_TUKEY = 4.685


@dataclass(frozen=True)
class Surface:
    """Elevations on a north-up grid.

    Parameters
    ----------
    west, north, cell_m : float
        Upper left corner and cell size.
    elevation_m : ndarray, shape (rows, cols)
        NaN where unknown.
    """

    west: float
    north: float
    cell_m: float
    elevation_m: Array

    def at(self, xy: Array) -> Array:
        """Elevations (n,) at places (n, 2), bilinear; NaN where unknown."""
        columns = (xy[:, 0] - self.west) / self.cell_m - 0.5
        rows = (self.north - xy[:, 1]) / self.cell_m - 0.5
        found: Array = map_coordinates(
            self.elevation_m, np.stack((rows, columns)), order=1, cval=np.nan
        )
        return found

    def slopes(self) -> tuple[Surface, Surface]:
        """Slopes towards east and north."""
        down, right = np.asarray(np.gradient(self.elevation_m, self.cell_m))
        return (
            Surface(self.west, self.north, self.cell_m, right),
            Surface(self.west, self.north, self.cell_m, -down),
        )


@dataclass(frozen=True)
class Similarity:
    """Scale, small turns and shift about a centre.

    Parameters
    ----------
    centre : ndarray, shape (3,)
    values : ndarray, shape (7,)
        Shift in metres, turns about x, y, z in radians, relative scale less one.
    """

    centre: Array
    values: Array

    def apply(self, points: Array) -> Array:
        """Points (n, 3) moved."""
        offset = points - self.centre
        turned = offset + np.cross(self.values[3:6], offset)
        moved: Array = self.centre + self.values[:3] + (1.0 + self.values[6]) * turned
        return moved


def align(points: Array, surface: Surface) -> tuple[Similarity, Array]:
    """Move points onto a surface, robustly.

    Parameters
    ----------
    points : ndarray, shape (n, 3)
        Roughly in place, to a few metres.
    surface : Surface

    Returns
    -------
    similarity : Similarity
        Moves the points.
    residuals : ndarray, shape (n,)
        Surface less moved points, metres; NaN where the surface has a hole.

    References
    ----------
    .. [1] Y. Chen, G. Medioni, "Object modelling by registration of multiple range images",
       Image and Vision Computing 10(3), 1992 (point to plane).
    """
    centre = np.median(points, axis=0)
    slopes = surface.slopes()
    steps = np.arange(-_SEARCH_M, _SEARCH_M + 0.1, 1.0)
    starts = [_start(points, surface, centre, east, north) for east in steps for north in steps]
    similarity = min(starts, key=lambda start: start[0])[1]
    for _ in range(_ITERATIONS):
        similarity = _improved(similarity, points, surface, slopes)
    moved = similarity.apply(points)
    return similarity, surface.at(moved[:, :2]) - moved[:, 2]


def _start(
    points: Array, surface: Surface, centre: Array, east_m: float, north_m: float
) -> tuple[float, Similarity]:
    """How badly the shapes agree after a shift, and that shift with its height."""
    differences = surface.at(points[:, :2] + (east_m, north_m)) - points[:, 2]
    up_m = float(np.nanmedian(differences))
    shift = np.array([east_m, north_m, up_m, 0.0, 0.0, 0.0, 0.0])
    return float(np.nanmedian(np.abs(differences - up_m))), Similarity(centre, shift)


def _improved(
    similarity: Similarity, points: Array, surface: Surface, slopes: tuple[Surface, Surface]
) -> Similarity:
    """One Gauss-Newton step with Tukey's weights."""
    moved = similarity.apply(points)
    residuals = surface.at(moved[:, :2]) - moved[:, 2]
    east, north = (slope.at(moved[:, :2]) for slope in slopes)
    seen = np.isfinite(residuals) & np.isfinite(east) & np.isfinite(north)
    residuals, offset = residuals[seen], (moved - similarity.centre)[seen]
    normal = np.column_stack((-east[seen], -north[seen], np.ones(seen.sum())))
    # A shift along the normal, a turn about each axis, and growth from the centre.
    design = np.column_stack((normal, np.cross(offset, normal), np.sum(offset * normal, axis=1)))
    spread = 1.4826 * np.median(np.abs(residuals - np.median(residuals)))
    weights = np.clip(1.0 - (residuals / (_TUKEY * max(spread, 1e-4))) ** 2, 0.0, None)
    step = np.linalg.lstsq(design * weights[:, None], residuals * weights, rcond=None)[0]
    return Similarity(similarity.centre, similarity.values + step)
