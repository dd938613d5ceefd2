"""The photos of a block as the picture products use them: pixels, preview and depth buffer.

Decoding a photo is the dearest step of a picture product, so what was decoded is kept up to a
limit in bytes and dropped again when it was used longest ago.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from reconstruction.exposure import THUMBNAIL, Exposures, read_photo
from reconstruction.once import once
from reconstruction.visibility import Visibility

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
UInt8 = NDArray[np.uint8]

CORRECTION_STEPS = 257


class Cache(Generic[Key, Value]):
    """Values made on demand, at most about ``capacity`` bytes of them. Safe to share by threads.

    Two threads that ask for the same key at once wait for one making.

    Parameters
    ----------
    make : callable
        From a key to its value.
    size_of : callable
        Bytes of a value.
    capacity : int
        The value asked for last is kept even where it is larger alone.
    """

    def __init__(
        self, make: Callable[[Key], Value], size_of: Callable[[Value], int], capacity: int
    ) -> None:
        self._make = make
        self._size_of = size_of
        self._capacity = capacity
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._being_made: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()
        self._size = 0

    def get(self, key: Key) -> Value:
        """The value of a key, made now if it is not there."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            turn = self._being_made.setdefault(key, threading.Lock())
        with turn:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            value = self._make(key)
            self._keep(key, value)
        return value

    def _keep(self, key: Key, value: Value) -> None:
        with self._lock:
            self._values[key] = value
            self._being_made.pop(key, None)
            self._size += self._size_of(value)
            while self._size > self._capacity and len(self._values) > 1:
                self._size -= self._size_of(self._values.popitem(last=False)[1])


@dataclass(frozen=True)
class Preview:
    """What is needed of a photo before its full pixels are worth decoding.

    Parameters
    ----------
    depths : ndarray of float32
        Its depth buffer.
    thumbnail : ndarray of uint8, shape (rows, cols, 3)
        An eighth of its size, exposure corrected.
    """

    depths: NDArray[np.float32]
    thumbnail: UInt8


@dataclass(frozen=True)
class PhotoViews:
    """All photos of a block, with bounded memory.

    Parameters
    ----------
    visibility : Visibility
    photos : mapping of str to Path
        The file of each shot.
    exposures : Exposures
    reduction : int
        1, 2, 4 or 8: full pixels are decoded at this fraction of the photo's size.
    cache_mb : int
        For full pixels; previews may take half as much again.
    """

    visibility: Visibility
    photos: Mapping[str, Path]
    exposures: Exposures
    reduction: int = 1
    cache_mb: int = 1024

    # What the caches call must not know these views: in a cycle of references gigabytes would wait
    # for the garbage collector, into the next stage.
    @once
    def _images(self) -> Cache[int, UInt8]:
        shots, photos, reduction = self.visibility.block.shots, self.photos, self.reduction

        def read(index: int) -> UInt8:
            return read_photo(photos[shots[index].name], reduction)

        return Cache(read, lambda image: image.nbytes, self.cache_mb << 20)

    @once
    def _previews(self) -> Cache[int, Preview]:
        visibility, photos, exposures = self.visibility, self.photos, self.exposures

        def read(index: int) -> Preview:
            shot = visibility.block.shots[index]
            thumbnail = read_photo(photos[shot.name], THUMBNAIL)
            corrected = exposures.corrected(shot.name, shot.camera, thumbnail)
            return Preview(visibility.buffer(index), corrected)

        return Cache(
            read,
            lambda preview: preview.depths.nbytes + preview.thumbnail.nbytes,
            self.cache_mb << 19,
        )

    def image(self, index: int) -> UInt8:
        """Pixels of a shot as stored, reduced, shape (rows, cols, 3)."""
        return self._images.get(index)

    def preview(self, index: int) -> Preview:
        """Depth buffer and corrected thumbnail of a shot."""
        return self._previews.get(index)

    def correction(self, index: int) -> NDArray[np.float32]:
        """Exposure factors of a shot over the squared distance from the image centre."""
        shot = self.visibility.block.shots[index]
        return self.exposures.correction(shot.name, shot.camera, CORRECTION_STEPS)
