"""Models of parts of a flight, joined by the places on the ground that they share."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reconstruction.block import SparseModel, TiePoints
from reconstruction.placement import similarity, transformed

# Places that two models must agree on before one is laid onto the other, and their share of all
# that both have: what two models share by chance does not fit one similarity.
_LEAST_PLACES = 15
_LEAST_SHARE = 0.5
# Shares of the distance from the cameras.
_MAX_ERROR = 0.01  # of a place
_LEAST_SPREAD = 0.03  # of the places across their line: they must not leave a turn about it open
_SAMPLES = 500


class Part(NamedTuple):
    """A model of some of the photos, in a frame of its own.

    Parameters
    ----------
    model : SparseModel
    tracks : ndarray of int, shape (n,)
        Number of the track behind each of its points, the same in all parts.
    """

    model: SparseModel
    tracks: NDArray[np.int64]


def join(parts: list[Part]) -> SparseModel:
    """The largest part, with all others that can be laid onto it.

    Parameters
    ----------
    parts : list of Part
        At least one.

    Returns
    -------
    SparseModel
        In the frame of the largest part. What was joined and what was dropped is in its notes;
        points that came from several parts are where the larger one has them.
    """
    whole, *rest = sorted(parts, key=lambda part: -len(part.model.shots))
    sizes = ", ".join(str(len(part.model.shots)) for part in (whole, *rest))
    joined = 1
    while True:
        found = ((part, laid) for part in rest if (laid := _laid_onto(whole, part)) is not None)
        part, laid = next(found, (None, None))
        if part is None or laid is None:
            break
        rest = [other for other in rest if other is not part]
        whole, joined = _union(whole, laid), joined + 1
    if len(parts) == 1:
        return whole.model
    kept = len(whole.model.shots)
    if joined == 1:
        what = "the largest was kept, for the others share too little with it"
    elif rest:
        what = f"{joined} of them share enough to be joined into one of {kept}, which was kept"
    else:
        what = f"they share enough to be joined into one of {kept}"
    note = f"The photos came together in {len(parts)} separate models of {sizes} photos; {what}."
    return replace(whole.model, notes=(*whole.model.notes, note))


def _laid_onto(whole: Part, part: Part) -> Part | None:
    """A part in the frame of another one; None if they do not share enough."""
    _, mine, theirs = np.intersect1d(part.tracks, whole.tracks, return_indices=True)
    least = max(_LEAST_PLACES, int(np.ceil(_LEAST_SHARE * len(mine))))
    if len(mine) < least:
        return None
    source, target = part.model.tie_points.points[mine], whole.model.tie_points.points[theirs]
    centres = np.array([shot.centre for shot in whole.model.shots])
    distance = float(np.median(cKDTree(centres).query(target)[0]))
    agreeing = np.zeros(len(mine), bool)
    random = np.random.default_rng(0)
    for _ in range(_SAMPLES):
        three = random.choice(len(mine), 3, replace=False)
        fit = similarity(source[three], target[three])
        moved = fit.scale * source @ fit.rotation.T + fit.shift
        near = np.linalg.norm(moved - target, axis=1) < _MAX_ERROR * distance
        agreeing = near if near.sum() > agreeing.sum() else agreeing
    if agreeing.sum() < least or _spread(target[agreeing]) < _LEAST_SPREAD * distance:
        return None
    fit = similarity(source[agreeing], target[agreeing])
    return Part(transformed(part.model, fit), part.tracks)


def _spread(places: NDArray[np.float64]) -> float:
    """Standard deviation of places (n, 3) across the line that fits them best."""
    sizes = np.linalg.svd(places - places.mean(axis=0), compute_uv=False)
    return float(sizes[1] / np.sqrt(len(places)))


def _union(whole: Part, part: Part) -> Part:
    """Both; what both have is taken from the first."""
    names = {shot.name for shot in whole.model.shots}
    fresh = [number for number, shot in enumerate(part.model.shots) if shot.name not in names]
    shots = (*whole.model.shots, *(part.model.shots[number] for number in fresh))
    new = np.flatnonzero(~np.isin(part.tracks, whole.tracks))
    tracks = np.concatenate((whole.tracks, part.tracks[new]))
    points = np.concatenate((whole.model.tie_points.points, part.model.tie_points.points[new]))
    # Observations of the photos that the whole did not have, of points that it may have had.
    ties = part.model.tie_points
    shot_number = np.full(len(part.model.shots), -1, np.int32)
    shot_number[fresh] = np.arange(len(fresh)) + len(whole.model.shots)
    by_track = np.argsort(tracks, kind="stable")
    place = by_track[np.searchsorted(tracks[by_track], part.tracks)]
    rows = np.flatnonzero(shot_number[ties.shot_index] >= 0)
    mine = whole.model.tie_points
    shot_index = np.concatenate((mine.shot_index, shot_number[ties.shot_index[rows]]))
    point_index = np.concatenate((mine.point_index, place[ties.point_index[rows]]))
    order = np.argsort(point_index, kind="stable")
    joined = TiePoints(
        points,
        shot_index[order].astype(np.int32),
        point_index[order].astype(np.int32),
        np.concatenate((mine.pixels, ties.pixels[rows]))[order],
    )
    cameras = {**part.model.cameras, **whole.model.cameras}
    return Part(SparseModel(cameras, shots, joined, whole.model.notes), tracks)
