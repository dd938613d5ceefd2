"""Lays a reference cloud onto a survey: seven parameters, from places that both pictures show.

Shapes alone do not do: where two smooth surfaces bend differently, a search for the best fit of
heights slides and shrinks one of them until the bend is hidden.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

_TUKEY = 4.685
_ITERATIONS = 20
_RATIO = 0.75  # of the distances of the best and second best descriptor
_FEATURES = 20_000
_OFF_M = 0.5  # from a similarity in plan, of which bending leaves that much
_LEAST_PLACES = 30


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


@dataclass(frozen=True)
class Pictured:
    """A surface with a grey picture of it, each on a grid of its own.

    Parameters
    ----------
    surface : Surface
    picture : ndarray of uint8, shape (rows, cols)
    west, north, cell_m : float
        Of the picture.
    """

    surface: Surface
    picture: Picture
    west: float
    north: float
    cell_m: float


@dataclass(frozen=True)
class Similarity:
    """Scale, turn and shift.

    Parameters
    ----------
    centre, target : ndarray, shape (3,)
        Where the first goes.
    rotation : ndarray, shape (3, 3)
    scale : float
    """

    centre: Array
    target: Array
    rotation: Array
    scale: float

    def apply(self, points: Array) -> Array:
        """Points (n, 3) moved."""
        moved: Array = self.target + self.scale * (points - self.centre) @ self.rotation.T
        return moved


def align(reference: Pictured, survey: Pictured) -> tuple[Similarity, int]:
    """Find what moves a reference onto a survey.

    Parameters
    ----------
    reference, survey : Pictured
        In the same CRS, turned and scaled by a few per cent at most.

    Returns
    -------
    similarity : Similarity
        Moves places of the reference.
    count : int
        How many places it was found from.

    Raises
    ------
    ValueError
        When too few places are found in both.
    """
    here, there = _same_places(reference, survey)
    points = np.column_stack((here, reference.surface.at(here)))
    targets = np.column_stack((there, survey.surface.at(there)))
    known = np.isfinite(points[:, 2]) & np.isfinite(targets[:, 2])
    if known.sum() < _LEAST_PLACES:
        raise ValueError(f"Only {known.sum()} places are found in both pictures.")
    return fit_similarity(points[known], targets[known]), int(known.sum())


def fit_similarity(points: Array, targets: Array) -> Similarity:
    """Robust least squares of a similarity, reweighted by Tukey's function.

    Parameters
    ----------
    points, targets : ndarray, shape (n, 3)

    Returns
    -------
    Similarity

    References
    ----------
    .. [1] S. Umeyama, "Least-squares estimation of transformation parameters between two point
       patterns", IEEE Transactions on Pattern Analysis and Machine Intelligence 13(4), 1991.
    """
    weights = np.ones(len(points))
    for _ in range(_ITERATIONS):
        similarity = _fit(points, targets, weights)
        off = np.linalg.norm(targets - similarity.apply(points), axis=1)
        limit = _TUKEY * max(1.4826 * float(np.median(off)), 1e-6)
        weights = np.clip(1.0 - (off / limit) ** 2, 0.0, None) ** 2
    return similarity


def _fit(points: Array, targets: Array, weights: Array) -> Similarity:
    share = (weights / weights.sum())[:, None]
    centre, target = (share * points).sum(axis=0), (share * targets).sum(axis=0)
    from_here, from_there = points - centre, targets - target
    left, values, right = np.linalg.svd((share * from_there).T @ from_here)
    mirror = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    scale = float((values * mirror).sum() / (share * from_here**2).sum())
    return Similarity(centre, target, left * mirror @ right, scale)


def _same_places(reference: Pictured, survey: Pictured) -> tuple[Array, Array]:
    """Map places (n, 2) in the reference and in the survey that look alike and fit together."""
    detector = cv2.SIFT.create(_FEATURES, contrastThreshold=0.01)
    keys, words = zip(
        *(detector.detectAndCompute(item.picture, None) for item in (reference, survey)),
        strict=True,
    )
    pairs = cv2.BFMatcher(cv2.NORM_L2).knnMatch(*words, k=2)
    chosen = [best for best, second in pairs if best.distance < _RATIO * second.distance]
    here = _on_map(reference, np.array([keys[0][match.queryIdx].pt for match in chosen]))
    there = _on_map(survey, np.array([keys[1][match.trainIdx].pt for match in chosen]))
    middle = here.mean(axis=0)
    _, inside = cv2.estimateAffinePartial2D(
        here - middle, there - middle, ransacReprojThreshold=_OFF_M
    )
    fitting = inside.ravel().astype(bool)
    return here[fitting], there[fitting]


def _on_map(item: Pictured, pixels: Array) -> Array:
    places: Array = np.array([item.west, item.north]) + (pixels.reshape(-1, 2) + 0.5) * (
        item.cell_m,
        -item.cell_m,
    )
    return places
