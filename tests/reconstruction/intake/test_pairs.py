"""Pairs: photos that overlap are paired, and nobody is left alone."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from reconstruction.layout import lay_out
from reconstruction.pairs import PairList, PairOptions, choose_pairs
from reconstruction.stage import Run


def choose(photos, neighbours=12):
    return choose_pairs(photos, PairOptions(neighbours), Run(jobs=2))


def indices(photos, pairs):
    number = {photo.name: index for index, photo in enumerate(photos)}
    return np.array([(number[a], number[b]) for a, b in pairs])


def groups(photos, pairs):
    edges = indices(photos, pairs)
    size = len(photos)
    return connected_components(coo_array((np.ones(len(edges)), edges.T), (size, size)))[0]


@pytest.fixture
def mixed_up(strips):
    """A flight whose photos come in no order."""
    photos = strips(6, 15)
    order = np.random.default_rng(3).permutation(len(photos))
    return tuple(replace(photos[i], captured_at=None) for i in order)


def test_pairs_are_sorted_and_unique(strips):
    pairs = choose(strips()).pairs
    assert list(pairs) == sorted(set(pairs))
    assert all(first < second for first, second in pairs)


def test_overlapping_neighbours_are_paired(mixed_up):
    pairs = choose(mixed_up).pairs
    edges = indices(mixed_up, pairs)
    layout = lay_out(mixed_up)
    n = len(mixed_up)
    first, second = np.triu_indices(n, 1)
    overlap = layout.overlap(first, second)
    chosen = {tuple(sorted(edge)) for edge in edges.tolist()}
    hits = np.array([edge in chosen for edge in zip(first.tolist(), second.tolist(), strict=True)])
    assert hits[overlap > 0.55].all()
    assert np.mean(overlap[hits] > 0.1) > 0.95
    degree = np.bincount(edges.ravel(), minlength=n)
    assert degree.min() >= 4
    assert 8 <= degree.mean() <= 18


def test_dense_strips_reach_the_next_strip(strips):
    photos = tuple(replace(p, captured_at=None) for p in strips(4, 60, 0.97, 0.3))
    edges = indices(photos, choose(photos).pairs)
    strip = np.arange(240) // 60
    across = np.abs(strip[edges[:, 0]] - strip[edges[:, 1]]) == 1
    reached = np.unique(edges[across].ravel())
    assert len(reached) > 0.8 * len(photos)
    assert groups(photos, choose(photos).pairs) == 1


@pytest.mark.parametrize("height_m", [30.0, None])
def test_every_flight_is_one_graph(strips, height_m):
    photos = strips(2, 4, height_m=height_m or 30.0)
    photos += strips(2, 4, prefix="q", east_m=800.0)
    photos = tuple(replace(p, captured_at=None, relative_altitude_m=height_m) for p in photos)
    assert groups(photos, choose(photos).pairs) == 1


def test_two_heights_are_linked(strips):
    low = strips(6, 10)
    high = strips(3, 5, prefix="q", height_m=75.0)
    photos = low + high
    edges = indices(photos, choose(photos).pairs)
    linked = (edges < len(low)).sum(axis=1) == 1
    assert len(np.unique(edges[linked].ravel())) > 0.95 * len(photos)


def test_oblique_photos_are_paired_by_what_they_show(photo):
    # Two rows on either side of a pit look at the same ground, back to back they do not.
    east = [photo(f"e{n}", 40.0, 6.0 * n, pitch_deg=-45.0, yaw_deg=270.0) for n in range(8)]
    west = [photo(f"w{n}", -20.0, 6.0 * n, pitch_deg=-45.0, yaw_deg=90.0) for n in range(8)]
    away = [photo(f"x{n}", 42.0, 6.0 * n, pitch_deg=-45.0, yaw_deg=90.0) for n in range(8)]
    pairs = choose((*east, *west, *away)).pairs
    kinds = [first[0] + second[0] for first, second in pairs]
    assert kinds.count("ew") > 20
    assert kinds.count("ex") < 8


@pytest.mark.parametrize("break_position", ["wild", "wrong", "none"])
def test_a_bad_position_does_not_lose_its_photo(strips, break_position):
    photos = list(strips())
    bad = photos[8]
    place = {
        "wild": replace(bad.position, latitude_deg=10.0),
        "wrong": photos[20].position,
        "none": None,
    }[break_position]
    photos[8] = replace(bad, position=place)
    pairs = choose(tuple(photos)).pairs
    partners = {name for pair in pairs if bad.name in pair for name in pair}
    assert {photos[7].name, photos[9].name} <= partners


@pytest.mark.parametrize("where", [None, (0.0, 0.0)])
def test_small_flight_without_usable_positions_is_paired_completely(photo, where):
    photos = tuple(photo(f"p{n}", *(where or (None, None))) for n in range(9))
    found = choose(photos)
    assert len(found.pairs) == 36
    assert found.notes == ("9 photos were paired by likeness, for want of a usable position",)


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_tiny_flights(photo, count):
    photos = tuple(photo(f"p{n}", 5.0 * n, 0.0) for n in range(count))
    assert len(choose(photos).pairs) == count * (count - 1) // 2


def test_one_straight_line(photo):
    photos = tuple(photo(f"p{n:02d}", 0.0, 6.0 * n) for n in range(30))
    assert groups(photos, choose(photos).pairs) == 1


def test_the_list_comes_back_from_its_file(tmp_path, strips):
    found = choose(strips())
    found.save(tmp_path)
    assert PairList.load(tmp_path) == found


@pytest.mark.real
def test_real_flights(real_flight):
    _, count, photo_set = real_flight
    pairs = choose(photo_set.photos).pairs
    assert groups(photo_set.photos, pairs) == 1
    assert 4 * count <= len(pairs) <= 9 * count
