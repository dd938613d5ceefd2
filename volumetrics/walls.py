"""Walls: which edges of a toe run along one, so that there is no ground to see beside them.

The line between a pile and a wall is hard to draw on a picture from above: rough lines run beside
the wall or upon it, and none of them says so.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import shapely
from scipy import ndimage

from volumetrics.grid import Grid
from volumetrics.terrain import Mask, disk, narrow, patches
from volumetrics.toe import Toe

_REACH_CELLS = 2.5
# Walls are wide enough to be seen in cells of this size, and smaller ones take far longer.
_CELL_M = 0.2
# A line that runs within twice this distance of a wall is meant to run along it.
_GAP_M = 0.8
_EDGE_M = 0.4


def beside_walls(grid: Grid, toe: Toe) -> Toe:
    """A rough toe brought to the walls that it comes near to, with its edges there marked.

    Parameters
    ----------
    grid : Grid
        The surface around the polygon.
    toe : Toe

    Returns
    -------
    Toe
        The same where somebody marked walls before, or where none is near.
    """
    if toe.walls is not None or toe.polygon.geom_type != "Polygon":
        return toe
    every = max(1, math.floor(_CELL_M / grid.cell_size_m))
    few = Grid(
        grid.elevation_m[::every, ::every], grid.west_m, grid.north_m, every * grid.cell_size_m
    )
    if min(few.elevation_m.shape) < 2 or not np.isfinite(few.elevation_m).any():
        return toe
    is_wall = narrow(few)
    walls = shapely.union_all(patches(few, is_wall))
    drawn = toe.polygon
    if walls.is_empty or drawn.exterior.distance(walls) > 2.0 * _GAP_M:
        return toe
    # What lies between the line and the wall is filled, what lies on the wall is cut off.
    closed = shapely.union(drawn, walls).buffer(_GAP_M).buffer(-_GAP_M)
    free = closed.difference(walls).intersection(drawn.buffer(2.0 * _GAP_M))
    pile = max(shapely.get_parts(free), key=lambda part: part.intersection(drawn).area)
    # Without the stairs of the cells.
    outline = shapely.segmentize(pile.exterior.simplify(few.cell_size_m), _EDGE_M)
    polygon = shapely.Polygon(outline, drawn.interiors)
    found = walls_along(few, is_wall, polygon)
    return replace(toe, polygon=polygon, walls=found) if found and polygon.is_valid else toe


def walls_along(grid: Grid, is_wall: Mask, polygon: shapely.Geometry) -> shapely.Geometry | None:
    """Edges of the ring that run along a wall.

    Parameters
    ----------
    grid : Grid
    is_wall : ndarray of bool, shape (rows, cols)
    polygon : Polygon

    Returns
    -------
    MultiLineString, optional
        None without any.
    """
    ring = np.array(shapely.orient_polygons(polygon).exterior.coords)
    edge = np.diff(ring, axis=0)
    length_m = np.maximum(np.hypot(*edge.T), 1e-9)
    normal = np.column_stack((edge[:, 1], -edge[:, 0])) / length_m[:, None]
    near_wall = ndimage.binary_dilation(is_wall, disk(_REACH_CELLS))
    middle = 0.5 * (ring[1:] + ring[:-1])
    on_wall = np.zeros(len(edge), bool)
    for reach_m in (0.0, _REACH_CELLS * grid.cell_size_m):
        share = grid.stencil(middle + reach_m * normal).sample(near_wall.astype(np.float64))
        on_wall |= np.nan_to_num(share) > 0.5
    if not on_wall.any():
        return None
    lines = [shapely.LineString(ring[k : k + 2]) for k in np.flatnonzero(on_wall)]
    return shapely.MultiLineString(lines)
