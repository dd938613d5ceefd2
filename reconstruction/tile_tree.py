"""A surface as textured tiles: OGC 3D Tiles 1.1.

A quadtree of tiles over the DSM. Every tile has the same number of grid steps and texels, and
each level steps twice as far as the one below it: so every tile weighs about the same, the first
one shows the whole survey, and memory holds a few tiles, whatever the survey's size.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction.charts import Atlas, lay_out
from reconstruction.ecef import ecef_transform
from reconstruction.errors import StageError
from reconstruction.frame import LocalFrame
from reconstruction.gltf import ROUNDING, TexturedMesh, to_glb
from reconstruction.mesh import GridMesh, Heights, bridge, bridge_reach, skirt, thin, triangulate
from reconstruction.once import once
from reconstruction.rasters import Grid, RasterReader
from reconstruction.stage import Run

Array = NDArray[np.float64]
# West, south, east, north.
Bounds = tuple[float, float, float, float]

NAME = "model"
TILESET = "tileset.json"
FACTS = "model.json"
EMPTY_HINT = "Look into accuracy.json why so little of the surface was found."
# The side of a tile's ground picture, and the largest side of the whole picture.
_TILE_TEXELS = 1024
_LIMIT_TEXELS = 2048
# A viewer with the usual target of 16 pixels then shows a texel on at most 2 of them, and what a
# tile may miss, things narrower than two of its steps, is no larger.
_ERROR_TEXELS = 8
# Holes up to twice as wide are closed in the model, and only in the model.
_BRIDGE_RADIUS_M, _BRIDGE_RADIUS_CELLS = 1.5, 48
# Nodes along a border by which a neighbour of the next coarser level may place a wall elsewhere.
_SKIRT_REACH = 4

# Paints the picture of a tile: mesh points in the local frame, their layout, the size of a texel.
# The picture, red, green and blue, is at least as large as the layout.
Paint = Callable[[Array, Atlas, float], NDArray[np.uint8]]


@dataclass(frozen=True)
class Ground:
    """A surface, and how it is shown.

    Parameters
    ----------
    frame : LocalFrame
        Where the points of the tiles are.
    dsm : Path
        Elevations, a raster with holes, in the CRS of the frame.
    paint : callable
        Gives each tile its picture.
    texel_m : float
        Size of the finest texels; the nearest of a whole, half or quarter cell is taken.
    tolerance_cells : float
        Largest distance of the surface from the finest mesh, in cells of the DSM.
    jpeg_quality : int
        Of the pictures.
    geoid_height_m : float
        Height of the vertical datum above the ellipsoid; 0 for ellipsoidal elevations.
    """

    frame: LocalFrame
    dsm: Path
    paint: Paint
    texel_m: float
    tolerance_cells: float = 0.5
    jpeg_quality: int = 85
    geoid_height_m: float = 0.0


@dataclass(frozen=True)
class Model3D:
    """What was made.

    Parameters
    ----------
    tileset : Path
    levels, tiles, triangles : int
    size_bytes, first_level_bytes : int
        Of all tiles, and of the first one.
    texel_m, tolerance_m : float
        Of the finest level.
    bridged_m2 : float
        Area of the small holes that were closed in the model.
    """

    tileset: Path
    levels: int
    tiles: int
    triangles: int
    size_bytes: int
    first_level_bytes: int
    texel_m: float
    tolerance_m: float
    bridged_m2: float


@dataclass(frozen=True)
class _Tile:
    """A written tile, its box in the local frame, and what it counts."""

    uri: str
    low: Array
    high: Array
    triangles: int
    size_bytes: int
    bridged_cells: int


@dataclass(frozen=True)
class _Shard:
    """A tile to be built, with its nodes; None at the finest level, whose nodes lie in the DSM."""

    row: int
    col: int
    nodes: Heights | None


@dataclass(frozen=True)
class _Tree:
    """How the tiles of a surface are laid out, and how one of them is built."""

    ground: Ground
    grid: Grid
    texel_m: float
    steps: int
    levels: int

    def __reduce__(self) -> tuple[type[_Tree], tuple[Any, ...]]:
        return _Tree, (self.ground, self.grid, self.texel_m, self.steps, self.levels)

    @once
    def dsm(self) -> RasterReader:
        """The surface; open while tiles are made, since neighbours read the same blocks."""
        return RasterReader(self.ground.dsm)

    @classmethod
    def of(cls, ground: Ground) -> _Tree:
        """The tree over a surface."""
        with RasterReader(ground.dsm) as dsm:
            grid = dsm.grid
        texels_per_cell = 2 ** int(
            np.clip(np.rint(np.log2(grid.cell_size_m / ground.texel_m)), 0, 2)
        )
        steps = _TILE_TEXELS // texels_per_cell
        extent = max(grid.rows, grid.cols) - 1
        levels = 1 + max(0, int(np.ceil(np.log2(max(extent, 1) / steps))))
        return cls(ground, grid, grid.cell_size_m / texels_per_cell, steps, levels)

    def places(self, level: int) -> list[tuple[int, int]]:
        """Row and column of the tiles of a level, neighbours after each other."""
        reach = self.steps << level
        rows = range(max(1, -(-(self.grid.rows - 1) // reach)))
        cols = range(max(1, -(-(self.grid.cols - 1) // reach)))
        return [(row, col) for row in rows for col in (reversed(cols) if row % 2 else cols)]

    def bounds(self, level: int, row: int, col: int) -> Bounds:
        """West, south, east, north of a tile, a step more than it reaches."""
        step_m = self.grid.cell_size_m * 2**level
        side_m = self.steps * step_m
        west, north = self.grid.west + col * side_m, self.grid.north - row * side_m
        return west - step_m, north - side_m - step_m, west + side_m + step_m, north + step_m

    def shards(self, level: int, nodes: Heights | None) -> list[_Shard]:
        """The tiles of a level, from the nodes that the level below left."""
        size = self.steps + 1
        return [
            _Shard(row, col, None if nodes is None else _window(nodes, row, col, size))
            for row, col in self.places(level)
        ]

    def thinned(self, level: int, parts: list[Heights]) -> Heights:
        """Nodes for the level above. A node on a border belongs to the next tile."""
        places, half = self.places(level), self.steps // 2
        rows, cols = (np.array(places).max(axis=0) + 1) * half + 1
        whole = np.full((rows, cols), np.nan, np.float32)
        for (row, col), part in zip(places, parts, strict=True):
            top, left = row * half, col * half
            bottom, right = top + half, left + half
            bottom, right = bottom + (bottom == rows - 1), right + (right == cols - 1)
            whole[top:bottom, left:right] = part[: bottom - top, : right - left]
        return whole

    def tile(self, level: int, shard: _Shard, folder: Path) -> tuple[_Tile | None, Heights]:
        """Build one tile, None where there is no surface, and thin its nodes."""
        heights, bridged = self._heights(shard) if shard.nodes is None else (shard.nodes, 0)
        step_m, row, col = self.grid.cell_size_m * 2**level, shard.row, shard.col
        thinned = thin(heights, step_m)
        if np.isnan(heights).all():
            return None, thinned
        tolerance_m = step_m * self.ground.tolerance_cells
        mesh = triangulate(heights, step_m, tolerance_m)
        if len(mesh.faces) == 0:
            return None, thinned
        points = self._local(mesh, level, row, col, heights[tuple(mesh.nodes.T)])
        texel_m = self.texel_m * 2**level
        atlas = lay_out(points, mesh.faces.astype(np.int64), texel_m, _LIMIT_TEXELS)
        picture = self.ground.paint(points, atlas, texel_m)
        # The picture shows the mesh; the curtain repeats its border.
        curtain, hanging = skirt(mesh, heights, 3.0 * tolerance_m, _SKIRT_REACH)
        curtain_points = self._local(curtain, level, row, col, hanging)
        height, width = picture.shape[:2]
        corners = _corner_of(atlas.point_index, curtain, mesh, self.steps)
        textured = TexturedMesh(
            np.vstack((points[atlas.point_index], curtain_points)),
            np.vstack((atlas.texels, atlas.texels[corners])) / [width, height],
            np.vstack((atlas.faces, curtain.faces + len(atlas.point_index))).astype(np.int32),
            _jpeg(picture, self.ground.jpeg_quality),
        )
        glb = to_glb(textured)
        name = f"{row}_{col}.glb"
        (folder / name).write_bytes(glb)
        low, high = textured.points.min(axis=0), textured.points.max(axis=0)
        rounding_m = (high - low).max() * ROUNDING
        box = low - rounding_m, high + rounding_m
        return _Tile(f"{level}/{name}", *box, len(mesh.faces), len(glb), bridged), thinned

    def _heights(self, shard: _Shard) -> tuple[Heights, int]:
        """Nodes of the finest level, borders included, and how many of them were bridged."""
        size, top, left = self.steps + 1, shard.row * self.steps, shard.col * self.steps
        radius = min(round(_BRIDGE_RADIUS_M / self.grid.cell_size_m), _BRIDGE_RADIUS_CELLS)
        margin = bridge_reach(radius)
        wide = self.dsm.read(top - margin, left - margin, size + 2 * margin, size + 2 * margin)[0]
        inner = np.s_[margin : margin + size, margin : margin + size]
        heights = bridge(wide, radius)[inner].copy()
        added = int(np.isnan(wide[inner][:-1, :-1]).sum() - np.isnan(heights[:-1, :-1]).sum())
        return heights, added

    def _local(self, mesh: GridMesh, level: int, row: int, col: int, elevation: Heights) -> Array:
        """Local coordinates of nodes of a tile; nodes are cell centres."""
        cells = (mesh.nodes + np.array([row, col]) * self.steps) * 2.0**level + 0.5
        easting = self.grid.west + cells[:, 1] * self.grid.cell_size_m
        northing = self.grid.north - cells[:, 0] * self.grid.cell_size_m
        return self.ground.frame.from_map(np.column_stack((easting, northing, elevation)))


def _window(nodes: Heights, row: int, col: int, size: int) -> Heights:
    """The square of nodes of a tile, which shares its borders; NaN beyond the array."""
    top, left = row * (size - 1), col * (size - 1)
    part = nodes[top : top + size, left : left + size]
    short = [(0, size - length) for length in part.shape]
    return np.pad(part, short, constant_values=np.nan)


def _corner_of(
    point_index: NDArray[np.int64], curtain: GridMesh, mesh: GridMesh, steps: int
) -> NDArray[np.int64]:
    """For each node of the curtain, an atlas corner at the same node."""
    number = np.full((steps + 1, steps + 1), -1, np.int64)
    number[tuple(mesh.nodes[point_index].T)] = np.arange(len(point_index))
    return np.asarray(number[tuple(curtain.nodes.T)])


def _jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    blue_first = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def write(
    ground: Ground, folder: Path, run: Run, reads: Callable[[Bounds], list[Path]] = lambda _: []
) -> Model3D:
    """Write ``tileset.json`` and its tiles into a folder.

    Parameters
    ----------
    ground : Ground
    folder : Path
    run : Run
    reads : callable
        The files that pictures of tiles within these bounds are painted from.

    Raises
    ------
    StageError
        The surface has no piece large enough to show.
    """
    tree = _Tree.of(ground)
    tiles: dict[tuple[int, int, int], _Tile] = {}
    nodes: Heights | None = None
    # Each level has a quarter of the tiles of the one below it.
    done = 0.0
    for level in range(tree.levels):

        def read(shard: _Shard, level: int = level) -> list[Path]:
            return [ground.dsm, *reads(tree.bounds(level, shard.row, shard.col))]

        share = 0.75 * 0.25**level
        place = folder / str(level)
        place.mkdir(parents=True, exist_ok=True)
        message = f"model level {level}: tile"
        shards = tree.shards(level, nodes)
        build = partial(tree.tile, level)
        made = run.part(done, done + share).spread(build, shards, place, message, read)
        done += share
        for shard, (tile, _) in zip(shards, made, strict=True):
            if tile is not None:
                tiles[level, shard.row, shard.col] = tile
        nodes = tree.thinned(level, [thinned for _, thinned in made])
    output = _summary(tree, tiles, folder)
    facts = {name: value for name, value in asdict(output).items() if name != "tileset"}
    document = _tileset(tree, tiles, facts)
    (folder / TILESET).write_text(json.dumps(document, separators=(",", ":")))
    (folder / FACTS).write_text(json.dumps(facts, indent=1))
    return output


def _tileset(
    tree: _Tree, tiles: Mapping[tuple[int, int, int], _Tile], facts: Any
) -> dict[str, Any]:
    top = tree.levels - 1
    root = _node(tree, tiles, top, 0, 0)
    if root is None:
        raise StageError(NAME, "The surface model has no piece large enough to show.", EMPTY_HINT)
    transform = ecef_transform(tree.ground.frame, tree.ground.geoid_height_m)
    root["transform"] = transform.T.ravel().tolist()
    return {
        "asset": {"version": "1.1", "extras": facts},
        "geometricError": _error_m(tree, top + 1),
        "root": root,
    }


def _error_m(tree: _Tree, level: int) -> float:
    return 0.0 if level == 0 else _ERROR_TEXELS * tree.texel_m * 2.0**level


def _node(
    tree: _Tree, tiles: Mapping[tuple[int, int, int], _Tile], level: int, row: int, col: int
) -> dict[str, Any] | None:
    """A tile and its descendants, as 3D Tiles writes them; boxes hold all that is below them.

    A surface so ragged that a coarse tile has no triangle may still have fine ones: then the
    coarse tile is a node without content.
    """
    below = [(level - 1, 2 * row + down, 2 * col + right) for down in (0, 1) for right in (0, 1)]
    found = [_node(tree, tiles, *place) for place in below] if level else []
    children = [child for child in found if child is not None]
    tile = tiles.get((level, row, col))
    boxes = [_corners(child["boundingVolume"]["box"]) for child in children]
    boxes += [(tile.low, tile.high)] if tile else []
    if not boxes:
        return None
    low, high = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    node: dict[str, Any] = {
        "boundingVolume": {"box": _box(low, high)},
        "geometricError": _error_m(tree, level),
        "refine": "REPLACE",
    }
    if tile:
        node["content"] = {"uri": tile.uri}
    if children:
        node["children"] = children
    return node


def _box(low: Array, high: Array) -> list[float]:
    """Centre and half axes of a box given by its corners."""
    half = np.diag((high - low) / 2.0)
    return [*((low + high) / 2.0).tolist(), *half.ravel().tolist()]


def _corners(box: list[float]) -> tuple[Array, Array]:
    """The inverse of `_box`."""
    centre, half = np.array(box[:3]), np.array(box[3::4])
    return centre - half, centre + half


def _summary(tree: _Tree, tiles: Mapping[tuple[int, int, int], _Tile], folder: Path) -> Model3D:
    cell_m = tree.grid.cell_size_m
    return Model3D(
        folder / TILESET,
        tree.levels,
        len(tiles),
        sum(tile.triangles for tile in tiles.values()),
        sum(tile.size_bytes for tile in tiles.values()),
        root.size_bytes if (root := tiles.get((tree.levels - 1, 0, 0))) else 0,
        tree.texel_m,
        cell_m * tree.ground.tolerance_cells,
        sum(tile.bridged_cells for tile in tiles.values()) * cell_m**2,
    )


def load(folder: Path) -> Model3D:
    """What `write` made in a folder."""
    return Model3D(folder / TILESET, **json.loads((folder / FACTS).read_text()))
