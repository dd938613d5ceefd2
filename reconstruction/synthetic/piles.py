"""Stockpiles: their shapes, where they lie and how they change from week to week."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from reconstruction.synthetic.grid import Grid, Raster, fractal_noise

# What a careful user leaves between the toe and the line he draws, metres.
_TOE_MARGIN_M = 0.35
_WALL_MARGIN_M = 0.10
_LOWEST_M = 0.015


@dataclass(frozen=True)
class Wall:
    """A concrete wall from one place to another.

    Parameters
    ----------
    start, end : tuple of float
        Local x, y of its ends, on the face that the pile leans on.
    thickness_m, height_m : float
        The thickness is away from the pile, to the left of start → end.
    """

    start: tuple[float, float]
    end: tuple[float, float]
    thickness_m: float = 0.45
    height_m: float = 3.0

    def polygon(self, front_m: float = 0.0) -> shapely.Polygon:
        """Its outline, its front moved forward by ``front_m``."""
        start, end = np.array(self.start), np.array(self.end)
        along = (end - start) / np.linalg.norm(end - start)
        left = np.array([-along[1], along[0]])
        front, back = -left * front_m, left * self.thickness_m
        return shapely.Polygon([start + front, end + front, end + back, start + back])


@dataclass(frozen=True)
class Pile:
    """One stockpile: material tipped along a crest line, at its angle of repose.

    Parameters
    ----------
    name, material : str
        The material is one of `materials.MATERIALS`.
    crest : tuple of (x, y)
        One point gives a cone, two a windrow, more a curved one; local metres.
    height_m : float
        Of the crest above the ground.
    slope : float
        Tangent of the angle of repose.
    plateau_m : float
        Half width of a flat top.
    wall : Wall or None
        A wall that it leans on.
    """

    name: str
    material: str
    crest: tuple[tuple[float, float], ...]
    height_m: float
    slope: float = 0.70
    plateau_m: float = 0.0
    wall: Wall | None = None

    @property
    def reach_m(self) -> float:
        """Greatest distance of the toe from the middle of the crest."""
        crest = np.array(self.crest)
        length = float(np.linalg.norm(crest - crest.mean(axis=0), axis=1).max())
        return length + self.plateau_m + 1.35 * self.height_m / self.slope + 2.0

    def window(self, grid: Grid) -> tuple[slice, slice]:
        """Rows and columns of the grid that it may cover."""
        x, y = np.array(self.crest).mean(axis=0)
        return grid.window(x, y, self.reach_m)


def smooth_height(pile: Pile, x: Raster, y: Raster) -> Raster:
    """Height above the ground of the pile's ideal form, negative outside its toe.

    Parameters
    ----------
    pile : Pile
    x, y : ndarray
        Local coordinates; their shapes broadcast.
    """
    crest = np.array(pile.crest, dtype=np.float32)
    starts, ends = (crest, crest) if len(crest) == 1 else (crest[:-1], crest[1:])
    distance = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf, dtype=np.float32)
    for (x0, y0), (along_x, along_y) in zip(starts, ends - starts, strict=True):
        length2 = max(float(along_x**2 + along_y**2), 1e-9)
        t = np.clip(((x - x0) * along_x + (y - y0) * along_y) / np.float32(length2), 0.0, 1.0)
        distance = np.minimum(distance, np.hypot(x - x0 - t * along_x, y - y0 - t * along_y))
    return np.asarray(
        pile.height_m - pile.slope * np.maximum(distance - pile.plateau_m, 0.0), dtype=np.float32
    )


def pile_height(
    pile: Pile, grid: Grid, rng: np.random.Generator
) -> tuple[Raster, tuple[slice, slice]]:
    """Height of a pile above the ground, and the window of the grid that it fills.

    Rounded at the crest and the toe, lumpy as tipped loads are.
    """
    rows, cols = pile.window(grid)
    part = Grid(
        float(grid.x[0, cols.start]),
        float(grid.y[rows.start, 0]),
        grid.cell_m,
        rows.stop - rows.start,
        cols.stop - cols.start,
    )
    ideal = smooth_height(pile, part.x, part.y)
    lumps = fractal_noise(part, 6.0, 1.0, rng, 0.55) * 0.13
    rough = fractal_noise(part, 0.8, 0.1, rng, 0.6) * 0.014
    ragged = fractal_noise(part, 1.0, 0.2, rng, 0.7) * 0.05 * np.clip(1.0 - ideal, 0.0, 1.0)
    wide = ideal + ragged + lumps * np.minimum(1.0, pile.height_m / 4.0)
    # A smooth minimum rounds the crest, a smooth maximum with zero the toe.
    top = pile.height_m - 0.05
    rounded = _smooth_minimum(wide, np.float32(top), 0.8 if not pile.plateau_m else 0.3)
    height = -_smooth_minimum(-rounded, np.float32(0.0), 0.12)
    height = height + rough * np.clip(height / 0.3, 0.0, 1.0)
    height[height < _LOWEST_M] = 0.0
    if pile.wall is not None:
        height[_behind(pile.wall, part)] = 0.0
    return height.astype(np.float32), (rows, cols)


def toe_polygon(
    pile: Pile, height: Raster, grid: Grid, window: tuple[slice, slice]
) -> shapely.Polygon:
    """The line that a careful user draws around a pile: a little outside the true toe."""
    mask = (height > 2.0 * _LOWEST_M).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)[:, 0, :].astype(np.float64)
    contour += (window[1].start, window[0].start)
    corners = contour * grid.cell_m + (grid.west_m, grid.south_m)
    toe = shapely.Polygon(corners).buffer(_TOE_MARGIN_M).simplify(0.08)
    if pile.wall is not None:
        toe = toe.difference(_half_plane(pile.wall))
    if isinstance(toe, shapely.MultiPolygon):
        toe = max(toe.geoms, key=lambda part: part.area)
    return shapely.Polygon(toe.exterior)


def wall_edges(toe: shapely.Polygon, wall: Wall) -> list[list[int]]:
    """The edges of an outline that run mostly along a wall, as pairs of vertex indices.

    A pile that is longer than its wall reaches over its ends.

    Parameters
    ----------
    toe : Polygon
        As `toe_polygon` drew it.
    wall : Wall
    """
    front = shapely.LineString([wall.start, wall.end]).buffer(2.0 * _WALL_MARGIN_M)
    corners = shapely.get_coordinates(toe.exterior)[:-1]
    edges = shapely.linestrings(np.stack((corners, np.roll(corners, -1, axis=0)), axis=1))
    along_wall = shapely.length(shapely.intersection(edges, front)) > 0.5 * shapely.length(edges)
    return [[int(i), (int(i) + 1) % len(corners)] for i in np.flatnonzero(along_wall)]


def _smooth_minimum(a: Raster, b: Raster | np.float32, width: float) -> Raster:
    """Minimum of two surfaces with a rounded edge, exact beyond ``width`` of the edge."""
    h = np.clip(0.5 + 0.5 * (b - a) / width, 0.0, 1.0)
    return np.asarray(b + (a - b) * h - width * h * (1.0 - h), dtype=np.float32)


def _behind(wall: Wall, grid: Grid) -> NDArray[np.bool_]:
    start, end = np.array(wall.start), np.array(wall.end)
    along = end - start
    side = along[0] * (grid.y - start[1]) - along[1] * (grid.x - start[0])
    return np.asarray(side >= 0.0)


def _half_plane(wall: Wall) -> shapely.Polygon:
    """Everything behind a wall's front, a little before it as well."""
    start, end = np.array(wall.start), np.array(wall.end)
    along = (end - start) / np.linalg.norm(end - start)
    left = np.array([-along[1], along[0]])
    near = -left * _WALL_MARGIN_M
    a, b = start - 50.0 * along, end + 50.0 * along
    return shapely.Polygon([a + near, b + near, b + 50.0 * left, a + 50.0 * left])


def stock(seed: int, week: int, yard: tuple[float, float, float, float]) -> tuple[Pile, ...]:
    """The piles of a week.

    Parameters
    ----------
    seed : int
        Varies sizes and places a little.
    week : int
        0 or 1; between them piles grow and shrink, one goes and one comes.
    yard : tuple of float
        West, south, east, north of the ground that is for piles; a yard larger than the usual
        one has more of them.
    """
    rng = np.random.default_rng([seed, 11])
    piles = []
    for pile, factors in _USUAL:
        growth, shift = rng.uniform(0.94, 1.06), rng.uniform(-0.8, 0.8, 2)
        if factors[week] > 0.0:
            piles.append(_varied(pile, growth * factors[week], shift))
    return (*piles, *_further_piles(yard, rng))


def _varied(pile: Pile, factor: float, shift: NDArray[np.float64]) -> Pile:
    move = np.zeros(2) if pile.wall is not None else shift
    crest = tuple((float(x + move[0]), float(y + move[1])) for x, y in pile.crest)
    return Pile(
        pile.name,
        pile.material,
        crest,
        pile.height_m * factor,
        pile.slope,
        pile.plateau_m * factor,
        pile.wall,
    )


def _further_piles(yard: tuple[float, float, float, float], rng: np.random.Generator) -> list[Pile]:
    """Cones on a loose lattice outside the usual yard."""
    west, south, east, north = yard
    piles: list[Pile] = []
    for x in np.arange(west + 14.0, east - 12.0, 28.0):
        for y in np.arange(south + 14.0, north - 12.0, 28.0):
            at = np.array([x, y]) + rng.uniform(-4.0, 4.0, 2)
            height, kind = rng.uniform(3.2, 5.0), int(rng.integers(4))
            if abs(at[0]) < 68.0 and abs(at[1]) < 52.0:
                continue
            material = ("gravel", "limestone", "sand", "soil")[kind]
            name = f"Reserve {len(piles) + 1} {material}"
            piles.append(Pile(name, material, ((float(at[0]), float(at[1])),), height))
    return piles


def _arc(
    x: float, y: float, radius: float, start: float, end: float
) -> tuple[tuple[float, float], ...]:
    angles = np.deg2rad(np.linspace(start, end, 13))
    return tuple((float(x + radius * np.cos(a)), float(y + radius * np.sin(a))) for a in angles)


# Each pile with the factor of its size in week 0 and week 1.
_USUAL: tuple[tuple[Pile, tuple[float, float]], ...] = (
    (Pile("Gravel 16-32", "gravel", ((-34.0, 14.0),), 5.2, 0.73), (1.0, 0.86)),
    (Pile("Sand 0-4", "sand", ((-12.0, 24.0), (13.0, 27.0)), 4.0, 0.66), (1.0, 1.08)),
    (Pile("Topsoil", "soil", _arc(38.0, 24.0, 9.5, 190.0, 345.0), 3.6, 0.68), (1.0, 1.0)),
    (Pile("Limestone 0-32", "limestone", ((-30.0, -8.0),), 4.7, 0.74), (1.0, 1.12)),
    (Pile("Limestone 32-63", "limestone", ((-19.2, -11.0),), 5.0, 0.78), (1.0, 0.9)),
    (
        Pile(
            "Crushed concrete",
            "rubble",
            ((14.0, -3.4), (27.0, -3.4)),
            2.7,
            0.62,
            1.6,
            Wall((8.0, -1.0), (33.0, -1.0)),
        ),
        (1.0, 0.92),
    ),
    (Pile("Asphalt millings", "asphalt", ((-6.0, -27.5), (8.0, -29.5)), 1.5, 0.6, 5.2), (1.0, 1.1)),
    (Pile("Fill sand", "sand", ((-44.0, -29.0),), 3.9, 0.66), (1.0, 0.0)),
    (Pile("Gravel 4-8", "gravel", ((40.0, -24.0),), 4.0, 0.70), (0.0, 1.0)),
)
