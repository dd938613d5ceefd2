"""One tile of the map, fused from the patches of all stereo pairs that cover it."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction.fusion import FusedCells, fuse
from reconstruction.point_tile import PointTile
from reconstruction.rasters import Grid
from reconstruction.surface_patch import CellFrame, PatchFile

Window = tuple[int, int, int, int]

_HALO_CELLS = 24
_SPECKLE_CELLS = 60
_SPECKLE_SLOPE = 3.0


class Patches:
    """The patches of all pairs; each leaves the disk with the last tile that it covers.

    So tiles take the room of patches, rather than room beside them. Safe to share by threads.

    Parameters
    ----------
    patches : list of PatchFile
    windows : list of tuple of int
        ``row, col, rows, cols`` of all tiles, in the grid.
    first_row, first_col : int
        Number of the grid's first cell in the `CellFrame`.
    """

    def __init__(
        self, patches: list[PatchFile], windows: list[Window], first_row: int, first_col: int
    ) -> None:
        self._patches, self._first = patches, (first_row, first_col)
        self._lock = threading.Lock()
        self._left = dict.fromkeys((patch.path for patch in patches), 0)
        for window in windows:
            for patch in self.over(window):
                self._left[patch.path] += 1

    def with_halo(self, window: Window) -> Window:
        """Cells of the `CellFrame` that a tile is fused from."""
        row, col, rows, cols = window
        return (
            row + self._first[0] - _HALO_CELLS,
            col + self._first[1] - _HALO_CELLS,
            rows + 2 * _HALO_CELLS,
            cols + 2 * _HALO_CELLS,
        )

    def over(self, window: Window) -> list[PatchFile]:
        """Those that cover a tile."""
        halo = self.with_halo(window)
        return [patch for patch in self._patches if patch.overlaps(*halo)]

    def done(self, over: list[PatchFile]) -> None:
        """A tile is fused of these: remove what was waiting for it alone."""
        with self._lock:
            for patch in over:
                self._left[patch.path] -= 1
                if not self._left[patch.path]:
                    patch.path.unlink()


def fuse_tile(
    window: Window, patches: Patches, cells: CellFrame, grid: Grid, folder: Path
) -> PointTile | None:
    """Shard of the fusion: one tile of the grid from all patches that cover it."""
    row, col, rows, cols = window
    over = patches.over(window)
    if not over:
        return None
    fused = _fuse_window(over, patches.with_halo(window), cells.cell_size_m)
    patches.done(over)
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


def _fuse_window(patches: list[PatchFile], window: Window, cell_size_m: float) -> FusedCells:
    # An order that does not depend on which shard was ready first.
    patches = sorted(patches, key=lambda patch: patch.path.name)
    _, _, rows, cols = window
    elevations = np.full((len(patches), rows, cols), np.nan, dtype=np.float32)
    sigmas = np.empty_like(elevations)
    colors = np.empty((len(patches), rows, cols, 3), dtype=np.uint8)
    for index, patch in enumerate(patches):
        for place, stored in patch.parts(*window):
            code = stored["code"].astype(np.float32)
            height = patch.low_m + patch.step_m * (code - np.float32(1.0))
            elevations[index][place] = np.where(code > 0, height, np.nan)
            sigmas[index][place] = stored["sigma_m"]
            colors[index][place] = stored["rgb"]
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
