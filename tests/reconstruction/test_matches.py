from pathlib import Path

import numpy as np
import pytest

from reconstruction import matches
from reconstruction.matches import MatchInputs, MatchOptions, MatchSet, PairMatches
from reconstruction.stage import Run

from . import planted


def _looks(rng: np.random.Generator, count: int) -> np.ndarray:
    values = rng.uniform(0, 80, (count, 128))
    return np.rint(512.0 * values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.uint8)


def test_nearest_agrees_with_all_distances():
    rng = np.random.default_rng(2)
    first = _looks(rng, 700)
    order = rng.permutation(700)[:500]
    noisy = first[order].astype(int) + rng.integers(-9, 10, (500, 128))
    second = np.concatenate((np.clip(noisy, 0, 255).astype(np.uint8), _looks(rng, 90)))
    found = matches.nearest(first, second, 0.9)
    a = first / np.linalg.norm(first.astype(float), axis=1, keepdims=True)
    b = second / np.linalg.norm(second.astype(float), axis=1, keepdims=True)
    distance = np.linalg.norm(a[:, None] - b[None], axis=2)
    two = np.sort(distance, axis=1)[:, :2]
    at = distance.argmin(axis=1)
    mutual = distance.argmin(axis=0)[at] == np.arange(len(first))
    expected = np.flatnonzero(mutual & (two[:, 0] < 0.9 * two[:, 1]))
    assert np.array_equal(found, np.column_stack((expected, at[expected])))
    assert np.array_equal(np.sort(order), found[:, 0])


@pytest.mark.parametrize(("first", "second"), [(0, 5), (5, 0), (5, 1), (0, 0)])
def test_too_few_features_match_nothing(first, second):
    rng = np.random.default_rng(3)
    assert matches.nearest(_looks(rng, first), _looks(rng, second), 0.9).shape == (0, 2)


def test_planted_matches_are_found_and_verified(tmp_path: Path):
    truth = planted.flight(tmp_path)
    pairs = truth.pairs[:6]
    inputs = MatchInputs(truth.photos, truth.features, pairs)
    result = matches.run(inputs, MatchOptions(), tmp_path, Run(jobs=2))
    assert len(result.pairs) >= 4
    for pair in result.pairs:
        one = truth.seen[pair.first][pair.index[:, 0]]
        other = truth.seen[pair.second][pair.index[:, 1]]
        common = np.intersect1d(truth.seen[pair.first], truth.seen[pair.second])
        # The lens is not known yet, which costs matches towards the corners.
        assert len(one) > 0.8 * (len(common) - 1)
        assert np.mean((one == other) & (one >= 0)) > 0.99
    loaded = MatchSet.load(tmp_path)
    for pair, again in zip(result.pairs, loaded.pairs, strict=True):
        assert (pair.first, pair.second) == (again.first, again.second)
        assert np.array_equal(pair.index, again.index)


def test_photos_of_different_places_do_not_match(tmp_path: Path):
    rng = np.random.default_rng(4)
    truth = planted.flight(tmp_path)
    first = truth.features.features(truth.photos[0].name)
    other = matches.Features(first.xy, first.sigma, _looks(rng, len(first.xy)))
    assert len(matches.match(first, other, 1200, MatchOptions())) < MatchOptions().least


def test_no_pairs_are_saved_and_loaded(tmp_path: Path):
    MatchSet(()).save(tmp_path)
    assert MatchSet.load(tmp_path) == MatchSet(())


def test_a_pair_is_kept_with_its_rows(tmp_path: Path):
    index = np.array([[1, 2], [3, 4]], np.int32)
    MatchSet((PairMatches("ä/a.jpg", "b.jpg", index),)).save(tmp_path)
    (pair,) = MatchSet.load(tmp_path).pairs
    assert pair.first == "ä/a.jpg"
    assert np.array_equal(pair.index, index)
