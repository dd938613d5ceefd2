"""One tile of the map, fused from the patches of all stereo pairs that cover it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction.fusion import FusedCells, fuse
from reconstruction.point_tile import PointTile
from reconstruction.rasters import Grid
from reconstruction.surface_patch import CellFrame, PatchFile

_HALO_CELLS = 24
_SPECKLE_CELLS = 60
_SPECKLE_SLOPE = 3.0


def fuse_tile(
    window: tuple[int, int, int, int],
    patches: list[PatchFile],
    cells: CellFrame,
    grid: Grid,
    first_row: int,
    first_col: int,
    folder: Path,
) -> PointTile | None:
    """Shard of the fusion: one tile of the grid from all patches that cover it."""
    row, col, rows, cols = window
    halo = (
        row + first_row - _HALO_CELLS,
        col + first_col - _HALO_CELLS,
        rows + 2 * _HALO_CELLS,
        cols + 2 * _HALO_CELLS,
    )
    over = [patch for patch in patches if patch.overlaps(*halo)]
    if not over:
        return None
    fused = _fuse_window(over, halo, cells.cell_size_m)
    keep = ~np.isnan(_without_speckles(fused.elevation_m, cells.cell_size_m))
    keep = keep[_HALO_CELLS:-_HALO_CELLS, _HALO_CELLS:-_HALO_CELLS]
    at_row, at_col = np.nonzero(keep)
    if len(at_row) == 0:
        return None
    size = grid.cell_size_m
    origin = np.array([grid.west + col * size, grid.north - row * size, cells.elevation_m])
    inside = (at_row + _HALO_CELLS, at_col + _HALO_CELLS)
    elevation = fused.elevation_m[inside]
    offsets = np.column_stack(((at_col + 0.5) * size, -(at_row + 0.5) * size, elevation))
    path = folder / f"tile_{row:06d}_{col:06d}.npz"
    np.savez(
        path,
        origin=origin,
        offsets=offsets.astype(np.float32),
        colors=fused.rgb[inside],
        sigma_m=fused.sigma_m[inside],
        row=(at_row + row).astype(np.int32),
        col=(at_col + col).astype(np.int32),
        count=fused.count[inside],
        spread_m=fused.spread_m[inside],
        noise_m=fused.noise_m[inside],
    )
    west, north = float(origin[0]), float(origin[1])
    bounds = (west, north - rows * size, west + cols * size, north)
    return PointTile(path, bounds, len(at_row))


def _fuse_window(
    patches: list[PatchFile], window: tuple[int, int, int, int], cell_size_m: float
) -> FusedCells:
    # An order that does not depend on which shard was ready first.
    patches = sorted(patches, key=lambda patch: patch.path.name)
    _, _, rows, cols = window
    elevations = np.empty((len(patches), rows, cols), dtype=np.float32)
    sigmas = np.empty_like(elevations)
    colors = np.empty((len(patches), rows, cols, 3), dtype=np.uint8)
    for index, patch in enumerate(patches):
        stored = patch.read(*window)
        code = stored["code"].astype(np.float32)
        height = patch.low_m + patch.step_m * (code - np.float32(1.0))
        elevations[index] = np.where(code > 0, height, np.nan)
        sigmas[index] = stored["sigma_m"]
        colors[index] = stored["rgb"]
    halves = np.array([patch.half for patch in patches], dtype=np.int8)
    photos = np.array([patch.photos for patch in patches], dtype=np.int64)
    return fuse(elevations, sigmas, colors, photos, halves, cell_size_m)


def _without_speckles(elevation_m: NDArray[np.float32], cell_size_m: float) -> NDArray[np.float32]:
    """The surface without small islands that hang free of their surroundings."""
    known = ~np.isnan(elevation_m)
    if not known.any():
        return elevation_m
    steps = (elevation_m - np.median(elevation_m[known])) / np.float32(cell_size_m) * 8.0
    none = -32768
    levels = np.where(known, np.clip(np.nan_to_num(steps), -32000, 32000), none).astype(np.int16)
    cv2.filterSpeckles(levels, none, _SPECKLE_CELLS, 8.0 * _SPECKLE_SLOPE)
    return np.where(levels == none, np.float32(np.nan), elevation_m)
