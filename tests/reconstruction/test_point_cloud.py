"""The point cloud as an independent reader sees it: every point once, in its node, well spread."""

from types import SimpleNamespace

import laspy
import numpy as np
import pytest
from scipy.spatial import cKDTree

from reconstruction import copc
from reconstruction.copc import CopcWriter, Cube, nodes, records
from reconstruction.errors import OptionError, StageError
from reconstruction.outliers import regular
from reconstruction.point_cloud import POINT_CLOUD, PointCloudInputs, PointCloudOptions
from reconstruction.point_tile import PointTile
from reconstruction.stage import Run

ORIGIN = np.array([500000.0, 5270000.0, 430.0])
TILE_M = 20.0
PER_TILE = 60_000


def surface(rng, count):
    """Points of a wavy surface with steep parts, metres from a tile's corner."""
    xy = rng.uniform(0.0, TILE_M, (count, 2))
    z = 2.0 * np.tanh(3.0 * np.sin(xy[:, 0])) + 0.1 * xy[:, 1] + rng.normal(0, 0.01, count)
    return np.column_stack((xy, z)).astype(np.float32)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A cloud of six tiles, and what went in."""
    folder = tmp_path_factory.mktemp("cloud")
    rng = np.random.default_rng(11)
    tiles, points, colours = [], [], []
    for index in range(6):
        origin = ORIGIN + np.array([TILE_M * (index % 3), TILE_M * (index // 3), 0.0])
        offsets = surface(rng, PER_TILE)
        colors = rng.integers(0, 256, (PER_TILE, 3)).astype(np.uint8)
        path = folder / f"{index}.npz"
        np.savez(path, origin=origin, offsets=offsets, colors=colors, sigma_m=offsets[:, 0])
        west, south = origin[:2]
        tiles.append(PointTile(path, (west, south, west + TILE_M, south + TILE_M), PER_TILE))
        points.append(origin + offsets.astype(np.float64))
        colours.append(colors)
    out = folder / "out"
    out.mkdir()
    inputs = PointCloudInputs(tuple(tiles), 32632)
    cloud = POINT_CLOUD.run(inputs, PointCloudOptions(sparse_share=0.0), out, Run(jobs=2))
    with laspy.CopcReader.open(str(cloud.path)) as reader:
        levels = [reader.query(level=level) for level in range(4)]
        everything = reader.query()
        info = reader.copc_info
        return SimpleNamespace(
            cloud=cloud,
            out=out,
            truth=np.vstack(points),
            colours=np.vstack(colours),
            header=reader.header,
            info=info,
            levels=levels,
            all=everything,
        )


def place(points):
    return np.column_stack((points.x, points.y, points.z))


def ordered(points, colours):
    """Rows of millimetres and colour, in an order that does not depend on where they came from."""
    rows = np.column_stack((np.rint((points - ORIGIN) * 1000).astype(np.int64), colours))
    return rows[np.lexsort(rows.T)]


def test_every_point_is_there_once_with_its_colour(made):
    found = made.all
    colours = np.column_stack((found.red, found.green, found.blue))
    assert np.array_equal(colours % 257, np.zeros_like(colours))
    truth = np.rint(made.truth * 1000) / 1000
    np.testing.assert_array_equal(
        ordered(place(found), colours // 257), ordered(truth, made.colours)
    )
    assert made.cloud.count == len(made.truth) == len(found)
    assert made.cloud.outlier_count == 0


def test_the_header_tells_the_truth(made):
    header = made.header
    assert (str(header.version), header.point_format.id) == ("1.4", 7)
    assert header.parse_crs().to_epsg() == 32632
    assert header.point_count == len(made.truth)
    assert header.number_of_points_by_return.tolist() == [len(made.truth)] + [0] * 14
    np.testing.assert_array_equal(header.scales, 0.001)
    np.testing.assert_allclose(header.mins, made.truth.min(axis=0), atol=6e-4)
    np.testing.assert_allclose(header.maxs, made.truth.max(axis=0), atol=6e-4)
    assert (made.info.gps_min, made.info.gps_max) == (0.0, 0.0)
    assert set(made.all.return_number) == set(made.all.number_of_returns) == {1}


def test_any_las_reader_reads_it_from_start_to_end(made):
    with laspy.open(str(made.cloud.path)) as reader:
        points = reader.read()
    assert len(points) == len(made.truth)
    np.testing.assert_allclose(
        [np.mean(points.x), np.mean(points.z)], made.truth[:, [0, 2]].mean(axis=0), atol=1e-3
    )


def test_coarse_levels_cover_the_cloud_evenly(made):
    for level, found in enumerate(made.levels):
        spacing = made.info.spacing / 2**level
        coarse = np.vstack([place(part) for part in made.levels[: level + 1]])
        reach, _ = cKDTree(coarse).query(made.truth[::50])
        # A grid cell with any point has one: nothing is farther than a cell's diagonal.
        assert reach.max() <= spacing * np.sqrt(3.0) + 1e-9
        assert len(found) > 0


def test_the_root_has_one_point_in_a_grid_cell(made):
    half_a_millimetre = 0.0005
    root = place(made.levels[0]) + half_a_millimetre
    cells = np.floor((root - made.info.center) / made.info.spacing)
    assert len(np.unique(cells, axis=0)) == len(root) > 1000


def test_a_query_of_a_place_gives_its_points(made):
    low, high = ORIGIN + np.array([[5.0, 5.0, -100.0], [12.0, 9.0, 100.0]])
    with laspy.CopcReader.open(str(made.cloud.path)) as reader:
        found = place(reader.query(laspy.copc.Bounds(mins=low, maxs=high)))
    rounded = np.rint(made.truth * 1000) / 1000
    inside = ((rounded >= low) & (rounded <= high)).all(axis=1)
    assert abs(len(found) - inside.sum()) <= 2
    assert ((found >= low - 1e-6) & (found <= high + 1e-6)).all()


def test_a_finished_folder_is_loaded_as_it_was_made(made):
    assert POINT_CLOUD.load(made.out) == made.cloud
    assert sorted(path.name for path in made.out.iterdir()) == [
        "point_cloud.copc.laz",
        "point_cloud.json",
    ]


@pytest.mark.parametrize("bits", [14, 18, 24])
@pytest.mark.parametrize("complete_from", [0, 2])
def test_nodes_hold_their_points_and_no_other(monkeypatch, bits, complete_from):
    monkeypatch.setattr(copc, "_LEAF_COUNT", 200)
    rng = np.random.default_rng(bits)
    side = 1 << bits
    xyz = rng.integers(0, side, (20_000, 3)).astype(np.int32)
    xyz[:, 2] = (xyz[:, 0] * 0.3 + xyz[:, 1] * 0.1).astype(np.int32)
    xyz[:50] = xyz[0]
    xyz[50] = [0, 0, 0]
    xyz[51] = side - 1
    low = np.array([-70, 1000, 5])
    cube = Cube((0.0, 0.0, 0.0), tuple(low), bits)
    order, found = nodes((xyz + low).astype(np.int32), cube, complete_from)
    assert sorted(order) == list(range(len(xyz)))
    assert sum(part.stop - part.start for _, part in found) == len(xyz)
    assert len({key for key, _ in found}) == len(found)
    for (level, *cell), part in found:
        inside = xyz[order[part]].astype(np.int64) >> (bits - level)
        assert (inside == cell).all()


def test_the_empty_ancestors_of_a_node_are_in_the_hierarchy(tmp_path):
    cube = Cube((500000.0, 5270000.0, 0.0), (0, 0, 0), 12)
    points = records(np.array([[4000, 10, 10]], np.int32), np.zeros((1, 3), np.uint8))
    with CopcWriter(tmp_path / "deep.copc.laz", 32632, cube) as writer:
        writer.write([((3, 7, 0, 0), points)])
    with laspy.CopcReader.open(str(tmp_path / "deep.copc.laz")) as reader:
        found = reader.query()
    assert np.array(found.x) == pytest.approx([500004.0])


def test_points_in_the_air_are_no_regular_points():
    rng = np.random.default_rng(2)
    ground = surface(rng, 40_000)
    air = ground[:60] + np.column_stack((np.zeros((60, 2)), rng.uniform(3.0, 60.0, 60)))
    kept = regular(np.vstack((ground, air)).astype(np.float32), 0.1)
    assert kept[: len(ground)].mean() > 0.999
    assert kept[len(ground) :].mean() < 0.05


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_handful_of_points_is_kept(count):
    assert regular(np.zeros((count, 3), np.float32), 0.1).all()


def test_a_cloud_without_points_is_refused(tmp_path):
    tile = PointTile(tmp_path / "none.npz", (0.0, 0.0, 1.0, 1.0), 0)
    with pytest.raises(StageError, match="no points"):
        POINT_CLOUD.run(PointCloudInputs((tile,), 32632), PointCloudOptions(), tmp_path, Run())


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_an_impossible_share_is_refused(share):
    with pytest.raises(OptionError):
        PointCloudOptions(sparse_share=share)


def test_a_cloud_higher_than_wide_fits_its_cube(tmp_path):
    rng = np.random.default_rng(3)
    offsets = rng.uniform(0, 1, (5000, 3)).astype(np.float32) * np.float32([1.0, 1.0, 300.0])
    path = tmp_path / "tower.npz"
    np.savez(
        path,
        origin=ORIGIN,
        offsets=offsets,
        colors=np.zeros((5000, 3), np.uint8),
        sigma_m=offsets[:, 0],
    )
    west, south = ORIGIN[:2]
    tile = PointTile(path, (west, south, west + 1.0, south + 1.0), 5000)
    inputs = PointCloudInputs((tile,), 32632)
    cloud = POINT_CLOUD.run(inputs, PointCloudOptions(0.0), tmp_path, Run())
    with laspy.CopcReader.open(str(cloud.path)) as reader:
        assert len(reader.query()) == 5000
        half = reader.copc_info.halfsize
        assert (reader.header.maxs <= reader.copc_info.center + half).all()
        assert (reader.header.mins >= reader.copc_info.center - half).all()
