"""The orthomosaic: every cell shows the ground that is truly there, as the best photo saw it.

True ortho: a cell's elevation comes from the surface model, and a photo gives its colour only if
nothing stands in between. Tile by tile, in an order that keeps neighbours together, so that a photo
is decoded about once and memory does not depend on the number of photos.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numba
import numpy as np
from numpy.typing import NDArray

from reconstruction.block import Block
from reconstruction.errors import OptionError, StageError
from reconstruction.exposure import Exposures, balance
from reconstruction.photo_views import PhotoViews
from reconstruction.rasters import Grid, RasterReader, RasterWriter, rgba_cog
from reconstruction.seams import HALO, Choice, choose
from reconstruction.stage import Run, Stage
from reconstruction.visibility import (
    Float32,
    Surface,
    Visibility,
    Window,
    hidden,
    local_affine,
    project,
    resample,
    view_matrix,
)

NAME = "orthomosaic"
_TILE_PX = 1024
# Photos are chosen for squares of this many cells.
_COARSE = 8
_BUFFER_SCALE = 0.25
# Ground that the shares leave without a photo is looked for in this many others.
_FALLBACKS = 8


@dataclass(frozen=True)
class OrthomosaicOptions:
    """How the orthomosaic is made.

    Parameters
    ----------
    cell_size_gsd : float
        Cell size in ground sampling distances.
    fill_m : float
        Holes of the surface are bridged up to this distance from measured ground.
    cache_mb : int
        Memory for decoded photos.
    """

    cell_size_gsd: float = 1.0
    fill_m: float = 2.0
    cache_mb: int = 1024

    def __post_init__(self) -> None:
        if not 0.25 <= self.cell_size_gsd <= 64.0:
            raise OptionError(
                f"An orthomosaic cell of {self.cell_size_gsd} ground sampling distances "
                "is out of range.",
                "Choose 0.25 to 64; 1 keeps the detail of the photos.",
            )


@dataclass(frozen=True)
class OrthomosaicInputs:
    """What the orthomosaic is made of.

    Parameters
    ----------
    block : Block
    photos : mapping of str to Path
        The file of each shot.
    dsm : Path
        Elevation raster in the block's map CRS; NaN or no data in holes.
    gsd_m : float
        Mean ground sampling distance of the photos.
    """

    block: Block
    photos: Mapping[str, Path]
    dsm: Path
    gsd_m: float


@dataclass(frozen=True)
class Orthomosaic:
    """A finished orthomosaic.

    Parameters
    ----------
    path : Path
        Cloud Optimized GeoTIFF, red, green, blue, alpha.
    cell_size_m : float
    coverage : float
        Share of the grid's cells that show ground.
    exposures : Exposures
        The gains of the photos, for other picture products.
    """

    path: Path
    cell_size_m: float
    coverage: float
    exposures: Exposures


def run(
    inputs: OrthomosaicInputs, options: OrthomosaicOptions, folder: Path, run: Run
) -> Orthomosaic:
    """Make ``orthomosaic.tif``.

    Raises
    ------
    StageError
        The surface model holds no ground at all.
    """
    exposures = balance(inputs.block, inputs.photos, run.part(0.0, 0.2))
    cell_size_m = _rounded(options.cell_size_gsd * inputs.gsd_m)
    with RasterReader(inputs.dsm) as dsm:
        surface = Surface.from_raster(dsm, inputs.gsd_m / _BUFFER_SCALE, options.fill_m)
        if math.isnan(surface.mean_m):
            raise StageError(
                NAME, "The surface model holds no ground.", "Look at the dense stage's messages."
            )
        visibility = Visibility(inputs.block, surface, _BUFFER_SCALE)
        reduction = 1 << min(3, max(0, int(math.log2(options.cell_size_gsd) + 1e-6)))
        views = PhotoViews(visibility, inputs.photos, exposures, reduction, options.cache_mb)
        grid = Grid.covering(dsm.grid.epsg, dsm.grid.bounds, cell_size_m)
        path = folder / "orthomosaic.tif"
        with rgba_cog(path, grid, run.jobs) as raster:
            mosaic = _Mosaic(views, dsm, grid, raster)
            covered = run.part(0.2, 0.95).map(mosaic.tile, _tiles(grid), "orthomosaic tile")
    facts = {
        "cell_size_m": cell_size_m,
        "coverage": sum(covered) / (grid.rows * grid.cols),
        "exposures": exposures.to_json(),
    }
    (folder / "orthomosaic.json").write_text(json.dumps(facts))
    return load(folder)


def load(folder: Path) -> Orthomosaic:
    """The orthomosaic of a finished folder."""
    facts = json.loads((folder / "orthomosaic.json").read_text())
    return Orthomosaic(
        folder / "orthomosaic.tif",
        facts["cell_size_m"],
        facts["coverage"],
        Exposures.from_json(facts["exposures"]),
    )


ORTHOMOSAIC: Stage[OrthomosaicInputs, OrthomosaicOptions, Orthomosaic] = Stage(
    NAME, 1, 0.6, run, load
)


def _rounded(cell_size_m: float) -> float:
    """Two significant digits: a cell size that a person can read and write."""
    return float(f"{cell_size_m:.2g}")


def _tiles(grid: Grid) -> list[Window]:
    """Tiles in Morton order, which stays in a neighbourhood as long as it can."""
    rows, cols = math.ceil(grid.rows / _TILE_PX), math.ceil(grid.cols / _TILE_PX)
    places = sorted(
        ((row, col) for row in range(rows) for col in range(cols)),
        key=lambda place: _morton(*place),
    )
    return [
        Window(
            row * _TILE_PX,
            col * _TILE_PX,
            min(_TILE_PX, grid.rows - row * _TILE_PX),
            min(_TILE_PX, grid.cols - col * _TILE_PX),
        )
        for row, col in places
    ]


def _morton(row: int, col: int) -> int:
    return sum(
        ((row >> bit & 1) << (2 * bit + 1)) | ((col >> bit & 1) << (2 * bit)) for bit in range(24)
    )


@dataclass(frozen=True)
class _Mosaic:
    """A mosaic being made: what all tiles share."""

    views: PhotoViews
    dsm: RasterReader
    grid: Grid
    raster: RasterWriter

    def tile(self, window: Window) -> int:
        """Make one tile; the number of its cells that show ground."""
        elevations_m = self._elevations(window)
        if not np.isfinite(elevations_m).any():
            return 0
        choice = self._choice(window)
        total = np.zeros((window.rows, window.cols, 4), dtype=np.float32)
        for k in np.argsort(-choice.weights.sum(axis=(1, 2))):
            if _core(choice.weights[k]).any():
                self._add(window, elevations_m, choice, int(k), choice.weights[k], total)
        self._fill_gaps(window, elevations_m, choice, total)
        picture = _picture(total)
        self.raster.write(window.row, window.col, picture)
        return int(np.count_nonzero(picture[3]))

    def _elevations(self, window: Window) -> Float32:
        """Elevations at the cells of a tile; holes are bridged by the coarse surface."""
        source = self.dsm.grid
        ratio = self.grid.cell_size_m / source.cell_size_m
        row = int((source.north - self.grid.north) / source.cell_size_m + window.row * ratio) - 2
        col = int((self.grid.west - source.west) / source.cell_size_m + window.col * ratio) - 2
        size = (int(window.rows * ratio) + 5, int(window.cols * ratio) + 5)
        measured = self.dsm.read(row, col, *size)[0]
        elevations_m = resample(source, measured, row, col, self.grid, window)
        surface = self.views.visibility.surface
        bridged = resample(surface.grid, surface.elevations_m, 0, 0, self.grid, window)
        return np.where(np.isfinite(elevations_m), elevations_m, bridged)

    def _choice(self, window: Window) -> Choice:
        fine = self.grid
        coarse = Grid(
            fine.epsg,
            fine.west,
            fine.north,
            fine.cell_size_m * _COARSE,
            math.ceil(fine.rows / _COARSE),
            math.ceil(fine.cols / _COARSE),
        )
        around = Window(
            window.row // _COARSE - HALO,
            window.col // _COARSE - HALO,
            math.ceil(window.rows / _COARSE) + 2 * HALO,
            math.ceil(window.cols / _COARSE) + 2 * HALO,
        )
        surface = self.views.visibility.surface
        elevations_m = resample(surface.grid, surface.elevations_m, 0, 0, coarse, around)
        return choose(self.views, coarse, around, elevations_m)

    def _add(
        self,
        window: Window,
        elevations_m: Float32,
        choice: Choice,
        k: int,
        weights: Float32,
        total: Float32,
        slack_m: float = 0.0,
    ) -> None:
        """Add a shot's colours, times their shares, to a tile.

        With some slack, a surface that far aside of a cell does not hide it.
        """
        visibility, index = self.views.visibility, int(choice.shots[k])
        shot = visibility.block.shots[index]
        affine = local_affine(visibility.block.frame, self.grid, window, visibility.surface.mean_m)
        _accumulate(
            view_matrix(shot, affine),
            visibility.lenses[shot.camera],
            self.views.preview(index).depths,
            visibility.scale,
            (visibility.tolerance_m, math.inf if slack_m else visibility.step_m),
            shot.rotation[:, 2] * slack_m,
            self.views.image(index),
            1.0 / self.views.reduction,
            self.views.correction(index),
            elevations_m,
            weights,
            total,
        )

    def _fill_gaps(
        self, window: Window, elevations_m: Float32, choice: Choice, total: Float32
    ) -> None:
        """Look for ground that no share covers in the next best photos.

        At the foot of a wall the depth buffer is too coarse to say who sees it: what is left at
        last is taken from a photo where at most a cell of the buffer stands in between.
        """
        for slack_m in (0.0, self.views.visibility.surface.grid.cell_size_m):
            for k in _fallbacks(elevations_m, choice, total):
                gap = np.isfinite(elevations_m) & (total[..., 3] == 0.0)
                wanted = np.where(gap, elevations_m, np.float32(np.nan))
                ones = np.ones_like(choice.costs[k])
                self._add(window, wanted, choice, k, ones, total, slack_m)


def _core(values: Float32) -> Float32:
    """The part of a coarse window inside its halo, with one cell around for interpolation."""
    return values[HALO - 1 : 1 - HALO, HALO - 1 : 1 - HALO]


def _fallbacks(elevations_m: Float32, choice: Choice, total: Float32) -> Iterator[int]:
    """Shots for the cells without colour, the cheapest first."""
    row, col = np.nonzero(np.isfinite(elevations_m) & (total[..., 3] == 0.0))
    if not len(row):
        return
    costs = choice.costs[:, row // _COARSE + HALO, col // _COARSE + HALO]
    seen = np.isfinite(costs)
    share = seen.mean(axis=1)
    mean = np.where(seen, costs, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    for k in np.argsort(mean - share)[:_FALLBACKS]:
        if share[k] > 0.0:
            yield int(k)


def _picture(total: Float32) -> NDArray[np.uint8]:
    """Weighted sums as red, green, blue, alpha, shape (4, rows, cols)."""
    shown = total[..., 3] > 0.0
    colours = total[..., :3] / np.where(shown, total[..., 3], 1.0)[..., None]
    picture = np.zeros((4, *shown.shape), dtype=np.uint8)
    picture[:3] = np.clip(np.rint(colours), 0, 255).transpose(2, 0, 1)
    picture[3] = np.where(shown, 255, 0)
    return picture


@numba.njit(cache=True, nogil=True, inline="always")
def _bilinear(values, u, v):  # type: ignore[no-untyped-def]
    col, row = int(u), int(v)
    a, b = u - col, v - row
    above = (1.0 - a) * values[row, col] + a * values[row, col + 1]
    below = (1.0 - a) * values[row + 1, col] + a * values[row + 1, col + 1]
    return (1.0 - b) * above + b * below


@numba.njit(cache=True, nogil=True, inline="always")
def _cubic(t, taps):  # type: ignore[no-untyped-def]
    """Catmull-Rom weights of four neighbours, ``t`` from the second."""
    taps[0] = t * (-0.5 + t * (1.0 - 0.5 * t))
    taps[1] = 1.0 + t * t * (-2.5 + 1.5 * t)
    taps[2] = t * (0.5 + t * (2.0 - 1.5 * t))
    taps[3] = t * t * (-0.5 + 0.5 * t)


@numba.njit(cache=True, nogil=True, inline="always")
def _tolerance(lens, slack, x, y):  # type: ignore[no-untyped-def]
    """Depth within which a ray stays as close to a plumb line as ``slack`` (a vector) is long."""
    length = math.sqrt(slack[0] ** 2 + slack[1] ** 2 + slack[2] ** 2)
    if length == 0.0:
        return 0.0
    a, b = (x - lens[1]) / lens[0], (y - lens[2]) / lens[0]
    plumb = (a * slack[0] + b * slack[1] + slack[2]) / length
    return length / math.sqrt(max(1.0 + a * a + b * b - plumb * plumb, 1e-12))


@numba.njit(cache=True, nogil=True, fastmath={"contract"})
def _accumulate(  # type: ignore[no-untyped-def]
    matrix,
    lens,
    buffer,
    buffer_scale,
    reach,
    slack,
    image,
    image_scale,
    correction,
    elevations_m,
    weights,
    total,
):
    """Add colour times share to ``total`` (red, green, blue, share) where a shot sees the cell."""
    rows, cols = elevations_m.shape
    half_x, half_y = lens[9] / 2.0, lens[10] / 2.0
    per_r2 = (len(correction) - 1) / (half_x * half_x + half_y * half_y)
    across, down = np.empty(4), np.empty(4)
    for row in range(rows):
        v = (row + 0.5) / _COARSE - 0.5 + HALO
        for col in range(cols):
            share = _bilinear(weights, (col + 0.5) / _COARSE - 0.5 + HALO, v)
            if share < 1e-3:
                continue
            x, y, depth = project(matrix, lens, col, row, elevations_m[row, col])
            if depth == 0.0:
                continue
            s = (x + 0.5) * image_scale - 0.5
            t = (y + 0.5) * image_scale - 0.5
            if not (1.0 <= s < image.shape[1] - 2.0 and 1.0 <= t < image.shape[0] - 2.0):
                continue
            aside = _tolerance(lens, slack, x, y)
            if hidden(buffer, buffer_scale, x, y, depth, reach[0] + aside, reach[1]):
                continue
            left, top = int(s) - 1, int(t) - 1
            _cubic(s - int(s), across)
            _cubic(t - int(t), down)
            dx, dy = x + 0.5 - half_x, y + 0.5 - half_y
            step = min(int((dx * dx + dy * dy) * per_r2 + 0.5), len(correction) - 1)
            for channel in range(3):
                value = 0.0
                for i in range(4):
                    line = 0.0
                    for j in range(4):
                        line += across[j] * image[top + i, left + j, channel]
                    value += down[i] * line
                total[row, col, channel] += share * value * correction[step, channel]
            total[row, col, 3] += share
