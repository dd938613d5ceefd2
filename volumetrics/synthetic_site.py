"""Synthetic sites with known piles, to find them in; nothing here takes part in a measurement.

Piles are made the way heaps come about: ground outlines of any shape from which loose material
rises at its angle of repose up to a limit (a distance transform), so that cones, ridges, plateaus
and kidneys are one thing. Beside them stand what is no pile: a highwall, machines, walls, bushes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from scipy import ndimage

from volumetrics.grid import Array, Grid, area_fraction
from volumetrics.noise import DsmNoise, NoiseComponent
from volumetrics.synthetic import draw_noise
from volumetrics.toe import Toe

_GROUND = DsmNoise((NoiseComponent(0.12, 40.0),))
_NOISE = DsmNoise((NoiseComponent(0.015, 0.6), NoiseComponent(0.015, 8.0)))
_KINDS = ("cone", "ridge", "plateau", "kidney", "heaps")


@dataclass(frozen=True)
class Site:
    """A surface and the toes of its piles."""

    grid: Grid
    toes: tuple[Toe, ...]


def random_site(
    generator: np.random.Generator, piles: int = 6, side_m: float = 120.0, cell_size_m: float = 0.2
) -> Site:
    """A yard below a highwall with piles of all kinds, machines, a wall and bushes.

    Parameters
    ----------
    generator : numpy.random.Generator
    piles : int
        At most so many: those that find no room are left out.
    side_m : float
    cell_size_m : float
    """
    count = round(side_m / cell_size_m)
    grid = Grid(np.zeros((count, count)), 500_000.0, 5_000_000.0, cell_size_m)
    ground = _ground(grid, generator)
    surface = ground.copy()
    taken: list[shapely.Polygon] = []
    toes: list[Toe] = []
    for number in range(piles):
        outline = _placed(_outline(generator), grid, generator, taken)
        if outline is None:
            continue
        taken.append(outline)
        height = _heap(outline, grid, generator)
        surface += height
        toes.append(Toe(f"pile {number + 1}", outline))
    for _ in range(4):
        box = _placed(_box(generator), grid, generator, taken)
        if box is not None:
            taken.append(box)
            surface += generator.uniform(1.8, 3.5) * (area_fraction(box, grid) > 0.5)
    for _ in range(3):
        bush = _placed(shapely.Point(0, 0).buffer(generator.uniform(1.5, 4.0)), grid, generator,
                       taken)  # fmt: skip
        if bush is not None:
            inside = area_fraction(bush, grid) > 0.5
            rough = np.abs(generator.normal(0.0, 1.0, inside.shape))
            surface += inside * (1.0 + ndimage.gaussian_filter(rough, 1.0) * 2.0)
    surface += draw_noise(_NOISE, surface.shape, cell_size_m, generator)
    return Site(grid.with_elevation(surface), tuple(toes))


def _ground(grid: Grid, generator: np.random.Generator) -> Array:
    """A tilted, undulating yard with a highwall along its north and another level above it."""
    rolling = draw_noise(_GROUND, grid.elevation_m.shape, grid.cell_size_m, generator)
    ground = ndimage.gaussian_filter(rolling, 3.0 / grid.cell_size_m)
    x, y = grid.x_m() - grid.west_m, grid.north_m - grid.y_m()
    east, north = generator.uniform(-0.03, 0.03, 2)
    ground += 100.0 + east * x[None, :] + north * y[:, None]
    depth = generator.uniform(14.0, 22.0) + 3.0 * np.sin(x / generator.uniform(8.0, 20.0))
    face = np.clip((depth[None, :] - y[:, None]) / generator.uniform(1.5, 4.0), 0.0, 1.0)
    return np.asarray(ground + generator.uniform(4.0, 12.0) * face)


def _outline(generator: np.random.Generator) -> shapely.Polygon:
    """The ground outline of a pile about the origin."""
    kind = _KINDS[generator.integers(len(_KINDS))]
    radius_m = math.exp(generator.uniform(math.log(3.0), math.log(13.0)))
    if kind == "cone":
        shape = shapely.Point(0, 0).buffer(radius_m)
    elif kind == "ridge":
        half_m = generator.uniform(1.0, 3.0) * radius_m
        shape = shapely.LineString([(-half_m, 0), (half_m, 0)]).buffer(0.6 * radius_m)
    elif kind == "plateau":
        shape = shapely.box(-radius_m, -0.7 * radius_m, radius_m, 0.7 * radius_m).buffer(2.0)
    elif kind == "kidney":
        turn = np.linspace(0.0, generator.uniform(1.5, 3.0), 20)
        arc = 1.3 * radius_m * np.column_stack((np.cos(turn), np.sin(turn)))
        shape = shapely.LineString(arc).buffer(0.5 * radius_m)
    else:
        places = generator.uniform(-0.9, 0.9, (4, 2)) * radius_m
        shape = shapely.union_all([shapely.Point(p).buffer(0.7 * radius_m) for p in places])
    wave = generator.uniform(0.0, 0.06) * radius_m
    ring = np.array(shapely.segmentize(shape.exterior, 0.5).coords)[:-1]
    angle = np.arctan2(ring[:, 1], ring[:, 0])
    push = wave * np.sin(generator.integers(3, 9) * angle + generator.uniform(0.0, 6.0))
    away = ring / np.maximum(np.hypot(*ring.T), 1e-9)[:, None]
    polygon = shapely.Polygon(ring + push[:, None] * away).buffer(0.0)
    return max(shapely.get_parts(polygon), key=lambda part: part.area)


def _box(generator: np.random.Generator) -> shapely.Polygon:
    """The plan of a machine or a container."""
    long_m, wide_m = generator.uniform(4.0, 9.0), generator.uniform(2.0, 3.2)
    return shapely.box(-0.5 * long_m, -0.5 * wide_m, 0.5 * long_m, 0.5 * wide_m)


def _placed(
    shape: shapely.Polygon,
    grid: Grid,
    generator: np.random.Generator,
    taken: list[shapely.Polygon],
) -> shapely.Polygon | None:
    """The shape turned and moved to where it is free, below the highwall; None without room."""
    rows, cols = grid.elevation_m.shape
    for _ in range(60):
        turned = shapely.affinity.rotate(shape, generator.uniform(0.0, 360.0), origin=(0, 0))
        place = generator.uniform(0.05, 0.95, 2) * np.array([cols, -rows]) * grid.cell_size_m
        moved = shapely.affinity.translate(turned, grid.west_m + place[0], grid.north_m + place[1])
        west, south, east, north = moved.bounds
        is_inside = (
            west > grid.west_m + 3.0
            and south > grid.north_m - rows * grid.cell_size_m + 3.0
            and east < grid.west_m + cols * grid.cell_size_m - 3.0
            and north < grid.north_m - 34.0
        )
        if is_inside and all(moved.distance(other) > 2.5 for other in taken):
            return moved
    return None


def _heap(outline: shapely.Polygon, grid: Grid, generator: np.random.Generator) -> Array:
    """Height of loose material on an outline: at rest up to a limit, a little uneven."""
    inside = area_fraction(outline, grid) > 0.5
    depth_m = ndimage.distance_transform_edt(inside) * grid.cell_size_m
    limit_m = float(depth_m.max()) * generator.uniform(0.5, 1.0)
    heap = np.tan(math.radians(generator.uniform(26.0, 38.0))) * np.minimum(depth_m, limit_m)
    # Crests and feet are rounded by wheels and rain.
    rounded = ndimage.gaussian_filter(heap, generator.uniform(0.1, 0.5) / grid.cell_size_m)
    rough = ndimage.gaussian_filter(generator.normal(0.0, 1.0, heap.shape), 2.0)
    rough *= generator.uniform(0.01, 0.06) / max(float(rough.std()), 1e-9)
    return np.where(inside, rounded + rough, rounded)
