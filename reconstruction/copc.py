"""Cloud Optimized Point Clouds: the octree and the file.

A COPC file is a LAZ file whose chunks are the nodes of an octree and whose last record says which
node lies where, so that a viewer fetches only the level of detail and the place that it shows.
Every point is in exactly one node; a node of level *l* has at most one point in each cell of a grid
that divides it 128 times, and its descendants have the rest.

References
----------
.. [1] COPC specification 1.0, https://copc.io.
.. [2] ASPRS LAS specification 1.4 R15, 2019.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import lazrs
import numba
import numpy as np
import pyproj
from numpy.typing import NDArray

SCALE_M = 0.001
# Bits of an axis that the order of points looks at, and levels between a node and its grid.
_AXIS_BITS = 21
_GRID_BITS = 7
MAX_LEVEL = _AXIS_BITS - _GRID_BITS
_DIGIT_BITS = 11
# A subtree with fewer points becomes one node.
_LEAF_COUNT = 30_000
_POINT_FORMAT = 7
_HEADER_SIZE = 375
_VLR_HEADER_SIZE = 54
_INFO_SIZE = 160
_HIERARCHY_ID = 1000
# Flag of the header: the CRS is given as well-known text.
_WKT = 0x10

POINT = np.dtype(
    [
        ("x", "<i4"),
        ("y", "<i4"),
        ("z", "<i4"),
        ("intensity", "<u2"),
        ("returns", "u1"),
        ("flags", "u1"),
        ("classification", "u1"),
        ("user_data", "u1"),
        ("scan_angle", "<i2"),
        ("source", "<u2"),
        ("gps_time", "<f8"),
        ("rgb", "<u2", (3,)),
    ]
)

Key = tuple[int, int, int, int]
Ints = NDArray[np.int32]
Records = NDArray[np.void]


@dataclass(frozen=True)
class Cube:
    """The root of an octree, in whole millimetres so that no point sits on the wrong side.

    Parameters
    ----------
    offset_m : tuple of float
        Easting, northing, elevation that integer coordinates count from.
    low_mm : tuple of int
        Corner of the cube, from the offset.
    bits : int
        Its sides measure ``2 ** bits`` millimetres.
    """

    offset_m: tuple[float, float, float]
    low_mm: tuple[int, int, int]
    bits: int

    @property
    def side_m(self) -> float:
        """Length of a side."""
        return float(2**self.bits * SCALE_M)

    @property
    def centre_m(self) -> NDArray[np.float64]:
        """Easting, northing, elevation of the centre, shape (3,)."""
        return np.array(self.offset_m) + (np.array(self.low_mm) + 2 ** (self.bits - 1)) * SCALE_M


@numba.njit(cache=True, nogil=True, inline="always")
def _spread(value):  # type: ignore[no-untyped-def]
    """21 bits with two zeros put between each."""
    v = np.uint64(value)
    v = (v | (v << np.uint64(32))) & np.uint64(0x1F00000000FFFF)
    v = (v | (v << np.uint64(16))) & np.uint64(0x1F0000FF0000FF)
    v = (v | (v << np.uint64(8))) & np.uint64(0x100F00F00F00F00F)
    v = (v | (v << np.uint64(4))) & np.uint64(0x10C30C30C30C30C3)
    return (v | (v << np.uint64(2))) & np.uint64(0x1249249249249249)


@numba.njit(cache=True, nogil=True)
def _morton(xyz_mm, low_mm, bits):  # type: ignore[no-untyped-def]
    """Octree path of each point: three bits a level, x lowest."""
    up, down = max(_AXIS_BITS - bits, 0), max(bits - _AXIS_BITS, 0)
    codes = np.empty(len(xyz_mm), np.uint64)
    for i in range(len(xyz_mm)):
        code = np.uint64(0)
        for axis in range(3):
            step = ((np.int64(xyz_mm[i, axis]) - low_mm[axis]) << up) >> down
            code |= _spread(step) << np.uint64(axis)
        codes[i] = code
    return codes


@numba.njit(cache=True, nogil=True)
def _sorted(codes, bits):  # type: ignore[no-untyped-def]
    """Order that sorts codes of so many bits, and the sorted codes: a radix sort."""
    count = len(codes)
    source, target = codes.copy(), np.empty_like(codes)
    order, moved = np.arange(count), np.empty(count, np.int64)
    for shift in range(0, bits, _DIGIT_BITS):
        low, mask = np.uint64(shift), np.uint64((1 << _DIGIT_BITS) - 1)
        starts = np.zeros((1 << _DIGIT_BITS) + 1, np.int64)
        for i in range(count):
            starts[int((source[i] >> low) & mask) + 1] += 1
        starts = np.cumsum(starts)
        for i in range(count):
            digit = int((source[i] >> low) & mask)
            target[starts[digit]] = source[i]
            moved[starts[digit]] = order[i]
            starts[digit] += 1
        source, target = target, source
        order, moved = moved, order
    return order, source


@numba.njit(cache=True, nogil=True)
def _levels(codes, deepest):  # type: ignore[no-untyped-def]
    """The level of each point, from its path and that of the point before it.

    In sorted order, a point is the first of its grid cell at a level when it differs there from
    the one before: it is taken into the coarsest level where it is the first.
    """
    levels = np.zeros(len(codes), np.uint8)
    for i in range(1, len(codes)):
        difference = codes[i] ^ codes[i - 1]
        depth = _AXIS_BITS
        while difference > np.uint64(7):
            difference >>= np.uint64(3)
            depth -= 1
        levels[i] = min(max(depth - _GRID_BITS, 0), deepest)
    return levels


@numba.njit(cache=True, nogil=True)
def _merge_small(codes, levels, first_level):  # type: ignore[no-untyped-def]
    """Lift the points of small subtrees into the node at their top."""
    for level in range(first_level, int(levels.max())):
        shift = np.uint64(3 * (_AXIS_BITS - level))
        start = 0
        count = 0
        for i in range(len(codes) + 1):
            if i == len(codes) or codes[i] >> shift != codes[start] >> shift:
                if count <= _LEAF_COUNT:
                    for j in range(start, i):
                        levels[j] = min(levels[j], level)
                start, count = i, 0
            if i < len(codes) and levels[i] >= level:
                count += 1


def nodes(
    xyz_mm: Ints, cube: Cube, complete_from: int = 0
) -> tuple[NDArray[np.intp], list[tuple[Key, slice]]]:
    """Share points out to octree nodes.

    Parameters
    ----------
    xyz_mm : ndarray of int32, shape (n, 3)
        From the cube's offset, inside the cube.
    cube : Cube
    complete_from : int
        The points are all there are in their nodes of this level, at most 7. In coarser levels
        others may share the nodes.

    Returns
    -------
    order : ndarray of int, shape (n,)
        Puts the points of a node side by side, neighbours close together.
    nodes : list of (key, slice)
        Level, x, y, z of each node, and where its points are in that order.
    """
    codes = _morton(xyz_mm, np.array(cube.low_mm, dtype=np.int64), cube.bits)
    order, codes = _sorted(codes, 3 * _AXIS_BITS)
    levels = _levels(codes, MAX_LEVEL)
    _merge_small(codes, levels, complete_from)
    by_level = np.argsort(levels, kind="stable")
    codes = codes[by_level]
    ends = np.cumsum(np.bincount(levels, minlength=MAX_LEVEL + 1))
    found = []
    for level, (start, end) in enumerate(zip(np.append(0, ends[:-1]), ends, strict=True)):
        paths = codes[start:end] >> np.uint64(3 * (_AXIS_BITS - level))
        cuts = start + 1 + np.flatnonzero(paths[1:] != paths[:-1])
        edges = [start, *cuts, end] if end > start else []
        found += [
            (_key(int(codes[first]), level), slice(first, last)) for first, last in pairwise(edges)
        ]
    return order[by_level], found


def _key(code: int, level: int) -> Key:
    axes = [0, 0, 0]
    for depth in range(level):
        octant = code >> (3 * (_AXIS_BITS - 1 - depth)) & 7
        axes = [axes[axis] << 1 | (octant >> axis & 1) for axis in range(3)]
    return level, axes[0], axes[1], axes[2]


def records(xyz_mm: Ints, rgb: NDArray[np.uint8]) -> Records:
    """Points as LAS point records: format 7, single returns, colour in 16 bits."""
    points = np.zeros(len(xyz_mm), dtype=POINT)
    for axis, name in enumerate("xyz"):
        points[name] = xyz_mm[:, axis]
    points["returns"] = 0x11
    points["rgb"] = rgb.astype(np.uint16) * 257
    return points


@dataclass
class CopcWriter:
    """A COPC file being written; a context manager that completes the file at its end.

    Parameters
    ----------
    path : Path
    epsg : int
    cube : Cube
    """

    path: Path
    epsg: int
    cube: Cube
    _keys: list[Key] = field(default_factory=list)
    _lows: list[NDArray[np.int64]] = field(default_factory=list)
    _highs: list[NDArray[np.int64]] = field(default_factory=list)

    def __enter__(self) -> CopcWriter:
        wkt = pyproj.CRS.from_epsg(self.epsg).to_wkt("WKT1_GDAL").encode() + b"\0"
        self._laz = lazrs.LazVlr.new_for_compression(_POINT_FORMAT, 0, True)
        laz_bytes = bytes(self._laz.record_data())
        self._vlrs = _vlr("laszip encoded", 22204, laz_bytes) + _vlr("LASF_Projection", 2112, wkt)
        self._data_start = _HEADER_SIZE + _VLR_HEADER_SIZE + _INFO_SIZE + len(self._vlrs)
        self._file: BinaryIO = self.path.open("w+b")
        self._file.write(bytes(self._data_start))
        self._compressor = lazrs.ParLasZipCompressor(self._file, self._laz)
        return self

    def write(self, items: list[tuple[Key, Records]]) -> None:
        """Append nodes, compressed on all cores; each key only once."""
        chunks = [points.view(np.uint8) for _, points in items]
        if chunks:
            self._compressor.compress_chunks(chunks)
        for key, points in items:
            axes = [points[name] for name in "xyz"]
            self._keys.append(key)
            self._lows.append(np.array([axis.min() for axis in axes], dtype=np.int64))
            self._highs.append(np.array([axis.max() for axis in axes], dtype=np.int64))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._finish()

    def _finish(self) -> None:
        self._compressor.done()
        self._file.seek(self._data_start)
        table = lazrs.read_chunk_table(self._file, self._laz)
        hierarchy = self._hierarchy(table)
        self._file.seek(0, 2)
        record_start = self._file.tell()
        self._file.write(
            struct.pack("<H16sHQ32s", 0, b"copc", _HIERARCHY_ID, len(hierarchy), b"EPT hierarchy")
        )
        hierarchy_start = self._file.tell()
        self._file.write(hierarchy)
        count = sum(points for points, _ in table)
        self._file.seek(0)
        self._file.write(self._header(count, record_start))
        self._file.write(_vlr("copc", 1, self._info(hierarchy_start, len(hierarchy))))
        self._file.write(self._vlrs)

    def _hierarchy(self, table: list[tuple[int, int]]) -> bytes:
        """Entries of all nodes, and empty ones for ancestors that have no point themselves."""
        entries = []
        position = self._data_start + 8
        for key, (count, size) in zip(self._keys, table, strict=True):
            entries.append(struct.pack("<4iQ2i", *key, position, size, count))
            position += size
        present = set(self._keys)
        missing = {key for known in present for key in _ancestors(known)} - present
        entries += [struct.pack("<4iQ2i", *key, 0, 0, 0) for key in sorted(missing)]
        return b"".join(entries)

    def _info(self, hierarchy_start: int, hierarchy_size: int) -> bytes:
        half = self.cube.side_m / 2
        spacing = self.cube.side_m / 2**_GRID_BITS
        return struct.pack(
            "<5d2Q2d88x",
            *self.cube.centre_m,
            half,
            spacing,
            hierarchy_start,
            hierarchy_size,
            0.0,
            0.0,
        )

    def _header(self, count: int, record_start: int) -> bytes:
        offset = np.array(self.cube.offset_m)
        low = offset + np.min(self._lows, axis=0) * SCALE_M
        high = offset + np.max(self._highs, axis=0) * SCALE_M
        box = [value for axis in range(3) for value in (high[axis], low[axis])]
        head = struct.pack("<4s2H16x2B32s32s2H", b"LASF", 0, _WKT, 1, 4, b"", b"Cairn", *_day())
        layout = struct.pack(
            "<H2IBH24x", _HEADER_SIZE, self._data_start, 3, _POINT_FORMAT | 0x80, POINT.itemsize
        )
        place = struct.pack("<12d", *[SCALE_M] * 3, *offset, *box)
        counts = struct.pack("<2QI16Q", 0, record_start, 1, count, count, *[0] * 14)
        return head + layout + place + counts


def _day() -> tuple[int, int]:
    """Day of the year and year, as the header wants them."""
    now = datetime.now(UTC).timetuple()
    return now.tm_yday, now.tm_year


def _ancestors(key: Key) -> Iterator[Key]:
    level, x, y, z = key
    while level > 0:
        level, x, y, z = level - 1, x >> 1, y >> 1, z >> 1
        yield level, x, y, z


def _vlr(user: str, record: int, data: bytes) -> bytes:
    return struct.pack("<H16sHH32s", 0, user.encode(), record, len(data), b"") + data
