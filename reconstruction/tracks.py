"""Tracks: matches of pairs chained into points that many photos see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconstruction.matches import PairMatches

Ints = NDArray[np.int32]

_GRID_CELLS = 12  # along each side of a photo


@dataclass(frozen=True)
class Tracks:
    """Features that are the same point, one row an observation, ordered by track.

    Parameters
    ----------
    track, photo, feature : ndarray of int32, shape (m,)
        Number of the track, index of the photo, row in its features. No track has two
        features of one photo.
    """

    track: Ints
    photo: Ints
    feature: Ints

    @property
    def count(self) -> int:
        """Number of tracks."""
        return int(self.track[-1]) + 1 if len(self.track) else 0

    def take(self, kept: NDArray[np.bool_]) -> Tracks:
        """The observations of some tracks, numbered anew; ``kept`` has one entry a track."""
        number = np.cumsum(kept, dtype=np.int32) - np.int32(1)
        rows = kept[self.track]
        return Tracks(number[self.track[rows]], self.photo[rows], self.feature[rows])


def build(
    pairs: Sequence[PairMatches], names: Sequence[str], counts: Sequence[int], least: int
) -> Tracks:
    """Chain matches into tracks.

    The pairs with most matches go first. A match that would put two features of one photo into
    a track is left out, so a wrong match costs a track's growth and not the track.

    Parameters
    ----------
    pairs : sequence of PairMatches
    names : sequence of str
        Names of the photos, in the order of the resulting indices.
    counts : sequence of int
        Number of features of each photo.
    least : int
        Fewest photos that make a track.

    Returns
    -------
    Tracks
    """
    index = {name: number for number, name in enumerate(names)}
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    ordered = sorted(pairs, key=lambda pair: (-len(pair.index), pair.first, pair.second))
    edges = [
        pair.index + np.array([starts[index[pair.first]], starts[index[pair.second]]])
        for pair in ordered
    ]
    photo_of = np.repeat(np.arange(len(names), dtype=np.int32), np.asarray(counts, dtype=np.int64))
    root = _chain(np.concatenate([np.empty((0, 2), np.int64), *edges]), photo_of)
    _, track, lengths = np.unique(root, return_inverse=True, return_counts=True)
    node = np.flatnonzero(lengths[track] >= least)
    node = node[np.argsort(track[node], kind="stable")]
    _, number = np.unique(track[node], return_inverse=True)
    photo = photo_of[node]
    return Tracks(number.astype(np.int32), photo, (node - starts[photo]).astype(np.int32))


@njit(cache=True, nogil=True)
def _chain(edges: NDArray[np.int64], photo_of: Ints) -> NDArray[np.int64]:
    """Union of matched features; the root of each. Members of a set form a ring."""
    parent = np.arange(len(photo_of))
    ring = np.arange(len(photo_of))
    for edge in range(len(edges)):
        first, second = edges[edge, 0], edges[edge, 1]
        while parent[first] != first:
            parent[first] = parent[parent[first]]
            first = parent[first]
        while parent[second] != second:
            parent[second] = parent[parent[second]]
            second = parent[second]
        if first == second or _share_photo(first, second, ring, photo_of):
            continue
        parent[max(first, second)] = min(first, second)
        ring[first], ring[second] = ring[second], ring[first]
    for node in range(len(parent)):
        parent[node] = parent[parent[node]]  # parents are smaller, so these are final
    return parent


@njit(cache=True, nogil=True)
def _share_photo(first: int, second: int, ring: NDArray[np.int64], photo_of: Ints) -> bool:
    one = first
    while True:
        other = second
        while True:
            if photo_of[one] == photo_of[other]:
                return True
            other = ring[other]
            if other == second:
                break
        one = ring[one]
        if one == first:
            return False


def select(
    tracks: Tracks, xy: Sequence[NDArray[np.floating]], sizes: Sequence[tuple[int, int]], count: int
) -> NDArray[np.bool_]:
    """Which tracks to keep so that each photo has enough, long ones, all over the photo.

    Parameters
    ----------
    tracks : Tracks
    xy : sequence of ndarray, shape (n, 2)
        Pixels of each photo's features.
    sizes : sequence of (int, int)
        Width and height of each photo.
    count : int
        Observations wanted in each photo.

    Returns
    -------
    ndarray of bool, one entry a track
    """
    lengths = np.bincount(tracks.track, minlength=tracks.count)
    kept = np.zeros(tracks.count, bool)
    cell = np.empty(len(tracks.track), np.int64)
    for photo, (points, size) in enumerate(zip(xy, sizes, strict=True)):
        rows = np.flatnonzero(tracks.photo == photo)
        place = points[tracks.feature[rows]] * (_GRID_CELLS / np.array(size))
        column, row = np.clip(place, 0, _GRID_CELLS - 1).astype(np.int64).T
        cell[rows] = (photo * _GRID_CELLS + row) * _GRID_CELLS + column
    quota = max(1, count // _GRID_CELLS**2)
    # Longest first; what a long track already put into a cell counts there.
    order = np.argsort(-lengths, kind="stable")
    starts = np.searchsorted(tracks.track, np.arange(tracks.count + 1))
    filled = np.zeros(len(xy) * _GRID_CELLS**2, np.int64)
    _fill(order, starts, cell, quota, filled, kept)
    return kept


@njit(cache=True, nogil=True)
def _fill(
    order: NDArray[np.int64],
    starts: NDArray[np.int64],
    cell: NDArray[np.int64],
    quota: int,
    filled: NDArray[np.int64],
    kept: NDArray[np.bool_],
) -> None:
    for track in order:
        wanted = False
        for row in range(starts[track], starts[track + 1]):
            wanted |= filled[cell[row]] < quota
        if wanted:
            kept[track] = True
            for row in range(starts[track], starts[track + 1]):
                filled[cell[row]] += 1
