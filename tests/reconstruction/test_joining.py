"""Models of parts of a flight: joined where they share places, else the largest is kept."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction import tie_points
from reconstruction.block import SparseModel, TiePoints
from reconstruction.level import Level
from reconstruction.placement import transformed
from reconstruction.sfm.joining import Part, join

from . import planted


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> planted.Planted:
    return planted.flight(tmp_path_factory.mktemp("planted"))


def part_of(truth: planted.Planted, chosen: list[int], seed: int) -> Part:
    """Some of the true shots with what they see, in a frame of their own."""
    shots = tuple(truth.shots[index] for index in chosen)
    shot_index, points, pixels = [], [], []
    for index, shot in enumerate(shots):
        behind = truth.seen[shot.name]
        rows = np.flatnonzero(behind >= 0)
        shot_index.append(np.full(len(rows), index))
        points.append(behind[rows])
        pixels.append(truth.features.features(shot.name).xy[rows])
    tracks, point_index, views = np.unique(
        np.concatenate(points), return_inverse=True, return_counts=True
    )
    kept = views[point_index] > 1
    tracks, point_index = np.unique(np.concatenate(points)[kept], return_inverse=True)
    order = np.argsort(point_index, kind="stable")
    ties = TiePoints(
        truth.points[tracks],
        np.concatenate(shot_index)[kept][order].astype(np.int32),
        point_index[order].astype(np.int32),
        np.concatenate(pixels)[kept][order].astype(np.float64),
    )
    random = np.random.default_rng(seed)
    rotation = Rotation.random(random_state=seed).as_matrix()
    frame = Level(random.uniform(0.2, 3.0), rotation, random.normal(0.0, 50.0, 3), 1.0, ())
    model = SparseModel({"c": truth.camera}, shots, ties)
    return Part(transformed(model, frame), tracks)


def check(truth: planted.Planted, model: SparseModel) -> None:
    names = [shot.name for shot in truth.shots]
    true = np.array([truth.shots[names.index(shot.name)].centre for shot in model.shots])
    centres = np.array([shot.centre for shot in model.shots])
    scale, rotation, shift = planted.similarity(centres, true)
    assert scale * centres @ rotation.T + shift == pytest.approx(true, abs=1e-3)
    assert (np.diff(model.tie_points.point_index) >= 0).all()
    # Poses and points agree: the errors are those of the planted pixels.
    assert np.median(tie_points.errors_px(model)) < 0.6


def test_one_model_stays_as_it_is(truth):
    part = part_of(truth, [0, 1, 2, 3], 1)
    assert join([part]) is part.model


@pytest.mark.parametrize(
    "halves", [([0, 1, 2, 3, 4, 5], [5, 6, 7, 8, 9, 10, 11]), ([0, 1, 2, 3], [4, 5, 6, 7])]
)
def test_parts_that_share_photos_or_only_places_are_joined(truth, halves):
    whole = join([part_of(truth, chosen, seed) for seed, chosen in enumerate(halves)])
    assert {shot.name for shot in whole.shots} == {
        truth.shots[index].name for half in halves for index in half
    }
    check(truth, whole)
    (note,) = whole.notes
    assert "2 separate models" in note
    assert f"joined into one of {len(whole.shots)}" in note


def test_a_part_that_shares_nothing_is_left_out_and_told(truth):
    parts = [part_of(truth, [0, 1, 2, 3], 1), part_of(truth, [8, 9, 10], 2)]
    parts[1] = Part(parts[1].model, parts[1].tracks + planted.POINT_COUNT)
    whole = join(parts)
    assert len(whole.shots) == 4
    assert "models of 4, 3 photos; the largest was kept" in whole.notes[0]


def test_parts_that_contradict_each_other_are_not_joined(truth):
    parts = [part_of(truth, [0, 1, 2, 3], 1), part_of(truth, [4, 5, 6, 7], 2)]
    ties = parts[1].model.tie_points
    shuffled = np.random.default_rng(3).permutation(ties.points)
    wrong = replace(parts[1].model, tie_points=replace(ties, points=shuffled))
    whole = join([parts[0], Part(wrong, parts[1].tracks)])
    assert len(whole.shots) == 4


def test_three_parts_are_joined_in_a_chain(truth):
    chain = [part_of(truth, [0, 1], 1), part_of(truth, [1, 2, 5], 2), part_of(truth, [5, 6, 9], 3)]
    whole = join(chain)
    assert len(whole.shots) == 6
    check(truth, whole)


def test_places_along_a_line_do_not_join_parts(truth):
    """They would leave the turn about that line to chance."""
    parts = [part_of(truth, [0, 1, 2, 3], 1), part_of(truth, [4, 5, 6, 7], 2)]
    # Along y = 11 π/2 the ground is straight; places off it are others in the second part.
    off = abs(truth.points[parts[1].tracks, 1] - 17.28)
    tracks = np.where(off < 1.0, parts[1].tracks, parts[1].tracks + planted.POINT_COUNT)
    assert np.isin(tracks, parts[0].tracks).sum() > 15
    assert len(join([parts[0], Part(parts[1].model, tracks)]).shots) == 4
