import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from reconstruction import tracks
from reconstruction.matches import PairMatches


def _pair(first: str, second: str, *rows: tuple[int, int]) -> PairMatches:
    return PairMatches(first, second, np.array(rows, np.int32).reshape(-1, 2))


def test_matches_are_chained():
    pairs = [_pair("a", "b", (0, 1), (2, 2)), _pair("b", "c", (1, 5))]
    found = tracks.build(pairs, ["a", "b", "c"], [3, 3, 6], 2)
    assert found.count == 2
    rows = list(
        zip(found.track.tolist(), found.photo.tolist(), found.feature.tolist(), strict=True)
    )
    assert rows == [(0, 0, 0), (0, 1, 1), (0, 2, 5), (1, 0, 2), (1, 1, 2)]
    assert tracks.build(pairs, ["a", "b", "c"], [3, 3, 6], 3).count == 1


def test_a_match_that_contradicts_is_left_out():
    pairs = [_pair("a", "b", (0, 0), (1, 1)), _pair("b", "c", (0, 0)), _pair("a", "c", (1, 0))]
    found = tracks.build(pairs, ["a", "b", "c"], [2, 2, 1], 2)
    assert found.count == 2
    assert np.bincount(found.track).tolist() == [2, 3]


def test_no_matches_give_no_tracks():
    assert tracks.build([], ["a", "b"], [4, 0], 2).count == 0


edge = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 7), st.integers(0, 7))


@given(st.lists(edge, max_size=60))
def test_no_track_has_two_features_of_a_photo_and_no_feature_two_tracks(edges):
    names = ["a", "b", "c", "d"]
    pairs = [_pair(names[i], names[j], (m, n)) for i, j, m, n in edges if i < j]
    found = tracks.build(pairs, names, [8] * 4, 2)
    assert len({*zip(found.track, found.photo, strict=True)}) == len(found.track)
    assert len({*zip(found.photo, found.feature, strict=True)}) == len(found.track)
    assert (np.bincount(found.track, minlength=found.count) >= 2).all()


def test_selection_prefers_long_tracks_and_leaves_no_part_empty():
    rng = np.random.default_rng(5)
    xy = rng.uniform(0, 1200, (6000, 2)).astype(np.float32)
    every = np.arange(6000)
    # All tracks are in photos a and b, a third of them also in c.
    index = np.column_stack((every, every))
    pairs = [
        PairMatches("a", "b", index.astype(np.int32)),
        PairMatches("b", "c", index[:2000].astype(np.int32)),
    ]
    found = tracks.build(pairs, ["a", "b", "c"], [6000] * 3, 2)
    kept = tracks.select(found, [xy] * 3, [(1200, 1200)] * 3, 288)
    lengths = np.bincount(found.track)[kept]
    assert 280 <= kept.sum() <= 320
    assert (lengths == 3).all()
    chosen = found.take(kept)
    assert chosen.count == kept.sum()
    cells = {(x, y) for x, y in (xy[chosen.feature] // 100).astype(int).tolist()}
    assert len(cells) == 144
