"""The truth about a simulated flight, written as the files that a survey is compared with."""

from __future__ import annotations

import json
from pathlib import Path

import numba
import numpy as np
import rasterio
import rasterio.windows
import shapely
from affine import Affine
from numpy.typing import NDArray

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.synthetic.grid import Array, Raster
from reconstruction.synthetic.piles import wall_edges
from reconstruction.synthetic.quarry import Quarry, Stockpile
from reconstruction.synthetic.renderer import Scene, visible

CELL_SIZE_M = 0.05
_TIE_POINT_COUNT = 1500
_CHUNK_ROWS = 512
_LATTICE_CELLS = 100
_MARGIN_M = 2.0


def write_surfaces(folder: Path, quarry: Quarry) -> None:
    """Write ``dsm.tif`` and ``ground.tif``: the quarry on a map grid, nodata where unknown."""
    grid = quarry.grid
    corners = np.array(
        [
            [grid.west_m + _MARGIN_M, grid.south_m + _MARGIN_M, 0.0],
            [float(grid.x[0, -1]) - _MARGIN_M, float(grid.y[-1, 0]) - _MARGIN_M, 0.0],
        ]
    )
    (west, south, _), (east, north, _) = quarry.frame.to_map(corners)
    west, south = (np.ceil(value / CELL_SIZE_M) * CELL_SIZE_M for value in (west, south))
    cols, rows = int((east - west) / CELL_SIZE_M), int((north - south) / CELL_SIZE_M)
    north = south + rows * CELL_SIZE_M
    profile = {
        "driver": "GTiff",
        "width": cols,
        "height": rows,
        "count": 1,
        "dtype": "float32",
        "crs": f"EPSG:{quarry.frame.epsg}",
        "transform": Affine(CELL_SIZE_M, 0.0, west, 0.0, -CELL_SIZE_M, north),
        "nodata": -9999.0,
        "compress": "deflate",
        "zlevel": 1,
        "predictor": 3,
        "tiled": True,
        "blockxsize": 512,
        "blockysize": 512,
    }
    with (
        rasterio.open(folder / "dsm.tif", "w", **profile) as dsm,
        rasterio.open(folder / "ground.tif", "w", **profile) as ground,
    ):
        for top in range(0, rows, _CHUNK_ROWS):
            size = min(_CHUNK_ROWS, rows - top)
            cells = (west, north - top * CELL_SIZE_M, size, cols)
            window = rasterio.windows.Window(0, top, cols, size)
            for raster, target in ((quarry.surface, dsm), (quarry.ground, ground)):
                target.write(map_elevation(quarry, raster, cells), 1, window=window)


def map_elevation(
    quarry: Quarry, raster: Raster, cells: tuple[float, float, int, int]
) -> NDArray[np.float32]:
    """Elevation at the centres of map cells of a surface given in the local frame.

    A plumb line of the map is a straight line in the frame. Its foot and its direction are
    interpolated between lattice lines 5 m apart, which is exact to a thousandth of a millimetre.

    Parameters
    ----------
    quarry : Quarry
    raster : ndarray of float32, shape quarry.grid.shape
    cells : tuple
        Easting and northing of the upper left corner, rows and columns.

    Returns
    -------
    ndarray of float32, shape (rows, cols)
        -9999 outside the raster.
    """
    west, north, rows, cols = cells
    counts = rows // _LATTICE_CELLS + 2, cols // _LATTICE_CELLS + 2
    easting = west + (np.arange(counts[1]) * _LATTICE_CELLS + 0.5) * CELL_SIZE_M
    northing = north - (np.arange(counts[0]) * _LATTICE_CELLS + 0.5) * CELL_SIZE_M
    east, north_mesh = (axis.ravel() for axis in np.meshgrid(easting, northing))
    base = np.full(east.shape, quarry.frame.elevation_m)
    foot = quarry.frame.from_map(np.column_stack((east, north_mesh, base)))
    lift = quarry.frame.from_map(np.column_stack((east, north_mesh, base + 10.0))) - foot
    lattice = np.hstack((foot, lift / 10.0)).reshape(*counts, 6)
    grid = quarry.grid
    origin = np.array([grid.west_m, grid.south_m, grid.cell_m])
    out = np.empty((rows, cols), dtype=np.float32)
    _plumb(lattice, raster, origin, quarry.frame.elevation_m, out)
    return out


@numba.njit(cache=True, nogil=True)
def _plumb(lattice, raster, origin, base, out):  # type: ignore[no-untyped-def]
    """Meet the plumb line of each cell with the bilinear surface."""
    line = np.empty(6)
    for row in range(out.shape[0]):
        i, b = row // _LATTICE_CELLS, (row % _LATTICE_CELLS) / _LATTICE_CELLS
        for col in range(out.shape[1]):
            j, a = col // _LATTICE_CELLS, (col % _LATTICE_CELLS) / _LATTICE_CELLS
            for k in range(6):
                upper = lattice[i, j, k] + a * (lattice[i, j + 1, k] - lattice[i, j, k])
                lower = lattice[i + 1, j, k] + a * (lattice[i + 1, j + 1, k] - lattice[i + 1, j, k])
                line[k] = upper + b * (lower - upper)
            height = 0.0
            for _ in range(3):
                gx = (line[0] + height * line[3] - origin[0]) / origin[2]
                gy = (line[1] + height * line[4] - origin[1]) / origin[2]
                x, y = int(gx), int(gy)
                if gx < 0 or gy < 0 or x >= raster.shape[1] - 1 or y >= raster.shape[0] - 1:
                    height = -9999.0 - base
                    break
                u, v = gx - x, gy - y
                low = raster[y, x] + u * (raster[y, x + 1] - raster[y, x])
                high = raster[y + 1, x] + u * (raster[y + 1, x + 1] - raster[y + 1, x])
                height = (low + v * (high - low) - line[2]) / line[5]
            out[row, col] = base + height


def write_piles(folder: Path, quarry: Quarry, shots: tuple[Shot, ...], camera: Camera) -> None:
    """Write ``piles.geojson`` and ``truth/volumes.json`` of the piles that the flight covers."""
    features, volumes = [], []
    for pile in quarry.stockpiles:
        corners = _on_ground(quarry, shapely.get_coordinates(pile.toe))
        if _views(corners, shots, camera).min() < 3:
            continue
        ring = quarry.frame.to_map(corners)[:, :2].round(3).tolist()
        properties: dict[str, object] = {"name": pile.name, "material": pile.material}
        if pile.wall is not None:
            properties["walls"] = wall_edges(pile.toe, pile.wall)
        features.append(
            {
                "type": "Feature",
                "properties": properties,
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
        volumes.append({"name": pile.name, "material": pile.material, **measure(quarry, pile)})
    crs = {"type": "name", "properties": {"name": f"urn:ogc:def:crs:EPSG::{quarry.frame.epsg}"}}
    collection = {"type": "FeatureCollection", "name": "piles", "crs": crs, "features": features}
    (folder / "piles.geojson").write_text(json.dumps(collection))
    (folder / "truth" / "volumes.json").write_text(json.dumps({"piles": volumes}, indent=1))


def measure(quarry: Quarry, pile: Stockpile) -> dict[str, float]:
    """Volume of a pile above the true ground inside its outline.

    Returns
    -------
    dict
        ``volume_m3`` in true cubic metres; ``map_volume_m3`` with the map's metres, as anybody
        gets who measures on the map; ``area_m2``; ``height_max_m`` above the ground;
        ``elevation_max_m``.
    """
    grid = quarry.grid
    west, south, east, north = pile.toe.bounds
    rows, cols = grid.window(
        0.5 * (west + east), 0.5 * (south + north), 0.5 * max(east - west, north - south) + 1.0
    )
    x, y = np.broadcast_arrays(grid.x[:, cols], grid.y[rows])
    share = _coverage(pile.toe, x, y, grid.cell_m)
    height = (quarry.surface[rows, cols] - quarry.ground[rows, cols]).astype(np.float64)
    volume = float((share * height).sum()) * grid.cell_m**2
    middle = pile.toe.centroid
    steps = np.array([[middle.x, middle.y, 0.0]]) + np.eye(3)[[0, 1, 2]] * [[50.0], [50.0], [0.0]]
    mapped = quarry.frame.to_map(steps)
    scale = np.abs(np.linalg.det((mapped[:2] - mapped[2])[:, :2])) / 2500.0
    inside = share > 0.5
    peak = int(np.where(inside, quarry.surface[rows, cols], -1e9).argmax())
    top = np.array([[x.ravel()[peak], y.ravel()[peak], quarry.surface[rows, cols].ravel()[peak]]])
    return {
        "volume_m3": round(volume, 3),
        "map_volume_m3": round(volume * float(scale), 3),
        "area_m2": round(float(pile.toe.area), 3),
        "height_max_m": round(float(height[inside].max()), 3),
        "elevation_max_m": round(float(quarry.frame.to_map(top)[0, 2]), 3),
    }


def _coverage(polygon: shapely.Polygon, x: Raster, y: Raster, cell_m: float) -> Array:
    """Share of the square around each node that lies in a polygon, from 16 samples."""
    share = np.zeros(x.shape)
    shapely.prepare(polygon)
    for i in range(4):
        for j in range(4):
            dx, dy = (i - 1.5) * cell_m / 4.0, (j - 1.5) * cell_m / 4.0
            share += shapely.contains_xy(polygon, x.astype(float) + dx, y.astype(float) + dy)
    return share / 16.0


def _on_ground(quarry: Quarry, xy: Array) -> Array:
    return np.column_stack((xy, quarry.grid.sample(quarry.ground, xy)))


def _views(points: Array, shots: tuple[Shot, ...], camera: Camera) -> NDArray[np.intp]:
    """How many photos each point (n, 3) lies in, hidden or not."""
    counts = np.zeros(len(points), dtype=np.intp)
    for shot in shots:
        local = shot.to_camera(points)
        pixels = camera.project(np.where(local[:, 2:] > 1.0, local, (0.0, 0.0, 1.0)))
        inside = (pixels >= 0.0).all(axis=1)
        inside &= (pixels < (camera.width_px, camera.height_px)).all(axis=1)
        counts += inside & (local[:, 2] > 1.0)
    return counts


def true_block(
    quarry: Quarry, scene: Scene, camera: Camera, shots: tuple[Shot, ...], seed: int
) -> Block:
    """The true cameras, with points on the surface and their exact pixels."""
    rng = np.random.default_rng([seed, 71])
    grid = quarry.grid
    low = np.array([grid.west_m + 3.0, grid.south_m + 3.0])
    extent = np.array([grid.cols - 1, grid.rows - 1]) * grid.cell_m - 6.0
    xy = low + rng.random((_TIE_POINT_COUNT, 2)) * extent
    points = np.column_stack((xy, grid.sample(quarry.surface, xy)))
    seen = np.array([visible(scene, camera, shot, points) for shot in shots])
    kept = seen.sum(axis=0) >= 2
    points, seen = points[kept], seen[:, kept]
    shot_index, point_index = np.nonzero(seen)
    pixels = np.zeros((len(shot_index), 2))
    for index, shot in enumerate(shots):
        mine = shot_index == index
        pixels[mine] = camera.project(shot.to_camera(points[point_index[mine]]))
    ties = TiePoints(points, shot_index.astype(np.int32), point_index.astype(np.int32), pixels)
    return Block(quarry.frame, {camera.name: camera}, shots, ties)
