"""A loader and a truck, built of boxes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reconstruction.synthetic.grid import Grid, Raster

_YELLOW = (0.72, 0.42, 0.03)
_BLACK = (0.025, 0.025, 0.027)
_GLASS = (0.05, 0.08, 0.10)
_GREY = (0.25, 0.25, 0.26)
_ORANGE = (0.65, 0.16, 0.03)
_WHITE = (0.75, 0.75, 0.73)


@dataclass(frozen=True)
class Box:
    """A part of a vehicle: x forward, y left of its middle, metres.

    Parameters
    ----------
    x, y, length, width : float
        Middle and size of its outline.
    top_m : float
        Height above the ground, at its middle.
    colour : tuple of float
        Linear reflectance.
    rise : float
        Slope of the top toward the front.
    """

    x: float
    y: float
    length: float
    width: float
    top_m: float
    colour: tuple[float, float, float]
    rise: float = 0.0


@dataclass(frozen=True)
class Vehicle:
    """Boxes at a place; ``heading_deg`` counts from east, counter-clockwise."""

    boxes: tuple[Box, ...]
    x: float
    y: float
    heading_deg: float


_WHEELS = tuple(Box(x, y, 1.6, 0.7, 1.55, _BLACK) for x in (-1.7, 1.7) for y in (-1.15, 1.15))
LOADER = (
    *_WHEELS,
    Box(-1.9, 0.0, 3.0, 2.0, 2.3, _YELLOW, -0.05),
    Box(-2.4, 0.0, 1.2, 1.2, 2.45, _GREY),
    Box(0.1, 0.0, 1.5, 1.6, 3.4, _YELLOW),
    Box(0.95, 0.0, 0.5, 1.5, 2.9, _GLASS, -0.8),
    Box(2.6, 0.55, 2.4, 0.3, 1.7, _YELLOW, -0.25),
    Box(2.6, -0.55, 2.4, 0.3, 1.7, _YELLOW, -0.25),
    Box(4.2, 0.0, 1.3, 3.0, 0.9, _GREY, -0.35),
    Box(3.6, 0.0, 0.2, 3.0, 1.3, _YELLOW),
)
TRUCK = (
    *(Box(x, y, 1.3, 0.6, 1.2, _BLACK) for x in (-3.2, -1.8, 3.0) for y in (-1.15, 1.15)),
    Box(0.0, 0.0, 8.6, 1.0, 1.15, _GREY),
    Box(3.4, 0.0, 2.0, 2.4, 3.1, _ORANGE),
    Box(4.35, 0.0, 0.35, 2.2, 2.6, _GLASS, -1.2),
    Box(3.2, 0.0, 0.9, 1.2, 3.25, _WHITE),
    Box(-1.6, 0.0, 5.6, 2.5, 1.6, _GREY),
    Box(-1.6, 1.2, 5.6, 0.12, 2.6, _ORANGE),
    Box(-1.6, -1.2, 5.6, 0.12, 2.6, _ORANGE),
    Box(-4.4, 0.0, 0.12, 2.5, 2.4, _ORANGE),
    Box(1.2, 0.0, 0.2, 2.5, 3.0, _ORANGE),
)
_PLACES = (
    ((-23.0, 5.5, 200.0), (15.0, 12.5, 170.0)),
    ((-40.0, -2.0, 75.0), (-4.0, 8.0, 205.0)),
)


def fleet(week: int) -> tuple[Vehicle, ...]:
    """The loader and the truck where they stand in a week."""
    loader, truck = _PLACES[week]
    return Vehicle(LOADER, *loader), Vehicle(TRUCK, *truck)


def park(vehicle: Vehicle, grid: Grid, surface: Raster, colour: Raster) -> np.ndarray:
    """Put a vehicle on the surface, in place; returns the mask of what it colours.

    That is a cell more than what it stands on: else half of its sides would look like the ground.
    """
    rows, cols = grid.window(vehicle.x, vehicle.y, 7.0)
    angle = np.deg2rad(vehicle.heading_deg)
    dx, dy = grid.x[:, cols] - vehicle.x, grid.y[rows] - vehicle.y
    forward = np.cos(angle) * dx + np.sin(angle) * dy
    left = -np.sin(angle) * dx + np.cos(angle) * dy
    coloured = np.zeros(surface.shape, dtype=bool)
    under = (np.abs(forward) < 4.5) & (np.abs(left) < 1.4)
    if not under.any():
        return coloured
    base = float(np.median(surface[rows, cols][under]))
    for box in vehicle.boxes:
        ahead, aside = forward - box.x, left - box.y
        top = base + box.top_m + box.rise * ahead
        outside = np.maximum(np.abs(ahead) - box.length / 2, np.abs(aside) - box.width / 2)
        higher = top > surface[rows, cols]
        seen = higher & (outside < 1.5 * grid.cell_m)
        inside = higher & (outside < 0.0)
        surface[rows, cols][inside] = top[inside]
        colour[rows, cols][seen] = box.colour
        coloured[rows, cols] |= seen
    return coloured
