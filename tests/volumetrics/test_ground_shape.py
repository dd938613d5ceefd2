import numpy as np
import pytest
from scipy import stats

from volumetrics.base_surface import Plane
from volumetrics.budget import Accuracy
from volumetrics.flexible_base import Triangulated
from volumetrics.ground_shape import ground_relief
from volumetrics.level_base import Average, Fixed
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise
from volumetrics.toe import boundary, sample_ground
from volumetrics.volume import measure


def test_plane_ground_hides_nothing(pile):
    grid, toe = pile.grid(20.0, 0.25), pile.toe()
    for method in (Plane(), Triangulated(), Average()):
        assert measure(grid, toe, method).ground_u95_m3 == pytest.approx(0.0, abs=1e-3)
    assert measure(grid, toe, Fixed(100.0)).ground_u95_m3 == 0.0


def test_noise_of_the_surface_is_no_relief(pile):
    noise = DsmNoise((NoiseComponent(0.03, 1.0), NoiseComponent(0.03, 8.0)))
    relief = []
    for seed in range(10):
        grid = pile.grid(20.0, 0.25)
        draw = draw_noise(noise, (80, 80), 0.25, np.random.default_rng(seed))
        toe = pile.toe()
        samples = sample_ground(
            toe, boundary(toe, 0.25), grid.with_elevation(grid.elevation_m + draw)
        )
        relief.append(ground_relief(samples, noise).sigma_m)
    assert np.median(relief) < 0.03


@pytest.mark.parametrize("method", [Plane(), Triangulated()], ids=lambda method: method.name)
def test_the_hidden_ground_holds_about_as_much_as_is_told(pile, method):
    ground = DsmNoise((NoiseComponent(0.12, 12.0),))
    noise = DsmNoise((NoiseComponent(0.01, 0.5),))
    toe, ratios = pile.toe(), []
    for seed in range(60):
        grid = pile.grid(20.0, 0.25)
        hidden = draw_noise(ground, (80, 80), 0.25, np.random.default_rng(seed))
        surface = grid.with_elevation(grid.elevation_m + hidden)
        volume = measure(surface, toe, method, Accuracy(noise))
        ratios.append((volume.net_m3 - pile.volume_m3) / volume.ground_u95_m3)
    # Of 95 %, all but one draw in ten thousand hold at least this many of 60.
    assert np.sum(np.abs(ratios) <= 1.0) >= stats.binom.ppf(1e-4, 60, 0.95)
    assert np.sqrt(np.mean(np.square(ratios))) > 0.25
