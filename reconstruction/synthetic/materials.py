"""Materials: the colour of each and the fine grain that matching lives on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numba
import numpy as np
from numpy.typing import NDArray

Tile = NDArray[np.uint8]

TILE_PX = 1024
# A tile's mean: grain values are stored relative to it.
NEUTRAL = 110.0


@dataclass(frozen=True)
class Material:
    """What a surface is made of.

    Parameters
    ----------
    colour : tuple of float
        Reflectance in red, green and blue, 0 to 1, linear.
    stones_m : tuple of float or None
        Smallest and largest radius of its stones.
    contrast : float
        Strength of the grain.
    roughness : float
        Spectral slope of the noise between and on the stones: larger is smoother.
    stretch : float
        Horizontal elongation of the noise: strata, grass.
    """

    colour: tuple[float, float, float]
    stones_m: tuple[float, float] | None
    contrast: float
    roughness: float = 1.0
    stretch: float = 1.0


MATERIALS: dict[str, Material] = {
    "floor": Material((0.36, 0.325, 0.27), (0.006, 0.05), 0.6, 1.0),
    "gravel": Material((0.37, 0.36, 0.35), (0.014, 0.034), 0.85, 0.9),
    "sand": Material((0.56, 0.43, 0.26), (0.004, 0.012), 0.55, 1.1),
    "soil": Material((0.15, 0.105, 0.07), (0.01, 0.09), 1.0, 1.0),
    "limestone": Material((0.60, 0.575, 0.51), (0.012, 0.075), 0.62, 0.9),
    "rubble": Material((0.45, 0.42, 0.385), (0.012, 0.13), 0.8, 0.9),
    "asphalt": Material((0.115, 0.113, 0.115), (0.006, 0.03), 1.0, 0.9),
    "rock": Material((0.46, 0.40, 0.32), (0.05, 0.45), 1.0, 1.15, 2.5),
    "grass": Material((0.165, 0.19, 0.085), (0.012, 0.06), 1.0, 0.7),
    "bush": Material((0.075, 0.105, 0.045), (0.03, 0.12), 1.3, 0.6),
    "concrete": Material((0.50, 0.49, 0.465), None, 0.35, 1.0),
    "paint": Material((1.0, 1.0, 1.0), None, 0.12, 1.0),
    "target": Material((1.0, 1.0, 1.0), None, 0.0, 1.0),
}
INDEX = {name: index for index, name in enumerate(MATERIALS)}


@lru_cache(maxsize=1)
def grain_tiles(texel_m: float, seed: int) -> NDArray[np.uint8]:
    """Grain of every material: tiles that repeat seamlessly.

    Parameters
    ----------
    texel_m : float
        Size of a texel on the ground.
    seed : int

    Returns
    -------
    ndarray of uint8, shape (materials, TILE_PX, TILE_PX)
        Brightness relative to `NEUTRAL`.
    """
    tiles = []
    for index, material in enumerate(MATERIALS.values()):
        rng = np.random.default_rng([seed, 23, index])
        log_brightness = 0.30 * power_noise(TILE_PX, material.roughness, material.stretch, rng)
        if material.stones_m is not None:
            log_brightness += 0.55 * _stones(material.stones_m, texel_m, rng)
        factor = np.exp(material.contrast * (log_brightness - log_brightness.mean()))
        tiles.append(np.clip(NEUTRAL * factor / factor.mean(), 0, 255).astype(np.uint8))
    return np.stack(tiles)


def power_noise(
    size: int, slope: float, stretch: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Seamless noise whose amplitude falls with frequency to the power ``slope``; unit variance."""
    spectrum = np.fft.rfft2(rng.standard_normal((size, size), dtype=np.float32))
    row = np.fft.fftfreq(size)[:, None]
    col = np.fft.rfftfreq(size)[None, :] * stretch
    frequency = np.hypot(row, col)
    frequency[0, 0] = 1.0
    # Wavelengths over an eighth of the tile would show the tiling.
    gain = np.where(frequency * size < 8.0, 8.0 / size, frequency) ** -slope
    gain[0, 0] = 0.0
    field = np.fft.irfft2(spectrum * gain.astype(np.float32), (size, size))
    return np.asarray(field / field.std(), dtype=np.float32)


def _stones(radii_m: tuple[float, float], texel_m: float, rng: np.random.Generator) -> NDArray:
    """Brightness of a bed of stones, lit from one side; about unit variance."""
    smallest, largest = (max(radius / texel_m, 0.6) for radius in radii_m)
    # Half the area in every octave of size: number falls with the square of the radius.
    count = int(2.2 * TILE_PX**2 / (np.pi * smallest * max(largest, smallest * 1.2)))
    u = rng.random(count)
    radius = 1.0 / (1.0 / smallest + u * (1.0 / max(largest, smallest * 1.2) - 1.0 / smallest))
    order = rng.permutation(count)
    stones = np.column_stack(
        (
            rng.random((count, 2)) * TILE_PX,
            radius[order],
            rng.uniform(0.55, 1.0, count),
            rng.uniform(0.0, np.pi, count),
            rng.normal(0.0, 1.0, count),
        )
    )
    height = np.zeros((TILE_PX, TILE_PX), dtype=np.float32)
    shade = np.zeros((TILE_PX, TILE_PX), dtype=np.float32)
    _lay_stones(stones, height, shade)
    light = (np.roll(height, 1, 1) - np.roll(height, -1, 1)) * 0.5 + (
        np.roll(height, 1, 0) - np.roll(height, -1, 0)
    ) * 0.35
    depth = height / max(float(height.max()), 1e-6)
    mixed = 0.45 * shade + 0.8 * np.clip(light, -1.5, 1.5) + 1.6 * np.sqrt(depth)
    return (mixed - mixed.mean()) / max(float(mixed.std()), 1e-6)


@numba.njit(cache=True, nogil=True)
def _lay_stones(stones, height, shade):  # type: ignore[no-untyped-def]
    """Draw ellipsoids into a periodic height field, the higher one wins."""
    size = height.shape[0]
    for k in range(stones.shape[0]):
        x, y, radius, flat, angle, tone = stones[k]
        c, s = np.cos(angle), np.sin(angle)
        reach = int(radius) + 1
        for row in range(int(y) - reach, int(y) + reach + 2):
            for col in range(int(x) - reach, int(x) + reach + 2):
                dx, dy = col - x, row - y
                u = (c * dx + s * dy) / radius
                v = (-s * dx + c * dy) / (radius * flat)
                d2 = u * u + v * v
                if d2 < 1.0:
                    top = 0.7 * radius * np.sqrt(1.0 - d2)
                    r, q = row % size, col % size
                    if top > height[r, q]:
                        height[r, q] = top
                        shade[r, q] = tone
