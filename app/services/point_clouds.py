"""Point clouds of LAS and LAZ files as surfaces: the mean elevation in each cell of a grid.

The points themselves become a Cloud Optimized Point Cloud.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from app.errors import InvalidInput

if TYPE_CHECKING:
    from reconstruction.rasters import Grid
    from reconstruction.stage import Run

Progress = Callable[[float, str], None]
_CHUNK_POINTS = 2_000_000
# Classes of LAS 1.4 that are no surface: low noise and high noise.
_NOISE = (7, 18)
# By chance 0.2 % of the cells of such a mean are empty; those stay holes.
_POINTS_A_CELL = 6.0
_CELL_SIZES_M = (0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0)
_PROBE_M = 1.0
# Some 20 bytes a cell are needed: 2.6 GB.
_MOST_CELLS = 130_000_000
# And some 30 for the colours.
_MOST_COLOURED_CELLS = 33_000_000
_FARTHEST_M = 10_000.0
_GREY = 160


@dataclass(frozen=True)
class PointCloud:
    """A point cloud on disk, read in parts.

    Parameters
    ----------
    path : Path
    crs : pyproj.CRS
    bounds_m : tuple of float
        West, south, east, north, as the header says.
    level_m : float
        An elevation amid the points.
    count : int
    """

    path: Path
    crs: pyproj.CRS
    bounds_m: tuple[float, float, float, float]
    level_m: float
    count: int

    @classmethod
    def opened(cls, path: Path, stated_crs: str | None) -> PointCloud:
        """Read the header.

        Raises
        ------
        InvalidInput
            When it cannot be read, has no points, spans more than a quarry or names no CRS.
        """
        import laspy

        with _readable(path), laspy.open(path) as file:
            header = file.header
            crs = header.parse_crs()
        (west, south), (east, north) = header.mins[:2], header.maxs[:2]
        if not header.point_count:
            raise InvalidInput(f"{path.name} has no points.", "Export it again.")
        if not max(east - west, north - south) <= _FARTHEST_M:
            raise InvalidInput(
                f"{path.name} spans {east - west:,.0f} m by {north - south:,.0f} m.",
                "Cut it to the site: single points far away make it that large.",
            )
        if crs is None and stated_crs is None:
            raise InvalidInput(
                f"{path.name} names no CRS, so its unit is unknown.", "State its EPSG code.", "epsg"
            )
        found = pyproj.CRS.from_user_input(crs if crs is not None else stated_crs)
        level_m = 0.5 * (header.mins[2] + header.maxs[2])
        return cls(path, found, (west, south, east, north), level_m, header.point_count)

    def grid(self, epsg: int, progress: Progress) -> Grid:
        """A grid whose cells hold some points each, by the median density where there are any."""
        from reconstruction.rasters import Grid

        probe = Grid.covering(epsg, self.bounds_m, _PROBE_M)
        counts = np.zeros(probe.rows * probe.cols, dtype=np.int64)
        for cells, _, done in self._parts(probe, _elevation):
            counts += np.bincount(cells, minlength=len(counts))
            progress(0.5 * done, f"{done:.0%} of the points are counted")
        if not counts.any():
            raise InvalidInput(f"{self.path.name} has nothing but noise.", "Classify it again.")
        density_m2 = float(np.median(counts[counts > 0])) / _PROBE_M**2
        area_m2 = probe.rows * probe.cols * _PROBE_M**2
        least_m = max(math.sqrt(_POINTS_A_CELL / density_m2), math.sqrt(area_m2 / _MOST_CELLS))
        fitting = [size_m for size_m in _CELL_SIZES_M if size_m >= least_m]
        return Grid.covering(epsg, self.bounds_m, fitting[0] if fitting else math.ceil(least_m))

    def laid_on(self, grid: Grid, progress: Progress) -> CellSums:
        """Sums of the points in each cell."""
        shape = (grid.rows, grid.cols)
        sums = CellSums(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int32), self.level_m)
        for cells, elevation_m, done in self._parts(grid, _elevation):
            sums.add(cells, elevation_m)
            progress(0.5 + 0.5 * done, f"{done:.0%} of the points are laid onto the grid")
        return sums

    def draw(self, grid: Grid, target: Path, progress: Progress) -> bool:
        """Write the mean colour of the points in each cell as an orthomosaic.

        Cells are twice as large where a picture of the given ones would not fit into memory.

        Returns
        -------
        bool
            Whether the points have colours; without any nothing is written.
        """
        from reconstruction.rasters import Grid, rgba_cog

        while grid.rows * grid.cols > _MOST_COLOURED_CELLS:
            grid = Grid.covering(grid.epsg, grid.bounds, 2.0 * grid.cell_size_m)
        size = grid.rows * grid.cols
        sums, counts = np.zeros((3, size), np.float32), np.zeros(size, np.int64)
        for cells, colours, done in self._parts(grid, _colours):
            if colours is None:
                return False
            counts += np.bincount(cells, minlength=size)
            for band in range(3):
                sums[band] += np.bincount(cells, weights=colours[:, band], minlength=size)
            progress(done, f"{done:.0%} of the colours are laid onto the grid")
        sums /= np.maximum(counts, 1)
        # By the standard colours have 16 bits; many programs write 8 of them.
        brightest = float(sums.max())
        if brightest == 0.0:
            return False
        pixels = sums / (256.0 if brightest > 255.0 else 1.0)
        picture = np.vstack([pixels, np.where(counts, 255, 0)]).astype(np.uint8)
        with rgba_cog(target, grid) as raster:
            raster.write(0, 0, picture.reshape(4, grid.rows, grid.cols))
        return True

    def write_copc(self, grid: Grid, picture: Path, target: Path, run: Run) -> None:
        """Write the points that are surface as a Cloud Optimized Point Cloud.

        Parameters
        ----------
        grid : Grid
            Around all points that are wanted.
        picture : Path
            Of the ground, which gives them its colours.
        target : Path
        run : Run
        """
        from reconstruction.bucket_cloud import write_points

        colour_of = _colours_of(picture)
        reading = run.part(0.0, 0.4)

        def points() -> Iterator[tuple[NDArray[np.float64], NDArray[np.uint8]]]:
            for _, place_m, done in self._parts(grid, _places):
                yield place_m, colour_of(place_m)
                reading.progress(done, f"{done:.0%} of the points are sorted")

        # What was left by a run that died must not be taken for points of this one.
        with tempfile.TemporaryDirectory(prefix="points-", dir=target.parent) as folder:
            path = Path(folder) / target.name
            write_points(points(), grid.bounds, self.count, grid.epsg, path, run.part(0.4, 1.0))
            path.replace(target)

    def _parts(self, grid: Grid, wanted: Callable[[Any], Any]) -> Iterator[tuple[Any, Any, float]]:
        """Cells of the points that are surface, what is wanted of these, the share read so far."""
        import laspy

        read = 0
        with laspy.open(self.path) as file:
            chunks = file.chunk_iterator(_CHUNK_POINTS)
            while True:
                with _readable(self.path):
                    points = next(chunks, None)
                if points is None:
                    return
                x, y = np.asarray(points.x), np.asarray(points.y)
                col = np.floor((x - grid.west) / grid.cell_size_m).astype(np.intp)
                row = np.floor((grid.north - y) / grid.cell_size_m).astype(np.intp)
                is_inside = (col >= 0) & (col < grid.cols) & (row >= 0) & (row < grid.rows)
                chosen = is_inside & ~np.isin(np.asarray(points.classification), _NOISE)
                read += len(x)
                values = wanted(points)
                found = None if values is None else values[chosen]
                yield row[chosen] * grid.cols + col[chosen], found, read / self.count


@dataclass(frozen=True)
class CellSums:
    """What the points in each cell of a grid add up to, all of shape (rows, cols).

    Parameters
    ----------
    sums, squares : ndarray
        Of the elevations above ``level_m`` and of their squares.
    counts : ndarray of int
    level_m : float
        Near all points, so that squares stay exact.
    """

    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    counts: NDArray[np.int32]
    level_m: float

    def add(self, cells: NDArray[np.intp], elevation_m: NDArray[np.float64]) -> None:
        """Add points; ``cells`` count along the rows."""
        height_m = elevation_m - self.level_m
        np.add.at(self.sums.ravel(), cells, height_m)
        np.add.at(self.squares.ravel(), cells, height_m**2)
        np.add.at(self.counts.ravel(), cells, 1)

    def layers(self, row: int, col: int, rows: int, cols: int) -> NDArray[np.float32]:
        """Mean elevation, number and spread (1 sigma) of the points in some of the cells.

        Returns
        -------
        ndarray, shape (3, rows, cols)
            NaN where there are no points, the spread also where there is one.
        """
        part = (slice(row, row + rows), slice(col, col + cols))
        sums, count = self.sums[part], self.counts[part]
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = sums / count
            variance = (self.squares[part] - sums * mean) / (count - 1)
            spread = np.sqrt(np.where(count > 1, np.maximum(variance, 0.0), np.nan))
        counted = np.where(count > 0, count, np.nan)
        return np.stack([mean + self.level_m, counted, spread]).astype(np.float32)


def _colours_of(picture: Path) -> Callable[[NDArray[np.float64]], NDArray[np.uint8]]:
    """Tells red, green and blue of a picture at places (n, 3); grey where it shows nothing."""
    from reconstruction.rasters import RasterReader

    with RasterReader(picture) as raster:
        factor = 1
        while raster.grid.rows * raster.grid.cols > factor**2 * _MOST_COLOURED_CELLS:
            factor *= 2
        grid, bands = raster.read_overview(factor)

    def colours(place_m: NDArray[np.float64]) -> NDArray[np.uint8]:
        col = ((place_m[:, 0] - grid.west) / grid.cell_size_m).astype(np.intp)
        row = ((grid.north - place_m[:, 1]) / grid.cell_size_m).astype(np.intp)
        found = bands[:, row.clip(0, grid.rows - 1), col.clip(0, grid.cols - 1)]
        is_inside = (col >= 0) & (col < grid.cols) & (row >= 0) & (row < grid.rows)
        seen = is_inside & (found[3] > 0)
        return np.where(seen[:, None], found[:3].T, _GREY).astype(np.uint8)

    return colours


def _places(points: Any) -> NDArray[np.float64]:
    return np.column_stack([points.x, points.y, points.z])


def _elevation(points: Any) -> NDArray[np.float64]:
    return np.asarray(points.z)


def _colours(points: Any) -> NDArray[np.uint16] | None:
    """Red, green and blue of each point, where there are any."""
    if "red" not in points.point_format.dimension_names:
        return None
    return np.column_stack([points.red, points.green, points.blue])


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    import laspy
    import lazrs

    damage = (laspy.LaspyException, lazrs.LazrsError, ValueError, OSError)
    try:
        yield
    except (*damage, pyproj.exceptions.CRSError) as error:
        reason = f"{path.name} cannot be read: {error}."
        raise InvalidInput(reason, "Copy or export it again.") from error
