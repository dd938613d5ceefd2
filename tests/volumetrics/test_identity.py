"""Identities: planted histories of piles are told back."""

import numpy as np
import pytest
import shapely
from shapely import affinity

from volumetrics.identity import carry
from volumetrics.toe import Toe


def heap(x, y, radius=10.0):
    return Toe(f"{x},{y}", shapely.Point(x, y).buffer(radius))


def kinds(before, after):
    return [(link.kind, link.before, link.after) for link in carry(before, after)]


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        (heap(0, 0), "unchanged"),
        (heap(1, 1), "unchanged"),
        (heap(6, 0), "moved"),
        (heap(0, 0, 12), "grown"),
        (heap(2, 0, 8), "shrunk"),
    ],
)
def test_one_pile(after, kind):
    assert kinds([heap(0, 0)], [after]) == [(kind, (0,), (0,))]


def test_split_and_merged_are_each_other_backwards():
    whole, halves = [heap(0, 0, 12)], [heap(-5, 0, 5), heap(5, 0, 5)]
    assert kinds(whole, halves) == [("split", (0,), (0, 1))]
    assert kinds(halves, whole) == [("merged", (0, 1), (0,))]


def test_gone_new_and_nothing():
    assert kinds([heap(0, 0)], [heap(50, 0)]) == [("gone", (0,), ()), ("new", (), (0,))]
    assert carry([], []) == ()


def test_touching_neighbours_stay_apart():
    week = [heap(0, 0), heap(19, 0)]
    assert [kind for kind, _, _ in kinds(week, week)] == ["unchanged", "unchanged"]
    assert all(link.confidence > 0.5 for link in carry(week, week))


def test_regrouped_piles_are_not_guessed():
    before, after = [heap(0, 0), heap(14, 0)], [heap(7, 5, 9), heap(7, -5, 9)]
    assert kinds(before, after) == [("regrouped", (0, 1), (0, 1))]


def test_less_in_common_is_less_certain():
    sure, unsure = (carry([heap(0, 0)], [heap(x, 0)])[0].confidence for x in (1, 12))
    assert sure > 0.9 > unsure > 0.2


@pytest.mark.parametrize("seed", range(100))
def test_random_histories(seed):
    """Piles on a wide raster, each with a planted fate, in an order that tells nothing."""
    generator = np.random.default_rng(seed)
    fates = generator.choice(["unchanged", "grown", "shrunk", "split", "gone", "new"], 12)
    before, after, planted = [], [], []
    for number, fate in enumerate(fates):
        pile = heap(60.0 * (number % 4), 60.0 * (number // 4), generator.uniform(6.0, 14.0))
        size = {"grown": 1.2, "shrunk": 0.8}.get(fate, 1.0)
        now = [affinity.scale(pile.polygon, size, size)]
        if fate == "split":
            now = [affinity.translate(affinity.scale(pile.polygon, 0.4, 0.6), s) for s in (-6, 6)]
        was = () if fate == "new" else (len(before),)
        before += [] if fate == "new" else [pile]
        now = [] if fate == "gone" else [Toe("now", polygon) for polygon in now]
        planted.append((fate, was, len(after), len(now)))
        after += now
    order = generator.permutation(len(after))
    shuffled = [after[index] for index in order]
    place = np.argsort(order)
    expected = {
        (fate, was, tuple(sorted(place[first : first + many].tolist())))
        for fate, was, first, many in planted
    }
    assert set(kinds(before, shuffled)) == expected
