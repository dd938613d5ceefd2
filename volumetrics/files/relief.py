"""The relief of a measured pile: surface, base and what lies between, cell by cell."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import contourpy
import numpy as np
import shapely

from volumetrics.base_surface import BaseMethod, BaseSurface
from volumetrics.cutter import Cutter
from volumetrics.errors import InputError
from volumetrics.footprint import Footprint
from volumetrics.grid import Array, Grid
from volumetrics.toe import Toe
from volumetrics.volume import Volume

# About so many contours are drawn on a pile.
_CONTOURS = 10
_STEPS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
# Shorter pieces are noise at the toe.
_SHORT_CELLS = 4.0
# Vertices may be left out while the line stays this near.
_SIMPLE_CELLS = 0.5


@dataclass(frozen=True)
class Drawing:
    """The lines of a measured pile in map coordinates.

    Parameters
    ----------
    volume : Volume
    toe : Polygon or MultiPolygon
        With the elevation of the ground at every vertex.
    contours : tuple of LineString
        Each at one elevation.
    """

    volume: Volume
    toe: shapely.Geometry
    contours: tuple[shapely.LineString, ...]


@dataclass(frozen=True)
class Relief:
    """A measured pile on its cells.

    Parameters
    ----------
    volume : Volume
    toe : Toe
    pile : Footprint
    base : BaseSurface
        On the cells of the footprint, the one that the volume was measured from.
    """

    volume: Volume
    toe: Toe
    pile: Footprint
    base: BaseSurface

    @property
    def grid(self) -> Grid:
        """The pile's surface with some ground around it; holes under the toe are bridged."""
        return self.pile.grid.with_elevation(self.pile.elevation_m)

    @property
    def height_m(self) -> Array:
        """Height above base in metres, shape (rows, cols); NaN outside the toe."""
        inside = self.pile.cell_areas_m2 > 0.0
        return np.where(inside, self.pile.elevation_m - self.base.elevation_m, np.nan)

    @property
    def contour_interval_m(self) -> float:
        """A round interval that gives about ten contours."""
        inside = self.pile.cell_areas_m2 > 0.0
        span_m = float(np.ptp(self.pile.elevation_m[inside]))
        return next((step for step in _STEPS if step * _CONTOURS >= span_m), _STEPS[-1])

    def drawing(self) -> Drawing:
        """The toe and the lines of equal elevation within it."""
        return Drawing(self.volume, self._toe_in_space(), tuple(self._contours()))

    def _toe_in_space(self) -> shapely.Geometry:
        grid = self.grid
        place = shapely.get_coordinates(self.toe.polygon)
        stencil = grid.stencil(place)
        seen, base = stencil.sample(grid.elevation_m), stencil.sample(self.base.elevation_m)
        elevation_m = np.where(np.isnan(seen), base, seen)
        flat = shapely.force_3d(self.toe.polygon)
        return shapely.set_coordinates(flat, np.column_stack((place, elevation_m)))

    def _contours(self) -> Iterator[shapely.LineString]:
        grid = self.grid
        inside = grid.elevation_m[self.pile.cell_areas_m2 > 0.0]
        first = math.ceil(float(inside.min()) / self.contour_interval_m)
        last = math.floor(float(inside.max()) / self.contour_interval_m)
        everywhere = contourpy.contour_generator(
            grid.x_m(), grid.y_m(), np.ma.masked_invalid(grid.elevation_m)
        )
        for number in range(first, last + 1):
            level_m = round(number * self.contour_interval_m, 6)
            lines = [shapely.LineString(line) for line in everywhere.lines(level_m)]
            within = shapely.intersection(shapely.MultiLineString(lines), self.toe.polygon)
            for line in shapely.get_parts(shapely.line_merge(within)):
                if line.length > _SHORT_CELLS * grid.cell_size_m:
                    simple = shapely.simplify(line, _SIMPLE_CELLS * grid.cell_size_m)
                    yield shapely.force_3d(simple, z=level_m)


def reliefs(
    cut: Cutter, toes: Iterable[Toe], method: BaseMethod, volumes: Iterable[Volume]
) -> Iterator[Relief]:
    """The reliefs of measured piles, with the same surface and base as their volumes.

    Parameters
    ----------
    cut : Cutter
        With the settings that the volumes were measured with.
    toes : iterable of Toe
    method : BaseMethod
    volumes : iterable of Volume

    Yields
    ------
    Relief
        One at a time: each holds all cells of its pile.

    Raises
    ------
    InputError
        When a volume has no toe.
    """
    by_name = {toe.name: toe for toe in toes}
    for volume in volumes:
        if volume.pile not in by_name:
            raise InputError(f"{volume.pile} has no toe.", "Give the toes that were measured.")
        toe = by_name[volume.pile]
        pile = cut.cut(toe)
        yield Relief(volume, toe, pile, method.fit(pile.grid, pile.samples, cut.noise))
