"""Choice of pairs and of halves on ideal flights."""

from dataclasses import replace

import numpy as np
import pytest

from reconstruction.stereo_pairs import select_pairs, split_photos

from . import dense_scene


def flat(x, y):
    return 0.0 * x


@pytest.fixture(scope="module")
def block():
    return dense_scene.block_of(dense_scene.shots(5, 4), flat)


def test_every_photo_has_partners_with_overlap_and_base(block):
    pairs = select_pairs(block, 3)
    assert len({(pair.left, pair.right) for pair in pairs}) == len(pairs)
    assert all(pair.left < pair.right for pair in pairs)
    assert {index for pair in pairs for index in (pair.left, pair.right)} == set(range(20))
    assert all(0.08 <= pair.base_to_depth <= 0.75 for pair in pairs)
    assert all(pair.overlap >= 0.25 for pair in pairs)
    assert 0.2 < np.median([pair.base_to_depth for pair in pairs]) < 0.5


def test_pairs_along_and_across_the_lines(block):
    pairs = select_pairs(block, 2)
    along = [pair for pair in pairs if pair.left // 5 == pair.right // 5]
    assert 0 < len(along) < len(pairs)


def test_number_of_pairs_is_linear_in_the_photos():
    for columns, rows in ((5, 3), (10, 6)):
        pairs = select_pairs(dense_scene.block_of(dense_scene.shots(columns, rows), flat), 3)
        assert len(pairs) <= 2.5 * columns * rows


def test_no_pairs_of_views_that_differ(block):
    shots = [
        replace(shot, rotation=np.diag([1.0, 1.0, 1.0])) if index % 2 else shot
        for index, shot in enumerate(block.shots)
    ]
    pairs = select_pairs(replace(block, shots=tuple(shots)), 3)
    assert all((pair.left + pair.right) % 2 == 0 for pair in pairs)


def test_same_place_is_no_pair(block):
    shots = tuple(replace(shot, centre=block.shots[0].centre) for shot in block.shots)
    assert select_pairs(replace(block, shots=shots), 3) == []


def test_a_photo_above_another_takes_no_partner_s_place(block):
    """As from a kite, which rises and sinks: such pairs have no common picture."""
    above = tuple(
        replace(shot, centre=shot.centre + np.array([0.3, 0.0, 0.3 * shot.centre[2]]))
        for shot in block.shots
    )
    risen = replace(block, shots=(*block.shots, *above), tie_points=_seen_twice(block))
    count = len(block.shots)
    pairs = select_pairs(risen, 3)
    assert all(pair.right != pair.left + count for pair in pairs)
    assert {index for pair in pairs for index in (pair.left, pair.right)} == set(range(2 * count))


def _seen_twice(block):
    """The tie points of a block whose every photo has a double."""
    ties = block.tie_points
    return replace(
        ties,
        shot_index=np.concatenate((ties.shot_index, ties.shot_index + len(block.shots))),
        point_index=np.tile(ties.point_index, 2),
        pixels=np.tile(ties.pixels, (2, 1)),
    )


def test_halves_both_have_pairs_of_their_own(block):
    pairs = select_pairs(block, 3)
    half = split_photos(block, pairs)
    assert set(half) == {0, 1}
    for value in (0, 1):
        own = [pair for pair in pairs if half[pair.left] == half[pair.right] == value]
        assert len(own) >= 4
