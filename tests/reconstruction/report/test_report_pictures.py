"""Counts and shares that pictures are made of, against a scene that can be done in the head."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reconstruction.report import pictures
from reconstruction.report.canvas import frame_around

from . import made_up


def test_photos_per_place_counts_frames(tmp_path: Path) -> None:
    made_up.write_rasters(tmp_path)
    counts, bounds = pictures.photos_per_place(made_up.block(), tmp_path / "dsm.tif")
    rows, cols = counts.shape
    assert (rows, cols) == (60, 80)
    # From 40 m a photo shows 40 m by 30 m: the middle is in all four frames (the ground is up to
    # 2 m above the plane, which takes 5 % of that).
    assert counts[rows // 2, cols // 2] == 4.0
    # The corner is in the frame of its own photo only, or of none.
    assert np.nan_to_num(counts[0, 0]) == 1.0
    assert bounds[2] - bounds[0] == pytest.approx(40.0)


def test_share_of_an_area_without_extent_is_unknown(tmp_path: Path) -> None:
    made_up.write_rasters(tmp_path)
    east, north, _ = made_up.FRAME.map_origin
    line = np.array([[east, north], [east + 3.0, north], [east + 9.0, north]])
    assert pictures.measured_share(tmp_path / "dsm.tif", line) is None


def test_area_beyond_the_surface_is_not_measured(tmp_path: Path) -> None:
    made_up.write_rasters(tmp_path)
    east, north, _ = made_up.FRAME.map_origin
    corners = np.array([[10.0, 4.0], [30.0, 4.0], [30.0, 8.0], [10.0, 8.0]])
    beside_hole = np.add(corners, (east, north))
    assert pictures.measured_share(tmp_path / "dsm.tif", beside_hole) == pytest.approx(
        0.5, abs=0.02
    )


def test_map_keeps_near_places_and_drops_far_ones() -> None:
    west, south, east, north = frame_around((0.0, 0.0, 100.0, 50.0), [(120.0, 20.0), (9e5, 0.0)])
    assert 120.0 < east < 130.0
    assert (west, south, north) == pytest.approx((0.0, 0.0, 50.0), abs=3.0)
