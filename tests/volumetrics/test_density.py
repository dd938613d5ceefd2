import numpy as np
import pytest

from volumetrics.density import Material, material_of, tonnes
from volumetrics.errors import InputError


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
