"""Synthetic piles with known truth, and DSM noise to measure them under.

For tests and for the bench that proves the intervals; nothing here takes part in a measurement.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import fft
from scipy.spatial.distance import cdist

from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise
from volumetrics.toe import Toe


@dataclass(frozen=True)
class Pile:
    """An elliptic truncated cone on sloping ground.

    Parameters
    ----------
    centre_m : tuple of float
    radius_m : float
        Of the toe along its long axis.
    aspect : float
        Short axis by long axis.
    turn_rad : float
    height_m : float
        Of the full cone.
    top : float
        Share of the radius at which it is cut off; 0 is a cone.
    ground_m : tuple of float
        Elevation at the centre, slope to the east and to the north.
    """

    centre_m: tuple[float, float]
    radius_m: float
    aspect: float
    turn_rad: float
    height_m: float
    top: float
    ground_m: tuple[float, float, float]

    @property
    def volume_m3(self) -> float:
        """Volume above the ground, closed form."""
        cone = math.pi / 3.0 * self.radius_m**2 * self.aspect * self.height_m
        return cone * (1.0 - self.top**3)

    def elevation_m(self, x_m: Array, y_m: Array) -> Array:
        """Elevation of the surface, same shape as the coordinates."""
        x, y = x_m - self.centre_m[0], y_m - self.centre_m[1]
        along = x * math.cos(self.turn_rad) + y * math.sin(self.turn_rad)
        across = y * math.cos(self.turn_rad) - x * math.sin(self.turn_rad)
        distance = np.hypot(along, across / self.aspect) / self.radius_m
        height = self.height_m * (1.0 - np.clip(distance, self.top, 1.0))
        level, east, north = self.ground_m
        return np.asarray(level + east * x + north * y + height)

    def grid(self, size_m: float, cell_size_m: float) -> Grid:
        """The surface on a square of ``size_m`` about the origin."""
        count = round(size_m / cell_size_m)
        half = 0.5 * count * cell_size_m
        empty = Grid(np.zeros((count, count)), -half, half, cell_size_m)
        return empty.with_elevation(self.elevation_m(empty.x_m()[None, :], empty.y_m()[:, None]))

    def toe(self, vertices: int = 96) -> Toe:
        """The true toe; the polygon has exactly the ellipse's area."""
        angle = np.arange(vertices) * 2.0 * math.pi / vertices
        # A polygon inscribed in the ellipse is too small by this much.
        grow = math.sqrt(2.0 * math.pi / (vertices * math.sin(2.0 * math.pi / vertices)))
        along = grow * self.radius_m * np.cos(angle)
        across = grow * self.radius_m * self.aspect * np.sin(angle)
        x = self.centre_m[0] + along * math.cos(self.turn_rad) - across * math.sin(self.turn_rad)
        y = self.centre_m[1] + along * math.sin(self.turn_rad) + across * math.cos(self.turn_rad)
        return Toe("synthetic", shapely.Polygon(np.column_stack((x, y))))


def random_pile(generator: np.random.Generator, radius_m: float = 6.0) -> Pile:
    """A pile of about the given radius near the origin, on ground that slopes up to 3 %."""
    radius = radius_m * generator.uniform(0.8, 1.2)
    return Pile(
        (generator.uniform(-1.0, 1.0), generator.uniform(-1.0, 1.0)),
        radius,
        generator.uniform(0.6, 1.0),
        generator.uniform(0.0, math.pi),
        radius * generator.uniform(0.4, 0.75),
        generator.uniform(0.0, 0.6),
        (
            generator.uniform(50.0, 500.0),
            generator.uniform(-0.03, 0.03),
            generator.uniform(-0.03, 0.03),
        ),
    )


def draw_noise(
    noise: DsmNoise, shape: tuple[int, int], cell_size_m: float, generator: np.random.Generator
) -> Array:
    """One draw of the noise on a grid, by circulant embedding.

    References
    ----------
    Dietrich, C. R., Newsam, G. N. (1997): Fast and exact simulation of stationary Gaussian
    processes through circulant embedding. SIAM J. Sci. Comput. 18(4), 1088-1107.
    """
    total = np.zeros(shape)
    for part in noise.components:
        reach = math.ceil(part.range_m / cell_size_m)
        size = [fft.next_fast_len(side + reach, real=True) for side in shape]
        lags = [np.minimum(np.arange(side), side - np.arange(side)) for side in size]
        distance = np.hypot(lags[0][:, None], lags[1][None, :]) * cell_size_m
        power = np.maximum(fft.rfft2(part.covariance(distance)).real, 0.0)
        white = fft.rfft2(generator.standard_normal(size))
        total += fft.irfft2(white * np.sqrt(power), size)[: shape[0], : shape[1]]
    return total


def draw_toe(toe: Toe, sigma_m: float, range_m: float, generator: np.random.Generator) -> Toe:
    """The toe as a hand would draw it: errors correlated exponentially over ``range_m``."""
    ring = np.asarray(toe.polygon.exterior.coords)[:-1]
    covariance = sigma_m**2 * np.exp(-cdist(ring, ring) / range_m)
    root = np.linalg.cholesky(covariance + 1e-12 * np.eye(len(ring)))
    moved = ring + root @ generator.standard_normal((len(ring), 2))
    return Toe(toe.name, shapely.Polygon(moved).buffer(0.0))
