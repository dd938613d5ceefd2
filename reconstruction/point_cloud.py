"""The point cloud: tiles of dense points become one Cloud Optimized Point Cloud.

Two passes, so that memory holds one tile or one bucket and never the cloud. The first takes the
outliers out of each tile and sorts what is left into square buckets on disk; the second shares each
bucket out to the nodes of the octree. A bucket is a column of whole octree nodes, so that it can be
finished alone; only the few points of the coarsest levels wait until all buckets are through.
"""

from __future__ import annotations

import json
import math
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.copc import SCALE_M, CopcWriter, Cube, Key, Records, nodes, records
from reconstruction.errors import OptionError, StageError
from reconstruction.point_tile import PointTile
from reconstruction.stage import Run, Stage

NAME = "point_cloud"
# About this many points are worked on at once.
_BUCKET_COUNT = 4_000_000
# A bucket holds whole cells of the coarsest grid only down to this level (see `copc.nodes`).
_DEEPEST_BUCKET = 7
# Neighbours are counted in cubes of this many mean point distances.
_NEIGHBOURHOOD = 6.0
# The cubes of a tile are counted in an array of at most this many to a side, and so many high.
_MOST_CELLS = 400
_LAYERS = 128
_BUCKETED = np.dtype([("xyz_mm", "<i4", (3,)), ("rgb", "u1", (3,))])


@dataclass(frozen=True)
class PointCloudOptions:
    """How the point cloud is cleaned.

    Parameters
    ----------
    sparse_share : float
        A point is an outlier if it has fewer neighbours than this share of what points of its tile
        usually have. 0 keeps all points.
    """

    sparse_share: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 <= self.sparse_share < 1.0:
            raise OptionError(
                f"A sparse share of {self.sparse_share} is out of range.", "Choose 0 to below 1."
            )


@dataclass(frozen=True)
class PointCloudInputs:
    """What the point cloud is made of.

    Parameters
    ----------
    tiles : tuple of PointTile
    epsg : int
        CRS of the tiles, projected in metres.
    """

    tiles: tuple[PointTile, ...]
    epsg: int


@dataclass(frozen=True)
class PointCloud:
    """A finished point cloud.

    Parameters
    ----------
    path : Path
        The ``.copc.laz`` file.
    count : int
        Points in it.
    outlier_count : int
        Points that were left out.
    """

    path: Path
    count: int
    outlier_count: int


@dataclass
class _Buckets:
    """Points on disk, sorted by square of the ground; safe to fill by threads."""

    folder: Path
    offset_m: NDArray[np.float64]
    size_bits: int
    counts: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    lowest_mm: int = 2**31 - 1
    highest_mm: int = -(2**31)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, xyz_mm: NDArray[np.int32], rgb: NDArray[np.uint8]) -> None:
        """Append points to their buckets."""
        if not len(xyz_mm):
            return
        points = np.empty(len(xyz_mm), dtype=_BUCKETED)
        points["xyz_mm"], points["rgb"] = xyz_mm, rgb
        square = xyz_mm[:, :2] >> self.size_bits
        first, last = square.min(axis=0), square.max(axis=0)
        for x, y in product(range(first[0], last[0] + 1), range(first[1], last[1] + 1)):
            mine = np.flatnonzero((square[:, 0] == x) & (square[:, 1] == y))
            if len(mine):
                self._append((x, y), np.take(points, mine))
        with self._lock:
            self.lowest_mm = min(self.lowest_mm, int(xyz_mm[:, 2].min()))
            self.highest_mm = max(self.highest_mm, int(xyz_mm[:, 2].max()))

    def _append(self, place: tuple[int, int], points: NDArray[Any]) -> None:
        with self._lock:
            self.counts[place] += len(points)
            with self.path(place).open("ab") as file:
                points.tofile(file)

    def path(self, place: tuple[int, int]) -> Path:
        """File of a bucket."""
        return self.folder / f"bucket_{place[0]}_{place[1]}.bin"

    def take(self, place: tuple[int, int]) -> NDArray[Any]:
        """Points of a bucket, whose file is removed."""
        points = np.fromfile(self.path(place), dtype=_BUCKETED)
        self.path(place).unlink()
        return points


def run(inputs: PointCloudInputs, options: PointCloudOptions, folder: Path, run: Run) -> PointCloud:
    """Make ``point_cloud.copc.laz``.

    Raises
    ------
    StageError
        There are no points, or none of them has neighbours.
    """
    total = sum(tile.count for tile in inputs.tiles)
    if total == 0:
        raise StageError(NAME, "The dense surface has no points.", "Look at its stage's messages.")
    bits = _bits(inputs.tiles)
    level = _bucket_level(total)
    buckets = _Buckets(folder, _offset(inputs.tiles), bits - level)

    def sort(tile: PointTile) -> None:
        points = tile.load()
        kept = np.flatnonzero(regular(points.offsets, options.sparse_share))
        from_offset = points.origin - buckets.offset_m
        buckets.add(
            _in_millimetres(points.offsets, kept, from_offset), np.take(points.colors, kept, axis=0)
        )

    run.part(0.0, 0.4).map(sort, inputs.tiles, "sorting points, tile")
    count = sum(buckets.counts.values())
    if count == 0:
        raise StageError(NAME, "No point has neighbours.", "Look at the dense stage's messages.")
    cube, level = _cube(buckets, bits, level)
    path = folder / "point_cloud.copc.laz"
    with CopcWriter(path, inputs.epsg, cube) as writer:
        _share_out(buckets, cube, level, writer, run.part(0.4, 1.0))
    (folder / "point_cloud.json").write_text(
        json.dumps({"count": count, "outlier_count": total - count})
    )
    return load(folder)


def load(folder: Path) -> PointCloud:
    """The point cloud of a finished folder."""
    facts = json.loads((folder / "point_cloud.json").read_text())
    return PointCloud(folder / "point_cloud.copc.laz", facts["count"], facts["outlier_count"])


POINT_CLOUD: Stage[PointCloudInputs, PointCloudOptions, PointCloud] = Stage(NAME, 1, 0.5, run, load)


def _share_out(buckets: _Buckets, cube: Cube, level: int, writer: CopcWriter, run: Run) -> None:
    """Write bucket after bucket; nodes that buckets share are put together at the end."""
    shared: dict[Key, list[Records]] = defaultdict(list)
    places = sorted(buckets.counts)
    for index, place in enumerate(places):
        run.progress(index / len(places), f"writing points, part {index + 1}/{len(places)}")
        points = buckets.take(place)
        order, parts = nodes(points["xyz_mm"], cube, level)
        points = np.take(points, order)
        whole = records(points["xyz_mm"], points["rgb"])
        finished = [(key, whole[part]) for key, part in parts if key[0] >= level]
        for key, part in parts:
            if key[0] < level:
                shared[key].append(whole[part].copy())
        writer.write(finished)
    writer.write([(key, np.concatenate(pieces)) for key, pieces in sorted(shared.items())])


def _extent(tiles: tuple[PointTile, ...]) -> NDArray[np.float64]:
    """West, south, east, north of all tiles, a metre wider."""
    bounds = np.array([tile.bounds for tile in tiles if tile.count])
    return np.concatenate((bounds[:, :2].min(axis=0) - 1.0, bounds[:, 2:].max(axis=0) + 1.0))


def _offset(tiles: tuple[PointTile, ...]) -> NDArray[np.float64]:
    """Whole metres south-west of all points, elevation 0: integers stay small and positive."""
    return np.append(np.floor(_extent(tiles)[:2]), 0.0)


def _bits(tiles: tuple[PointTile, ...]) -> int:
    extent = _extent(tiles)
    side_m = float((extent[2:] - np.floor(extent[:2])).max())
    return math.ceil(math.log2(side_m / SCALE_M))


def _bucket_level(count: int) -> int:
    """Octree level whose nodes, on a surface, hold about a bucket of points."""
    return min(max(0, math.ceil(math.log2(count / _BUCKET_COUNT) / 2)), _DEEPEST_BUCKET)


def _cube(buckets: _Buckets, bits: int, level: int) -> tuple[Cube, int]:
    """The octree's root, and the level of the buckets in it: it may have to grow for heights."""
    height_mm = buckets.highest_mm - buckets.lowest_mm + 1
    grown = max(0, math.ceil(math.log2(height_mm)) - bits)
    low_mm = (0, 0, buckets.lowest_mm)
    east, north, elevation = (float(value) for value in buckets.offset_m)
    return Cube((east, north, elevation), low_mm, bits + grown), level + grown


@numba.njit(cache=True, nogil=True)
def _in_millimetres(offsets, kept, from_offset):  # type: ignore[no-untyped-def]
    result = np.empty((len(kept), 3), np.int32)
    for i in range(len(kept)):
        for axis in range(3):
            value_m = np.float64(offsets[kept[i], axis]) + from_offset[axis]
            result[i, axis] = np.int32(np.rint(value_m / SCALE_M))
    return result


def regular(offsets: NDArray[np.float32], sparse_share: float) -> NDArray[np.bool_]:
    """Which points have company.

    Points are counted in cubes a few point distances wide, together with the 26 cubes around: on
    a surface that is some tens of points, around a mismatch in the air hardly any.

    Parameters
    ----------
    offsets : ndarray of float32, shape (n, 3)
        Metres.
    sparse_share : float
        Of the median count; points with fewer are not regular.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    if len(offsets) < 3 or sparse_share == 0.0:
        return np.ones(len(offsets), dtype=np.bool_)
    low, high = offsets.min(axis=0), offsets.max(axis=0)
    span = np.maximum(high - low, 1e-3).astype(np.float64)
    size = _NEIGHBOURHOOD * math.sqrt(span[0] * span[1] / len(offsets))
    size = max(size, float(span[:2].max()) / _MOST_CELLS)
    bottom = np.array([low[0], low[1], np.median(offsets[::16, 2]) - size * _LAYERS / 2])
    cells = (math.ceil(span[0] / size) + 3, math.ceil(span[1] / size) + 3, _LAYERS)
    counts = _count(offsets, bottom, size, np.zeros(cells, dtype=np.int32))
    result: NDArray[np.bool_] = counts >= sparse_share * np.median(counts[::16])
    return result


@numba.njit(cache=True, nogil=True, inline="always")
def _cell(offset, bottom, size, last):  # type: ignore[no-untyped-def]
    return min(max(int((offset - bottom) / size) + 1, 1), last)


@numba.njit(cache=True, nogil=True)
def _count(offsets, bottom, size, cubes):  # type: ignore[no-untyped-def]
    """For each point, how many are in its cube and the 26 around it.

    What is higher or lower than the cubes reach counts in the last layer.
    """
    last = (cubes.shape[0] - 2, cubes.shape[1] - 2, cubes.shape[2] - 2)
    for i in range(len(offsets)):
        x = _cell(offsets[i, 0], bottom[0], size, last[0])
        y = _cell(offsets[i, 1], bottom[1], size, last[1])
        z = _cell(offsets[i, 2], bottom[2], size, last[2])
        cubes[x, y, z] += 1
    around = np.zeros(cubes.shape, np.int32)
    found = np.empty(len(offsets), np.int32)
    for i in range(len(offsets)):
        x = _cell(offsets[i, 0], bottom[0], size, last[0])
        y = _cell(offsets[i, 1], bottom[1], size, last[1])
        z = _cell(offsets[i, 2], bottom[2], size, last[2])
        if around[x, y, z] == 0:
            around[x, y, z] = cubes[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2].sum()
        found[i] = around[x, y, z]
    return found
