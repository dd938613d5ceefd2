import json
import math

import numpy as np
import pytest
import rasterio
from rasterio.transform import Affine

from volumetrics.errors import InputError, ToeError
from volumetrics.noise import NoiseComponent
from volumetrics.survey import open_survey, stated_noise


def test_a_window_has_the_cells_where_they_lie(write_dsm, pile):
    survey = open_survey(write_dsm(tiled=True, blockxsize=16, blockysize=16))
    grid = survey.window((500_003.1, 5_180_004.0, 500_007.0, 5_180_009.9), 0.5)
    x, y = grid.x_m()[None, :] - 500_010.0, grid.y_m()[:, None] - 5_180_010.0
    assert np.allclose(grid.elevation_m, pile.elevation_m(x, y), atol=1e-5)
    assert grid.west_m == 500_002.5
    assert grid.north_m == 5_180_010.5


def test_a_window_over_the_edge_has_holes_there(write_dsm):
    grid = open_survey(write_dsm()).window((499_998.0, 5_180_015.0, 500_002.0, 5_180_022.0), 0.0)
    assert np.isnan(grid.elevation_m).sum() == 8 * 28 + 8 * 8
    assert np.isfinite(grid.elevation_m[8:, 8:]).all()


def test_outside_the_survey_is_refused(write_dsm):
    with pytest.raises(ToeError, match="lies outside the survey"):
        open_survey(write_dsm()).window((0.0, 0.0, 5.0, 5.0), 1.0)


def test_a_window_that_memory_could_not_hold_is_refused(write_dsm):
    with pytest.raises(ToeError, match="more than"):
        open_survey(write_dsm()).window((400_000.0, 5_000_000.0, 600_000.0, 5_200_000.0), 1.0)


@pytest.mark.parametrize("nodata", [-9999.0, math.nan, None, -32767.0])
def test_nodata_is_a_hole_named_or_not(write_dsm, pile, nodata):
    elevation = pile.grid(20.0, 0.25).elevation_m
    elevation[10:12, 10:12] = -9999.0 if nodata is None else nodata
    grid = open_survey(write_dsm(elevation_m=elevation, nodata=nodata)).window(
        (500_000.5, 5_180_000.5, 500_019.5, 5_180_019.5), 0.5
    )
    assert np.isnan(grid.elevation_m).sum() == 4


@pytest.mark.parametrize(
    ("crs", "message"),
    [
        ("EPSG:4326", "WGS 84, in degrees"),
        ("EPSG:2264", "US survey foot, not in metres"),
        ("EPSG:6346+6360", "US survey foot, not in metres"),
        (None, "names no CRS"),
    ],
)
def test_a_crs_without_metres_is_refused(write_dsm, crs, message):
    with pytest.raises(InputError, match=message):
        open_survey(write_dsm(crs=crs))


def test_elevations_in_feet_are_refused(write_dsm):
    with pytest.raises(InputError, match="elevations are in 'us-ft'"):
        open_survey(write_dsm(unit="US-ft"))
    assert open_survey(write_dsm(unit="metre")).cell_size_m == 0.25


def test_a_crs_can_be_stated_or_come_from_the_survey(write_dsm, tmp_path):
    path = write_dsm(crs=None)
    assert open_survey(path, "EPSG:32615").crs.to_epsg() == 32615
    (tmp_path / "survey.json").write_text('{"epsg": 32616}')
    survey = open_survey(tmp_path)
    assert survey.crs.to_epsg() == 32616
    assert survey.notes == ("the raster names no CRS, taken as EPSG:32616",)
    with pytest.raises(InputError, match="no known CRS"):
        open_survey(path, "EPSG:nonsense")


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (Affine(0.25, 0, 0, 0, -0.5, 0), "not square"),
        (Affine(0.25, 0.1, 0, 0, -0.25, 0), "not square"),
    ],
)
def test_other_cells_are_refused(write_dsm, transform, message):
    with pytest.raises(InputError, match=message):
        open_survey(write_dsm(transform=transform))


BOUNDS = (500_002.0, 5_180_003.0, 500_018.0, 5_180_019.0)


@pytest.mark.parametrize(
    ("turn", "transform"),
    [
        (np.flipud, Affine(0.25, 0, 0, 0, 0.25, -20)),
        (np.fliplr, Affine(-0.25, 0, 20, 0, -0.25, 0)),
        (np.transpose, Affine(0, 0.25, 0, -0.25, 0, 0)),
        (lambda cells: np.rot90(cells, 2), Affine(-0.25, 0, 20, 0, 0.25, -20)),
    ],
)
@pytest.mark.parametrize("nodata", [None, -9999.0])
def test_cells_in_another_order_are_read_as_they_are(write_dsm, pile, turn, transform, nodata):
    """South up, as many grids of lidar are, mirrored, and turned by right angles."""
    seen = pile.grid(20.0, 0.25).elevation_m.astype(np.float32)
    seen[50:60, 20:30] = np.nan if nodata is None else nodata
    there = Affine.translation(500_000.0, 5_180_020.0)
    usual = open_survey(write_dsm(elevation_m=seen, nodata=nodata)).window(BOUNDS, 3.0)
    turned = open_survey(
        write_dsm(elevation_m=turn(seen), transform=there * transform, nodata=nodata)
    )
    assert turned.bounds_m == pytest.approx((500_000.0, 5_180_000.0, 500_020.0, 5_180_020.0))
    found = turned.window(BOUNDS, 3.0)
    assert (found.west_m, found.north_m) == pytest.approx((usual.west_m, usual.north_m))
    assert np.isnan(found.elevation_m).sum() == np.isnan(usual.elevation_m).sum() > 100
    np.testing.assert_array_equal(found.elevation_m, usual.elevation_m)


def test_a_rotated_surface_has_the_same_pile(write_dsm, pile):
    centre = np.array((500_010.0, 5_180_010.0))
    turned = Affine.translation(*centre) * Affine.rotation(30.0)
    survey = open_survey(
        write_dsm(transform=turned * Affine(0.25, 0, -10.0, 0, -0.25, 10.0), nodata=-9999.0)
    )
    around = tuple(np.concatenate((centre - 7.0, centre + 7.0)))
    grid = survey.window(around, 0.0)
    east, north = np.meshgrid(grid.x_m() - centre[0], grid.y_m() - centre[1])
    # Back to where the pile was made.
    back = np.radians(-30.0)
    x = np.cos(back) * east - np.sin(back) * north
    y = np.sin(back) * east + np.cos(back) * north
    error_m = grid.elevation_m - pile.elevation_m(x, y)
    # Interpolation cuts corners: by a quarter of the cell times the change of slope at most.
    assert np.nanmax(np.abs(error_m)) < 0.25 * 0.25 * 2.0 * 0.9
    assert abs(np.nanmean(error_m)) < 0.001
    # Its own corners lie inside the new bounds, the corners of these outside of it.
    assert np.isnan(survey.window(survey.bounds_m, 0.0).elevation_m[0, 0])
    assert np.isfinite(survey.overview(0.5).elevation_m).mean() == pytest.approx(
        400.0 / (20.0 * (np.sin(np.pi / 6) + np.cos(np.pi / 6))) ** 2, abs=0.05
    )


def test_a_rotated_surface_without_a_crs_cannot_be_turned(write_dsm):
    with pytest.raises(InputError, match="not north up and names no CRS"):
        open_survey(write_dsm(crs=None, transform=Affine(0.25, 0, 0, 0, 0.25, 0)), "EPSG:32615")


def test_what_is_no_surface_is_refused(tmp_path):
    with pytest.raises(InputError, match="no surface at"):
        open_survey(tmp_path / "missing.tif")
    with pytest.raises(InputError, match="no surface at"):
        open_survey(tmp_path)
    (tmp_path / "dsm.tif").write_text("no raster")
    with pytest.raises(InputError, match="not a raster that can be read"):
        open_survey(tmp_path)


def test_accuracy_is_read_where_it_is_stated(write_dsm, tmp_path):
    write_dsm()
    report = {
        "scale_sigma": 2e-4,
        "vertical_sigma_m": 0.015,
        "tilt_sigma": 3e-4,
        "dsm_noise": {
            "sigma_m": 0.012,
            "components": [{"sigma_m": 0.01, "range_m": 0.5}, {"sigma_m": 0.007, "range_m": 12}],
        },
    }
    (tmp_path / "accuracy.json").write_text(json.dumps(report))
    survey = open_survey(tmp_path)
    assert (survey.scale_sigma, survey.vertical_sigma_m) == (2e-4, 0.015)
    assert survey.tilt_sigma == 3e-4
    assert survey.noise.components == (NoiseComponent(0.01, 0.5), NoiseComponent(0.007, 12.0))


def test_a_report_may_be_silent():
    assert stated_noise({}) is None
    assert stated_noise({"dsm_noise": None}) is None
    assert stated_noise({"dsm_noise": {"sigma_m": 0.01}}) is None
    single = stated_noise({"dsm_noise": {"sigma_m": 0.01, "range_m": 2.0}})
    assert single.components == (NoiseComponent(0.01, 2.0),)


@pytest.mark.parametrize("report", ['{"scale_sigma": -1}', '{"scale_sigma": "x"}', "{"])
def test_a_wrong_report_is_refused(write_dsm, tmp_path, report):
    write_dsm()
    (tmp_path / "accuracy.json").write_text(report)
    with pytest.raises(InputError, match=r"accuracy\.json"):
        open_survey(tmp_path)


def test_whole_number_rasters_are_read(write_dsm, pile):
    elevation = np.rint(pile.grid(20.0, 0.25).elevation_m).astype(np.int16)
    path = write_dsm(elevation_m=elevation, dtype="int16", nodata=-32768)
    grid = open_survey(path).window((500_005.0, 5_180_005.0, 500_006.0, 5_180_006.0), 0.0)
    assert grid.elevation_m.dtype == np.float64
    with rasterio.open(path) as raster:
        assert raster.dtypes == ("int16",)


def test_the_error_of_the_matches_is_read_for_the_same_cells(write_dsm, tmp_path):
    write_dsm()
    path, quality = tmp_path / "dsm_quality.tif", np.ones((2, 80, 80), np.float32)
    quality[0], quality[1] = 4.0, 0.02 + 0.001 * np.arange(80)
    quality[0, 10] = 1.0
    with rasterio.open(tmp_path / "dsm.tif") as dsm:
        profile = dsm.profile | {"count": 2}
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(quality)
    survey = open_survey(tmp_path)
    grid = survey.window((499_999.5, 5_180_010.0, 500_005.0, 5_180_021.0), 0.0)
    error_m = survey.match_error_m(grid)
    assert error_m.shape == grid.elevation_m.shape
    assert np.isnan(error_m[:4]).all()
    assert np.isnan(error_m[:, :2]).all()
    assert np.isnan(error_m[4 + 10]).all()
    assert error_m[4, 2:] == pytest.approx(quality[1, 0, :20] / 2.0)


def test_a_quality_raster_of_other_cells_is_left_out(write_dsm, tmp_path):
    write_dsm()
    write_dsm(path=tmp_path / "dsm_quality.tif", elevation_m=np.ones((40, 40), np.float32))
    survey = open_survey(tmp_path)
    assert (
        survey.match_error_m(survey.window((500_001, 5_180_001, 500_002, 5_180_002), 0.0)) is None
    )


def test_scaled_whole_numbers_are_read_as_what_they_mean(write_dsm, pile, tmp_path):
    truth = pile.grid(20.0, 0.25).elevation_m
    path = write_dsm(elevation_m=np.rint((truth - 100.0) * 100.0), dtype="int16", nodata=-32768)
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.01,), (100.0,)
    survey = open_survey(path)
    grid = survey.window((500_000.0, 5_180_000.0, 500_020.0, 5_180_020.0), 0.0)
    assert grid.elevation_m == pytest.approx(truth, abs=0.0051)
    assert survey.overview(0.5).elevation_m.mean() == pytest.approx(truth.mean(), abs=0.0051)


@pytest.mark.parametrize("untagged", [-3.4028234663852886e38, 1e20, np.inf])
def test_impossible_elevations_are_holes(write_dsm, pile, untagged):
    elevation = pile.grid(20.0, 0.25).elevation_m
    elevation[10:12, 10:12] = untagged
    survey = open_survey(write_dsm(elevation_m=elevation))
    grid = survey.window((500_000.0, 5_180_000.0, 500_020.0, 5_180_020.0), 0.0)
    assert np.isnan(grid.elevation_m).sum() == 4


def test_pictures_are_no_surfaces(write_dsm, pile):
    grey = pile.grid(20.0, 0.25).elevation_m
    with pytest.raises(InputError, match="1 bands of uint8: a picture"):
        open_survey(write_dsm(elevation_m=grey, dtype="uint8"))
    path = write_dsm()
    with rasterio.open(path) as raster:
        profile = raster.profile | {"count": 3}
    with rasterio.open(path, "w", **profile) as raster:
        raster.write(np.stack([grey] * 3).astype(np.float32))
    with pytest.raises(InputError, match="3 bands of float32"):
        open_survey(path)


def test_a_map_that_distorts_areas_is_refused(write_dsm):
    with pytest.raises(InputError, match=r"shows areas here 1\.8\d times their size"):
        open_survey(write_dsm(crs="EPSG:3857"))
    # The national grid of the Netherlands, at its centre.
    there = Affine(0.25, 0, 155_000.0, 0, -0.25, 463_000.0)
    assert open_survey(write_dsm(crs="EPSG:28992", transform=there)).crs.to_epsg() == 28992


def test_zeros_far_below_everything_else_are_holes(write_dsm, pile):
    seen = pile.grid(20.0, 0.25).elevation_m.astype(np.float32)
    seen[38:42, 38:42] = 0.0
    grid = open_survey(write_dsm(elevation_m=seen)).window(BOUNDS, 0.0)
    assert np.isnan(grid.elevation_m).sum() == 16
    # By the sea they are elevations.
    grid = open_survey(write_dsm(elevation_m=np.where(seen == 0.0, 0.0, seen - 95.0))).window(
        BOUNDS, 0.0
    )
    assert (grid.elevation_m == 0.0).sum() == 16


def test_a_damaged_raster_is_told(write_dsm):
    path = write_dsm(compress="deflate", blockysize=8)
    survey = open_survey(path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"dsm\.tif is not a raster that can be read"):
        survey.window((500_000.0, 5_180_000.0, 500_020.0, 5_180_020.0), 0.0)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="not a raster that can be read"):
        open_survey(path)
