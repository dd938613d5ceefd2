"""Rasters of a survey: north-up grids, written window by window, kept as Cloud Optimized GeoTIFF.

Windows are written into a plain tiled GeoTIFF beside the product, which then becomes a valid
Cloud Optimized GeoTIFF with overviews in one pass. So a raster never has to fit into memory, and
a product exists only when it is complete.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.windows import Window

from reconstruction.errors import InputError

# Outside the range of elevations on Earth, exact in float32, and known to every program.
NODATA = -9999.0
BLOCK_PX = 512

_FLOAT_COG = {"COMPRESS": "DEFLATE", "LEVEL": "3", "PREDICTOR": "YES"}
_RGBA_COG = {"COMPRESS": "WEBP", "QUALITY": "85"}


@dataclass(frozen=True)
class Grid:
    """A north-up grid of square cells.

    Parameters
    ----------
    epsg : int
        Projected CRS in metres.
    west, north : float
        Upper left corner of the upper left cell.
    cell_size_m : float
    rows, cols : int
    """

    epsg: int
    west: float
    north: float
    cell_size_m: float
    rows: int
    cols: int

    @classmethod
    def covering(
        cls, epsg: int, bounds: tuple[float, float, float, float], cell_size_m: float
    ) -> Grid:
        """The smallest grid around ``bounds`` (west, south, east, north).

        Its cell edges lie on multiples of the cell size, so that rasters of two dates with the
        same cell size can be subtracted without resampling.

        Examples
        --------
        >>> Grid.covering(32632, (10.02, 20.0, 10.18, 20.31), 0.1).bounds
        (10.0, 20.0, 10.2, 20.4)
        """
        west, south, east, north = bounds
        if not (cell_size_m > 0.0 and west < east and south < north):
            raise InputError(
                f"No raster fits bounds {bounds} with cells of {cell_size_m} m.",
                "Check the cell size and the extent of the survey.",
            )
        first_col, last_col = _cells(west, east, cell_size_m)
        first_row, last_row = _cells(south, north, cell_size_m)
        return cls(
            epsg,
            first_col * cell_size_m,
            last_row * cell_size_m,
            cell_size_m,
            last_row - first_row,
            last_col - first_col,
        )

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the outer cell edges."""
        south = self.north - self.rows * self.cell_size_m
        return self.west, south, self.west + self.cols * self.cell_size_m, self.north

    @property
    def transform(self) -> rasterio.Affine:
        """From col, row of cell corners to easting, northing."""
        return rasterio.Affine(self.cell_size_m, 0, self.west, 0, -self.cell_size_m, self.north)

    def tiles(self, tile_px: int) -> Iterator[tuple[int, int, int, int]]:
        """``row, col, rows, cols`` of tiles that cover the grid, back and forth over the rows.

        Neighbours in the sequence are neighbours on the ground, which keeps what was read for
        one tile useful for the next.
        """
        for index, row in enumerate(range(0, self.rows, tile_px)):
            cols = range(0, self.cols, tile_px)
            for col in reversed(cols) if index % 2 else cols:
                yield row, col, min(tile_px, self.rows - row), min(tile_px, self.cols - col)


def _cells(low: float, high: float, cell_size_m: float) -> tuple[int, int]:
    """First and last edge, counted in cells; a thousandth of a cell is rounding, not extent."""
    first = math.floor(low / cell_size_m + 1e-3)
    return first, max(first + 1, math.ceil(high / cell_size_m - 1e-3))


class RasterWriter:
    """A raster being written; made by `float_cog` and `rgba_cog`. Safe to share by threads."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset
        self._lock = threading.Lock()

    def write(self, row: int, col: int, values: NDArray[Any]) -> None:
        """Put a window's values in place.

        Parameters
        ----------
        row, col : int
            Cell of ``values[..., 0, 0]``. Windows on multiples of 512 cells are fastest.
        values : ndarray, shape (bands, rows, cols) or (rows, cols)
            NaN is no data in a float raster.
        """
        layers = values if values.ndim == 3 else values[np.newaxis]
        if layers.dtype.kind == "f":
            layers = np.where(np.isnan(layers), np.float32(NODATA), layers).astype(np.float32)
        window = Window(col, row, layers.shape[2], layers.shape[1])
        with self._lock:
            self._dataset.write(layers, window=window)


@contextmanager
def float_cog(
    path: Path, grid: Grid, bands: Sequence[str], threads: int = 1
) -> Iterator[RasterWriter]:
    """Write a float32 raster with no-data value as a Cloud Optimized GeoTIFF.

    Parameters
    ----------
    path : Path
        The product; it appears when the block ends without an error.
    grid : Grid
    bands : sequence of str
        Description of each band, with its unit. Cells never written are no data.
    threads : int
        Cores used for the compression.

    Examples
    --------
    >>> import tempfile
    >>> grid = Grid(32632, 500000.0, 5000000.0, 0.1, 40, 60)
    >>> path = Path(tempfile.mkdtemp()) / "dsm.tif"
    >>> with float_cog(path, grid, ["elevation_m"]) as raster:
    ...     raster.write(0, 0, np.full((40, 30), 7.0))
    >>> with RasterReader(path) as dsm:
    ...     dsm.read(0, 28, 1, 4)
    array([[[ 7.,  7., nan, nan]]], dtype=float32)
    """
    profile = {"dtype": "float32", "nodata": NODATA, "count": len(bands)}
    with _cog(path, grid, profile, {**_FLOAT_COG, "NUM_THREADS": str(threads)}) as dataset:
        for index, name in enumerate(bands, start=1):
            dataset.set_band_description(index, name)
        yield RasterWriter(dataset)


@contextmanager
def rgba_cog(path: Path, grid: Grid, threads: int = 1) -> Iterator[RasterWriter]:
    """Write an 8-bit picture with transparency as a Cloud Optimized GeoTIFF.

    Parameters are those of `float_cog`; bands are red, green, blue, alpha, and cells never
    written are transparent. The colours are compressed with a small loss, alpha without.
    """
    profile = {"dtype": "uint8", "count": 4, "photometric": "RGB", "ALPHA": "YES"}
    with _cog(path, grid, profile, {**_RGBA_COG, "NUM_THREADS": str(threads)}) as dataset:
        dataset.colorinterp = (
            ColorInterp.red,
            ColorInterp.green,
            ColorInterp.blue,
            ColorInterp.alpha,
        )
        yield RasterWriter(dataset)


@contextmanager
def _cog(path: Path, grid: Grid, profile: dict[str, Any], options: dict[str, str]) -> Iterator[Any]:
    draft = path.with_name(path.stem + ".draft.tif")
    try:
        with rasterio.open(
            draft,
            "w",
            driver="GTiff",
            crs=rasterio.CRS.from_epsg(grid.epsg),
            transform=grid.transform,
            width=grid.cols,
            height=grid.rows,
            tiled=True,
            blockxsize=BLOCK_PX,
            blockysize=BLOCK_PX,
            interleave="pixel",
            SPARSE_OK=True,
            BIGTIFF="IF_SAFER",
            **profile,
        ) as dataset:
            yield dataset
        # Built here, on plain pixels: the driver would compress its own ones twice.
        with rasterio.open(draft, "r+") as dataset:
            dataset.build_overviews(_overview_factors(grid), Resampling.average)
        # Every block is written, though many show nothing: readers other than GDAL fail on gaps.
        rasterio.shutil.copy(
            draft,
            path,
            driver="COG",
            BLOCKSIZE=str(BLOCK_PX),
            OVERVIEWS="FORCE_USE_EXISTING",
            BIGTIFF="IF_SAFER",
            **options,
        )
    finally:
        draft.unlink(missing_ok=True)


def _overview_factors(grid: Grid) -> list[int]:
    """Powers of two down to a picture of one block."""
    factors: list[int] = []
    while max(grid.rows, grid.cols) > BLOCK_PX << len(factors):
        factors.append(2 << len(factors))
    return factors


class RasterReader:
    """Windows of a raster file. Safe to share by threads; a context manager.

    Parameters
    ----------
    path : Path
        A north-up GeoTIFF with square cells.

    Raises
    ------
    InputError
        The file cannot be read, or is no such raster.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._dataset = rasterio.open(path)
        except rasterio.RasterioIOError as error:
            raise InputError(
                f"{path} is not a readable raster: {error}.", "Make it anew."
            ) from error
        self._lock = threading.Lock()
        self.path = path
        self.grid = self._grid()

    def _grid(self) -> Grid:
        dataset, to_map = self._dataset, self._dataset.transform
        epsg = dataset.crs.to_epsg() if dataset.crs else None
        north_up = to_map.b == to_map.d == 0.0 and math.isclose(to_map.a, -to_map.e)
        if epsg is None or not north_up:
            raise InputError(
                f"{self.path} has no EPSG code or is not north-up with square cells.",
                "Warp it to a projected CRS in metres first.",
            )
        return Grid(epsg, to_map.c, to_map.f, to_map.a, dataset.height, dataset.width)

    def __enter__(self) -> RasterReader:
        return self

    def __exit__(self, *reason: object) -> None:
        self._dataset.close()

    def read(self, row: int, col: int, rows: int, cols: int) -> NDArray[Any]:
        """A window of all bands, which may reach beyond the raster.

        Parameters
        ----------
        row, col : int
            First cell; may be negative.
        rows, cols : int
            Size of the window.

        Returns
        -------
        ndarray, shape (bands, rows, cols)
            In a float raster, NaN where there is no data or no raster; else 0 there.
        """
        dataset = self._dataset
        is_float = dataset.dtypes[0].startswith("float")
        values = np.full(
            (dataset.count, rows, cols), np.nan if is_float else 0, dtype=dataset.dtypes[0]
        )
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + rows, dataset.height), min(col + cols, dataset.width)
        if top >= bottom or left >= right:
            return values
        with self._lock:
            part = dataset.read(window=Window(left, top, right - left, bottom - top))
        if is_float and dataset.nodata is not None:
            part[part == dataset.nodata] = np.nan
        values[:, top - row : bottom - row, left - col : right - col] = part
        return values

    def read_overview(
        self, factor: int, bounds: tuple[float, float, float, float] | None = None
    ) -> tuple[Grid, NDArray[Any]]:
        """The raster with cells ``factor`` times as large, from its overviews.

        Parameters
        ----------
        factor : int
        bounds : tuple of float, optional
            West, south, east, north of the part that is wanted, default all of it. One cell
            around it comes along, where there is one.

        Returns
        -------
        grid : Grid
            Its last row and column may reach beyond the raster by a part of a cell.
        values : ndarray, shape (bands, rows, cols)
        """
        full, cell_m = self.grid, self.grid.cell_size_m * factor
        west, south, east, north = bounds or full.bounds
        left, right = _around((west - full.west) / cell_m, (east - full.west) / cell_m)
        top, bottom = _around((full.north - north) / cell_m, (full.north - south) / cell_m)
        left, right = _within(left, right, math.ceil(full.cols / factor))
        top, bottom = _within(top, bottom, math.ceil(full.rows / factor))
        window = Window(
            left * factor,
            top * factor,
            min(right * factor, full.cols) - left * factor,
            min(bottom * factor, full.rows) - top * factor,
        )
        shape = (bottom - top, right - left)
        with self._lock:
            values = self._dataset.read(
                window=window,
                out_shape=(self._dataset.count, *shape),
                resampling=Resampling.nearest,
            )
        if values.dtype.kind == "f" and self._dataset.nodata is not None:
            values[values == self._dataset.nodata] = np.nan
        corner = full.west + left * cell_m, full.north - top * cell_m
        return Grid(full.epsg, *corner, cell_m, *shape), values


def _around(low: float, high: float) -> tuple[int, int]:
    """First cell, and the one after the last, of a span of cells with one more on both sides."""
    return math.floor(low) - 1, math.ceil(high) + 1


def _within(first: int, end: int, count: int) -> tuple[int, int]:
    """The same within so many cells; at least one."""
    first = min(max(first, 0), count - 1)
    return first, max(min(end, count), first + 1)
