"""The model of a rendered yard: its tree, its place on Earth, its shape and its colours."""

import json
from dataclasses import dataclass

import cv2
import numpy as np
import pyproj
import pytest

from reconstruction.ecef import ecef_transform
from reconstruction.errors import OptionError, StageError
from reconstruction.gltf import TexturedMesh, read_glb
from reconstruction.rasters import RasterReader, float_cog
from reconstruction.stage import Run, perform
from reconstruction.tile_tree import Model3D
from reconstruction.tiles3d import MODEL, ModelInputs, ModelOptions


@dataclass(frozen=True)
class Made:
    output: Model3D
    tileset: dict
    meshes: dict[str, TexturedMesh]

    @property
    def leaves(self):
        return [mesh for uri, mesh in self.meshes.items() if uri.startswith("0/")]


def make(inputs, options, work):
    output = perform(MODEL, inputs, options, work, Run(jobs=2)).output
    tileset = json.loads(output.tileset.read_text())
    uris = [node["content"]["uri"] for node in nodes_of(tileset["root"])]
    return Made(
        output,
        tileset,
        {uri: read_glb((output.tileset.parent / uri).read_bytes()) for uri in uris},
    )


def nodes_of(node):
    yield node
    for child in node.get("children", []):
        yield from nodes_of(child)


def inputs_of(yard, **changes):
    # Half the true sampling distance: four texels a cell, and so four tiles and two levels.
    facts = {"dsm": yard.dsm, "gsd_m": yard.gsd_m / 2.0, **changes}
    return ModelInputs(yard.block, yard.photos, yard.exposures, **facts)


@pytest.fixture(scope="module")
def made(yard, tmp_path_factory):
    return make(inputs_of(yard), ModelOptions(), tmp_path_factory.mktemp("work"))


def box_of(node):
    values = np.array(node["boundingVolume"]["box"])
    axes = values[3:].reshape(3, 3)
    assert np.array_equal(axes, np.diag(np.diag(axes)))
    return values[:3] - np.diag(axes), values[:3] + np.diag(axes)


def test_boxes_hold_what_is_below_them_and_errors_shrink(made):
    root = made.tileset["root"]
    assert len(root["children"]) == 4
    assert made.tileset["geometricError"] > root["geometricError"] > 0.0
    for node in nodes_of(root):
        low, high = box_of(node)
        points = made.meshes[node["content"]["uri"]].points
        assert (points >= low).all()
        assert (points <= high).all()
        assert node["refine"] == "REPLACE"
        for child in node.get("children", []):
            child_low, child_high = box_of(child)
            assert (child_low >= low - 1e-9).all()
            assert (child_high <= high + 1e-9).all()
            assert child["geometricError"] < node["geometricError"]


def test_the_leaf_boxes_are_tight(made):
    for leaf in made.tileset["root"]["children"]:
        low, high = box_of(leaf)
        points = made.meshes[leaf["content"]["uri"]].points
        assert low == pytest.approx(points.min(axis=0), abs=0.01)
        assert high == pytest.approx(points.max(axis=0), abs=0.01)


def test_the_output_says_what_was_written(made):
    folder = made.output.tileset.parent
    assert made.output == MODEL.load(folder)
    sizes = {uri: (folder / uri).stat().st_size for uri in made.meshes}
    assert made.output.tiles == len(sizes) == 5
    assert made.output.size_bytes == sum(sizes.values())
    assert made.output.first_level_bytes == sizes["1/0_0.glb"] < 1_500_000
    assert made.tileset["asset"]["version"] == "1.1"
    assert made.tileset["asset"]["extras"]["bridged_m2"] == made.output.bridged_m2
    # The small hole of 6 by 8 cells, and the corners of the large one: what a disc of 15 cells
    # leaves of a corner is 1 - pi / 4 of its squared radius, and a little for whole cells.
    assert 48 * 0.1**2 <= made.output.bridged_m2 < (48 + 4 * 0.3 * 15**2) * 0.1**2


def test_the_place_on_earth_is_exact(made, yard):
    frame = yard.block.frame
    transform = np.array(made.tileset["root"]["transform"]).reshape(4, 4).T
    local = np.array([[0.0, 0, 0], [310, -240, 12], [-500, 420, -30]])
    placed = local @ transform[:3, :3].T + transform[:3, 3]
    to_ecef = pyproj.Transformer.from_crs(
        pyproj.CRS(frame.epsg).to_3d(), pyproj.CRS(4978), always_xy=True
    )
    expected = np.column_stack(to_ecef.transform(*frame.to_map(local).T))
    assert np.linalg.norm(placed - expected, axis=1).max() < 1e-3
    turn = transform[:3, :3]
    assert turn @ turn.T == pytest.approx(np.eye(3), abs=1e-9)


def test_the_geoid_lifts_the_model_along_the_plumb_line(yard):
    frame = yard.block.frame
    lift = ecef_transform(frame, 47.0)[:3, 3] - ecef_transform(frame, 0.0)[:3, 3]
    assert lift == pytest.approx(47.0 * ecef_transform(frame, 0.0)[:3, 2], abs=1e-6)


def rows_and_cols(points, yard):
    """Where local points lie in the DSM, counted from the middle of the first cell."""
    with RasterReader(yard.dsm) as dsm:
        grid = dsm.grid
    easting, northing, elevation = yard.block.frame.to_map(points).T
    size = grid.cell_size_m
    return (grid.north - northing) / size - 0.5, (easting - grid.west) / size - 0.5, elevation


def test_points_of_the_mesh_are_cells_of_the_dsm(made, yard):
    with RasterReader(yard.dsm) as dsm:
        heights = dsm.read(0, 0, dsm.grid.rows, dsm.grid.cols)[0]
    for mesh in made.leaves:
        row, col, elevation = rows_and_cols(mesh.points, yard)
        truth = heights[np.rint(row).astype(int), np.rint(col).astype(int)]
        # Rounding by the compression: a 14 bit step of a 26 m tile in each direction.
        assert np.abs(row - np.rint(row)).max() * yard.cell_m < 0.002
        known = ~np.isnan(truth)
        assert known.mean() > 0.9
        # A curtain hangs at the border of tiles; all else lies on the surface.
        gap_m = truth[known] - elevation[known]
        assert gap_m.min() > -0.002
        on_border = (np.rint(row[known]) % 256 == 0) | (np.rint(col[known]) % 256 == 0)
        on_border |= (np.rint(row[known]) == 319) | (np.rint(col[known]) == 319)
        assert gap_m[~on_border].max() < 0.002


def test_the_walls_of_the_box_stay_upright(made, yard):
    west, south, east, north, top = yard.box
    for mesh in made.leaves:
        corners = mesh.points[mesh.faces]
        middle = corners.mean(axis=1)
        inside = (np.abs(middle[:, 0] - (west + east) / 2) < (east - west) / 2 + 0.3) & (
            np.abs(middle[:, 1] - (south + north) / 2) < (north - south) / 2 + 0.3
        )
        tall = np.ptp(corners[:, :, 2], axis=1) > 0.8 * top
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        slope = np.hypot(normal[:, 0], normal[:, 1]) / np.abs(normal[:, 2]).clip(1e-9)
        assert np.rad2deg(np.arctan(slope[inside & tall])).min(initial=90.0) > 86.0


def colours_at_faces(mesh):
    """Middle of each face in space, and the picture's colour there."""
    picture = cv2.imdecode(np.frombuffer(mesh.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
    height, width = picture.shape[:2]
    x, y = (mesh.uv[mesh.faces].mean(axis=1) * [width, height] - 0.5).T
    colour = picture[np.rint(y).astype(int), np.rint(x).astype(int)]
    return mesh.points[mesh.faces].mean(axis=1), colour.astype(float)


def test_walls_have_the_colours_that_only_the_side_shows(made, yard):
    west, south, east, north, top = yard.box
    checked = []
    for mesh in made.leaves:
        middle, colour = colours_at_faces(mesh)
        x, y, z = middle.T
        # A cell beside the wall the DSM's ramp ends: what is seen there is the ground.
        upper = (z > 0.3 * top) & (z < 0.95 * top)
        for side, (distance, along) in {
            "east": (x - east, np.abs(y + 0.5) < 2.0),
            "north": (y - north, np.abs(x + 0.5) < 3.0),
            "west": (west - x, np.abs(y + 0.5) < 2.0),
            "south": (south - y, np.abs(x + 0.5) < 3.0),
        }.items():
            on_wall = upper & along & (np.abs(distance) < 0.12)
            if on_wall.any():
                checked.append(side)
                away = {"east": 1, "north": 2, "west": -1, "south": -2}[side]
                plane = middle[on_wall].copy()
                axis = abs(away) - 1
                plane[:, axis] = {"east": east, "north": north, "west": west, "south": south}[side]
                error = np.abs(colour[on_wall] - yard.colour(plane)).max(axis=1)
                assert np.quantile(error, 0.95) < 12.0, side
    assert set(checked) == {"east", "north", "west", "south"}


def test_ground_and_lid_have_the_colours_of_their_place(made, yard):
    west, south, east, north, _ = yard.box
    for mesh in made.leaves:
        middle, colour = colours_at_faces(mesh)
        x, y, _ = middle.T
        beside = np.maximum.reduce((west - x, x - east, south - y, y - north))
        clear = np.abs(beside) > 0.8
        flat = np.ptp(mesh.points[mesh.faces][:, :, 2], axis=1) < 1.0
        known = clear & flat & (np.abs(x) < 14.0) & (np.abs(y) < 14.0)
        error = np.abs(colour[known] - yard.colour(middle[known])).max(axis=1)
        assert np.quantile(error, 0.95) < 8.0


def border_profile(mesh, yard, col):
    """Row and elevation of a tile's surface points in a column of the DSM, north to south."""
    row, at, elevation = rows_and_cols(mesh.points, yard)
    here = np.abs(at - col) < 0.1
    order = np.lexsort((-elevation[here], np.rint(row[here])))
    rows, first = np.unique(np.rint(row[here])[order], return_index=True)
    highest = elevation[here][order][first]
    lowest = [elevation[here][np.rint(row[here]) == value].min() for value in rows]
    return rows, highest, np.array(lowest)


def test_the_curtain_covers_every_gap_between_neighbours(made, yard):
    for uri, other in (("0/0_0.glb", "0/0_1.glb"), ("0/1_0.glb", "0/1_1.glb")):
        rows, highest, lowest = border_profile(made.meshes[uri], yard, 256)
        other_rows, other_highest, _ = border_profile(made.meshes[other], yard, 256)
        steps = np.arange(max(rows[0], other_rows[0]), min(rows[-1], other_rows[-1]))
        gap = np.interp(steps, rows, highest) - np.interp(steps, other_rows, other_highest)
        assert np.abs(gap).max() <= np.interp(steps, rows, highest - lowest).min()


def test_a_coarser_model_is_smaller(made, yard, tmp_path):
    coarse = make(inputs_of(yard, gsd_m=yard.gsd_m), ModelOptions.for_quality("preview"), tmp_path)
    assert coarse.output.texel_m == pytest.approx(0.1)
    assert coarse.output.size_bytes < made.output.size_bytes
    assert coarse.output.triangles < made.output.triangles


def test_an_empty_surface_is_refused(yard, tmp_path):
    with RasterReader(yard.dsm) as dsm, float_cog(tmp_path / "e.tif", dsm.grid, ["z"]) as raster:
        raster.write(0, 0, np.full((4, 4), np.nan, np.float32))
    with pytest.raises(StageError, match="no piece large enough"):
        make(inputs_of(yard, dsm=tmp_path / "e.tif"), ModelOptions(), tmp_path)


@pytest.mark.parametrize("values", [{"tolerance_cells": 0.0}, {"texel_gsd": 1000.0}])
def test_options_out_of_range_are_refused(values):
    with pytest.raises(OptionError, match="out of range"):
        ModelOptions(**values)


def test_an_unknown_quality_is_refused():
    with pytest.raises(OptionError, match="best"):
        ModelOptions.for_quality("best")
