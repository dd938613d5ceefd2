"""Matches: which features of two photos are the same place on the ground."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconstruction.features import FeatureFiles, Features
from reconstruction.photo import Photo
from reconstruction.stage import Run, Stage

Matches = NDArray[np.int32]

STAGE_NAME = "matches"

_BLOCK_ROWS = 256
_RATIO = 0.85
_SAMPLE = 8  # matches that a fundamental matrix needs


@dataclass(frozen=True)
class MatchInputs:
    """What the stage works on.

    Parameters
    ----------
    photos : tuple of Photo
    features : FeatureFiles
    pairs : tuple of (str, str)
        Names of photos that may see the same ground.
    """

    photos: tuple[Photo, ...]
    features: FeatureFiles
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class MatchOptions:
    """How matches are found and when a pair counts.

    Parameters
    ----------
    first_count : int
        Features a photo that are compared all with all.
    second_count : int
        The same for pairs that have few matches at first.
    enough : int
        Verified matches that make the second look needless.
    least : int
        A pair with fewer verified matches is dropped.
    max_error : float
        Distance from the epipolar line, as a share of the photo's longer side.
    """

    first_count: int = 1500
    second_count: int = 4000
    enough: int = 80
    least: int = 15
    max_error: float = 1e-3


@dataclass(frozen=True)
class PairMatches:
    """Verified matches of two photos.

    Parameters
    ----------
    first, second : str
        Photo names.
    index : ndarray of int32, shape (n, 2)
        Rows in the features of the first and of the second photo.
    """

    first: str
    second: str
    index: Matches


@dataclass(frozen=True)
class MatchSet:
    """Verified matches of a flight.

    Parameters
    ----------
    pairs : tuple of PairMatches
    """

    pairs: tuple[PairMatches, ...]

    def save(self, folder: Path) -> None:
        """Write ``matches.npz``."""
        counts = [len(pair.index) for pair in self.pairs]
        names = np.array([(pair.first, pair.second) for pair in self.pairs], dtype=np.str_)
        index = [pair.index for pair in self.pairs] or [np.empty((0, 2), np.int32)]
        np.savez(
            folder / "matches.npz",
            names=names.reshape(-1, 2),
            counts=np.array(counts, dtype=np.int64),
            index=np.concatenate(index),
        )

    @classmethod
    def load(cls, folder: Path) -> MatchSet:
        """The inverse of `save`."""
        with np.load(folder / "matches.npz") as arrays:
            names, counts, index = arrays["names"], arrays["counts"], arrays["index"]
        parts = np.split(index, np.cumsum(counts)[:-1]) if len(counts) else []
        return cls(
            tuple(
                PairMatches(str(first), str(second), part)
                for (first, second), part in zip(names, parts, strict=True)
            )
        )


def nearest(first: NDArray[np.uint8], second: NDArray[np.uint8], ratio: float) -> Matches:
    """Mutual nearest neighbours that are clearly nearer than the second nearest.

    Parameters
    ----------
    first, second : ndarray of uint8, shape (n, 128) and (m, 128)
        Descriptors of length 512.
    ratio : float
        Largest distance to the nearest as a share of that to the second nearest.

    Returns
    -------
    ndarray of int32, shape (k, 2)
    """
    if len(first) == 0 or len(second) < 2:
        return np.empty((0, 2), np.int32)
    rows = first.astype(np.float32) * np.float32(1 / 512)
    columns = np.ascontiguousarray(second.T.astype(np.float32) * np.float32(1 / 512))
    best_row = np.full(len(second), -1, np.int32)
    best_value = np.full(len(second), -2.0, np.float32)
    best_column = np.empty(len(first), np.int32)
    clear = np.empty(len(first), np.bool_)
    for start in range(0, len(first), _BLOCK_ROWS):
        stop = start + _BLOCK_ROWS
        similarity = rows[start:stop] @ columns
        _reduce(
            similarity,
            start,
            np.float32(ratio * ratio),
            best_column[start:stop],
            clear[start:stop],
            best_row,
            best_value,
        )
    chosen = np.flatnonzero(clear & (best_row[best_column] == np.arange(len(first))))
    return np.column_stack((chosen, best_column[chosen])).astype(np.int32)


@njit(cache=True, nogil=True)
def _reduce(
    similarity: NDArray[np.float32],
    start: int,
    ratio2: np.float32,
    best_column: NDArray[np.int32],
    clear: NDArray[np.bool_],
    best_row: NDArray[np.int32],
    best_value: NDArray[np.float32],
) -> None:
    """Nearest of each row and of each column in a block of similarities."""
    one = np.float32(1.0)
    for row in range(similarity.shape[0]):
        best = second = np.float32(-2.0)
        at = 0
        for column in range(similarity.shape[1]):
            value = similarity[row, column]
            if value > best_value[column]:
                best_value[column] = value
                best_row[column] = start + row
            if value > second:
                if value > best:
                    second, best, at = best, value, column
                else:
                    second = value
        best_column[row] = at
        # Squared distances of unit vectors are 2 (1 - similarity).
        clear[row] = one - best < ratio2 * (one - second)


def verify(first: Features, second: Features, matches: Matches, max_error_px: float) -> Matches:
    """The matches that agree with one relative position of two cameras.

    Parameters
    ----------
    first, second : Features
    matches : ndarray of int32, shape (n, 2)
    max_error_px : float
        Distance from the epipolar line, pixels of the full photo.

    Returns
    -------
    ndarray of int32, shape (k, 2)
    """
    if len(matches) < _SAMPLE:
        return matches[:0]
    _, inlier = cv2.findFundamentalMat(
        first.xy[matches[:, 0]],
        second.xy[matches[:, 1]],
        cv2.USAC_MAGSAC,
        max_error_px,
        0.999,
        3000,
    )
    return matches[:0] if inlier is None else matches[inlier.ravel() > 0]


def match(first: Features, second: Features, size_px: int, options: MatchOptions) -> Matches:
    """Verified matches of two photos: few features first, more of them where that is not enough.

    Parameters
    ----------
    first, second : Features
    size_px : int
        Longer side of the larger photo.
    options : MatchOptions

    Returns
    -------
    ndarray of int32, shape (k, 2)
    """
    verified = np.empty((0, 2), np.int32)
    for count in (options.first_count, options.second_count):
        found = nearest(first.descriptors[:count], second.descriptors[:count], _RATIO)
        verified = verify(first, second, found, options.max_error * size_px)
        if len(verified) >= options.enough:
            break
    return verified


def _shard(
    features: FeatureFiles,
    sizes_px: dict[str, int],
    options: MatchOptions,
    pair: tuple[str, str],
    _folder: Path,
) -> PairMatches:
    first, second = features.features(pair[0]), features.features(pair[1])
    size_px = max(sizes_px[pair[0]], sizes_px[pair[1]])
    return PairMatches(*pair, match(first, second, size_px, options))


def run(inputs: MatchInputs, options: MatchOptions, folder: Path, run: Run) -> MatchSet:
    """Match all pairs, in parallel."""
    sizes_px = {photo.name: max(photo.width_px, photo.height_px) for photo in inputs.photos}
    shard = partial(_shard, inputs.features, sizes_px, options)
    found = run.spread(shard, inputs.pairs, folder, "Matches", lambda _: [inputs.features.folder])
    result = MatchSet(tuple(pair for pair in found if len(pair.index) >= options.least))
    result.save(folder)
    return result


MATCHES: Stage[MatchInputs, MatchOptions, MatchSet] = Stage(STAGE_NAME, 1, 0.5, run, MatchSet.load)
