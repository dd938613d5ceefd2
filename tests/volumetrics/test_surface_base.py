import math
from dataclasses import replace

import numpy as np
import pytest
import shapely
import shapely.affinity
from rasterio.transform import Affine

from volumetrics.budget import Accuracy
from volumetrics.cutter import cutter
from volumetrics.errors import BaseError
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.site import measure_site
from volumetrics.site_change import survey_base
from volumetrics.surface_base import SurfaceBase
from volumetrics.survey import open_survey
from volumetrics.synthetic import draw_noise
from volumetrics.toe import Toe
from volumetrics.volume import measure


@pytest.fixture
def site(write_dsm, tmp_path, pile, toe_ring):
    """The pile's window, its toe, and a survey of the bare ground from before."""
    bare = replace(pile, height_m=0.0).grid(20.0, 0.25).elevation_m
    before = open_survey(write_dsm(tmp_path / "before.tif", elevation_m=bare))
    after = open_survey(write_dsm(tmp_path / "after.tif"))
    toe = Toe("pile", shapely.Polygon(toe_ring))
    return after.window(toe.polygon.bounds, 1.0), toe, before


def test_the_pile_above_the_ground_of_an_earlier_survey(site, pile):
    grid, toe, before = site
    volume = measure(grid, toe, SurfaceBase("survey", before))
    assert volume.net_m3 == pytest.approx(pile.volume_m3, rel=5e-3)
    assert volume.cut_m3 == pytest.approx(0.0, abs=1e-3)


def test_swapped_surfaces_swap_fill_and_cut(site, write_dsm, tmp_path):
    grid, toe, before = site
    after = open_survey(tmp_path / "after.tif")
    up = measure(grid, toe, SurfaceBase("survey", before))
    below = before.window(toe.polygon.bounds, 1.0)
    down = measure(below, toe, SurfaceBase("survey", after))
    assert (down.fill_m3, down.cut_m3) == pytest.approx((up.cut_m3, up.fill_m3), abs=1e-4)


def test_both_surveys_vertical_bias_and_noise_count(site):
    grid, toe, before = site
    noise = DsmNoise((NoiseComponent(0.02, 3.0),))
    other = replace(before, noise=noise, vertical_sigma_m=0.03)
    volume = measure(
        grid, toe, SurfaceBase("survey", other), Accuracy(noise, vertical_sigma_m=0.04)
    )
    terms = {term.name: term.sigma_m3 for term in volume.budgets["net"].terms}
    assert terms["vertical_bias"] == pytest.approx(0.04 * toe.area_m2)
    assert terms["base_choice"] == pytest.approx(0.03 * toe.area_m2)
    assert terms["base_survey_noise"] == pytest.approx(terms["surface_noise"], rel=1e-6)
    assert terms["base_noise"] == 0.0
    total = math.sqrt(sum(sigma**2 for sigma in terms.values()))
    assert volume.net_u95_m3 == pytest.approx(1.96 * total, rel=1e-4)


NOISE = DsmNoise((NoiseComponent(0.01, 0.8), NoiseComponent(0.01, 8.0)))
MOVED_M, RAISED_M = (0.3, -0.2), 0.12


def two_weeks(write_dsm, folder, pile, seed):
    """Surveys of rolling ground 60 m x 60 m: bare, and moved with a pile on it."""
    empty = pile.grid(60.0, 0.25)
    generator = np.random.default_rng(seed)
    surveys = []
    for height_m, (east_m, north_m), up_m in (
        (0.0, (0.0, 0.0), 0.0),
        (pile.height_m, MOVED_M, RAISED_M),
    ):
        x, y = np.meshgrid(empty.x_m() - east_m, empty.y_m() - north_m)
        surface = replace(pile, height_m=height_m).elevation_m(x, y)
        surface += 1.2 * np.sin(x / 5.0) * np.cos(y / 6.0) + up_m
        surface += draw_noise(NOISE, x.shape, 0.25, generator)
        place = Affine(0.25, 0.0, empty.west_m, 0.0, -0.25, empty.north_m)
        path = write_dsm(folder / f"{up_m}.tif", elevation_m=surface, transform=place)
        surveys.append(replace(open_survey(path), noise=NOISE, vertical_sigma_m=0.02))
    toe = Toe("pile", shapely.affinity.translate(pile.toe().polygon.buffer(0.5), *MOVED_M))
    return *surveys, toe


def test_a_survey_is_laid_onto_its_base_over_unchanged_ground(write_dsm, tmp_path, pile):
    ratios, moves_m3 = [], []
    for seed in range(12):
        before, after, toe = two_weeks(write_dsm, tmp_path, pile, seed)
        base = survey_base(before, after, [toe], 0.0)
        grid = after.window(toe.polygon.bounds, 1.0)
        accuracy = Accuracy(NOISE, vertical_sigma_m=after.vertical_sigma_m)
        volume = measure(grid, toe, base, accuracy)
        ratios.append((volume.net_m3 - pile.volume_m3) / volume.net_u95_m3)
        as_it_lies = measure(grid, toe, SurfaceBase("survey", before), accuracy)
        moves_m3.append(as_it_lies.net_m3 - volume.net_m3)
    assert sum(abs(ratio) < 1.0 for ratio in ratios) >= 10
    assert abs(np.mean(ratios)) < 0.5
    assert np.mean(moves_m3) > 3.0
    assert volume.base_facts["moved_up_m"] == pytest.approx(RAISED_M, abs=0.02)
    terms = {term.name: term.sigma_m3 for term in volume.budgets["net"].terms}
    assert terms["vertical_bias"] == 0.0
    by_move_m3 = volume.base_facts["moved_up_sigma_m"] * toe.area_m2
    assert terms["base_choice"] == pytest.approx(by_move_m3, rel=1e-6)


def test_a_base_without_common_ground_is_taken_as_it_lies_and_says_so(site, tmp_path):
    _, toe, before = site
    after = open_survey(tmp_path / "after.tif")
    yard = Toe("yard", shapely.box(*before.bounds_m))
    base = survey_base(before, after, [yard], 0.0)
    (volume,) = measure_site(cutter(after, [toe], 0.0), [toe], base).volumes
    assert volume.base_facts == {}
    assert any("was not laid onto this survey" in warning for warning in volume.warnings)


def test_a_design_is_exact(site):
    grid, toe, before = site
    noise = DsmNoise((NoiseComponent(0.02, 3.0),))
    volume = measure(grid, toe, SurfaceBase("design", before), Accuracy(noise))
    terms = {term.name: term.sigma_m3 for term in volume.budgets["net"].terms}
    assert terms["base_survey_noise"] == 0.0
    assert terms["base_choice"] == 0.0
    assert terms["surface_noise"] > 0.0


def test_a_base_with_holes_under_the_pile_is_refused(site, write_dsm, tmp_path):
    grid, toe, _ = site
    values = np.full((80, 80), 100.0)
    values[40, 40] = np.nan
    holed = open_survey(write_dsm(tmp_path / "holed.tif", elevation_m=values))
    with pytest.raises(BaseError, match=r"has holes under \d"):
        measure(grid, toe, SurfaceBase("survey", holed))


def test_a_base_of_another_place_is_refused(site, write_dsm, tmp_path):
    grid, toe, _ = site
    away = write_dsm(tmp_path / "away.tif", transform=Affine(0.25, 0, 0.0, 0, -0.25, 0.0))
    with pytest.raises(BaseError, match="does not reach this pile"):
        measure(grid, toe, SurfaceBase("survey", open_survey(away)))
