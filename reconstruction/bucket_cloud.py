"""A Cloud Optimized Point Cloud of tiles of points, whatever their number.

Two passes, so that memory holds one tile or one bucket and never the cloud. The first takes the
outliers out of each tile and sorts what is left into square buckets on disk; the second shares each
bucket out to the nodes of the octree. A bucket is a column of whole octree nodes, so that it can be
finished alone; only the few points of the coarsest levels wait until all buckets are through.
"""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.copc import SCALE_M, CopcWriter, Cube, Key, Records, nodes, records
from reconstruction.outliers import regular
from reconstruction.point_tile import PointTile, extent, offset_of
from reconstruction.stage import Run

# About this many points are worked on at once.
_BUCKET_COUNT = 4_000_000
# A bucket holds whole cells of the coarsest grid only down to this level (see `copc.nodes`).
_DEEPEST_BUCKET = 7
_BUCKETED = np.dtype([("xyz_mm", "<i4", (3,)), ("rgb", "u1", (3,))])


def write_cloud(
    tiles: tuple[PointTile, ...], epsg: int, sparse_share: float, path: Path, run: Run
) -> int:
    """Write the points that are no outliers.

    Parameters
    ----------
    tiles : tuple of PointTile
        With at least one point.
    epsg : int
    sparse_share : float
        As in `regular`.
    path : Path
        The ``.copc.laz`` file; its folder gets the buckets.
    run : Run

    Returns
    -------
    int
        How many; where it is 0, there is no file.
    """
    offset_m, bounds = offset_of(tiles), extent(tiles)
    buckets = _Buckets.of(path.parent, offset_m, bounds, sum(tile.count for tile in tiles))

    def sort(tile: PointTile) -> None:
        points = tile.load()
        kept = np.flatnonzero(regular(points.offsets, sparse_share))
        buckets.add(points.in_millimetres(kept, offset_m), np.take(points.colors, kept, axis=0))

    run.part(0.0, 0.4).map(sort, tiles, "sorting points, tile")
    return _write(buckets, epsg, path, run.part(0.4, 1.0))


def write_points(
    points: Iterable[tuple[NDArray[np.float64], NDArray[np.uint8]]],
    bounds: tuple[float, float, float, float],
    count: int,
    epsg: int,
    path: Path,
    run: Run,
) -> int:
    """Write points that come in parts, all of them.

    Parameters
    ----------
    points : iterable of pairs of ndarray, shape (n, 3)
        Easting, northing, elevation in metres; red, green, blue.
    bounds : tuple of float
        West, south, east, north of all points.
    count : int
        About how many there are.
    epsg : int
    path : Path
        The ``.copc.laz`` file; its folder gets the buckets.
    run : Run
        Of what comes after the last part.

    Returns
    -------
    int
        How many; where it is 0, there is no file.
    """
    west, south, east, north = bounds
    offset_m = np.array([math.floor(west) - 1.0, math.floor(south) - 1.0, 0.0])
    buckets = _Buckets.of(path.parent, offset_m, (west, south, east + 1.0, north + 1.0), count)
    for place_m, rgb in points:
        buckets.add(np.rint((place_m - offset_m) / SCALE_M).astype(np.int32), rgb)
    return _write(buckets, epsg, path, run)


@dataclass
class _Buckets:
    """Points on disk, sorted by square of the ground; safe to fill by threads.

    Squares are nodes of ``level`` in an octree whose sides measure ``2 ** bits`` millimetres.
    """

    folder: Path
    offset_m: NDArray[np.float64]
    bits: int
    level: int
    counts: dict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))
    lowest_mm: int = 2**31 - 1
    highest_mm: int = -(2**31)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(
        cls,
        folder: Path,
        offset_m: NDArray[np.float64],
        bounds: tuple[float, float, float, float],
        count: int,
    ) -> _Buckets:
        side_m = float((np.array(bounds[2:]) - offset_m[:2]).max())
        return cls(folder, offset_m, math.ceil(math.log2(side_m / SCALE_M)), _bucket_level(count))

    def add(self, xyz_mm: NDArray[np.int32], rgb: NDArray[np.uint8]) -> None:
        """Append points to their buckets."""
        if not len(xyz_mm):
            return
        points = np.empty(len(xyz_mm), dtype=_BUCKETED)
        points["xyz_mm"], points["rgb"] = xyz_mm, rgb
        square = xyz_mm[:, :2] >> (self.bits - self.level)
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


def _write(buckets: _Buckets, epsg: int, path: Path, run: Run) -> int:
    """Write the file; returns how many points it holds."""
    count = sum(buckets.counts.values())
    if count:
        cube, level = _cube(buckets)
        with CopcWriter(path, epsg, cube) as writer:
            _share_out(buckets, cube, level, writer, run)
    return count


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


def _bucket_level(count: int) -> int:
    """Octree level whose nodes, on a surface, hold about a bucket of points."""
    return min(max(0, math.ceil(math.log2(count / _BUCKET_COUNT) / 2)), _DEEPEST_BUCKET)


def _cube(buckets: _Buckets) -> tuple[Cube, int]:
    """The octree's root, and the level of the buckets in it: it may have to grow for heights."""
    height_mm = buckets.highest_mm - buckets.lowest_mm + 1
    grown = max(0, math.ceil(math.log2(height_mm)) - buckets.bits)
    low_mm = (0, 0, buckets.lowest_mm)
    east, north, elevation = (float(value) for value in buckets.offset_m)
    return Cube((east, north, elevation), low_mm, buckets.bits + grown), buckets.level + grown
