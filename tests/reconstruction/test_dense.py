"""Photos of known surfaces with known cameras to dense points and surface model."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from rasterio.shutil import copy as raster_copy

from reconstruction.dense import (
    DENSE,
    DenseInputs,
    DenseOptions,
    mean_gsd_m,
    nice_cell_size_m,
)
from reconstruction.dense_surface import DenseSurface
from reconstruction.dsm import DSM, DsmOptions
from reconstruction.errors import Cancelled, InputError, OptionError, StageError
from reconstruction.stage import Run, perform

from . import dense_scene

OPTIONS = DenseOptions(1, 1, False, 3, 2.0)


def hill(x, y):
    """A round hill, a step of 1.5 m and a gentle slope."""
    dome = np.sqrt(np.maximum(64.0 - (x + 3.0) ** 2 - y**2, 0.0))
    step = 1.5 * (x > 6.0)
    return 0.05 * x - 0.03 * y + np.maximum(dome - 5.5, 0.0) + step


@pytest.fixture(scope="module")
def ground():
    """Texture with a blank patch, as of calm water or fresh concrete."""
    texture = dense_scene.texture()
    size = len(texture)
    texel = 120.0 / size
    rows = slice(int((60.0 + 5.0) / texel), int((60.0 + 9.0) / texel))
    cols = slice(int((60.0 - 9.0) / texel), int((60.0 - 5.0) / texel))
    texture[rows, cols] = 110.0
    return texture


@pytest.fixture(scope="module")
def flight(tmp_path_factory, ground):
    return dense_scene.fly(tmp_path_factory.mktemp("photos"), hill, ground)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def surface(flight, work) -> DenseSurface:
    return perform(DENSE, DenseInputs(*flight), OPTIONS, work, Run(jobs=2)).output


@pytest.fixture(scope="module")
def dsm(surface, work):
    return perform(DSM, surface, DsmOptions(), work, Run(jobs=2)).output


@pytest.fixture(scope="module")
def local_points(surface):
    """Local coordinates of all dense points."""
    points = []
    for tile in surface.tiles:
        dense = tile.load()
        points.append(dense_scene.FRAME.from_map(dense.origin + dense.offsets))
    return np.concatenate(points)


def errors_gsd(points, surface):
    error = points[:, 2] - hill(points[:, 0], points[:, 1])
    return error / surface.gsd_m


def test_points_lie_on_the_surface(local_points, surface):
    away = np.abs(local_points[:, 0] - 6.0) > 0.5
    error = errors_gsd(local_points, surface)[away]
    middle = np.median(error)
    assert abs(middle) < 0.05
    assert 1.4826 * np.median(np.abs(error - middle)) < 0.3
    assert (np.abs(error) > 5.0).mean() < 0.005


def test_no_bias_on_slopes_top_or_foot_of_the_hill(local_points, surface):
    error = errors_gsd(local_points, surface)
    radius = np.hypot(local_points[:, 0] + 3.0, local_points[:, 1])
    for inner, outer in ((0.0, 1.0), (2.0, 4.0), (4.2, 5.4)):
        ring = (radius >= inner) & (radius < outer)
        assert ring.sum() > 200
        assert abs(np.median(error[ring])) < 0.15


def test_volume_of_the_hill(local_points, surface):
    inside = np.hypot(local_points[:, 0] + 3.0, local_points[:, 1]) < 5.5
    cell_m2 = surface.grid.cell_size_m**2
    mean_error_m = np.mean(errors_gsd(local_points, surface)[inside]) * surface.gsd_m
    truth_m3 = np.pi * (3 * 8.0 - 2.5) * 2.5**2 / 3.0
    assert inside.sum() * cell_m2 == pytest.approx(np.pi * 5.5**2, rel=0.02)
    assert abs(mean_error_m) * np.pi * 5.5**2 < 0.002 * truth_m3


def test_both_sides_of_a_step(local_points, surface):
    x, y, z = local_points.T
    near = (np.abs(x - 6.0) < 1.0) & (np.abs(y) < 5.0)
    height = (z - 0.05 * x + 0.03 * y)[near] / 1.5
    between = (height > 0.15) & (height < 0.85)
    assert between.mean() < 0.03
    # The edge is where it is, to a cell.
    top = x[near][height >= 0.85]
    foot = x[near][height <= 0.15]
    assert np.quantile(top, 0.02) == pytest.approx(6.0, abs=2.0 * surface.grid.cell_size_m)
    assert np.quantile(foot, 0.98) == pytest.approx(6.0, abs=2.0 * surface.grid.cell_size_m)


def test_blank_ground_is_a_hole(local_points):
    def in_patch(margin):
        x, y, _ = local_points.T
        across = (x > -9.0 + margin) & (x < -5.0 - margin)
        return (across & (y > -9.0 + margin) & (y < -5.0 - margin)).sum()

    assert in_patch(0.5) < 0.02 * 9.0 / 0.1**2
    assert in_patch(-1.0) > 500


def test_point_sigmas_are_honest(local_points, surface):
    sigmas = np.concatenate([tile.load().sigma_m for tile in surface.tiles])
    error = errors_gsd(local_points, surface) * surface.gsd_m
    away = np.abs(local_points[:, 0] - 6.0) > 0.5
    ratio = 1.4826 * np.median(np.abs(error[away])) / np.median(sigmas[away])
    assert 0.6 < ratio < 1.7


def test_tiles_do_not_overlap_and_hold_their_points(surface):
    grid = surface.grid
    seen = set()
    for tile in surface.tiles:
        west, south, east, north = tile.bounds
        dense = tile.load()
        points = dense.origin + dense.offsets
        assert len(points) == tile.count == len(dense.colors) == len(dense.sigma_m)
        assert (points[:, 0] > west).all()
        assert (points[:, 0] < east).all()
        assert (points[:, 1] > south).all()
        assert (points[:, 1] < north).all()
        assert (round(west, 6), round(north, 6)) not in seen
        seen.add((round(west, 6), round(north, 6)))
    assert grid.epsg == 32615
    assert not list(surface.tiles[0].path.parent.glob("patches*"))


def test_surface_model_is_a_valid_cog_with_holes(dsm, surface, tmp_path):
    for path, bands in ((dsm.dsm, 1), (dsm.quality, 2)):
        with rasterio.open(path) as raster:
            assert raster.count == bands
            assert raster.dtypes[0] == "float32"
            assert raster.crs.to_epsg() == 32615
            assert raster.nodata is not None
            assert raster.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
            assert raster.res == (surface.grid.cell_size_m,) * 2
    with rasterio.open(dsm.dsm) as raster, rasterio.open(dsm.quality) as quality:
        elevation, count = raster.read(1, masked=True), quality.read(1, masked=True)
    assert elevation.count() == count.count() == sum(tile.count for tile in surface.tiles)
    assert count.min() >= 2
    assert elevation.mask.any()
    assert dsm.area_m2 == pytest.approx(elevation.count() * surface.grid.cell_size_m**2)
    raster_copy(dsm.dsm, tmp_path / "copy.tif", driver="COG")


def test_surface_model_agrees_with_the_points(dsm, surface):
    dense = surface.tiles[0].load()
    points = (dense.origin + dense.offsets)[::97]
    with rasterio.open(dsm.dsm) as raster:
        values = np.array([value[0] for value in raster.sample(points[:, :2])])
    np.testing.assert_allclose(values, points[:, 2], atol=1e-3)


def test_noise_estimate_is_the_noise(dsm, local_points, surface):
    away = np.abs(local_points[:, 0] - 6.0) > 0.5
    error = errors_gsd(local_points, surface)[away] * surface.gsd_m
    error = error[np.abs(error) < 5.0 * 1.4826 * np.median(np.abs(error))]
    assert dsm.noise is not None
    # Noise is counted again in the fine detail that stands for what matching took away, so the
    # estimate is on the large side; it must never be on the small one.
    assert 0.9 < dsm.noise.sigma_m / error.std() < 1.5
    # Matching is all that is wrong here, and its errors are forgotten after some windows.
    far = 15.0 * surface.grid.cell_size_m
    assert dsm.noise.variogram(np.array([far]))[0] > 0.7 * dsm.noise.sigma_m**2


def test_result_does_not_depend_on_the_order_of_work(flight, surface, tmp_path):
    again = perform(DENSE, DenseInputs(*flight), OPTIONS, tmp_path, Run(jobs=1)).output
    assert again.grid == surface.grid
    for one, other in zip(surface.tiles, again.tiles, strict=True):
        np.testing.assert_array_equal(one.load().offsets, other.load().offsets)
        np.testing.assert_array_equal(one.load().colors, other.load().colors)


def test_loads_what_it_saved(surface):
    assert DenseSurface.load(surface.tiles[0].path.parent) == surface


@pytest.mark.parametrize("quality", ["preview", "high"])
def test_other_qualities(flight, tmp_path, quality):
    options = DenseOptions.for_quality(quality)
    result = perform(DENSE, DenseInputs(*flight), options, tmp_path, Run(jobs=2)).output
    errors = []
    for tile in result.tiles:
        dense = tile.load()
        points = dense_scene.FRAME.from_map(dense.origin + dense.offsets)
        points = points[np.abs(points[:, 0] - 6.0) > 1.0]
        errors.append(errors_gsd(points, result))
    error = np.concatenate(errors)
    limit = {"preview": 2.5, "high": 0.3}[quality]
    assert abs(np.median(error)) < 0.3
    assert 1.4826 * np.median(np.abs(error - np.median(error))) < limit


def test_unknown_quality_is_refused():
    with pytest.raises(OptionError, match="preview, standard, high"):
        DenseOptions.for_quality("best")


def test_photo_of_another_size_is_refused(flight, tmp_path):
    block, paths = flight
    camera = replace(dense_scene.CAMERA, width_px=700)
    wrong = DenseInputs(replace(block, cameras={"c": camera}), paths)
    with pytest.raises(InputError, match="700 x 480"):
        perform(DENSE, wrong, OPTIONS, tmp_path, Run())


def test_missing_photo_is_refused(flight, tmp_path):
    block, paths = flight
    paths = {**paths, block.shots[0].name: tmp_path / "gone.jpg"}
    with pytest.raises(InputError, match=r"gone\.jpg cannot be read"):
        perform(DENSE, DenseInputs(block, paths), OPTIONS, tmp_path, Run())


def test_photos_without_a_base_are_refused(flight, tmp_path):
    block, paths = flight
    shots = tuple(replace(shot, centre=block.shots[0].centre) for shot in block.shots)
    with pytest.raises(StageError, match="stereo pair"):
        perform(DENSE, DenseInputs(replace(block, shots=shots), paths), OPTIONS, tmp_path, Run())


def test_can_be_cancelled(flight, tmp_path):
    cancelled = threading.Event()
    cancelled.set()
    with pytest.raises(Cancelled):
        perform(DENSE, DenseInputs(*flight), OPTIONS, tmp_path, Run(cancelled=cancelled))


def test_gsd_and_cell_size(flight):
    assert mean_gsd_m(flight[0]) == pytest.approx(dense_scene.GSD_M, rel=0.05)
    for wanted in np.geomspace(0.001, 10.0, 60):
        assert 0.85 < nice_cell_size_m(wanted) / wanted < 1.2
