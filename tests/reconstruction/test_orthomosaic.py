"""The orthomosaic of a ray-traced scene, compared with the scene itself."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from scipy.ndimage import shift as shifted

from reconstruction import photo_views
from reconstruction.errors import OptionError, StageError
from reconstruction.orthomosaic import ORTHOMOSAIC, OrthomosaicInputs, OrthomosaicOptions
from reconstruction.rasters import Grid, RasterReader, float_cog
from reconstruction.stage import Run

sys.path.insert(0, str(Path(__file__).parent))
import box_scene as scene

CENTRES = [(x, y, 40.0) for x in (-12, -6, 0, 6, 12) for y in (-8, 0, 8)]


def make(folder, photographed, dsm, **options):
    folder.mkdir(exist_ok=True)
    inputs = OrthomosaicInputs(photographed.block, photographed.photos, dsm, scene.GSD_M)
    made = ORTHOMOSAIC.run(inputs, OrthomosaicOptions(**options), folder, Run(jobs=2))
    with RasterReader(made.path) as raster:
        grid = raster.grid
        picture = raster.read(0, 0, grid.rows, grid.cols)
    place = scene.places(grid)
    truth = scene.ground_colour(place.reshape(-1, 3)).reshape(place.shape)
    outside = np.maximum(
        np.abs(place[..., 0]) - scene.HIGH[0], np.abs(place[..., 1]) - scene.HIGH[1]
    )
    return SimpleNamespace(
        made=made,
        folder=folder,
        grid=grid,
        colours=picture[:3].transpose(1, 2, 0).astype(np.float64),
        alpha=picture[3],
        truth=truth,
        place=place,
        from_box_m=outside,
    )


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """The box photographed with planted gains."""
    folder = tmp_path_factory.mktemp("box")
    gains = np.random.default_rng(0).normal(0.0, 0.1, (len(CENTRES), 3))
    photographed = scene.photograph(folder, CENTRES, gains - gains.mean(axis=0))
    return make(folder / "out", photographed, scene.write_dsm(folder / "dsm.tif"))


def test_the_ground_has_its_colour_in_its_place(box):
    ground = box.from_box_m > 0.3
    error = (box.colours - box.truth)[ground]
    assert np.sqrt((error**2).mean()) < 3.0
    assert np.abs(error.mean(axis=0)).max() < 1.5


def test_features_lie_within_a_quarter_of_a_cell(box):
    window = np.s_[20:160, 20:160]
    assert (box.from_box_m[window] > 0.3).all()
    found, truth = box.colours[window][..., 0], box.truth[window][..., 0]
    gradient = np.stack([axis.ravel() for axis in np.gradient(truth)], axis=1)
    move = np.linalg.lstsq(gradient, (truth - found).ravel(), rcond=None)[0]
    assert np.abs(move).max() < 0.25
    assert np.abs(shifted(truth, move)[5:-5, 5:-5] - found[5:-5, 5:-5]).mean() < 3.0


def test_a_wall_hides_nothing_and_is_not_smeared(box):
    assert (box.alpha == 255).all()
    beside = (box.from_box_m > 2 * box.grid.cell_size_m) & (box.from_box_m < 1.5)
    error = np.abs(box.colours - box.truth)[beside].max(axis=1)
    # Blue sides and the red lid differ from the ground by 100 and more.
    assert np.mean(error > 40.0) < 0.002
    # Away from the edge, where the compression mixes the colours of 8 cells.
    lid = box.from_box_m < -9 * box.grid.cell_size_m
    assert np.abs(box.colours[lid] - scene.LID).max() < 12.0


def test_planted_gains_are_found_and_leave_no_seams(box):
    found = np.array(list(box.made.exposures.shots.values()))
    gains = np.random.default_rng(0).normal(0.0, 0.1, (len(CENTRES), 3))
    gains -= gains.mean(axis=0)
    assert np.abs(found - found.mean(axis=0) - gains).max() < 4e-3
    ground = box.from_box_m > 0.3
    relative = np.where(ground[..., None], box.colours / box.truth, 1.0)
    assert np.abs(np.median(relative[10:, :-10], axis=(0, 1)) - 1.0).max() < 0.01
    step = np.abs(np.diff(box.colours - box.truth, axis=0))[(ground[1:] & ground[:-1])]
    assert np.percentile(step, 99.9) < 10.0


def test_the_file_is_a_cloud_optimized_rgba_geotiff(box):
    with rasterio.open(box.made.path) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert [band.name for band in file.colorinterp] == ["red", "green", "blue", "alpha"]
        assert file.crs.to_epsg() == 32632
        assert file.dtypes == ("uint8",) * 4
        assert file.res == (box.made.cell_size_m,) * 2
    assert sorted(path.name for path in box.folder.iterdir()) == [
        "orthomosaic.json",
        "orthomosaic.tif",
    ]
    assert ORTHOMOSAIC.load(box.folder) == box.made
    assert box.made.coverage == 1.0


def test_small_holes_are_bridged_and_large_ones_stay(tmp_path):
    photographed = scene.photograph(tmp_path, CENTRES)
    holes = [(-10.0, -10.0, -8.5, -8.5), (6.0, 6.0, 13.0, 13.0)]
    dsm = scene.write_dsm(tmp_path / "dsm.tif", holes=holes)
    made = make(tmp_path / "out", photographed, dsm, fill_m=1.5)
    x, y = made.place[..., 0], made.place[..., 1]
    small = (x > -10) & (x < -8.5) & (y > -10) & (y < -8.5)
    assert (made.alpha[small] == 255).all()
    assert np.abs(made.colours - made.truth)[small].mean() < 3.0
    deep = (x > 8.5) & (x < 10.5) & (y > 8.5) & (y < 10.5)
    assert (made.alpha[deep] == 0).all()
    with RasterReader(dsm) as raster:
        assert np.isnan(raster.read(0, 0, raster.grid.rows, raster.grid.cols)).any()


def test_what_moved_is_left_out(tmp_path):
    middle = CENTRES.index((0, 0, 40.0))
    photographed = scene.photograph(tmp_path, CENTRES, moved=(middle, 4.5, 0.0))
    made = make(tmp_path / "out", photographed, scene.write_dsm(tmp_path / "dsm.tif"))
    there = np.hypot(made.place[..., 0] - 4.5, made.place[..., 1]) < 1.5
    assert np.abs(made.colours - made.truth)[there].max() < 40.0


def test_tiles_fit_together_without_a_trace(tmp_path, monkeypatch):
    # Compressed without loss, so that only the mosaic can differ.
    monkeypatch.setattr("reconstruction.rasters._RGBA_COG", {"COMPRESS": "DEFLATE"})
    gains = np.random.default_rng(0).normal(0.0, 0.1, (len(CENTRES), 3))
    photographed = scene.photograph(tmp_path, CENTRES, gains)
    dsm = scene.write_dsm(tmp_path / "dsm.tif")
    whole = make(tmp_path / "whole", photographed, dsm)
    monkeypatch.setattr("reconstruction.orthomosaic._TILE_PX", 64)
    tiled = make(tmp_path / "tiled", photographed, dsm)
    assert (tiled.alpha == whole.alpha).all()
    assert np.abs(tiled.colours - whole.colours).max() <= 1.0


def test_a_coarser_mosaic_is_averaged_not_thinned_out(tmp_path):
    photographed = scene.photograph(tmp_path, CENTRES[:6])
    dsm = scene.write_dsm(tmp_path / "dsm.tif", half_m=6.0)
    made = make(tmp_path / "out", photographed, dsm, cell_size_gsd=2.0)
    assert made.made.cell_size_m == pytest.approx(2 * scene.GSD_M, rel=0.05)
    ground = (made.from_box_m > 0.5) & (made.alpha > 0) & (made.place[..., 0] < -2.5)
    assert np.abs(made.colours - made.truth)[ground].mean() < 3.0


def test_a_photo_is_decoded_once_where_memory_allows(tmp_path, monkeypatch):
    decoded = []
    read_photo = photo_views.read_photo
    monkeypatch.setattr(
        photo_views,
        "read_photo",
        lambda path, reduction: decoded.append((path, reduction)) or read_photo(path, reduction),
    )
    monkeypatch.setattr("reconstruction.orthomosaic._TILE_PX", 128)
    photographed = scene.photograph(tmp_path, CENTRES[3:9])
    make(tmp_path / "out", photographed, scene.write_dsm(tmp_path / "dsm.tif", half_m=8.0))
    assert len(decoded) == len(set(decoded))


def test_a_surface_without_ground_is_refused(tmp_path):
    photographed = scene.photograph(tmp_path, CENTRES[:1])
    grid = Grid.covering(32632, (0.0, 0.0, 10.0, 10.0), 0.1)
    with float_cog(tmp_path / "dsm.tif", grid, ["elevation_m"]):
        pass
    with pytest.raises(StageError, match="no ground"):
        make(tmp_path / "out", photographed, tmp_path / "dsm.tif")


def test_an_impossible_cell_size_is_refused():
    with pytest.raises(OptionError, match="out of range"):
        OrthomosaicOptions(cell_size_gsd=0.0)
