"""Tie points: many well-spread points, once cameras are roughly known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from reconstruction import guided, tracks
from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.features import FeatureFiles, Features
from reconstruction.matches import PairMatches
from reconstruction.stage import Run
from reconstruction.triangulation import triangulate, undistort, views
from reconstruction.wording import counted

_PARTNERS = 10  # photos that a photo is matched with
_LEAST_SHARED = 8  # tie points that make two photos partners
_MIN_ANGLE_RAD = np.radians(1.0)
_LEAST_VIEWS = 2
_LEAST_HOLDING = 12  # tie points that hold a photo in place


def densify(model: SparseModel, features: FeatureFiles, band: float, run: Run) -> SparseModel:
    """The same cameras with all the tie points that their photos have.

    Parameters
    ----------
    model : SparseModel
        With enough tie points to tell which photos see the same ground and how far it is.
    features : FeatureFiles
    band : float
        How far a feature may be from where the cameras say, as a share of the photo's longer
        side.
    run : Run

    Returns
    -------
    SparseModel
    """
    size_px = max(max(camera.width_px, camera.height_px) for camera in model.cameras.values())
    pairs = guided.match(model, features, partners(model), band * size_px, run)
    found = [features.features(shot.name) for shot in model.shots]
    return replace(model, tie_points=intersect(model.cameras, model.shots, found, pairs, band))


def partners(model: SparseModel) -> list[tuple[int, int]]:
    """Pairs of shots that see much of the same ground, for each shot the best ones."""
    ties = model.tie_points
    shape = (len(model.shots), len(ties.points))
    ones = np.ones(len(ties.shot_index), np.int32)
    seen = scipy.sparse.csr_matrix((ones, (ties.shot_index, ties.point_index)), shape)
    shared = (seen @ seen.T).tolil()
    shared.setdiag(0)
    pairs = set()
    for first in range(shape[0]):
        counts, others = np.array(shared.data[first]), np.array(shared.rows[first], dtype=int)
        for second in others[np.argsort(-counts, kind="stable")[:_PARTNERS]]:
            if shared[first, second] >= _LEAST_SHARED:
                pairs.add((min(first, int(second)), max(first, int(second))))
    return sorted(pairs)


def intersect(
    cameras: dict[str, Camera],
    shots: Sequence[Shot],
    features: Sequence[Features],
    pairs: Sequence[PairMatches],
    max_error: float,
) -> TiePoints:
    """Points where the rays of matched features meet.

    Parameters
    ----------
    cameras : dict of str to Camera
    shots : sequence of Shot
    features : sequence of Features
        Of each shot.
    pairs : sequence of PairMatches
    max_error : float
        Of a ray, as a share of the photo's longer side; rays farther off are left out.

    Returns
    -------
    TiePoints
    """
    counts = [len(found.xy) for found in features]
    chained = tracks.build(pairs, [shot.name for shot in shots], counts, _LEAST_VIEWS)
    pixels = np.empty((len(chained.track), 2))
    for index, found in enumerate(features):
        rows = chained.photo == index
        pixels[rows] = found.xy[chained.feature[rows]]
    ties = TiePoints(np.full((chained.count, 3), np.nan), chained.photo, chained.track, pixels)
    return reintersect(cameras, shots, ties, max_error)


def reintersect(
    cameras: dict[str, Camera], shots: Sequence[Shot], ties: TiePoints, max_error: float
) -> TiePoints:
    """Tie points found again from their observations, for cameras that have changed.

    Observations, and with them points, that do not agree are left out. Parameters are those of
    `intersect`; observations must be ordered by point.
    """
    rays = np.empty_like(ties.pixels)
    for index, shot in enumerate(shots):
        rows = ties.shot_index == index
        rays[rows] = undistort(cameras[shot.camera], ties.pixels[rows])
    starts = np.searchsorted(ties.point_index, np.arange(len(ties.points) + 1))
    size_px = max(max(camera.width_px, camera.height_px) for camera in cameras.values())
    poses = views(cameras, shots)
    points, good = triangulate(
        starts,
        ties.shot_index,
        rays,
        poses.rotation,
        poses.centre,
        poses.focal_px,
        max_error * size_px,
        _MIN_ANGLE_RAD,
        _LEAST_VIEWS,
    )
    kept = ~np.isnan(points[:, 0])
    number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
    return TiePoints(
        points[kept], ties.shot_index[good], number[ties.point_index[good]], ties.pixels[good]
    )


def thin(model: SparseModel, count: int) -> TiePoints:
    """Long tracks all over each photo, about ``count`` a photo."""
    ties = model.tie_points
    rows = np.arange(len(ties.shot_index), dtype=np.int32)
    sizes = [_size(model.cameras[shot.camera]) for shot in model.shots]
    chained = tracks.Tracks(ties.point_index, ties.shot_index, rows)
    kept = tracks.select(chained, [ties.pixels] * len(sizes), sizes, count)
    chosen = chained.take(kept)
    return TiePoints(ties.points[kept], chosen.photo, chosen.track, ties.pixels[chosen.feature])


def held(model: SparseModel) -> SparseModel:
    """The model without photos that too few tie points hold, and a note that names them."""
    ties, lost = model.tie_points, np.zeros(len(model.shots), bool)
    kept = np.ones(len(ties.shot_index), bool)
    while True:
        views = np.bincount(ties.point_index[kept], minlength=len(ties.points))
        kept &= views[ties.point_index] >= _LEAST_VIEWS
        count = np.bincount(ties.shot_index[kept], minlength=len(model.shots))
        loose = (count < _LEAST_HOLDING) & ~lost
        if not loose.any():
            break
        lost |= loose
        kept &= ~lost[ties.shot_index]
    if not lost.any():
        return model
    rest = ties.only(kept)
    shot_number = (np.cumsum(~lost) - 1).astype(np.int32)
    rest = replace(rest, shot_index=shot_number[rest.shot_index])
    names = [shot.name for shot, gone in zip(model.shots, lost, strict=True) if gone]
    note = (
        f"{counted(len(names), 'photo is', 'photos are')} left out, showing too little that others"
        f" show, too: {', '.join(names)}."
    )
    shots = tuple(shot for shot, gone in zip(model.shots, lost, strict=True) if not gone)
    used_cameras = {shot.camera for shot in shots}
    cameras = {name: lens for name, lens in model.cameras.items() if name in used_cameras}
    return SparseModel(cameras, shots, rest, (*model.notes, note))


def errors_px(model: SparseModel) -> NDArray[np.float64]:
    """Length of the reprojection error of each observation, pixels, shape (m,)."""
    ties = model.tie_points
    errors = np.empty(len(ties.pixels))
    for index, shot in enumerate(model.shots):
        rows = ties.shot_index == index
        local = shot.to_camera(ties.points[ties.point_index[rows]])
        seen = model.cameras[shot.camera].project(local)
        errors[rows] = np.linalg.norm(seen - ties.pixels[rows], axis=1)
    return errors


def _size(camera: Camera) -> tuple[int, int]:
    return camera.width_px, camera.height_px
