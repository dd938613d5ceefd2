"""The plan of a pile: toe, contours and sections on the orthomosaic or a hillshade."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import rasterio
import rasterio.windows
import shapely
from matplotlib.axes import Axes
from matplotlib.colors import LightSource
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray
from rasterio.enums import Resampling

from volumetrics.files.relief import Drawing
from volumetrics.files.section import Section
from volumetrics.files.style import ACCENT, HAIR, INK, PAGE_MM, PAPER
from volumetrics.grid import Array, Grid

# As many pixels as a printer shows on the plan.
_PIXELS = 1000
_CASING = [withStroke(linewidth=2.2, foreground=PAPER)]
_ROUND_M = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
Extent = tuple[float, float, float, float]


def draw_plan(
    axes: Axes,
    drawing: Drawing,
    ground: Grid,
    cuts: Iterable[Section],
    orthomosaic: Path | None,
) -> None:
    """Draw the plan, north up, into axes of any size."""
    extent = _framed(axes, ground)
    picture = None if orthomosaic is None else _read_orthomosaic(orthomosaic, extent)
    if picture is not None:
        axes.imshow(picture, extent=_sides(extent), interpolation="bilinear", zorder=0)
    else:
        axes.imshow(_hillshade(ground), extent=_sides(_bounds(ground)), zorder=0)
    levels = sorted({line.coords[0][2] for line in drawing.contours})
    for line in drawing.contours:
        x, y = np.asarray(line.coords)[:, :2].T
        is_index = levels.index(line.coords[0][2]) % 5 == 0
        axes.plot(x, y, color=PAPER, lw=0.9 if is_index else 0.45, alpha=0.9)
    for part in shapely.get_parts(drawing.toe):
        for ring in (part.exterior, *part.interiors):
            x, y = np.asarray(ring.coords)[:, :2].T
            axes.plot(x, y, color=ACCENT, lw=1.3, path_effects=_CASING)
    for cut in cuts:
        axes.plot(*cut.ends_m.T, color=INK, lw=0.7, dashes=(5, 2), path_effects=_CASING)
        for end, mark in zip(cut.ends_m, (cut.name, f"{cut.name}′"), strict=True):
            axes.text(end[0], end[1], mark, size=7.5, weight="bold", ha="center", va="center",
                      path_effects=_CASING, clip_on=True)  # fmt: skip
    _scale_bar(axes, extent)
    axes.set(xlim=extent[::2], ylim=extent[1::2], xticks=[], yticks=[])
    axes.set_aspect("equal")
    for spine in axes.spines.values():
        spine.set_color(HAIR)


def _bounds(grid: Grid) -> Extent:
    rows, cols = grid.elevation_m.shape
    cell_m = grid.cell_size_m
    return grid.west_m, grid.north_m - rows * cell_m, grid.west_m + cols * cell_m, grid.north_m


def _framed(axes: Axes, ground: Grid) -> Extent:
    """The bounds of the ground, widened to the shape of the axes."""
    west, south, east, north = _bounds(ground)
    box = axes.get_position()
    width, height = box.width * PAGE_MM[0], box.height * PAGE_MM[1]
    metres = max((east - west) / width, (north - south) / height)
    x, y = 0.5 * (west + east), 0.5 * (south + north)
    half_x, half_y = 0.5 * metres * width, 0.5 * metres * height
    return x - half_x, y - half_y, x + half_x, y + half_y


def _sides(bounds: Extent) -> Extent:
    """Left, right, bottom, top, as pictures are placed."""
    return bounds[0], bounds[2], bounds[1], bounds[3]


def _read_orthomosaic(path: Path, bounds: Extent) -> NDArray[np.uint8] | None:
    """Red, green, blue and opacity within bounds; None when it has no colours."""
    width_m, height_m = bounds[2] - bounds[0], bounds[3] - bounds[1]
    longest_m = max(width_m, height_m)
    shape = tuple(max(1, round(_PIXELS * side / longest_m)) for side in (height_m, width_m))
    with rasterio.open(path) as raster:
        if raster.count < 4 or raster.dtypes[0] != "uint8":
            return None
        window = rasterio.windows.from_bounds(*bounds, transform=raster.transform)
        bands = raster.read(
            (1, 2, 3, 4), window=window, boundless=True, fill_value=0,
            out_shape=(4, *shape), resampling=Resampling.bilinear,
        )  # fmt: skip
    return np.moveaxis(bands, 0, -1)


def _hillshade(ground: Grid) -> Array:
    seen = np.isfinite(ground.elevation_m)
    level = float(np.nanmean(ground.elevation_m)) if seen.any() else 0.0
    filled = np.where(seen, ground.elevation_m, level)
    shade = LightSource(315, 45).hillshade(filled, dx=ground.cell_size_m, dy=ground.cell_size_m)
    grey = 0.35 + 0.5 * shade
    return np.dstack((grey, grey, grey, seen.astype(np.float64)))


def _scale_bar(axes: Axes, extent: Extent) -> None:
    west, south, east, north = extent
    width_m = east - west
    length_m = max(step for step in _ROUND_M if step <= max(0.3 * width_m, _ROUND_M[0]))
    x, y = west + 0.04 * width_m, south + 0.04 * (north - south)
    axes.plot([x, x + length_m], [y, y], color=INK, lw=2.0, solid_capstyle="butt",
              path_effects=[withStroke(linewidth=4.0, foreground=PAPER)])  # fmt: skip
    axes.text(x, y + 0.015 * width_m, f"{length_m:g} m", size=6.5, path_effects=_CASING)
    x, y = east - 0.06 * width_m, north - 0.05 * width_m
    axes.annotate("N", (x, y), (x, y - 0.07 * width_m), size=7, ha="center", va="center",
                  path_effects=_CASING,
                  arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 0.8})  # fmt: skip
