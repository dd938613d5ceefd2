"""How often the 95 % intervals hold the truth, for each base, over many synthetic piles.

    python -m bench.interval_coverage [PILES] [--noise known|estimated] [--ground plane|undulating]

Each pile is measured on a surface with nested correlated noise that grows with the slope, a
hand-drawn toe, a wrong scale and a wrong level, and compared with what the same base gives on the
true surface within the true toe (for the plane that is the closed form, too, see
tests/volumetrics). The bases 'survey' and 'design' are the bare ground, as an earlier survey with
errors of its own measured it, and exactly.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from volumetrics.base_surface import BaseMethod, BaseSurface, Plane
from volumetrics.budget import Accuracy
from volumetrics.extreme_base import Extreme
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.ground_noise import estimate_noise
from volumetrics.level_base import Average, Fixed
from volumetrics.noise import PERFECT, DsmNoise, NoiseComponent
from volumetrics.relative_noise import Patch, RelativeNoise, fit_relative_noise
from volumetrics.synthetic import draw_noise, draw_toe, random_pile
from volumetrics.toe import Toe, ToeSamples
from volumetrics.volume import measure

# Matching noise over a few cells, then two ranges of the size of a stereo model and of a strip.
NOISE = DsmNoise(
    (NoiseComponent(0.02, 0.7), NoiseComponent(0.015, 6.0), NoiseComponent(0.02, 40.0))
)
RELATIVE = RelativeNoise(1.0, 4.0)
UNDULATION = DsmNoise((NoiseComponent(0.10, 15.0),))
CELL_SIZE_M = 0.25
SIZE_M = 30.0
TOE_SIGMA_M, TOE_RANGE_M = 0.1, 5.0
SCALE_SIGMA, VERTICAL_SIGMA_M = 3e-4, 0.02
FIXED_SIGMA_M = 0.01


@dataclass(frozen=True)
class GroundBase:
    """A surface below the pile as its base, with the errors that it is stated to have."""

    name: str
    elevation_m: Array
    noise: DsmNoise = PERFECT
    vertical_sigma_m: float = 0.0

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Give the surface; see `volumetrics.base_surface.BaseMethod`."""
        nothing = np.zeros(samples.elevation_m.size)
        return BaseSurface(
            self.name,
            self.elevation_m,
            lambda load: nothing,
            self.vertical_sigma_m,
            is_anchored=False,
            noise=self.noise,
        )


@dataclass(frozen=True)
class Scene:
    """A pile and its ground as they are, and the same pile as it was measured."""

    truth: Grid
    ground_m: Array
    level_m: float
    toe: Toe
    seen: Grid
    drawn: Toe
    accuracy: Accuracy
    scale: float

    def methods(self, generator: np.random.Generator) -> list[tuple[BaseMethod, BaseMethod]]:
        """Every base with its true self, and as it is known."""
        same = (Plane(), Triangulated(), Smooth(), Extreme(True), Extreme(False), Average())
        level_m = self.level_m + FIXED_SIGMA_M * generator.standard_normal()
        design = GroundBase("design", self.ground_m)
        earlier_m = self.ground_m + draw_noise(NOISE, self.ground_m.shape, CELL_SIZE_M, generator)
        earlier_m += VERTICAL_SIGMA_M * generator.standard_normal()
        return [
            *((method, method) for method in same),
            (Fixed(self.level_m), Fixed(level_m, FIXED_SIGMA_M)),
            (
                GroundBase("survey", self.ground_m),
                GroundBase("survey", earlier_m, NOISE, VERTICAL_SIGMA_M),
            ),
            (design, design),
        ]


def draw_scene(
    generator: np.random.Generator, *, is_noise_known: bool, is_undulating: bool
) -> Scene:
    """A random pile, its true surface and what a survey makes of it."""
    pile = random_pile(generator)
    truth = pile.grid(SIZE_M, CELL_SIZE_M)
    undulation = np.zeros(truth.elevation_m.shape)
    if is_undulating:
        # Ground has no corners: the random surface is smoothed over some metres.
        margin = 20
        wide = draw_noise(
            UNDULATION, tuple(np.add(undulation.shape, 2 * margin)), CELL_SIZE_M, generator
        )
        undulation = ndimage.gaussian_filter(wide, 6.0)[margin:-margin, margin:-margin]
    truth = truth.with_elevation(truth.elevation_m + undulation)
    ground = replace(pile, height_m=0.0).grid(SIZE_M, CELL_SIZE_M).elevation_m + undulation
    factor = RELATIVE.of(truth)
    local, broad = NOISE.local(), DsmNoise(NOISE.components[len(NOISE.local().components) :])
    noise = factor * draw_noise(local, truth.elevation_m.shape, CELL_SIZE_M, generator)
    noise += draw_noise(broad, truth.elevation_m.shape, CELL_SIZE_M, generator)
    scale = 1.0 + SCALE_SIGMA * generator.standard_normal()
    offset_m = VERTICAL_SIGMA_M * generator.standard_normal()
    seen = truth.with_elevation(truth.elevation_m + noise + offset_m)
    toe = pile.toe()
    drawn = draw_toe(toe, TOE_SIGMA_M, TOE_RANGE_M, generator)
    if is_noise_known:
        stated, seen = NOISE, replace(seen, noise_factor=RELATIVE.of(seen))
    else:
        is_ground = area_fraction(drawn.polygon.buffer(0.5), seen) == 0.0
        relative = fit_relative_noise([Patch(seen, None, is_ground)])
        seen = replace(seen, noise_factor=relative.of(seen))
        stated = estimate_noise([Patch(seen, None, is_ground)])
    accuracy = Accuracy(stated, SCALE_SIGMA, VERTICAL_SIGMA_M, TOE_SIGMA_M)
    return Scene(truth, ground, pile.ground_m[0], toe, seen, drawn, accuracy, scale)


def ratios(generator: np.random.Generator, scene: Scene) -> dict[str, tuple[float, ...]]:
    """Error by u95, u95 and true volume, for each base."""
    found = {}
    for true_method, method in scene.methods(generator):
        exact = measure(scene.truth, scene.toe, true_method, Accuracy(toe_sigma_m=TOE_SIGMA_M))
        volume = measure(scene.seen, scene.drawn, method, scene.accuracy)
        error = volume.net_m3 * scene.scale**3 - exact.net_m3
        found[method.name] = (error / volume.net_u95_m3, volume.net_u95_m3, exact.net_m3)
    return found


def main() -> None:
    """Simulate, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("piles", type=int, nargs="?", default=1000)
    parser.add_argument("--noise", choices=("known", "estimated"), default="known")
    parser.add_argument("--ground", choices=("plane", "undulating"), default="plane")
    options = parser.parse_args()
    started = time.process_time()
    results: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(options.piles):
        generator = np.random.default_rng(seed)
        scene = draw_scene(
            generator,
            is_noise_known=options.noise == "known",
            is_undulating=options.ground == "undulating",
        )
        for name, values in ratios(generator, scene).items():
            results.setdefault(name, []).append(values)
    print(
        f"{options.piles} piles, noise {options.noise}, ground {options.ground}, "
        f"{time.process_time() - started:.0f} CPU-s"
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
