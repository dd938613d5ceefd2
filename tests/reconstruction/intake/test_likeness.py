"""Photos cut from one picture of the ground find their neighbours without any position."""

import cv2
import numpy as np
import pytest

from reconstruction.likeness import alike_pairs
from reconstruction.stage import Run

STEP, SIZE, ROWS, COLS = 100, 300, 4, 4


@pytest.fixture
def windows(tmp_path, ground):
    """Overlapping windows of a mosaic, each turned by its own angle."""
    extent = (COLS + 4) * STEP, (ROWS + 4) * STEP
    mosaic = ground(*extent, 11)
    paths, places = [], []
    for row in range(ROWS):
        for col in range(COLS):
            place = ((col + 2.5) * STEP, (row + 2.5) * STEP)
            turn = cv2.getRotationMatrix2D(place, 37.0 * len(paths), 1.0)
            turn[:, 2] += SIZE / 2 - np.array(place)
            window = cv2.warpAffine(mosaic, turn, (SIZE, SIZE))
            path = tmp_path / f"{len(paths):02d}.png"
            cv2.imwrite(str(path), cv2.resize(window, None, fx=2, fy=2))
            paths.append(path)
            places.append((col, row))
    return paths, np.array(places)


def test_turned_neighbours_are_found(windows):
    paths, places = windows
    # A window in a corner has three neighbours, the one across counted.
    pairs = alike_pairs(paths, np.arange(len(paths)), 3, Run(jobs=2))
    offset = np.abs(places[pairs[:, 0]] - places[pairs[:, 1]])
    assert np.mean(offset.max(axis=1) == 1) > 0.95
    beside = offset.sum(axis=1) == 1
    chosen = {tuple(sorted(pair)) for pair in pairs[beside].tolist()}
    assert len(chosen) > 0.9 * (ROWS * (COLS - 1) + COLS * (ROWS - 1))


def test_the_same_flight_gives_the_same_pairs(windows):
    paths, _ = windows
    some = np.array([3, 7])
    first = alike_pairs(paths, some, 4, Run(jobs=2))
    np.testing.assert_array_equal(first, alike_pairs(paths, some, 4, Run(jobs=1)))
    assert set(first[:, 0].tolist()) == {3, 7}


def test_blank_photos_do_no_harm(tmp_path, windows):
    paths, _ = windows
    blank = tmp_path / "blank.png"
    cv2.imwrite(str(blank), np.full((600, 600), 90, np.uint8))
    pairs = alike_pairs([*paths[:6], blank], np.arange(7), 3, Run())
    assert np.sum(pairs[:, 0] == 6) <= 3
    only_blank = alike_pairs([blank, blank, blank], np.arange(3), 3, Run())
    assert only_blank.max() <= 2
