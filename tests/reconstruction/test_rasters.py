"""Rasters: what is written is read back, and the files are what they claim to be."""

import threading

import numpy as np
import pytest
import rasterio

from reconstruction.errors import InputError
from reconstruction.rasters import BLOCK_PX, NODATA, Grid, RasterReader, float_cog, rgba_cog

GRID = Grid(32632, 500000.0, 5270000.0, 0.25, 700, 1300)


def written(path, values, grid=GRID, names=("elevation_m",)):
    with float_cog(path, grid, names) as raster:
        for row, col, rows, cols in grid.tiles(256):
            raster.write(row, col, values[:, row : row + rows, col : col + cols])
    return path


def surface(bands=1):
    rng = np.random.default_rng(1)
    values = rng.uniform(100, 200, (bands, GRID.rows, GRID.cols)).astype(np.float32)
    values[:, 100:150, 200:300] = np.nan
    return values


def test_a_float_raster_keeps_every_value_and_every_hole(tmp_path):
    values = surface(2)
    path = written(tmp_path / "a.tif", values, names=("count", "spread_m"))
    with RasterReader(path) as raster:
        assert raster.grid == GRID
        np.testing.assert_array_equal(raster.read(0, 0, GRID.rows, GRID.cols), values)
    with rasterio.open(path) as file:
        assert file.nodata == NODATA
        assert file.descriptions == ("count", "spread_m")
        assert file.crs.to_epsg() == 32632
        assert tuple(file.bounds) == GRID.bounds


def test_the_file_is_cloud_optimized(tmp_path):
    with rasterio.open(written(tmp_path / "a.tif", surface())) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert file.block_shapes == [(BLOCK_PX, BLOCK_PX)]
        assert file.overviews(1) == [2, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_overviews_are_means_of_what_is_known(tmp_path):
    values = surface()
    with RasterReader(written(tmp_path / "a.tif", values)) as raster:
        grid, coarse = raster.read_overview(2)
    expected = values[0].reshape(350, 2, 650, 2).mean(axis=(1, 3))
    inner = np.isfinite(expected)
    np.testing.assert_allclose(coarse[0][inner], expected[inner], rtol=1e-6)
    assert np.isnan(coarse[0, 51:74, 101:149]).all()
    assert grid == Grid(32632, GRID.west, GRID.north, 0.5, 350, 650)


def test_a_window_may_reach_beyond_the_raster(tmp_path):
    values = surface()
    with RasterReader(written(tmp_path / "a.tif", values)) as raster:
        window = raster.read(-10, GRID.cols - 5, 30, 20)[0]
        nowhere = raster.read(-50, -50, 10, 10)
    assert np.isnan(window[:10]).all()
    assert np.isnan(window[:, 5:]).all()
    np.testing.assert_array_equal(window[10:, :5], values[0, :20, -5:])
    assert np.isnan(nowhere).all()


def test_cells_never_written_are_no_data(tmp_path):
    with float_cog(tmp_path / "a.tif", GRID, ["elevation_m"]) as raster:
        raster.write(0, 0, np.full((10, 10), 5.0))
    with RasterReader(tmp_path / "a.tif") as raster:
        values = raster.read(0, 0, GRID.rows, GRID.cols)[0]
    assert (values[:10, :10] == 5.0).all()
    assert np.isfinite(values).sum() == 100
    with rasterio.open(tmp_path / "a.tif") as file:
        # Some readers fail on blocks that a sparse file leaves out.
        assert file.get_tag_item("BLOCK_SIZE_1_1", "TIFF", bidx=1) is not None


def test_a_picture_keeps_its_transparency_and_nearly_its_colours(tmp_path):
    row, col = np.mgrid[0 : GRID.rows, 0 : GRID.cols]
    picture = np.stack((col % 256, row % 256, (row + col) // 8 % 256, 255 + 0 * row)).astype(
        np.uint8
    )
    picture[:3] = np.clip(100 + 50 * np.sin(np.stack((row, col, row + col)) / 40.0), 0, 255)
    picture[3, :, 600:] = 0
    with rgba_cog(tmp_path / "a.tif", GRID) as raster:
        raster.write(0, 0, picture)
    with RasterReader(tmp_path / "a.tif") as raster:
        found = raster.read(0, 0, GRID.rows, GRID.cols)
        beyond = raster.read(-5, -5, 5, 5)
    np.testing.assert_array_equal(found[3], picture[3])
    difference = found[:3, :, :590].astype(int) - picture[:3, :, :590]
    assert np.abs(difference).mean() < 2.0
    assert not beyond.any()
    with rasterio.open(tmp_path / "a.tif") as file:
        assert [band.name for band in file.colorinterp] == ["red", "green", "blue", "alpha"]


def test_an_error_leaves_no_file(tmp_path):
    def fail():
        with float_cog(tmp_path / "a.tif", GRID, ["elevation_m"]) as raster:
            raster.write(0, 0, np.zeros((5, 5)))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_threads_share_a_writer_and_a_reader(tmp_path):
    values = surface()
    failures = []

    def check(raster, row):
        window = raster.read(row, 0, 100, GRID.cols)
        if not np.array_equal(window, values[:, row : row + 100], equal_nan=True):
            failures.append(row)

    def in_threads(function, raster):
        threads = [
            threading.Thread(target=function, args=(raster, row)) for row in range(0, 700, 100)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    with float_cog(tmp_path / "a.tif", GRID, ["elevation_m"], threads=2) as writer:
        in_threads(lambda raster, row: raster.write(row, 0, values[:, row : row + 100]), writer)
    with RasterReader(tmp_path / "a.tif") as reader:
        in_threads(check, reader)
    assert failures == []


def test_grids_of_two_dates_share_their_cell_edges():
    first = Grid.covering(32632, (500000.03, 5270000.01, 500100.0, 5270100.0), 0.1)
    second = Grid.covering(32632, (500001.96, 5270003.0, 500090.0, 5270080.0), 0.1)
    west, south, east, north = first.bounds
    assert west <= 500000.03
    assert south <= 5270000.01
    assert east >= 500100.0
    assert north >= 5270100.0
    for offset in (second.west - first.west, second.north - first.north):
        assert offset / 0.1 == pytest.approx(round(offset / 0.1), abs=1e-5)


def test_tiles_cover_a_grid_once():
    covered = np.zeros((GRID.rows, GRID.cols), int)
    for row, col, rows, cols in GRID.tiles(300):
        covered[row : row + rows, col : col + cols] += 1
    assert (covered == 1).all()


@pytest.mark.parametrize(
    ("bounds", "cell_size_m"),
    [((0.0, 0.0, 1.0, 1.0), 0.0), ((0.0, 0.0, 1.0, 1.0), np.nan), ((1.0, 0.0, 0.0, 1.0), 0.1)],
)
def test_an_impossible_grid_is_refused(bounds, cell_size_m):
    with pytest.raises(InputError, match="No raster"):
        Grid.covering(32632, bounds, cell_size_m)


def test_a_file_that_is_no_raster_is_named(tmp_path):
    (tmp_path / "a.tif").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"a\.tif"):
        RasterReader(tmp_path / "a.tif")


def test_a_raster_without_a_crs_or_north_is_refused(tmp_path):
    with rasterio.open(
        tmp_path / "a.tif",
        "w",
        driver="GTiff",
        width=5,
        height=5,
        count=1,
        dtype="float32",
        crs=rasterio.CRS.from_epsg(32632),
        transform=rasterio.Affine(0.1, 0.02, 0, 0.02, -0.1, 0),
    ):
        pass
    with pytest.raises(InputError, match="north-up"):
        RasterReader(tmp_path / "a.tif")
