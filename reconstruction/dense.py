"""The dense stage: oriented photos in, points of the surface out, tile by tile.

Every pair of photos is rectified, matched, refined and resampled to the cells of the map on its
own and written to disk; then the tiles of the map are fused one after another from the pairs that
cover them. So memory holds a few photos or one tile, however large the flight.
"""

from __future__ import annotations

import shutil
from collections import defaultdict
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction import room
from reconstruction.block import Block
from reconstruction.camera import Shot
from reconstruction.dense_surface import DenseSurface, PairFacts
from reconstruction.errors import InputError, OptionError, StageError
from reconstruction.exposure import read_photo
from reconstruction.rasters import Grid
from reconstruction.rectify import Rectification, View, rectify
from reconstruction.spline import coefficients_2d
from reconstruction.stage import Run, Stage
from reconstruction.stereo import Contrast, match
from reconstruction.stereo_pairs import StereoPair, select_pairs, split_photos
from reconstruction.subpixel import refine
from reconstruction.surface_patch import CELL, CellFrame, PatchFile, write_patch
from reconstruction.tile_fusion import Patches, fuse_tile

TILE_CELLS = 512
_NICE = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True)
class DenseOptions:
    """How much work the dense surface is worth.

    Parameters
    ----------
    image_reduction : int
        1, 2 or 4: photos are used so many times smaller.
    match_reduction : int
        Semi-global matching uses them so many times smaller again; the refinement does not.
    thorough : bool
        Five directions of aggregation instead of three.
    partners : int
        Partners that every photo chooses.
    cell_size_gsd : float
        Cells of the surface, in mean ground sampling distances of the photos.
    """

    image_reduction: int
    match_reduction: int
    thorough: bool
    partners: int
    cell_size_gsd: float

    @classmethod
    def for_quality(cls, quality: str) -> DenseOptions:
        """Options of ``preview``, ``standard`` or ``high``.

        Raises
        ------
        OptionError
            Another word.
        """
        known = {
            "preview": cls(4, 1, False, 2, 4.0),
            "standard": cls(2, 1, False, 3, 2.0),
            "high": cls(1, 2, True, 4, 1.5),
        }
        if quality not in known:
            raise OptionError(
                f"There is no quality {quality!r}.", f"Choose one of {', '.join(known)}."
            )
        return known[quality]


@dataclass(frozen=True)
class DenseInputs:
    """What the dense stage starts from.

    Parameters
    ----------
    block : Block
    photos : dict of str to Path
        File of every shot, by its name.
    """

    block: Block
    photos: dict[str, Path]


def mean_gsd_m(block: Block) -> float:
    """Mean over the shots of median depth over focal length, metres."""
    values = []
    for index, shot in enumerate(block.shots):
        points = block.points_of(index)
        if len(points):
            depth = float(np.median(shot.to_camera(points)[:, 2]))
            values.append(depth / block.cameras[shot.camera].focal_px)
    if not values:
        raise StageError(
            "dense", "No photo has tie points.", "Fly with more overlap or over more texture."
        )
    return float(np.mean(values))


def nice_cell_size_m(wanted_m: float) -> float:
    """The round number nearest to a wanted cell size.

    Examples
    --------
    >>> nice_cell_size_m(0.0323), nice_cell_size_m(0.097), nice_cell_size_m(1.4)
    (0.03, 0.1, 1.5)
    """
    power = 10.0 ** np.floor(np.log10(wanted_m))
    nearest = min(_NICE, key=lambda value: abs(np.log(value * power / wanted_m)))
    return float(np.round(nearest * power, 9))


def _run(inputs: DenseInputs, options: DenseOptions, folder: Path, run: Run) -> DenseSurface:
    block = inputs.block
    gsd_m = mean_gsd_m(block)
    cells = CellFrame.around(block.frame, nice_cell_size_m(options.cell_size_gsd * gsd_m))
    pairs = select_pairs(block, options.partners)
    if not pairs:
        raise StageError(
            "dense",
            f"None of {len(block.shots)} photos forms a stereo pair with another.",
            "Photos must overlap by at least a quarter and be taken from different places.",
        )
    room.require(folder, _patch_bytes(block, pairs, gsd_m / cells.cell_size_m))
    patches_folder = folder / "patches"
    patches_folder.mkdir()
    halves = split_photos(block, pairs)
    by_left = defaultdict(list)
    for pair in pairs:
        by_left[pair.left].append(pair)
    matcher = partial(
        match_photo, block=block, photos=inputs.photos, options=options, cells=cells, halves=halves
    )  # fmt: skip

    def reads(pairs: list[StereoPair]) -> set[Path]:
        shots = {pair.left for pair in pairs} | {pair.right for pair in pairs}
        return {inputs.photos[block.shots[shot].name] for shot in shots}

    matched = run.part(0.0, 0.8).spread(
        matcher, by_left.values(), patches_folder, "Matching photos", reads
    )
    results = [result for group in matched for result in group]
    patches = [
        replace(patch, path=patches_folder / patch.path.name)
        for _, patch in results
        if patch is not None
    ]
    if not patches:
        raise StageError(
            "dense",
            f"None of {len(pairs)} stereo pairs could be matched.",
            "Check that the photos are sharp and show firm ground rather than water.",
        )
    grid, first_row, first_col = _grid_of(patches, cells, block.frame.epsg)
    windows = list(grid.tiles(TILE_CELLS))
    shelf = Patches(patches, windows, first_row, first_col)
    fuser = partial(fuse_tile, patches=shelf, cells=cells, grid=grid, folder=folder)
    tiles = run.part(0.8, 1.0).map(fuser, windows, "Fusing tiles")
    shutil.rmtree(patches_folder)
    found = tuple(tile for tile in tiles if tile is not None)
    if not found:
        raise StageError(
            "dense",
            "No two stereo pairs agree anywhere.",
            "The camera positions are probably wrong: check the residuals of the adjustment.",
        )
    surface = DenseSurface(found, grid, gsd_m, tuple(facts for facts, _ in results))
    surface.save(folder)
    return surface


def _patch_bytes(block: Block, pairs: list[StereoPair], cells_a_pixel: float) -> float:
    """Room for what all pairs say; afterwards it is more than the tiles and products need."""
    pixels = 0.0
    for pair in pairs:
        camera = block.cameras[block.shots[pair.left].camera]
        pixels += pair.overlap * camera.width_px * camera.height_px
    # Cells are matched a little beyond the overlap that tie points tell.
    return 1.1 * pixels * cells_a_pixel**2 * CELL.itemsize


def match_photo(
    pairs: list[StereoPair],
    folder: Path,
    block: Block,
    photos: dict[str, Path],
    options: DenseOptions,
    cells: CellFrame,
    halves: NDArray[np.int8],
) -> list[tuple[PairFacts, PatchFile | None]]:
    """Shard of the matching: all pairs with the same left photo, which is read once."""
    left_view, left_colors, left_spline = _read(block, pairs[0].left, photos, options)
    results = []
    for pair in pairs:
        # Its colours are not needed, and would stay in memory under a name.
        right_view, right_spline = _read(block, pair.right, photos, options)[::2]
        ground = np.concatenate((block.points_of(pair.left), block.points_of(pair.right)))
        rectification = rectify(left_view, right_view, ground)
        patch, matched = None, 0.0
        if rectification is not None:
            disparity, sigma_px = match_pair(
                rectification, left_view, left_spline, right_view, right_spline, options
            )
            matched = float(np.isfinite(disparity).mean())
        if rectification is not None and matched > 0.0:
            same = halves[pair.left] == halves[pair.right]
            patch = write_patch(
                folder / f"{pair.left:05d}-{pair.right:05d}.npy",
                rectification,
                disparity,
                sigma_px,
                left_view,
                left_colors,
                block.frame,
                cells,
                (pair.left, pair.right),
                int(halves[pair.left]) if same else -1,
            )
        names = block.shots[pair.left].name, block.shots[pair.right].name
        facts = PairFacts(*names, pair.overlap, pair.base_to_depth, matched)
        results.append((facts, patch))
    return results


def match_pair(
    pair: Rectification,
    left: View,
    left_spline: NDArray[np.float32],
    right: View,
    right_spline: NDArray[np.float32],
    options: DenseOptions,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Refined relative disparities of a pair and their sigma, both NaN for none."""
    left_picture = Contrast.of(pair.resample(left_spline, left, is_right=False))
    right_picture = Contrast.of(pair.resample(right_spline, right, is_right=True))
    start = match(
        left_picture,
        right_picture,
        pair.disparity_count,
        reduction=options.match_reduction,
        thorough=options.thorough,
    )
    if start is None:
        nothing = np.full((pair.height_px, pair.width_px), np.nan, dtype=np.float32)
        return nothing, nothing
    return refine(left_picture, right_picture, start)


def _read(
    block: Block, index: int, photos: dict[str, Path], options: DenseOptions
) -> tuple[View, NDArray[np.uint8], NDArray[np.float32]]:
    """A photo at its working size: view, colours, spline of the grey values."""
    shot: Shot = block.shots[index]
    camera = block.cameras[shot.camera]
    path = photos[shot.name]
    colors = read_photo(path, options.image_reduction)
    size = np.array([camera.width_px, camera.height_px]) / options.image_reduction
    if (np.abs(size - np.array(colors.shape[1::-1])) >= 1.0).any():
        raise InputError(
            f"{path} is not of the size {camera.width_px} x {camera.height_px} of its camera.",
            "Do not replace photos between the steps of a run.",
        )
    grey = cv2.cvtColor(colors, cv2.COLOR_RGB2GRAY)
    view = View(shot, camera.scaled(1.0 / options.image_reduction))
    return view, colors, coefficients_2d(grey)


def _grid_of(patches: list[PatchFile], cells: CellFrame, epsg: int) -> tuple[Grid, int, int]:
    """The grid around all patches and the global number of its first row and column."""
    first_row = min(patch.row for patch in patches)
    first_col = min(patch.col for patch in patches)
    rows = max(patch.row + patch.rows for patch in patches) - first_row
    cols = max(patch.col + patch.cols for patch in patches) - first_col
    size = cells.cell_size_m
    west = round(cells.west / size + first_col) * size
    north = round(cells.north / size - first_row) * size
    return Grid(epsg, west, north, size, rows, cols), first_row, first_col


DENSE: Stage[DenseInputs, DenseOptions, DenseSurface] = Stage(
    name="dense", version=3, weight=4.0, run=_run, load=DenseSurface.load
)
