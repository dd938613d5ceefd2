"""Reading the rasters of a survey for pages: map tiles, grids and profiles."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyproj
import rasterio
import rasterio.warp
import rasterio.windows
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling

from app.storage import Product

TILE_PX = 256
MAX_ZOOM = 24
# Half the side of the web mercator square, in its metres.
_HALF_M = 20037508.342789244
# Light from the north-west, 45° high; relief twice its height reads better on gentle ground.
_EXAGGERATION = 2.0
# Slopes at a tile's edge are those of its neighbour.
_MARGIN_PX = 1
_OVERVIEW_PX = 800
# Read at once for elevations of single points.
_MOST_CELLS = 1 << 20
# Low to high, as red, green, blue: a ramp of even lightness steps.
_RAMP = np.array(
    [
        (72, 104, 158),
        (82, 142, 168),
        (114, 174, 152),
        (172, 200, 140),
        (230, 216, 148),
        (250, 242, 216),
    ]
)


@dataclass(frozen=True)
class Field:
    """Values on a grid of square cells, rows from north, NaN where there are none."""

    values: NDArray[np.float32]
    west_m: float
    north_m: float
    cell_size_m: float


def tile_bounds(z: int, x: int, y: int) -> tuple[float, float, float, float] | None:
    """Bounds of a tile in web mercator; None where there is no such tile.

    Examples
    --------
    >>> tile_bounds(1, 0, 0)
    (-20037508.3, 0.0, 0.0, 20037508.3)
    >>> tile_bounds(1, 2, 0) is None
    True
    """
    if not (z <= MAX_ZOOM and x < 2**z and y < 2**z):
        return None
    side = 2.0 * _HALF_M / 2**z
    return (
        -_HALF_M + x * side,
        _HALF_M - (y + 1) * side,
        -_HALF_M + (x + 1) * side,
        _HALF_M - y * side,
    )


def picture_tile(product: Product, bounds: tuple[float, float, float, float]) -> bytes | None:
    """Tile of an orthomosaic as WebP; None where it shows nothing."""
    values = _warped(product, bounds, 0)
    if values is None or not values[3].any():
        return None
    return _webp(np.moveaxis(values[:4], 0, -1).astype(np.uint8))


def hillshade_tile(product: Product, bounds: tuple[float, float, float, float]) -> bytes | None:
    """Tile of a surface as shaded relief."""
    elevation, step_m = _elevation(product, bounds)
    if elevation is None:
        return None
    shade = _inner(_shade(elevation, step_m))
    grey = np.nan_to_num(255.0 * shade).astype(np.uint8)
    return _webp(cv2.merge([grey, grey, grey, 255 * np.isfinite(shade).astype(np.uint8)]))


def height_tile(
    product: Product, bounds: tuple[float, float, float, float], span_m: tuple[float, float]
) -> bytes | None:
    """Tile of a surface coloured by elevation between two limits, with its relief."""
    elevation, step_m = _elevation(product, bounds)
    if elevation is None:
        return None
    return _webp(_inner(coloured_relief(elevation, step_m, span_m)))


def coloured_relief(
    elevation: NDArray[np.floating], step_m: float, span_m: tuple[float, float]
) -> NDArray[np.uint8]:
    """A surface lit from the north-west and coloured by elevation between two limits.

    Returns
    -------
    ndarray, shape (rows, cols, 4)
        Red, green, blue, alpha; nothing is seen in holes.
    """
    low, high = span_m
    lit = 0.45 + 0.55 * np.nan_to_num(_shade(elevation, step_m))
    share = np.clip((elevation - low) / max(high - low, 1e-6), 0.0, 1.0) * (len(_RAMP) - 1)
    steps = np.arange(len(_RAMP))
    bands = [np.interp(np.nan_to_num(share), steps, _RAMP[:, band]) * lit for band in range(3)]
    seen = 255.0 * np.isfinite(elevation)
    return np.dstack([*bands, seen]).astype(np.uint8)


@lru_cache(maxsize=64)
def elevation_span(product: Product) -> tuple[float, float]:
    """Elevations that all but 2 % of a surface lie between."""
    return span_of(product.path)


def span_of(path: str | Path) -> tuple[float, float]:
    """The same of a file."""
    with rasterio.open(path) as raster:
        scale = max(raster.width, raster.height) / 512
        shape = (max(1, int(raster.height / scale)), max(1, int(raster.width / scale)))
        values = raster.read(1, out_shape=shape, masked=True).compressed()
    values = values[np.isfinite(values)]
    if not len(values):
        return (0.0, 1.0)
    low, high = np.percentile(values, [1.0, 99.0])
    return float(low), float(high)


@lru_cache(maxsize=256)
def overview(product: Product) -> bytes:
    """A whole orthomosaic, or the relief of a whole surface, as a small picture."""
    return _webp(np.asarray(overview_with_place(product.path)[0]))


def overview_with_place(path: str) -> tuple[Image.Image, tuple[float, float, float, float]]:
    """The same, with its bounds on the map: west, south, east, north."""
    with rasterio.open(path) as raster:
        scale = max(raster.width, raster.height, _OVERVIEW_PX) / _OVERVIEW_PX
        shape = (raster.count, round(raster.height / scale), round(raster.width / scale))
        values = raster.read(out_shape=shape, masked=raster.count == 1)
        step_m, bounds = raster.res[0] * scale, tuple(raster.bounds)
    if len(values) >= 3:
        alpha = values[3:4] if len(values) > 3 else np.full_like(values[:1], 255)
        pixels = np.moveaxis(np.concatenate([values[:3], alpha]), 0, -1)
    else:
        shade = _shade(values[0].astype(np.float64).filled(np.nan), step_m)
        grey = np.nan_to_num(255.0 * shade)
        pixels = np.dstack([grey, grey, grey, 255.0 * np.isfinite(shade)])
    return Image.fromarray(pixels.astype(np.uint8), "RGBA"), bounds


def field(path: str, bounds: tuple[float, float, float, float], cells: int) -> Field:
    """A surface averaged to at most ``cells`` square cells along the longer side of bounds."""
    west, south, east, north = bounds
    step_m = max(east - west, north - south) / cells
    rows, cols = max(2, round((north - south) / step_m)), max(2, round((east - west) / step_m))
    values = np.full((rows, cols), np.nan, dtype=np.float32)
    with rasterio.open(path) as raster:
        rasterio.warp.reproject(
            rasterio.band(raster, 1),
            values,
            dst_transform=Affine(step_m, 0.0, west, 0.0, -step_m, north),
            dst_crs=raster.crs,
            dst_nodata=np.nan,
            resampling=Resampling.average if step_m > raster.res[0] else Resampling.bilinear,
        )
    return Field(values, west, north, step_m)


def elevations(path: str | Path, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Elevations at map points (n, 2), bilinear; NaN in holes and outside.

    Returns
    -------
    ndarray, shape (n,)
    """
    with rasterio.open(path) as raster:
        col, row = _cells(raster, points[:, 0], points[:, 1])
        return _bilinear(raster, col - 0.5, row - 0.5)


def _bilinear(
    raster: rasterio.DatasetReader, col: NDArray[np.float64], row: NDArray[np.float64]
) -> NDArray[np.float64]:
    left, top = int(np.floor(col.min())) - 1, int(np.floor(row.min())) - 1
    width = int(np.ceil(col.max())) - left + 2
    height = int(np.ceil(row.max())) - top + 2
    if width * height > _MOST_CELLS and len(col) > 1:
        # A long line crosses few of the cells around it: read those of its halves.
        half = len(col) // 2
        parts = (slice(None, half), slice(half, None))
        return np.concatenate([_bilinear(raster, col[part], row[part]) for part in parts])
    window = rasterio.windows.Window(left, top, width, height)
    part = raster.read(1, window=window, boundless=True, masked=True)
    values = part.astype(np.float64).filled(np.nan)
    x, y = col - left, row - top
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    u, v = x - j, y - i
    upper = (1.0 - u) * values[i, j] + u * values[i, j + 1]
    lower = (1.0 - u) * values[i + 1, j] + u * values[i + 1, j + 1]
    return np.asarray((1.0 - v) * upper + v * lower)


@lru_cache(maxsize=64)
def _opened(product: Product, _thread: int) -> rasterio.DatasetReader:
    """A raster that stays open: opening costs more than a tile, and threads may not share one."""
    return rasterio.open(product.path)


@lru_cache(maxsize=64)
def _to_map(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs("EPSG:3857", crs, always_xy=True)


def _warped(
    product: Product, bounds: tuple[float, float, float, float], margin_px: int
) -> NDArray[np.float32] | None:
    """Bands of a raster in web mercator, a margin around the tile included; None outside it.

    Within a tile the projection bends so little that a few exact points tell the rest: 8 intervals
    a side leave less than a hundredth of a pixel below zoom 10, where no quarry is seen anyway.
    """
    raster = _opened(product, threading.get_ident())
    found = _pixels(raster, bounds, margin_px)
    if found is None:
        return None
    col, row = found
    # The overview whose cells are no larger than the tile's pixels.
    step = max(1.0, abs(float(col[0, -1] - col[0, 0])) / col.shape[1])
    factor = 2 ** int(np.log2(step))
    left, top = max(int(col.min()) - 2 * factor, 0), max(int(row.min()) - 2 * factor, 0)
    right = min(int(col.max()) + 2 * factor + 1, raster.width)
    bottom = min(int(row.max()) + 2 * factor + 1, raster.height)
    if right - left < 2 or bottom - top < 2:
        return None
    shape = (raster.count, -(-(bottom - top) // factor), -(-(right - left) // factor))
    window = rasterio.windows.Window(left, top, right - left, bottom - top)
    part = raster.read(window=window, out_shape=shape, masked=raster.count == 1)
    if raster.count == 1:
        part = part.astype(np.float32).filled(np.nan)
    x = ((col - left) * shape[2] / (right - left) - 0.5).astype(np.float32)
    y = ((row - top) * shape[1] / (bottom - top) - 0.5).astype(np.float32)
    nothing = np.nan if raster.count == 1 else 0
    return np.stack([cv2.remap(band, x, y, cv2.INTER_LINEAR, borderValue=nothing) for band in part])


def _pixels(
    raster: rasterio.DatasetReader, bounds: tuple[float, float, float, float], margin_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Column and row in a raster of each pixel centre of a tile, counted from the corner.

    None where the raster's projection does not reach: tiles of half the world.
    """
    west, _, east, north = bounds
    px = (east - west) / TILE_PX
    count = TILE_PX + 2 * margin_px
    knots = np.linspace(0.0, count - 1.0, 9)
    x, y = west + (knots - margin_px + 0.5) * px, north - (knots - margin_px + 0.5) * px
    easting, northing = _to_map(raster.crs.to_wkt()).transform(*np.meshgrid(x, y))
    if not np.isfinite([easting, northing]).all():
        return None
    col, row = _cells(raster, easting, northing)
    between = np.array([np.interp(np.arange(count), knots, unit) for unit in np.eye(9)]).T
    return _between(between, col), _between(between, row)


def _between(weights: NDArray[np.float64], knots: NDArray[np.float64]) -> NDArray[np.float64]:
    """``weights @ knots @ weights.T``; BLAS would wake threads, which takes fifty times as long."""
    rows = np.einsum("ik,kl->il", weights, knots)
    return np.asarray(np.einsum("il,jl->ij", rows, weights))


def _cells(
    raster: rasterio.DatasetReader, easting: NDArray[np.float64], northing: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row of map positions in a north-up raster, counted from its corner."""
    transform = raster.transform
    return (easting - transform.c) / transform.a, (northing - transform.f) / transform.e


def _elevation(
    product: Product, bounds: tuple[float, float, float, float]
) -> tuple[NDArray[np.floating] | None, float]:
    values = _warped(product, bounds, _MARGIN_PX)
    side_m = (bounds[2] - bounds[0]) / TILE_PX
    if values is None or not np.isfinite(values[0]).any():
        return None, side_m
    return values[0], side_m


def _shade(elevation: NDArray[np.floating], step_m: float) -> NDArray[np.floating]:
    """Lambert's law, 0 to 1; NaN where there is no surface."""
    down, right = np.gradient(elevation, step_m)
    east, north = _EXAGGERATION * right, -_EXAGGERATION * down
    light = (0.5 * (east - north) + np.sqrt(0.5)) / np.sqrt(1.0 + east**2 + north**2)
    return np.asarray(np.clip(light, 0.0, 1.0))


def _inner(values: NDArray[Any]) -> NDArray[Any]:
    return values[_MARGIN_PX:-_MARGIN_PX, _MARGIN_PX:-_MARGIN_PX]


def _webp(pixels: NDArray[np.uint8]) -> bytes:
    file = io.BytesIO()
    if (pixels[..., 3] == 255).all():
        # Nothing is transparent: that need not be written.
        pixels = np.ascontiguousarray(pixels[..., :3])
    # Method 0 takes a fifth of the default's time for tiles a tenth larger.
    Image.fromarray(pixels).save(file, "WEBP", quality=82, method=0)
    return file.getvalue()
