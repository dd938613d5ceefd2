"""Rasters as small pictures that a page carries inside itself."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reconstruction.block import Block
from reconstruction.camera import Camera
from reconstruction.rasters import Grid, RasterReader

Array = NDArray[np.float64]
UInt8 = NDArray[np.uint8]
Bounds = tuple[float, float, float, float]

# From low to high, each lighter than the one before: also people who see no colours read it.
ELEVATION_COLOURS = ("#26505c", "#43827f", "#86ab8b", "#cfc79a", "#eadcb4", "#f8f2e4")
SPREAD_COLOURS = ("#f4efe4", "#f0cf9c", "#df9a5b", "#b95a3c", "#6f2733")
# Few photos are red, many are blue.
COUNT_COLOURS = ("#a3212e", "#d9694f", "#f2b48e", "#f5e6d3", "#a9cbd9", "#4a87ad", "#23527c")

_PICTURE_PX = 1100
_SKETCH_PX = 560
_SHADE_FLOOR = 0.3
_LARGEST_PX = 20_000


@dataclass(frozen=True)
class Picture:
    """A picture of a part of the map.

    Parameters
    ----------
    uri : str
        ``data:`` address that holds the picture itself.
    bounds : tuple of float
        West, south, east, north of its outer edges.
    """

    uri: str
    bounds: Bounds


def read_small(path: Path, longest_px: int = _PICTURE_PX) -> tuple[Grid, NDArray[np.float32]]:
    """A raster from its overviews, shape (bands, rows, cols), at most so many pixels long."""
    with RasterReader(path) as reader:
        factor = max(1, math.ceil(max(reader.grid.rows, reader.grid.cols) / longest_px))
        return reader.read_overview(factor)


def orthomosaic(path: Path) -> Picture:
    """The orthomosaic on white."""
    grid, bands = read_small(path)
    colour, alpha = np.moveaxis(bands[:3], 0, 2), bands[3][..., None] / 255.0
    on_white = colour * alpha + 255.0 * (1.0 - alpha)
    return Picture(_jpeg(on_white.astype(np.uint8)), grid.bounds)


def shaded_relief(path: Path) -> tuple[Picture, tuple[float, ...]]:
    """Hillshade with elevation colours on white, and the elevations of evenly spaced colours.

    Colours go half by elevation and half by rank: a high wall does not take them all from the
    piles below it.
    """
    grid, (elevation, *_) = read_small(path)
    levels, parts = _colour_scale(elevation)
    colour = _ramp(ELEVATION_COLOURS, np.interp(elevation, levels, parts).astype(np.float32))
    shaded = colour * _shade(elevation, grid.cell_size_m)[..., None]
    marks = np.interp(np.linspace(0.0, 1.0, 5), parts, levels)
    return Picture(_jpeg(_on_white(shaded, elevation)), grid.bounds), tuple(marks.tolist())


def faint_relief(path: Path) -> Picture:
    """A pale hillshade for maps to stand on."""
    grid, (elevation, *_) = read_small(path, _SKETCH_PX)
    grey = 255.0 - 75.0 * (1.0 - _shade(elevation, grid.cell_size_m))
    shaded = np.repeat(grey[..., None], 3, axis=2)
    return Picture(_jpeg(_on_white(shaded, elevation)), grid.bounds)


def spread(path: Path) -> tuple[Picture, float] | None:
    """Spread of the matches of each cell, and the metres of the last colour; None for no data."""
    grid, bands = read_small(path, _SKETCH_PX)
    known = np.isfinite(bands[1])
    if not known.any():
        return None
    top = max(float(np.quantile(bands[1][known], 0.98)), 1e-4)
    colour = _ramp(SPREAD_COLOURS, bands[1] / top)
    return Picture(_png(_on_white(colour, bands[1])), grid.bounds), top


def counts(values: NDArray[np.float32], bounds: Bounds, limits: tuple[int, ...]) -> Picture:
    """Numbers in classes; NaN is white.

    Parameters
    ----------
    values : ndarray, shape (rows, cols)
    bounds : tuple of float
    limits : tuple of int
        Least value of each class but the first.
    """
    steps = np.array([_rgb(colour) for colour in COUNT_COLOURS])
    colour = steps[np.searchsorted(limits, np.nan_to_num(values), side="right")]
    return Picture(_png(_on_white(colour, values)), bounds)


def photos_per_place(
    block: Block, path: Path, longest_px: int = 220
) -> tuple[NDArray[np.float32], Bounds]:
    """How many registered photos have each place of a surface in their frame.

    Where the surface has a hole, its nearest measured elevation stands in. What hides behind
    something else is counted too: the frame alone is asked.

    Returns
    -------
    counts : ndarray, shape (rows, cols)
        NaN where no photo looks.
    bounds : tuple of float
    """
    grid, (elevation, *_) = read_small(path, longest_px)
    filled = _filled(elevation)
    rows, cols = filled.shape
    easting = grid.west + (np.arange(cols) + 0.5) * grid.cell_size_m
    northing = grid.north - (np.arange(rows) + 0.5) * grid.cell_size_m
    east, north = np.meshgrid(easting, northing)
    on_map = np.column_stack((east.ravel(), north.ravel(), filled.ravel()))
    points = block.frame.from_map(on_map)
    total = np.zeros(len(points), dtype=np.float32)
    for shot in block.shots:
        total += _in_frame(block.cameras[shot.camera], shot.to_camera(points))
    total[total == 0.0] = np.nan
    return total.reshape(rows, cols), grid.bounds


def _in_frame(camera: Camera, points: Array) -> NDArray[np.bool_]:
    """Whether points in a camera's axes lie in its picture."""
    width, height = camera.width_px, camera.height_px
    corners = np.array([[[x, y]] for x in (0.0, width) for y in (0.0, height)])
    rays = cv2.undistortPoints(corners, camera.matrix, camera.distortion)[:, 0]
    # The lens polynomial is meant for the picture only: far outside it folds back into it.
    reach = 1.05 * float(np.max(np.sum(rays**2, axis=1)))
    depth = points[:, 2]
    ahead = (depth > 0.0) & (np.sum(points[:, :2] ** 2, axis=1) < reach * depth**2)
    pixels = camera.project(points[ahead])
    inside = np.all((pixels > -0.5) & (pixels < (width - 0.5, height - 0.5)), axis=1)
    ahead[ahead] = inside
    return ahead


def measured_share(path: Path, area: Array, longest: int = 1000) -> float | None:
    """Share of an area in which a surface has cells.

    Parameters
    ----------
    path : Path
    area : ndarray, shape (n, 2)
        Eastings and northings whose convex hull is the area.
    longest : int
        At most so many rows and columns are looked at, evenly over the raster: overviews do not
        keep small holes.

    Returns
    -------
    float or None
        None where the area has no extent, or reaches very far beyond the surface.
    """
    with RasterReader(path) as reader:
        grid = reader.grid
        step = max(1, math.ceil(max(grid.rows, grid.cols) / longest))
        lines = range(0, grid.rows, step)
        measured = np.array(
            [np.isfinite(reader.read(row, 0, 1, grid.cols)[0, 0, ::step]) for row in lines]
        )
    pixels = (area - (grid.west, grid.north)) / (grid.cell_size_m * step) * (1.0, -1.0)
    # Ground beyond the raster was not measured either.
    corner = np.minimum(np.floor(pixels.min(axis=0)), 0.0)
    size = np.maximum(np.ceil(pixels.max(axis=0)), measured.shape[::-1]) - corner
    hull = cv2.convexHull(np.rint(pixels - corner - 0.5).astype(np.int32))
    if cv2.contourArea(hull) < 1.0 or size.max() > _LARGEST_PX:
        return None
    inside = np.zeros(size[::-1].astype(int), np.uint8)
    cv2.fillConvexPoly(inside, hull, 1)
    left, top = -corner.astype(int)
    rows, cols = measured.shape
    seen = inside[top : top + rows, left : left + cols] == 1
    return float(measured[seen].sum() / inside.sum())


def _filled(elevation: NDArray[np.float32]) -> Array:
    """Elevations with each hole at its nearest measured elevation."""
    hole = ~np.isfinite(elevation)
    if hole.all():
        return np.zeros(elevation.shape)
    _, label = cv2.distanceTransformWithLabels(
        hole.astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(label.max()) + 1)
    by_label[label[~hole]] = elevation[~hole]
    return by_label[label]


def _colour_scale(elevation: NDArray[np.float32]) -> tuple[Array, Array]:
    """Elevations, rising, and the part of the colour ramp that each is shown with."""
    known = elevation[np.isfinite(elevation)]
    if not known.size:
        return np.array([0.0, 1.0]), np.array([0.0, 1.0])
    rank = np.linspace(0.0, 1.0, 65)
    levels = np.quantile(known, 0.002 + 0.996 * rank) + 1e-6 * rank
    return levels, 0.5 * rank + 0.5 * (levels - levels[0]) / (levels[-1] - levels[0])


def _shade(elevation: NDArray[np.float32], cell_size_m: float) -> NDArray[np.float32]:
    """Light from the north-west, and a little from around it, 0 to 1."""
    north, east = np.gradient(elevation, cell_size_m)
    normal = np.sqrt(1.0 + east**2 + north**2)
    total = np.zeros_like(elevation)
    for azimuth_deg, weight in ((315.0, 0.6), (270.0, 0.2), (0.0, 0.2)):
        azimuth = math.radians(azimuth_deg)
        slope = -east * math.sin(azimuth) + north * math.cos(azimuth)
        total += weight * np.clip((slope + 1.0) / (math.sqrt(2.0) * normal), 0.0, 1.0)
    level = 1.0 / math.sqrt(2.0)
    bright = np.nan_to_num(total, nan=level) / level
    return np.clip(_SHADE_FLOOR + (1.0 - _SHADE_FLOOR) * bright, 0.0, 1.15).astype(np.float32)


def _ramp(colours: tuple[str, ...], part: NDArray[np.float32]) -> NDArray[np.float32]:
    """Colours at parts 0 to 1 of a ramp, shape (rows, cols, 3)."""
    stops = np.linspace(0.0, 1.0, len(colours))
    rgb = np.array([_rgb(colour) for colour in colours])
    at = np.clip(np.nan_to_num(part), 0.0, 1.0)
    return np.stack([np.interp(at, stops, rgb[:, band]) for band in range(3)], axis=2)


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _on_white(colour: NDArray[np.floating], values: NDArray[np.float32]) -> UInt8:
    """Colours where there are values, white elsewhere."""
    return np.where(np.isfinite(values)[..., None], np.clip(colour, 0, 255), 255).astype(np.uint8)


def _jpeg(rgb: UInt8) -> str:
    return _uri(Image.fromarray(rgb), "jpeg", quality=80, optimize=True)


def _png(rgb: UInt8) -> str:
    few = Image.fromarray(rgb).quantize(64, dither=Image.Dither.NONE)
    return _uri(few, "png", optimize=True)


def _uri(image: Image.Image, kind: str, **options: object) -> str:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode('ascii')}"
