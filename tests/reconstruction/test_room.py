"""Room on the disk: the law, the refusal, and what gives room back on the way."""

import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from reconstruction import room
from reconstruction.errors import RoomError
from reconstruction.surface_patch import CELL, PatchFile, save
from reconstruction.tile_fusion import Patches


def test_what_does_not_fit_is_refused_with_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=2.0e9))
    room.require(tmp_path, 1.9e9)
    with pytest.raises(RoomError) as caught:
        room.require(tmp_path, 35.0e9)
    assert caught.value.reason == (
        f"This needs about 35.0 GB in {tmp_path}, and 2.0 GB are free there."
    )
    assert "larger disk" in caught.value.hint


@pytest.mark.parametrize(
    ("photo_count", "photo_px", "quality", "peak_gb"),
    [(48, 6e6, "preview", 0.20), (48, 6e6, "standard", 0.69), (26, 12e6, "standard", 0.79)],
)
def test_predicted_room_held_what_runs_took_and_not_twice_as_much(
    photo_count, photo_px, quality, peak_gb
):
    assert peak_gb < room.needed_bytes(photo_count, photo_px, quality) / 1e9 < 2.0 * peak_gb


def read(patch, row, col, rows, cols):
    """Cells of a window, zero where the patch says nothing."""
    window = np.zeros((rows, cols), CELL)
    for place, cells in patch.parts(row, col, rows, cols):
        window[place] = cells
    return window


def test_a_patch_takes_the_room_of_its_cells_and_is_read_by_windows(tmp_path):
    """A square that is turned by 45 degrees fills half of its rectangle."""
    row, col = np.indices((1000, 1000))
    known = abs(row - 500) + abs(col - 500) < 500
    cells = np.zeros(known.shape, CELL)
    cells["code"] = np.where(known, 1 + row + col, 0)
    path = tmp_path / "patch.npy"
    patch = PatchFile(path, -100, 7, 1000, 1000, save(path, cells, known), 0.0, 1.0, (0, 1), 0)
    assert path.stat().st_size < 0.6 * cells.nbytes
    np.testing.assert_array_equal(read(patch, -100, 7, 1000, 1000), cells)
    np.testing.assert_array_equal(read(patch, 300, 407, 70, 900)[:, :600], cells[400:470, 400:])
    assert not read(patch, 300, 407, 70, 900)["code"][:, 600:].any()
    assert not read(patch, 900, 7, 50, 1000)["code"].any()


def test_a_patch_is_removed_with_the_last_tile_over_it(tmp_path):
    patch = PatchFile(tmp_path / "left", 100, 0, 50, 50, (), 0.0, 1.0, (0, 1), 0)
    patches = [patch, replace(patch, path=tmp_path / "both", cols=600)]
    for one in patches:
        one.path.touch()
    windows = [(0, 0, 512, 512), (0, 512, 512, 512)]
    shelf = Patches(patches, windows, first_row=100, first_col=0)
    assert shelf.over(windows[1]) == [patches[1]]
    shelf.done(shelf.over(windows[0]))
    assert {path.name for path in tmp_path.iterdir()} == {"both"}
    shelf.done(shelf.over(windows[1]))
    assert not list(tmp_path.iterdir())
