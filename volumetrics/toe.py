"""The toe: the ground contact line of a pile, drawn by a person or proposed by a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import spatial

from volumetrics.density import Material
from volumetrics.errors import ToeError
from volumetrics.grid import Array, Grid, Stencil, rings

# Fewer cells than this are no surface that could be measured.
MIN_CELLS = 16.0
# Ground is sampled this far outside the line, whatever the cells: on ground that bends, a base that
# came nearer with smaller cells would change with them.
_SAMPLE_OFFSETS_M = np.array([0.15, 0.25])
# But with coarse cells so far that bilinear interpolation uses no cell that the pile touches,
# whatever the direction of the line.
_SAMPLE_OFFSETS_CELLS = np.array([1.5, 2.5])
# So many samples, those nearest to each place, stand for a stretch of ground that was not seen.
_STAND_INS = 8
_MIN_PIECES, _MAX_PIECES = 8, 2000
_ON_WALL_M = 1e-3


@dataclass(frozen=True)
class Toe:
    """A toe polygon with the name of its pile.

    Parameters
    ----------
    name : str
    polygon : Polygon or MultiPolygon
        In the map coordinates of the surface. Holes are no part of the pile.
    walls : LineString or MultiLineString, optional
        Stretches of the outer rings that run along a wall: there is no ground to see there, so
        they take no part in the base.
    material : Material, optional
        For tonnes.
    notes : tuple of str
        What was assumed or repaired while reading it.

    Raises
    ------
    ToeError
        When the polygon is empty, not finite or crosses itself; the message names the place.
    """

    name: str
    polygon: shapely.Geometry
    walls: shapely.Geometry | None = None
    material: Material | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.polygon.geom_type not in ("Polygon", "MultiPolygon"):
            raise ToeError(
                f"{self.name}: a {self.polygon.geom_type} is no toe.", "Draw it as a polygon."
            )
        if not np.isfinite(shapely.get_coordinates(self.polygon)).all():
            raise ToeError(
                f"{self.name}: a vertex of the toe is not a finite number.", "Draw it again."
            )
        if self.polygon.is_empty:
            raise ToeError(f"{self.name}: the toe polygon is empty.", "Draw it again.")
        if not self.polygon.is_valid:
            why, _, place = shapely.is_valid_reason(self.polygon).rstrip("]").partition("[")
            raise ToeError(
                f"{self.name}: the toe is not a simple polygon: {why} at {place}.",
                "Move the vertices at this place so that no edges cross or overlap.",
            )

    @property
    def area_m2(self) -> float:
        """Plan area."""
        return float(self.polygon.area)


def clean(polygon: shapely.Geometry) -> tuple[shapely.Geometry, tuple[str, ...]]:
    """The polygon in two dimensions without repeated vertices, and what was done."""
    flat = shapely.force_2d(polygon)
    tidy = shapely.remove_repeated_points(flat, 0.0)
    dropped = len(shapely.get_coordinates(flat)) - len(shapely.get_coordinates(tidy))
    return tidy, (f"{dropped} repeated vertices removed",) if dropped else ()


def around(polygons: NDArray[np.object_], margin_m: float) -> shapely.Geometry:
    """What lies within polygons and a margin of them, a fifth more at the most.

    Their finest detail is left out first: the margin of thousands of jagged vertices takes minutes.
    """
    plain = shapely.simplify(polygons, 0.1 * margin_m)
    return shapely.union_all(shapely.buffer(plain, 1.1 * margin_m))


def wall_lines(ring: Array, walls: Sequence[Sequence[int]]) -> shapely.Geometry | None:
    """Lines along the edges from vertex ``i`` to vertex ``j`` of a ring, in its own direction.

    Parameters
    ----------
    ring : ndarray, shape (n, 2)
        Vertices as drawn, without the closing one.
    walls : sequence of pairs of int
        Counted from 0. ``[3, 1]`` in a ring of five runs 3, 4, 0, 1.

    Raises
    ------
    ToeError
        When an index does not exist or a pair names the same vertex twice.
    """
    lines = []
    for pair in walls:
        if len(pair) != 2 or not all(isinstance(i, int) and 0 <= i < len(ring) for i in pair):
            raise ToeError(
                f"The wall {list(pair)} is no pair of vertices 0 to {len(ring) - 1}.",
                "Give the first and the last vertex of each wall.",
            )
        start, end = pair
        if start == end:
            raise ToeError(f"The wall {list(pair)} has no length.", "Name two different vertices.")
        count = (end - start) % len(ring) + 1
        lines.append(shapely.LineString(ring[(start + np.arange(count)) % len(ring)]))
    return shapely.MultiLineString(lines) if lines else None


@dataclass(frozen=True)
class Boundary:
    """All rings of a toe cut into short straight pieces.

    Parameters
    ----------
    middle_m : ndarray, shape (n, 2)
    normal : ndarray, shape (n, 2)
        Unit vectors that point away from the pile.
    length_m : ndarray, shape (n,)
    is_ground : ndarray of bool, shape (n,)
        Whether the ground outside may tell the base: outer rings, not along walls.
    """

    middle_m: Array
    normal: Array
    length_m: Array
    is_ground: NDArray[np.bool_]


def boundary(toe: Toe, cell_size_m: float) -> Boundary:
    """Cut the rings into pieces of about one cell, or longer when that would be too many.

    The pieces of a ring are equally long, whatever its vertices: each speaks for as much ground.
    """
    spacing_m = max(cell_size_m, toe.polygon.length / _MAX_PIECES)
    middles, normals, lengths, outer = [], [], [], []
    for ring in rings(toe.polygon):
        edge = np.diff(ring, axis=0)
        edge_m = np.hypot(edge[:, 0], edge[:, 1])
        end_m = np.cumsum(edge_m)
        count = max(_MIN_PIECES, round(end_m[-1] / spacing_m))
        place_m = (np.arange(count) + 0.5) / count * end_m[-1]
        on = np.searchsorted(end_m, place_m)
        direction = edge[on] / edge_m[on, None]
        middles.append(ring[on + 1] - (end_m[on] - place_m)[:, None] * direction)
        # The pile lies to the left of every ring, also around holes.
        normals.append(np.column_stack((direction[:, 1], -direction[:, 0])))
        lengths.append(np.full(count, end_m[-1] / count))
        outer.append(np.full(count, shapely.is_ccw(shapely.linearrings(ring))))
    middle = np.concatenate(middles)
    is_ground = np.concatenate(outer)
    if toe.walls is not None:
        shapely.prepare(toe.walls)
        is_ground &= ~shapely.dwithin(shapely.points(middle), toe.walls, _ON_WALL_M)
    return Boundary(middle, np.concatenate(normals), np.concatenate(lengths), is_ground)


@dataclass(frozen=True, eq=False)
class ToeSamples:
    """Ground elevations beside the toe, the evidence for a base surface.

    Ground that was not seen is stood for by that nearest to it, which then appears more than once:
    else the ground opposite would count for more than its length.

    Samples are the same when they are one object, so that a fit to them can be remembered.

    Parameters
    ----------
    position_m : ndarray, shape (n, 2)
    elevation_m : ndarray, shape (n,)
    stencil : Stencil
        How each elevation comes from cells.
    piece : ndarray of int, shape (n,)
        Piece of the boundary that a sample belongs to.
    stands_for : Stencil
        The cells of the ground that a sample speaks for: its own, or others that were not seen.
    ground_share : float
        Share of all samples that these are, the others being no ground.
    """

    position_m: Array
    elevation_m: Array
    stencil: Stencil
    piece: NDArray[np.int64]
    stands_for: Stencil
    ground_share: float = 1.0

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> ToeSamples:
        """Some of the samples."""
        return replace(
            self,
            position_m=self.position_m[chosen],
            elevation_m=self.elevation_m[chosen],
            stencil=self.stencil.select(chosen),
            piece=self.piece[chosen],
            stands_for=self.stands_for.select(chosen),
        )


def sample_offsets_m(cell_size_m: float) -> Array:
    """Distances from an exact line at which its ground is sampled, shape (2,)."""
    return np.maximum(_SAMPLE_OFFSETS_M, _SAMPLE_OFFSETS_CELLS * cell_size_m)


def beyond_usual_m(cell_size_m: float) -> float:
    """How much farther out the ground is sampled because the cells are coarse."""
    return float(np.mean(sample_offsets_m(cell_size_m) - _SAMPLE_OFFSETS_M))


def sample_ground(toe: Toe, line: Boundary, grid: Grid, toe_sigma_m: float = 0.0) -> ToeSamples:
    """Sample the ground just outside the toe, in order along the line.

    Where the surface has a hole there, the samples nearest to it stand for it. A toe that is the
    edge of the whole surface is sampled on the line instead, since there is nothing beside it.

    Parameters
    ----------
    toe : Toe
    line : Boundary
    grid : Grid
    toe_sigma_m : float
        1 sigma of the drawn line. Where the line lies within the pile, samples near to it would
        climb the pile's foot, and none would ever dive below the ground: the base would be too
        high. So they keep off by two sigma.
    """
    offsets_m = sample_offsets_m(grid.cell_size_m) + 2.0 * toe_sigma_m
    samples = _samples_at(toe, line, grid, offsets_m)
    if samples.elevation_m.size == 0:
        samples = _samples_at(toe, line, grid, np.array([-0.5 * grid.cell_size_m]))
    return samples


def _samples_at(toe: Toe, line: Boundary, grid: Grid, offsets_m: Array) -> ToeSamples:
    piece = np.repeat(np.flatnonzero(line.is_ground), offsets_m.size)
    offset_m = np.tile(offsets_m, piece.size // offsets_m.size)
    position = line.middle_m[piece] + offset_m[:, None] * line.normal[piece]
    stencil = grid.stencil(position)
    elevation = stencil.sample(grid.elevation_m)
    is_beside = stencil.cell[:, 0] >= 0
    if offsets_m[0] > 0.0:
        # In a concave corner the way out of one edge leads into the pile over another one.
        shapely.prepare(toe.polygon)
        near_m = 0.9 * offsets_m[0]
        is_beside &= ~shapely.dwithin(toe.polygon, shapely.points(position), near_m)
    every = ToeSamples(position, elevation, stencil, piece, stencil)
    return _with_stand_ins(every.select(is_beside))


def _with_stand_ins(samples: ToeSamples) -> ToeSamples:
    """The samples with those nearest by in the place of those that were not seen."""
    seen = np.flatnonzero(np.isfinite(samples.elevation_m))
    hidden = np.flatnonzero(np.isnan(samples.elevation_m))
    if not (seen.size and hidden.size):
        return samples.select(seen)
    count = min(_STAND_INS, seen.size)
    tree = spatial.cKDTree(samples.position_m[seen])
    near = tree.query(samples.position_m[hidden], k=count)[1].reshape(-1, count)
    # One after the other, so that no single sample's noise counts for a long stretch.
    chosen = np.arange(samples.elevation_m.size)
    chosen[hidden] = seen[near[np.arange(hidden.size), np.arange(hidden.size) % count]]
    return replace(samples.select(chosen), stands_for=samples.stands_for)
