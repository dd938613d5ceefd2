"""The level is found from attitude and places together, whichever of them errs."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Shot
from reconstruction.errors import InputError
from reconstruction.level import find_level

from .planted_survey import LENS, photos_of


def flight() -> SparseModel:
    """Seven strips of eleven photos, 40 m above flat ground, looking down."""
    x, y = np.meshgrid(np.linspace(-50.0, 50.0, 11), np.linspace(-45.0, 45.0, 7))
    down = np.diag([1.0, -1.0, -1.0])
    shots = tuple(
        Shot(f"{number:02d}.jpg", "drone", down, np.array([*place, 40.0]))
        for number, place in enumerate(zip(x.ravel(), y.ravel(), strict=True))
    )
    plan = np.random.default_rng(2).uniform(-60.0, 60.0, (300, 2))
    ground = np.column_stack((plan, np.zeros(300)))
    nothing = np.zeros(0, np.int32)
    return SparseModel(
        {"drone": LENS}, shots, TiePoints(ground, nothing, nothing, np.zeros((0, 2)))
    )


def lean_deg(model: SparseModel, plan: np.ndarray, sigma_m: float) -> float:
    sigma = np.full(len(plan), sigma_m)
    level = find_level(model, {p.name: p for p in photos_of(model, None)}, plan, sigma)
    return float(np.degrees(np.arccos(min(1.0, level.rotation[2, 2]))))


@pytest.mark.parametrize("seed", range(4))
def test_positions_that_wander_do_not_lean_the_block(seed):
    """They are 6 m off, and cover only 70 % of the way across: as if seen at 45°."""
    model = flight()
    plan = np.array([shot.centre[:2] for shot in model.shots])
    off_m = np.random.default_rng(seed).normal(0.0, 6.0, plan.shape)
    assert lean_deg(model, plan * [1.0, 0.7] + off_m, 3.0) < 6.0


def test_precise_positions_level_a_flight_whose_photos_and_ground_lean():
    """A face photographed from a flight along it: photos and planes lean, places are right."""
    model = flight()
    lean = Rotation.from_euler("x", 35.0, degrees=True)
    places = lean.apply([shot.centre for shot in model.shots])[:, :2]
    off_m = np.random.default_rng(3).normal(0.0, 0.02, places.shape)
    assert abs(lean_deg(model, places + off_m, 0.5) - 35.0) < 1.0


@pytest.mark.parametrize("stretch", [1.0, 1.55])
def test_swapped_east_and_north_are_refused(stretch):
    """Also latitude and longitude, of which one is then longer than it should be."""
    model = flight()
    generator = np.random.default_rng(4)
    plan = np.array([shot.centre[:2] for shot in model.shots])[:, ::-1] * [1.0, stretch]
    plan += generator.normal(0.0, 3.0, plan.shape)
    plan[generator.choice(len(plan), 8, replace=False)] += 200.0
    with pytest.raises(InputError, match="mirror") as caught:
        lean_deg(model, plan, 3.0)
    assert "swapped" in caught.value.hint


def test_places_in_a_line_have_no_mirror_image():
    """One strip, whose receiver wanders to both sides of it, of many photos or of four."""
    model = flight()
    for seed in range(20):
        strip = replace(model, shots=model.shots[: 4 + 7 * (seed % 2)])
        plan = np.array([shot.centre[:2] for shot in strip.shots])
        off_m = np.random.default_rng(seed).normal(0.0, 2.0, plan.shape)
        lean_deg(strip, plan + off_m, 3.0)
