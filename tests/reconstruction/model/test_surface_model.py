"""The model of a surface without photos: its shape, and the picture of the ground laid over it."""

import json

import cv2
import numpy as np
import pytest

from reconstruction.errors import StageError
from reconstruction.gltf import read_glb
from reconstruction.rasters import Grid, float_cog, rgba_cog
from reconstruction.stage import Run
from reconstruction.surface_model import build, frame_of

CELL_M = 0.25
SIDE = 1200
EAST, NORTH = 500_000.0, 5_200_000.0
GRID = Grid(32632, EAST, NORTH, CELL_M, SIDE, SIDE)
# Twice as coarse as the surface, and shown only in its western two thirds.
PICTURE = Grid(32632, EAST, NORTH, 2 * CELL_M, SIDE // 2, SIDE // 3)


def colour(east, north):
    """Red grows eastwards, green southwards: every place has its own."""
    return np.stack(
        [40 + (east - EAST) * 0.6, 40 + (NORTH - north) * 0.5, np.full_like(east, 90.0)], axis=-1
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("surface")
    row, col = np.mgrid[:SIDE, :SIDE]
    heights = (200.0 + 6.0 * np.sin(row / 90.0) * np.cos(col / 70.0)).astype(np.float32)
    heights[300:380, 500:600] = np.nan
    with float_cog(folder / "dsm.tif", GRID, ["elevation_m"]) as raster:
        raster.write(0, 0, heights)
    row, col = np.mgrid[: PICTURE.rows, : PICTURE.cols]
    place = (EAST + (col + 0.5) * 2 * CELL_M, NORTH - (row + 0.5) * 2 * CELL_M)
    bands = np.moveaxis(colour(*place), -1, 0)
    alpha = np.full((1, PICTURE.rows, PICTURE.cols), 255.0)
    with rgba_cog(folder / "picture.tif", PICTURE) as raster:
        raster.write(0, 0, np.concatenate([bands, alpha]).round().astype(np.uint8))
    frame = frame_of(folder / "dsm.tif")
    model = build(folder / "dsm.tif", folder / "picture.tif", frame, folder / "model", Run(jobs=2))
    return folder / "model", frame, model, heights


def leaves(folder):
    return [read_glb(path.read_bytes()) for path in sorted((folder / "0").glob("*.glb"))]


def test_the_tree_reaches_from_one_tile_to_the_cells(made):
    folder, _, model, _ = made
    tileset = json.loads((folder / "tileset.json").read_text())
    assert (model.levels, model.tiles, model.texel_m) == (2, 5, CELL_M)
    assert len(tileset["root"]["children"]) == 4
    assert model.first_level_bytes < 1_500_000


def test_every_point_lies_on_the_surface(made):
    folder, frame, _, heights = made
    for mesh in leaves(folder):
        east, north, elevation = frame.to_map(mesh.points).T
        row = np.rint((NORTH - north) / CELL_M - 0.5).astype(int)
        col = np.rint((east - EAST) / CELL_M - 0.5).astype(int)
        inside = np.clip(row, 1, SIDE - 2) == row
        inside &= (np.clip(col, 1, SIDE - 2) == col) & (row % 1024 != 0) & (col % 1024 != 0)
        gap_m = heights[row[inside], col[inside]] - elevation[inside]
        assert np.nanmax(np.abs(gap_m)) < 0.02


def test_each_place_has_the_colour_that_the_picture_has_there(made):
    folder, frame, _, _ = made
    errors = []
    for mesh in leaves(folder):
        picture = cv2.imdecode(np.frombuffer(mesh.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        height, width = picture.shape[:2]
        x, y = (mesh.uv[mesh.faces].mean(axis=1) * [width, height] - 0.5).T
        shown = picture[np.rint(y).astype(int), np.rint(x).astype(int)].astype(float)
        east, north, _ = frame.to_map(mesh.points[mesh.faces].mean(axis=1)).T
        # The blocks of the raster are less exact where they end.
        reach = np.minimum(
            PICTURE.cols * 2 * CELL_M - (east - EAST), SIDE * CELL_M - (NORTH - north)
        )
        known = reach > 8.0
        errors.append(np.abs(shown - colour(east, north))[known])
    # Two compressions with loss lie between them; 6 steps of red are 10 m.
    assert sum(map(len, errors)) > 1000
    assert np.quantile(np.concatenate(errors), 0.95) < 6.0


def test_a_surface_without_ground_is_refused(tmp_path):
    with float_cog(tmp_path / "dsm.tif", GRID, ["elevation_m"]):
        pass
    with pytest.raises(StageError, match="no ground"):
        frame_of(tmp_path / "dsm.tif")
