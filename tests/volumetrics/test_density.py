import math
from dataclasses import asdict

import numpy as np
import pytest

from volumetrics.density import Material, material_of, tonnes, total_tonnes
from volumetrics.errors import InputError
from volumetrics.uncertainty import Budget, independent, shared


def test_tonnes_are_volume_times_density_with_and_without_water():
    mass = tonnes(200.0, 4.0, Material(1.6, moisture=0.05))
    assert mass.wet_t == pytest.approx(320.0)
    assert mass.wet_u95_t == pytest.approx(6.4)
    assert mass.dry_t == pytest.approx(320.0 / 1.05)


def test_the_interval_is_that_of_random_draws():
    material = Material(1.6, 0.05, 0.06, 0.02)
    mass = tonnes(500.0, 9.8, material)
    generator = np.random.default_rng(8)
    volume, density, moisture = generator.normal(
        [500.0, 1.6, 0.06], [9.8 / 1.959964, 0.05, 0.02], (200_000, 3)
    ).T
    # A standard deviation from 200,000 draws has a relative sigma of 0.16 %.
    assert mass.wet_u95_t == pytest.approx(1.96 * np.std(volume * density), rel=0.01)
    dry = volume * density / (1.0 + moisture)
    assert mass.dry_u95_t == pytest.approx(1.96 * np.std(dry), rel=0.01)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"density_t_m3": 1600}, "1600 t/m³ is impossible"),
        ({"density_t_m3": "1.6 t"}, "not a number"),
        ({"density_t_m3": 1.6, "moisture": 5}, "moisture of 5"),
        ({"density_t_m3": 1.6, "moisture_sigma": -1}, "sigma of -1"),
    ],
)
def test_impossible_materials_are_refused(properties, message):
    with pytest.raises(InputError, match=message):
        material_of(properties)


def test_a_material_is_optional():
    assert material_of({"name": "Sand"}) is None
    assert material_of({"density_t_m3": 1.5, "moisture": None}) == Material(1.5)


def test_a_total_shares_the_density_of_one_material_and_not_of_two():
    budget = Budget((independent("surface_noise", 1.0),))
    sand, gravel = Material(1.6, 0.08), Material(1.8, 0.08)
    alike = total_tonnes([(100.0, budget, sand), (50.0, budget, sand)])
    assert alike.wet_t == pytest.approx(240.0)
    by_volume = 1.6 * math.sqrt(2.0)
    assert alike.wet_u95_t == pytest.approx(1.959964 * math.hypot(by_volume, 150.0 * 0.08))
    mixed = total_tonnes([(100.0, budget, sand), (50.0, budget, gravel)])
    own = math.hypot(1.6, 1.8, 100.0 * 0.08, 50.0 * 0.08)
    assert mixed.wet_u95_t == pytest.approx(1.959964 * own)


def test_the_total_of_one_pile_is_the_pile():
    budget = Budget((independent("surface_noise", 3.0), shared("scale", 1.0)))
    wet_sand = Material(1.6, 0.05, 0.06, 0.01)
    single = tonnes(200.0, budget.u95_m3, wet_sand)
    total = total_tonnes([(200.0, budget, wet_sand)])
    assert asdict(total) == pytest.approx(asdict(single), rel=1e-6)
