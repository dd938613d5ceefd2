"""The photos of a block as the model's textures use them: near a place, and at four sizes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.exposure import Exposures, read_photo
from reconstruction.photo_views import CORRECTION_STEPS, Cache
from reconstruction.visibility import Visibility

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]
Image = NDArray[np.uint8]

# All sizes of the photos together: each level of the model needs smaller ones than that before.
_PHOTO_CACHE_BYTES = 1 << 30
_BUFFER_CACHE_BYTES = 1 << 28


class Views:
    """The photos of a block as a source of colour.

    Parameters
    ----------
    visibility : Visibility
        Of the block's shots.
    paths : mapping of str to Path
        File of each shot, by its name.
    exposures : Exposures
        Brings the photos to a common brightness.
    """

    def __init__(
        self, visibility: Visibility, paths: Mapping[str, Path], exposures: Exposures
    ) -> None:
        self.visibility = visibility
        self.corrections = [
            exposures.correction(shot.name, shot.camera, CORRECTION_STEPS)
            for shot in visibility.block.shots
        ]
        files = [paths[shot.name] for shot in visibility.block.shots]
        self._photos = Cache(partial(_read, files), _size, _PHOTO_CACHE_BYTES)
        self._buffers = Cache(visibility.buffer, _size, _BUFFER_CACHE_BYTES)

    def photo(self, index: int, reduction: int) -> Image:
        """Pixels of a shot's photo, ``reduction`` (1, 2, 4, 8) times smaller."""
        return self._photos.get((index, reduction))

    def buffer(self, index: int) -> Float32:
        """Depth buffer of a shot."""
        return self._buffers.get(index)

    def near(self, low: Array, high: Array) -> NDArray[np.int64]:
        """Shots whose footprint touches a box of the local frame, given by two corners."""
        corners = np.array([(x, y, low[2]) for x in (low[0], high[0]) for y in (low[1], high[1])])
        plan = self.visibility.block.frame.to_map(corners)[:, :2]
        return self.touching(*plan.min(axis=0), *plan.max(axis=0))

    def touching(self, west: float, south: float, east: float, north: float) -> NDArray[np.int64]:
        """Shots whose footprint touches a rectangle of the map."""
        prints = self.visibility.footprints
        touching = (prints[:, 0] < east) & (prints[:, 2] > west)
        return np.flatnonzero(touching & (prints[:, 1] < north) & (prints[:, 3] > south))


def _read(files: list[Path], key: tuple[int, int]) -> Image:
    index, reduction = key
    return read_photo(files[index], reduction)


def _size(array: NDArray[Any]) -> int:
    return array.nbytes
