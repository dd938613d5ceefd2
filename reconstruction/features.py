"""Features: the places of each photo that can be found again in other photos."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction import sift
from reconstruction.errors import StageError
from reconstruction.photo import Photo
from reconstruction.stage import Run, Stage

_OCTAVES = 4
# Contrast below which an extremum is not even noise, 1 being white against black. Low on purpose:
# the selection keeps the strongest of each part of a photo, so sand gets what sand has, and what
# is noise finds no match.
_LEAST_CONTRAST = 0.001
_GRID_CELLS = 24  # along the longer side


@dataclass(frozen=True)
class Features:
    """What is found in one photo, the strongest of each part of the photo first.

    Any first rows are again spread over the whole photo, so a cheaper look takes fewer rows.

    Parameters
    ----------
    xy : ndarray of float32, shape (n, 2)
        Pixels of the full photo, pixel centres at integers.
    sigma : ndarray of float32, shape (n,)
        Scale, pixels of the full photo.
    descriptors : ndarray of uint8, shape (n, 128)
        Of length 512.
    """

    xy: NDArray[np.float32]
    sigma: NDArray[np.float32]
    descriptors: NDArray[np.uint8]

    def save(self, path: Path) -> None:
        """Write as .npz."""
        np.savez(path, xy=self.xy, sigma=self.sigma, descriptors=self.descriptors)

    @classmethod
    def load(cls, path: Path) -> Features:
        """The inverse of `save`."""
        with np.load(path) as arrays:
            return cls(arrays["xy"], arrays["sigma"], arrays["descriptors"])


@dataclass(frozen=True)
class FeatureInputs:
    """What the stage works on.

    Parameters
    ----------
    photos : tuple of Photo
    """

    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class FeatureOptions:
    """How much is looked for.

    Parameters
    ----------
    image_size_px : int
        Longer side that photos are reduced to; smaller photos stay as they are.
    feature_count : int
        Most features a photo.
    """

    image_size_px: int = 2000
    feature_count: int = 6000


@dataclass(frozen=True)
class FeatureFiles:
    """One file of `Features` a photo.

    Parameters
    ----------
    folder : Path
    files : dict of str to str
        File name in the folder, by photo name.
    counts : dict of str to int
        Number of features, by photo name.
    """

    folder: Path
    files: dict[str, str]
    counts: dict[str, int]

    def features(self, photo: str) -> Features:
        """Features of one photo."""
        return Features.load(self.folder / self.files[photo])


def extract(path: Path, options: FeatureOptions) -> Features:
    """Features of one photo file.

    Parameters
    ----------
    path : Path
    options : FeatureOptions

    Raises
    ------
    StageError
        When the file cannot be decoded.
    """
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imread(str(path), flags)
    if image is None:
        raise StageError(
            STAGE_NAME,
            f"{path.name} cannot be decoded.",
            "Copy the photo from the card again or remove it from the folder.",
        )
    factor = max(1.0, max(image.shape) / options.image_size_px)
    if factor > 1.0:
        size = round(image.shape[1] / factor), round(image.shape[0] / factor)
        scale = np.array([image.shape[1] / size[0], image.shape[0] / size[1]], np.float32)
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    else:
        scale = np.ones(2, np.float32)
    space = sift.pyramid(np.asarray(image, dtype=np.uint8), _OCTAVES)
    found = sift.detect(space, _LEAST_CONTRAST)
    chosen = found.take(spread(found.xy, found.response, image.shape, options.feature_count))
    descriptors = sift.describe(space, chosen)
    half = np.float32(0.5)
    return Features((chosen.xy + half) * scale - half, chosen.sigma * scale.mean(), descriptors)


def spread(
    xy: NDArray[np.float32], response: NDArray[np.float32], shape: tuple[int, ...], count: int
) -> NDArray[np.intp]:
    """Choose strong points in every part of an image.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
    response : ndarray, shape (n,)
    shape : tuple
        Rows and columns of the image.
    count : int
        How many to choose at most.

    Returns
    -------
    ndarray of int, shape (min(n, count),)
        First the strongest of each cell of a grid, then the second of each, and so on.
    """
    cell_px = max(shape) / _GRID_CELLS
    columns = int(np.ceil(shape[1] / cell_px))
    cell = (xy[:, 1] // cell_px).astype(np.int64) * columns + (xy[:, 0] // cell_px).astype(np.int64)
    order = np.lexsort((-response, cell))
    starts = np.flatnonzero(np.diff(cell[order], prepend=-1))
    lengths = np.diff(np.append(starts, len(order)))
    rank = np.arange(len(order)) - np.repeat(starts, lengths)
    chosen = np.lexsort((-response[order], rank))[:count]
    return order[chosen]


STAGE_NAME = "features"


def _shard(options: FeatureOptions, job: tuple[str, Path], folder: Path) -> int:
    """Features of one photo into a file; how many there are."""
    file, path = job
    features = extract(path, options)
    features.save(folder / file)
    return len(features.xy)


def _reads(job: tuple[str, Path]) -> list[Path]:
    return [job[1]]


def run(inputs: FeatureInputs, options: FeatureOptions, folder: Path, run: Run) -> FeatureFiles:
    """Find the features of all photos, in parallel."""
    files = {photo.name: f"{index:05d}.npz" for index, photo in enumerate(inputs.photos)}
    jobs = [(files[photo.name], photo.path) for photo in inputs.photos]
    counts = run.spread(partial(_shard, options), jobs, folder, "Features", _reads)
    found = {name: count for name, count in zip(files, counts, strict=True)}
    (folder / "features.json").write_text(json.dumps({"files": files, "counts": found}))
    return FeatureFiles(folder, files, found)


def load(folder: Path) -> FeatureFiles:
    """The result of an earlier `run`."""
    values = json.loads((folder / "features.json").read_text())
    return FeatureFiles(folder, values["files"], values["counts"])


FEATURES: Stage[FeatureInputs, FeatureOptions, FeatureFiles] = Stage(STAGE_NAME, 1, 0.5, run, load)
