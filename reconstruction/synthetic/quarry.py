"""The quarry: its ground, what stands on it, and its colours, as one terrain grid."""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

import cv2
import numpy as np
import shapely
import shapely.ops
from numpy.typing import NDArray

from reconstruction.frame import LocalFrame, utm_epsg
from reconstruction.synthetic.grid import Grid, Raster, fractal_noise, smooth_noise
from reconstruction.synthetic.lighting import sunlight
from reconstruction.synthetic.materials import INDEX, MATERIALS
from reconstruction.synthetic.piles import Pile, Wall, pile_height, stock, toe_polygon
from reconstruction.synthetic.vehicles import fleet, park

Array = NDArray[np.float64]
Bounds = tuple[float, float, float, float]

_LATITUDE_DEG, _LONGITUDE_DEG, _ELEVATION_M = 46.4715, 8.2134, 612.0
TARGET_SIZE_M = 0.60
USUAL_YARD: Bounds = (-56.0, -42.0, 56.0, 42.0)


@dataclass(frozen=True)
class Stockpile:
    """A pile as it lies: with the outline that a user draws, and the wall that it leans on."""

    name: str
    material: str
    toe: shapely.Polygon
    wall: Wall | None = None


@dataclass(frozen=True)
class Target:
    """A black and white ground control target.

    Parameters
    ----------
    name : str
        Check points begin with CHK.
    point : ndarray, shape (3,)
        Its centre, local coordinates.
    angle_rad : float
        How it is turned.
    """

    name: str
    point: Array
    angle_rad: float


@dataclass(frozen=True)
class Quarry:
    """Everything that a photo can show.

    Parameters
    ----------
    frame : LocalFrame
    grid : Grid
    surface, ground : ndarray of float32, shape grid.shape
        Local z with and without piles, walls and vehicles.
    colour : ndarray of uint8, shape (rows, cols, 3)
        Light reflected, coded as ``255 * sqrt(value / 1.6)``.
    material : ndarray of uint8, shape grid.shape
        Index into `materials.MATERIALS`.
    stockpiles : tuple of Stockpile
    targets : tuple of Target
    """

    frame: LocalFrame
    grid: Grid
    surface: Raster
    ground: Raster
    colour: NDArray[np.uint8]
    material: NDArray[np.uint8]
    stockpiles: tuple[Stockpile, ...]
    targets: tuple[Target, ...]


COLOUR_SCALE = 1.6


def quarry_frame() -> LocalFrame:
    """The frame of the demo quarry."""
    epsg = utm_epsg(_LATITUDE_DEG, _LONGITUDE_DEG)
    return LocalFrame(epsg, _LATITUDE_DEG, _LONGITUDE_DEG, _ELEVATION_M)


def build_quarry(
    seed: int,
    week: int,
    bounds: Bounds,
    cell_m: float,
    yard: Bounds = USUAL_YARD,
    target_places: tuple[tuple[str, float, float], ...] = (),
) -> Quarry:
    """The quarry of a seed and a week.

    Parameters
    ----------
    seed, week : int
    bounds : tuple of float
        West, south, east, north of the terrain, local metres: all that photos show.
    cell_m : float
        Distance of the terrain's nodes.
    yard : tuple of float
        The level part; the highwall rises north and west of it.
    target_places : tuple of (name, x, y)
        Where to lay out targets.
    """
    grid = Grid.covering(bounds, cell_m)
    ground, material, colour = _ground(grid, yard, seed)
    _flatten(grid, ground, target_places)
    surface = ground.copy()
    stockpiles = _tip_piles(stock(seed, week, yard), grid, surface, material, colour, seed)
    _build_walls(stock(seed, week, yard), grid, ground, surface, material, colour)
    for vehicle in fleet(week):
        material[park(vehicle, grid, surface, colour)] = INDEX["paint"]
    targets = _lay_targets(grid, surface, material, target_places, seed)
    light = sunlight(surface, cell_m)
    coded = np.sqrt(np.clip(colour * light[..., None] / COLOUR_SCALE, 0.0, 1.0))
    return Quarry(
        quarry_frame(),
        grid,
        surface,
        ground,
        (coded * 255.0 + 0.5).astype(np.uint8),
        material,
        stockpiles,
        targets,
    )


def _ground(grid: Grid, yard: Bounds, seed: int) -> tuple[Raster, NDArray[np.uint8], Raster]:
    """The floor, the highwall with its benches, the rim: elevation, material, colour."""
    rng = np.random.default_rng([seed, 5])
    x, y = grid.x, grid.y
    floor = 0.014 * x - 0.009 * y + 0.16 * fractal_noise(grid, 36.0, 4.0, rng, 0.42)
    floor += 0.006 * fractal_noise(grid, 1.0, 0.1, rng, 0.7)
    inward = _distance_into_wall(grid, yard, rng)
    ruts, worn = _tracks(grid, yard, rng)
    floor -= ruts
    rise, steep = _benches(inward)
    scrub = fractal_noise(grid, 18.0, 0.6, rng, 0.6)
    south = np.clip((yard[1] - 6.0 - y + 1.5 * scrub) / 4.0, 0.0, 1.0)
    bank = 2.2 * south * south * (3.0 - 2.0 * south)
    blocks = fractal_noise(grid, 2.5, 0.15, rng, 0.6) * np.clip(inward, 0.0, 1.0)
    surface = floor + rise + bank + 0.07 * blocks
    material = np.full(grid.shape, INDEX["floor"], dtype=np.uint8)
    material[(inward > 0.0) & (steep | (blocks > 0.3))] = INDEX["rock"]
    green = (inward > 13.0 + 1.5 * scrub) | (south > np.maximum(0.55 + 0.25 * scrub, 0.2))
    green |= (inward > 2.6) & ~steep & (scrub > 0.9)
    material[green] = INDEX["grass"]
    colour = _palette(material)
    dust = 0.5 + 0.5 * np.tanh(0.8 * fractal_noise(grid, 24.0, 0.4, rng, 0.62))
    damp = np.clip(fractal_noise(grid, 30.0, 1.0, rng, 0.5) - 1.1, 0.0, 1.0)
    shade = (0.80 + 0.34 * dust) * (1.0 - 0.42 * damp) * worn
    strata = smooth_noise(grid, 1.5, rng) * 0.25 + surface * 1.35
    banding = 1.0 + 0.16 * np.sin(strata * 2.1) + 0.10 * np.sin(strata * 5.3 + 1.0)
    shade = np.where(material == INDEX["rock"], banding * (0.85 + 0.3 * dust), shade)
    colour *= shade[..., None]
    _grow_bushes(grid, surface, material, colour, green & (inward > 13.5) | (south > 0.8), rng)
    return surface.astype(np.float32), material, colour


def _palette(material: NDArray[np.uint8]) -> Raster:
    table = np.array([item.colour for item in MATERIALS.values()], dtype=np.float32)
    return np.asarray(table[material])


def _distance_into_wall(grid: Grid, yard: Bounds, rng: np.random.Generator) -> Raster:
    """Metres behind the foot of the highwall, which runs along the north and the west."""
    wander = 1.3 * fractal_noise(grid, 26.0, 0.5, rng, 0.55)
    north = grid.y - (yard[3] + 5.0)
    west = (yard[0] - 9.0) - grid.x
    soft = 8.0
    peak = np.maximum(north, west)
    joined = peak + soft * np.log(np.exp((north - peak) / soft) + np.exp((west - peak) / soft))
    return np.asarray(joined - soft * np.log(2.0) * np.exp(-np.abs(north - west) / soft) + wander)


def _benches(inward: Raster) -> tuple[Raster, NDArray[np.bool_]]:
    """Height of the highwall above the floor, and where it is a face."""
    edges = np.array([0.0, 1.9, 6.3, 8.3, 200.0], dtype=np.float32)
    heights = np.array([0.0, 6.2, 6.5, 12.4, 16.0], dtype=np.float32)
    rise = np.interp(inward, edges, heights).astype(np.float32)
    steep = ((inward > 0.0) & (inward < 1.9)) | ((inward > 6.3) & (inward < 8.3))
    return rise, steep


def _tracks(grid: Grid, yard: Bounds, rng: np.random.Generator) -> tuple[Raster, Raster]:
    """Depth of tyre ruts and the brightness that wheels leave."""
    west, south, east, north = yard
    drawing = np.zeros(grid.shape, dtype=np.uint8)
    cell = grid.cell_m
    for _ in range(int(14 * (east - west) / 112.0) + 4):
        ends = rng.uniform((west, south), (east, north), (4, 2))
        t = np.linspace(0.0, 1.0, 160)[:, None]
        path = (
            (1 - t) ** 3 * ends[0]
            + 3 * t * (1 - t) ** 2 * ends[1]
            + 3 * t**2 * (1 - t) * ends[2]
            + t**3 * ends[3]
        )
        heading = np.gradient(path, axis=0)
        heading /= np.linalg.norm(heading, axis=1, keepdims=True)
        side = np.column_stack((-heading[:, 1], heading[:, 0]))
        for offset in (-1.1, 1.1):
            pixels = np.round(grid.to_pixels(path + offset * side) * 16.0).astype(np.int32)
            width = max(1, round(0.5 / cell))
            line = np.zeros_like(drawing)
            cv2.polylines(line, [pixels[:, None, :]], False, 160, width, cv2.LINE_AA, 4)
            cv2.add(drawing, line, dst=drawing)
    wheel = cv2.GaussianBlur(drawing, (0, 0), 0.07 / cell).astype(np.float32) / 255.0
    broken = 0.7 + 0.3 * np.tanh(fractal_noise(grid, 3.0, 0.2, rng, 0.6))
    wheel *= np.clip(broken, 0.0, 1.0)
    return 0.04 * wheel, 1.0 - 0.45 * wheel


def _grow_bushes(
    grid: Grid,
    surface: Raster,
    material: NDArray[np.uint8],
    colour: Raster,
    allowed: NDArray[np.bool_],
    rng: np.random.Generator,
) -> None:
    """Shrubs where there is grass, in place."""
    places = np.argwhere(allowed[::40, ::40]) * 40
    rng.shuffle(places)
    for row, col in places[: max(1, len(places) // 8)]:
        radius = rng.uniform(0.6, 1.9)
        rows, cols = grid.window(float(grid.x[0, col]), float(grid.y[row, 0]), radius * 1.3)
        shape = (rows.stop - rows.start, cols.stop - cols.start)
        part = Grid(0.0, 0.0, grid.cell_m, *shape)
        d2 = (
            (grid.x[:, cols] - grid.x[0, col]) ** 2 + (grid.y[rows] - grid.y[row, 0]) ** 2
        ) / radius**2
        leaves = fractal_noise(part, 0.9, 0.12, rng, 0.75)
        height = 1.1 * radius * (np.sqrt(np.clip(1.0 - d2, 0.0, None)) + 0.16 * leaves * (d2 < 1.0))
        bush = (height > 0.25) & (d2 < 1.0)
        surface[rows, cols] += np.where(bush, height, 0.0)
        material[rows, cols][bush] = INDEX["bush"]
        tone = np.exp(0.25 * leaves[bush] + rng.normal(0.0, 0.2))
        colour[rows, cols][bush] = np.array(MATERIALS["bush"].colour) * tone[:, None]


def _flatten(grid: Grid, ground: Raster, places: tuple[tuple[str, float, float], ...]) -> None:
    """Rake the ground under the targets level enough for them to lie flat, in place."""
    for _, x, y in places:
        rows, cols = grid.window(x, y, 1.2)
        dx, dy = np.broadcast_arrays(grid.x[:, cols] - x, grid.y[rows] - y)
        design = np.column_stack((np.ones(dx.size), dx.ravel(), dy.ravel()))
        plane = design @ np.linalg.lstsq(design, ground[rows, cols].ravel(), rcond=None)[0]
        weight = np.clip((1.1 - np.hypot(dx, dy)) / 0.4, 0.0, 1.0)
        ground[rows, cols] += weight * (plane.reshape(dx.shape) - ground[rows, cols])


def _tip_piles(
    piles: tuple[Pile, ...],
    grid: Grid,
    surface: Raster,
    material: NDArray[np.uint8],
    colour: Raster,
    seed: int,
) -> tuple[Stockpile, ...]:
    """Add the piles that lie on the grid to the surface, in place."""
    ground = surface.copy()
    found, outlines = [], []
    for pile in piles:
        rows, cols = pile.window(grid)
        full = 2 * pile.reach_m / grid.cell_m - 2
        if min(rows.stop - rows.start, cols.stop - cols.start) < full:
            continue
        rng = np.random.default_rng([seed, 31, crc32(pile.name.encode())])
        height, window = pile_height(pile, grid, rng)
        top = ground[window] + height
        higher = (top > surface[window]) & (height > 0.0)
        surface[window][higher] = top[higher]
        material[window][higher] = INDEX[pile.material]
        part = Grid(0.0, 0.0, grid.cell_m, *height.shape)
        mottled = np.exp(0.16 * fractal_noise(part, 5.0, 0.3, rng, 0.65))
        base = np.array(MATERIALS[pile.material].colour, dtype=np.float32)
        _spill(base, higher, part, colour[window], rng)
        colour[window][higher] = base * mottled[higher][:, None]
        found.append((pile, height, window))
        outlines.append(toe_polygon(pile, height, grid, window))
    return _separate(found, outlines)


def _spill(
    tint: Raster,
    pile: NDArray[np.bool_],
    part: Grid,
    colour: Raster,
    rng: np.random.Generator,
) -> None:
    """Scatter a pile's material on the floor around it, in place: colour only."""
    away = cv2.distanceTransform((~pile).astype(np.uint8), cv2.DIST_L2, 3) * np.float32(part.cell_m)
    crumbs = fractal_noise(part, 0.7, 0.1, rng, 0.85)
    share = 0.375 - 0.375 * np.tanh(2.5 * (away - 0.35) - 0.6 * crumbs)
    colour += share[..., None] * (tint - colour)


def _separate(
    found: list[tuple[Pile, Raster, tuple[slice, slice]]], outlines: list[shapely.Polygon]
) -> tuple[Stockpile, ...]:
    """Part the outlines of piles that touch along the straight line between their crossings."""
    parted = list(outlines)
    for i in range(len(outlines)):
        for j in range(i):
            if not parted[i].intersects(parted[j]):
                continue
            crossing = parted[i].exterior.intersection(parted[j].exterior)
            west, south, east, north = crossing.bounds
            ends = np.array(
                [[point.x, point.y] for point in shapely.points(shapely.get_coordinates(crossing))]
            )
            order = np.argsort(ends @ np.array([east - west, north - south]))
            line = ends[order[[0, -1]]]
            parted[i] = _cut(parted[i], line)
            parted[j] = _cut(parted[j], line)
    return tuple(
        Stockpile(pile.name, pile.material, toe, pile.wall)
        for (pile, _, _), toe in zip(found, parted, strict=True)
    )


def _cut(polygon: shapely.Polygon, line: Array) -> shapely.Polygon:
    """The larger part of a polygon on one side of a line."""
    along = line[1] - line[0]
    knife = shapely.LineString([line[0] - 10.0 * along, line[1] + 10.0 * along])
    parts = shapely.ops.split(polygon, knife).geoms
    return max(parts, key=lambda part: part.area)


def _build_walls(
    piles: tuple[Pile, ...],
    grid: Grid,
    ground: Raster,
    surface: Raster,
    material: NDArray[np.uint8],
    colour: Raster,
) -> None:
    """Raise the concrete walls, in place."""
    for pile in piles:
        if pile.wall is None:
            continue
        polygon = pile.wall.polygon()
        middle = polygon.centroid
        rows, cols = grid.window(middle.x, middle.y, polygon.length / 2.0)
        x, y = np.broadcast_arrays(grid.x[:, cols], grid.y[rows])
        inside = shapely.contains_xy(polygon, x, y)
        if not inside.any():
            continue
        top = float(np.median(ground[rows, cols][inside])) + pile.wall.height_m
        surface[rows, cols][inside] = top
        # Down to the foot, a cell outside: else half of the face would have the ground's colours.
        seen = shapely.contains_xy(polygon.buffer(1.5 * grid.cell_m), x, y)
        material[rows, cols][seen] = INDEX["concrete"]
        colour[rows, cols][seen] = MATERIALS["concrete"].colour


def _lay_targets(
    grid: Grid,
    surface: Raster,
    material: NDArray[np.uint8],
    places: tuple[tuple[str, float, float], ...],
    seed: int,
) -> tuple[Target, ...]:
    rng = np.random.default_rng([seed, 41])
    targets = []
    for name, x, y in places:
        angle = float(rng.uniform(0.0, np.pi / 2.0))
        z = float(grid.sample(surface, np.array([[x, y]]))[0])
        rows, cols = grid.window(x, y, TARGET_SIZE_M)
        material[rows, cols] = INDEX["target"]
        targets.append(Target(name, np.array([x, y, z]), angle))
    return tuple(targets)
