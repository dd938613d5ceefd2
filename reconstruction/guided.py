"""Guided matching: finding features again where known cameras say they must be.

Once cameras and a rough surface are known, a feature of one photo can only be near a short piece
of a line in another. Comparing it with the few features there is far cheaper than with all, and
finds many that look too alike to be told apart in the whole photo.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reconstruction.block import SparseModel
from reconstruction.camera import Camera, Shot
from reconstruction.features import FeatureFiles, Features
from reconstruction.matches import PairMatches
from reconstruction.stage import Run
from reconstruction.triangulation import undistort

Array = NDArray[np.float64]

_NEIGHBOURS = 8  # tie points that tell the depth of a feature
_LEAST_SPREAD = 0.03  # relative uncertainty of that depth at least
_BUCKET_PX = 48.0
_RATIO = 0.85
_MAX_DISTANCE = 340.0  # of descriptors of length 512
_MAX_SCALE_RATIO = 1.6
# The second best is sought in a wider band than the best, else nothing would be there to tell
# a clear match from a chance one.
_BAND_FACTOR = 4.0
_FAR_PX = 1e6


@dataclass(frozen=True)
class _Photo:
    """A registered photo with its features and the depth expected at each of them."""

    shot: Shot
    camera: Camera
    features: Features
    rays: Array
    depth: Array
    spread: Array


def match(
    model: SparseModel,
    features: FeatureFiles,
    pairs: list[tuple[int, int]],
    band_px: float,
    run: Run,
) -> list[PairMatches]:
    """Match the features of registered photos along their epipolar lines.

    Parameters
    ----------
    model : SparseModel
        Cameras and tie points, good to ``band_px``.
    features : FeatureFiles
    pairs : list of (int, int)
        Indices of shots.
    band_px : float
        Largest distance from the epipolar line, pixels of the full photo.
    run : Run

    Returns
    -------
    list of PairMatches
    """
    photos = run.part(0.0, 0.4).map(
        partial(_prepare, model, features), range(len(model.shots)), "Depth of features"
    )
    jobs = [(photos[first], photos[second]) for first, second in pairs]
    return run.part(0.4, 1.0).map(partial(_match_pair, band_px), jobs, "Guided matches")


def _prepare(model: SparseModel, features: FeatureFiles, index: int) -> _Photo:
    shot = model.shots[index]
    camera = model.cameras[shot.camera]
    found = features.features(shot.name)
    ties = model.tie_points
    rows = ties.shot_index == index
    depths = shot.to_camera(ties.points[ties.point_index[rows]])[:, 2]
    count = min(_NEIGHBOURS, len(depths))
    _, near = cKDTree(ties.pixels[rows]).query(found.xy, count)
    # Inverse depth changes linearly over a plane.
    inverse = 1.0 / depths[near.reshape(len(found.xy), count)]
    middle = np.median(inverse, axis=1)
    spread = np.maximum(_LEAST_SPREAD, np.ptp(inverse, axis=1) / middle)
    rays = undistort(camera, found.xy.astype(np.float64))
    return _Photo(shot, camera, found, rays, 1.0 / middle, spread)


def _match_pair(band_px: float, pair: tuple[_Photo, _Photo]) -> PairMatches:
    first, second = pair
    forward = _search(first, second, band_px)
    backward = _search(second, first, band_px)
    rows = np.flatnonzero(forward >= 0)
    rows = rows[backward[forward[rows]] == rows]
    index = np.column_stack((rows, forward[rows])).astype(np.int32)
    return PairMatches(first.shot.name, second.shot.name, index)


def _search(source: _Photo, target: _Photo, band_px: float) -> NDArray[np.int64]:
    """For each feature of the source the feature of the target that is it, or -1."""
    near, _ = _where(source, target, source.depth * (1.0 - source.spread))
    far, _ = _where(source, target, source.depth * (1.0 + source.spread))
    _, depth = _where(source, target, source.depth)
    magnification = source.depth * target.camera.focal_px / (depth * source.camera.focal_px)
    points = target.features.xy.astype(np.float64)
    columns = int(target.camera.width_px / _BUCKET_PX) + 1
    rows = int(target.camera.height_px / _BUCKET_PX) + 1
    column, row = np.clip(points // _BUCKET_PX, 0, [columns - 1, rows - 1]).astype(np.int64).T
    bucket = row * columns + column
    order = np.argsort(bucket, kind="stable")
    starts = np.searchsorted(bucket[order], np.arange(rows * columns + 1))
    return _nearest_on_line(
        near,
        far,
        source.features.descriptors,
        source.features.sigma * magnification,
        points,
        target.features.descriptors,
        target.features.sigma,
        order,
        starts,
        columns,
        rows,
        band_px,
    )


def _where(source: _Photo, target: _Photo, depth: Array) -> tuple[Array, Array]:
    """Pixels in the target of the source's features at a depth, and their depth there.

    A point behind the target has NaN pixels.
    """
    local = np.column_stack((source.rays, np.ones(len(depth)))) * depth[:, None]
    world = local @ source.shot.rotation + source.shot.centre
    there = target.shot.to_camera(world)
    there[there[:, 2] <= 0.0] = np.nan
    return target.camera.project(there), there[:, 2]


@njit(cache=True, nogil=True)
def _nearest_on_line(  # type: ignore[no-untyped-def]  # noqa: C901
    near,
    far,
    looks,
    sigmas,
    points,
    target_looks,
    target_sigmas,
    order,
    starts,
    columns,
    rows,
    band,
):
    """The most alike feature within a band around each segment, -1 where none is clear."""
    found = np.full(len(near), -1, np.int64)
    wide = band * _BAND_FACTOR
    for index in range(len(near)):
        x0, y0, x1, y1 = near[index, 0], near[index, 1], far[index, 0], far[index, 1]
        # Also turns NaN away.
        if not (abs(x0) + abs(y0) + abs(x1) + abs(y1) < _FAR_PX):
            continue
        first_column = max(0, int((min(x0, x1) - wide) / _BUCKET_PX))
        last_column = min(columns - 1, int((max(x0, x1) + wide) / _BUCKET_PX))
        first_row = max(0, int((min(y0, y1) - wide) / _BUCKET_PX))
        last_row = min(rows - 1, int((max(y0, y1) + wide) / _BUCKET_PX))
        if first_column > last_column or first_row > last_row:
            continue
        length = np.sqrt((x1 - x0) ** 2 + (y1 - y0) ** 2) + 1e-9
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        best = second = 1 << 30
        at = -1
        at_across = 0.0
        for row in range(first_row, last_row + 1):
            begin = starts[row * columns + first_column]
            end = starts[row * columns + last_column + 1]
            for position in range(begin, end):
                candidate = order[position]
                dx, dy = points[candidate, 0] - x0, points[candidate, 1] - y0
                across = abs(dx * uy - dy * ux)
                along = dx * ux + dy * uy
                if across > wide or along < -wide or along > length + wide:
                    continue
                ratio = target_sigmas[candidate] / sigmas[index]
                if ratio > _MAX_SCALE_RATIO or ratio * _MAX_SCALE_RATIO < 1.0:
                    continue
                distance = _distance2(looks[index], target_looks[candidate])
                if distance < best:
                    second, best, at, at_across = best, distance, candidate, across
                elif distance < second:
                    second = distance
        clear = best < _RATIO * _RATIO * second and best < _MAX_DISTANCE * _MAX_DISTANCE
        if clear and at_across <= band:
            found[index] = at
    return found


@njit(cache=True, nogil=True)
def _distance2(first, second):  # type: ignore[no-untyped-def]
    total = np.int32(0)
    for k in range(first.shape[0]):
        difference = np.int32(first[k]) - np.int32(second[k])
        total += difference * difference
    return total
