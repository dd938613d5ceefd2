"""How often the 95 % intervals hold the truth, for each base, over many synthetic piles.

    python bench/interval_coverage.py [PILES] [--noise known|estimated]

Each pile is measured on a surface with nested correlated noise, a hand-drawn toe, a wrong scale and
a wrong level, and compared with what the same base gives on the true surface within the true toe
(for the plane that is the closed form, too, see tests/volumetrics).
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from volumetrics.base_surface import Average, BaseMethod, Fixed, Plane
from volumetrics.budget import Accuracy
from volumetrics.extreme_base import Extreme
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.grid import area_fraction
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise, draw_toe, random_pile
from volumetrics.variogram import estimate_noise
from volumetrics.volume import measure

# Matching noise over a few cells, then two ranges of the size of a stereo model and of a strip.
NOISE = DsmNoise(
    (NoiseComponent(0.02, 0.7), NoiseComponent(0.015, 6.0), NoiseComponent(0.02, 40.0))
)
CELL_SIZE_M = 0.25
SIZE_M = 30.0
TOE_SIGMA_M, TOE_RANGE_M = 0.1, 5.0
SCALE_SIGMA, VERTICAL_SIGMA_M = 3e-4, 0.02


def methods(elevation_m: float) -> list[BaseMethod]:
    """Every base that needs no other survey."""
    return [
        Plane(), Triangulated(), Smooth(), Extreme(True), Extreme(False), Average(),
        Fixed(elevation_m, 0.01),
    ]  # fmt: skip


def ratios(generator: np.random.Generator, *, is_noise_known: bool) -> dict[str, tuple]:
    """Error by u95, u95 and true volume of one random pile, for each base."""
    pile = random_pile(generator)
    truth = pile.grid(SIZE_M, CELL_SIZE_M)
    toe = pile.toe()
    scale = 1.0 + SCALE_SIGMA * generator.standard_normal()
    offset = VERTICAL_SIGMA_M * generator.standard_normal()
    seen = truth.with_elevation(
        truth.elevation_m
        + offset
        + draw_noise(NOISE, truth.elevation_m.shape, CELL_SIZE_M, generator)
    )
    drawn = draw_toe(toe, TOE_SIGMA_M, TOE_RANGE_M, generator)
    noise = NOISE
    if not is_noise_known:
        noise = estimate_noise(seen, area_fraction(drawn.polygon.buffer(0.5), seen) == 0.0)
    accuracy = Accuracy(noise, SCALE_SIGMA, VERTICAL_SIGMA_M, TOE_SIGMA_M)
    found = {}
    for method in methods(pile.ground_m[0]):
        exact = measure(truth, toe, method)
        stated = method
        if isinstance(method, Fixed):
            stated = Fixed(method.base_elevation_m + 0.01 * generator.standard_normal(), 0.01)
        volume = measure(seen, drawn, stated, accuracy)
        error = volume.net_m3 * scale**3 - exact.net_m3
        found[method.name] = (error / volume.net_u95_m3, volume.net_u95_m3, exact.net_m3)
    return found


def main() -> None:
    """Simulate, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("piles", type=int, nargs="?", default=1000)
    parser.add_argument("--noise", choices=("known", "estimated"), default="known")
    options = parser.parse_args()
    started = time.process_time()
    results: dict[str, list] = {}
    for seed in range(options.piles):
        one = ratios(np.random.default_rng(seed), is_noise_known=options.noise == "known")
        for name, values in one.items():
            results.setdefault(name, []).append(values)
    print(
        f"{options.piles} piles, noise {options.noise}, {time.process_time() - started:.0f} CPU-s"
    )
    print(f"{'base':14} {'held':>7} {'bias/sigma':>11} {'spread/sigma':>13} {'u95/volume':>11}")
    for name, values in results.items():
        ratio, u95, volume = np.array(values).T
        print(
            f"{name:14} {np.mean(np.abs(ratio) <= 1.0):7.1%} {1.96 * ratio.mean():11.2f} "
            f"{1.96 * ratio.std():13.2f} {np.median(u95 / volume):11.2%}"
        )


if __name__ == "__main__":
    main()
