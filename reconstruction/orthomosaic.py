"""The orthomosaic: every cell shows the ground that is truly there, as the best photo saw it.

True ortho: a cell's elevation comes from the surface model, and a photo gives its colour only if
nothing stands in between. Tile by tile, in an order that keeps neighbours together, so that a photo
is decoded about once and memory does not depend on the number of photos.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from reconstruction.block import Block
from reconstruction.errors import OptionError, StageError
from reconstruction.exposure import Exposures, balance
from reconstruction.once import once
from reconstruction.photo_sampling import accumulate
from reconstruction.photo_views import PhotoViews
from reconstruction.projection import Window, local_affine, view_matrix
from reconstruction.rasters import Grid, RasterReader, rgba_cog
from reconstruction.seams import HALO, Choice, candidates, choose
from reconstruction.stage import Run, Stage
from reconstruction.surface import Float32, Surface, resample
from reconstruction.visibility import Visibility

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
        grid = Grid.covering(dsm.grid.epsg, dsm.grid.bounds, cell_size_m)
    mosaic, tiles, windows = (
        _Mosaic(inputs, options, exposures, grid),
        folder / "tiles",
        _tiles(grid),
    )
    tiles.mkdir()
    covered = run.part(0.2, 0.9).spread(
        mosaic.tile, windows, tiles, "orthomosaic tile", mosaic.reads
    )
    with rgba_cog(folder / "orthomosaic.tif", grid, run.jobs) as raster:
        for window, count in zip(windows, covered, strict=True):
            if count:
                tile = tiles / _file(window)
                raster.write(window.row, window.col, np.load(tile))
                # The raster takes its room.
                tile.unlink()
    shutil.rmtree(tiles)
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


def _file(window: Window) -> str:
    return f"{window.row}_{window.col}.npy"


def _morton(row: int, col: int) -> int:
    return sum(
        ((row >> bit & 1) << (2 * bit + 1)) | ((col >> bit & 1) << (2 * bit)) for bit in range(24)
    )


@dataclass(frozen=True)
class _Mosaic:
    """A mosaic being made: what all tiles share."""

    inputs: OrthomosaicInputs
    options: OrthomosaicOptions
    exposures: Exposures
    grid: Grid

    def __reduce__(self) -> tuple[type[_Mosaic], tuple[Any, ...]]:
        return _Mosaic, (self.inputs, self.options, self.exposures, self.grid)

    @once
    def dsm(self) -> RasterReader:
        """The surface model."""
        return RasterReader(self.inputs.dsm)

    @once
    def views(self) -> PhotoViews:
        """The photos; raises `StageError` where there is no ground for them to show."""
        inputs, options = self.inputs, self.options
        surface = Surface.from_raster(self.dsm, inputs.gsd_m / _BUFFER_SCALE, options.fill_m)
        if math.isnan(surface.mean_m):
            raise StageError(
                NAME, "The surface model holds no ground.", "Look at the dense stage's messages."
            )
        visibility = Visibility(inputs.block, surface, _BUFFER_SCALE)
        reduction = 1 << min(3, max(0, int(math.log2(options.cell_size_gsd) + 1e-6)))
        return PhotoViews(visibility, inputs.photos, self.exposures, reduction, options.cache_mb)

    def reads(self, window: Window) -> list[Path]:
        """What `tile` reads: the surface model, and the photos that may see the tile."""
        shots = self.inputs.block.shots
        near = candidates(self.views.visibility.footprints, *self._coarse(window))
        return [self.inputs.dsm, *(self.inputs.photos[shots[index].name] for index in near)]

    def tile(self, window: Window, folder: Path) -> int:
        """Make one tile, a file unless it is empty; the number of its cells that show ground."""
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
        np.save(folder / _file(window), picture)
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
        if np.isnan(elevations_m).any():
            surface = self.views.visibility.surface
            bridged = resample(surface.grid, surface.elevations_m, 0, 0, self.grid, window)
            np.copyto(elevations_m, bridged, where=np.isnan(elevations_m))
        return elevations_m

    def _coarse(self, window: Window) -> tuple[Grid, Window]:
        """The grid that photos are chosen on, and the part of it that a tile's choice looks at."""
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
        return coarse, around

    def _choice(self, window: Window) -> Choice:
        coarse, around = self._coarse(window)
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
        accumulate(
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
            (_COARSE, HALO),
            total,
        )

    def _fill_gaps(
        self, window: Window, elevations_m: Float32, choice: Choice, total: Float32
    ) -> None:
        """Look for ground that no share covers in the next best photos.

        At the foot of a wall the depth buffer is too coarse to say who sees it: what is left at
        last is taken from a photo where at most a cell of the buffer stands in between.
        """
        wanted = np.where(total[..., 3] == 0.0, elevations_m, np.float32(np.nan))
        everywhere = np.ones(choice.weights.shape[1:], dtype=np.float32)
        for slack_m in (0.0, self.views.visibility.surface.grid.cell_size_m):
            for k in _fallbacks(wanted, choice):
                self._add(window, wanted, choice, k, everywhere, total, slack_m)
                wanted[total[..., 3] > 0.0] = np.nan


def _core(values: Float32) -> Float32:
    """The part of a coarse window inside its halo, with one cell around for interpolation."""
    return values[HALO - 1 : 1 - HALO, HALO - 1 : 1 - HALO]


def _fallbacks(wanted: Float32, choice: Choice) -> list[int]:
    """Shots that may see the cells whose elevations are wanted, the best looks first."""
    row, col = (np.arange(0, size, _COARSE) for size in wanted.shape)
    by_row = np.logical_or.reduceat(np.isfinite(wanted), row, axis=0)
    rows, cols = np.nonzero(np.logical_or.reduceat(by_row, col, axis=1))
    aspects = choice.aspects[:, rows + HALO, cols + HALO]
    inside = np.isfinite(aspects)
    share = inside.sum(axis=1) / max(len(rows), 1)
    mean = np.where(inside, aspects, 0.0).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    ranked = np.argsort(mean - share)
    return [int(k) for k in ranked[share[ranked] > 0.0][:_FALLBACKS]]


@numba.njit(cache=True, nogil=True)
def _picture(total):  # type: ignore[no-untyped-def]
    """Weighted sums as red, green, blue, alpha, shape (4, rows, cols)."""
    picture = np.zeros((4, total.shape[0], total.shape[1]), np.uint8)
    for row in range(total.shape[0]):
        for col in range(total.shape[1]):
            share = total[row, col, 3]
            if share > 0.0:
                for channel in range(3):
                    value = total[row, col, channel] / share + 0.5
                    picture[channel, row, col] = np.uint8(min(max(value, 0.0), 255.0))
                picture[3, row, col] = 255
    return picture
