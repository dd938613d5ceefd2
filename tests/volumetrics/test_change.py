from dataclasses import replace

import numpy as np
import pytest
import shapely
from scipy import stats

from volumetrics.alignment import align
from volumetrics.budget import Accuracy
from volumetrics.change import measure_change
from volumetrics.errors import CoverageError, InputError
from volumetrics.grid import Grid
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import Pile, draw_noise
from volumetrics.toe import Toe

CELL_M = 0.25
NOISE = DsmNoise((NoiseComponent(0.015, 0.6), NoiseComponent(0.01, 6.0)))
BOTH = DsmNoise(2 * NOISE.components)
OLD = Pile((0.0, 0.0), 6.0, 0.9, 0.3, 3.0, 0.2, (100.0, 0.0, 0.0))
NEW = replace(OLD, radius_m=7.0, height_m=3.5)
AREA = Toe("heap", shapely.Point(0, 0).buffer(8.0))


def ground(x, y):
    """Banks and hollows steep enough to show a horizontal shift."""
    return 1.5 * np.sin(x / 5.0) * np.cos(y / 6.0) + 0.02 * x


def surface(pile, east_m=0.0, north_m=0.0, up_m=0.0, tilt=0.0, seed=None):
    """The site 40 m x 40 m with a pile, as a survey would see it that is moved."""
    empty = Grid(np.zeros((160, 160)), -20.0, 20.0, CELL_M)
    x, y = np.meshgrid(empty.x_m() - east_m, empty.y_m() - north_m)
    far = np.hypot(x, y) > 9.0
    elevation = pile.elevation_m(x, y) + ground(x, y) * np.clip((np.hypot(x, y) - 9) / 3, 0, 1)
    assert far.any()
    noise = 0.0
    if seed is not None:
        noise = draw_noise(NOISE, x.shape, CELL_M, np.random.default_rng(seed))
    return empty.with_elevation(elevation + up_m + tilt * x + noise)


def stable():
    x, y = np.meshgrid(surface(OLD).x_m(), surface(OLD).y_m())
    return np.hypot(x, y) > 9.5


def test_planted_shift_offset_and_tilt_come_back():
    found = align(surface(OLD), surface(NEW, 0.21, -0.13, 0.08, 0.001), stable(), BOTH)
    assert found.shift_m == pytest.approx([0.21, -0.13], abs=2e-3)
    assert found.plane == pytest.approx([0.08, 0.001, 0.0], abs=2e-3)


def test_with_noise_the_shift_is_within_its_sigma():
    ratios = []
    for seed in range(10):
        later = surface(NEW, 0.15, 0.1, -0.05, seed=100 + seed)
        found = align(surface(OLD, seed=seed), later, stable(), BOTH)
        ratios.extend((found.shift_m - (0.15, 0.1)) / found.shift_sigma_m)
    # Twenty ratios of sigma 1: their root mean square is below 1.6 but once in ten thousand.
    assert np.sqrt(np.mean(np.square(ratios))) < 1.6


def test_what_moved_on_the_ground_is_left_out():
    later = surface(NEW, up_m=0.04)
    elevation = later.elevation_m.copy()
    elevation[5:25, 100:125] += 2.8
    found = align(surface(OLD), later.with_elevation(elevation), stable(), BOTH)
    assert found.plane[0] == pytest.approx(0.04, abs=2e-3)


def test_level_ground_tells_no_horizontal_shift():
    flat = Grid(np.full((80, 80), 5.0), 0.0, 20.0, CELL_M)
    draw = [draw_noise(NOISE, (80, 80), CELL_M, np.random.default_rng(seed)) for seed in (1, 2)]
    earlier, later = (flat.with_elevation(flat.elevation_m + noise) for noise in draw)
    found = align(earlier, later, np.ones((80, 80), dtype=bool), BOTH)
    assert found.shift_m.tolist() == [0.0, 0.0]
    assert np.isinf(found.shift_sigma_m).all()


def test_surveys_too_far_apart_are_refused():
    with pytest.raises(InputError, match=r"\+1\.50 m in height"):
        align(surface(OLD), surface(NEW, up_m=1.5), stable(), BOTH)
    with pytest.raises(InputError, match="share only 0 cells"):
        align(surface(OLD), surface(NEW), np.zeros((160, 160), dtype=bool), BOTH)


def test_the_change_of_a_grown_pile():
    later = surface(NEW, 0.2, -0.1, 0.05)
    found = align(surface(OLD), later, stable(), BOTH)
    change = measure_change(surface(OLD), later, AREA, found, NOISE, Accuracy(NOISE))
    grown = NEW.volume_m3 - OLD.volume_m3
    # Bilinear interpolation rounds the crest and the toe by up to their bend times a cell's
    # eighth: 0.5 * 0.25² per metre of bend and 88 m of bends.
    assert change.volume.net_m3 == pytest.approx(grown, abs=0.5 * 0.25**2 * 88)
    assert 0.0 < change.detected_fill_m3 <= change.volume.fill_m3
    assert change.level_of_detection_m == pytest.approx(1.96 * np.sqrt(2) * NOISE.sigma_m)
    back = align(later, surface(OLD), stable(), BOTH)
    gone = measure_change(later, surface(OLD), AREA, back, NOISE, Accuracy(NOISE))
    assert gone.volume.cut_m3 == pytest.approx(change.volume.fill_m3, rel=0.01)


def test_intervals_of_a_change_hold_the_truth():
    held, seeds = 0, 25
    grown = NEW.volume_m3 - OLD.volume_m3
    for seed in range(seeds):
        earlier, later = surface(OLD, seed=seed), surface(NEW, 0.1, 0.1, 0.05, seed=1000 + seed)
        found = align(earlier, later, stable(), BOTH)
        change = measure_change(earlier, later, AREA, found, NOISE, Accuracy(NOISE))
        held += abs(change.volume.net_m3 - grown) <= change.volume.net_u95_m3
    assert stats.binom.ppf(1e-4, seeds, 0.93) <= held


def test_no_change_has_none():
    found = align(surface(OLD), surface(OLD), stable(), BOTH)
    change = measure_change(surface(OLD), surface(OLD), AREA, found, NOISE, Accuracy(NOISE))
    assert change.volume.net_m3 == pytest.approx(0.0, abs=1e-6)
    assert change.detected_fill_m3 == 0.0


def test_holes_of_either_survey_count():
    earlier, later = surface(OLD), surface(NEW)
    elevation = earlier.elevation_m.copy()
    elevation[70:90, 70:90] = np.nan
    found = align(earlier, later, stable(), BOTH)
    with pytest.raises(CoverageError, match="was seen"):
        measure_change(
            earlier.with_elevation(elevation), later, AREA, found, NOISE, Accuracy(NOISE)
        )
