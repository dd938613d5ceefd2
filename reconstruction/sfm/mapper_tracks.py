"""What COLMAP's mappers get: some long, well-spread tracks a photo instead of all matches."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reconstruction import tracks
from reconstruction.block import SparseModel
from reconstruction.sfm import SfmInputs
from reconstruction.sfm.joining import Part


@dataclass(frozen=True)
class MapperTracks:
    """Keypoints of chosen tracks, and their matches.

    Parameters
    ----------
    xy : tuple of ndarray of float32, shape (n, 2)
        Of each photo, pixel centres at integers.
    matches : tuple of ndarray of uint32, shape (k, 2)
        Of each pair of matched photos: rows in the keypoints of the first and second photo.
    tracks : tuple of ndarray of int32, shape (n,)
        Of each photo, the track of each keypoint.
    names : tuple of str
        Of the photos.
    """

    xy: tuple[NDArray[np.float32], ...]
    matches: tuple[NDArray[np.uint32], ...]
    tracks: tuple[NDArray[np.int32], ...]
    names: tuple[str, ...]

    def part(self, model: SparseModel) -> Part:
        """A model that a mapper made of these keypoints, with the track of each point."""
        ties = model.tie_points
        track = np.empty(len(ties.points), np.int64)
        for index, shot in enumerate(model.shots):
            number = self.names.index(shot.name)
            rows = np.flatnonzero(ties.shot_index == index)
            nearest = cKDTree(self.xy[number]).query(ties.pixels[rows])[1]
            track[ties.point_index[rows]] = self.tracks[number][nearest]
        return Part(model, track)


def choose(inputs: SfmInputs, count: int) -> MapperTracks:
    """Tracks so that each photo has about ``count`` observations of long ones, all over it."""
    photos = inputs.photos
    xy = [inputs.features.features(photo.name).xy for photo in photos]
    names = [photo.name for photo in photos]
    every = tracks.build(inputs.matches.pairs, names, [len(points) for points in xy], 2)
    sizes = [(photo.width_px, photo.height_px) for photo in photos]
    chosen = every.take(tracks.select(every, xy, sizes, count))
    numbers = [np.full(len(points), -1, np.int64) for points in xy]  # of features that are kept
    belongs = [np.full(len(points), -1, np.int64) for points in xy]  # to which track
    kept, of_kept = [], []
    for index in range(len(photos)):
        rows = np.flatnonzero(chosen.photo == index)
        features = chosen.feature[rows]
        numbers[index][features] = np.arange(len(rows))
        belongs[index][features] = chosen.track[rows]
        kept.append(xy[index][features])
        of_kept.append(chosen.track[rows])
    at = {name: index for index, name in enumerate(names)}
    matches = []
    for pair in inputs.matches.pairs:
        first, second = at[pair.first], at[pair.second]
        one, other = pair.index.T
        same = (belongs[first][one] == belongs[second][other]) & (belongs[first][one] >= 0)
        ends = (numbers[first][one[same]], numbers[second][other[same]])
        matches.append(np.column_stack(ends).astype(np.uint32))
    return MapperTracks(tuple(kept), tuple(matches), tuple(of_kept), tuple(names))
