"""COLMAP's mappers on planted matches, and on the real flights at a reduced size."""

import contextlib
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconstruction import features, images, matches, sfm, tie_points
from reconstruction.block import SparseModel
from reconstruction.errors import Cancelled, OptionError, StageError
from reconstruction.features import FeatureInputs, FeatureOptions
from reconstruction.matches import MatchInputs, MatchOptions, MatchSet
from reconstruction.pairs import PairOptions, choose_pairs
from reconstruction.sfm import SfmInputs, SfmOptions, choose_engine
from reconstruction.stage import Run

from . import planted

pytest.importorskip("pycolmap", reason="pycolmap is not installed")
from reconstruction.sfm import colmap


def _inputs(folder: Path, **settings) -> tuple[planted.Planted, SfmInputs]:
    truth = planted.flight(folder, **settings)
    found = matches.run(
        MatchInputs(truth.photos, truth.features, truth.pairs), MatchOptions(), folder, Run(jobs=2)
    )
    return truth, SfmInputs(truth.photos, truth.features, found)


@pytest.fixture(scope="module")
def flight(tmp_path_factory) -> tuple[planted.Planted, SfmInputs]:
    return _inputs(tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="module")
def model(flight, tmp_path_factory) -> SparseModel:
    folder = tmp_path_factory.mktemp("sfm")
    return sfm.run(flight[1], SfmOptions("colmap"), folder, Run(jobs=2))


def _check_against(truth: planted.Planted, model: SparseModel) -> None:
    """Poses and points within centimetres and a milliradian; 50 m high, noise 0.3 px."""
    names = [shot.name for shot in truth.shots]
    shots = [truth.shots[names.index(shot.name)] for shot in model.shots]
    centres = np.array([shot.centre for shot in model.shots])
    true = np.array([shot.centre for shot in shots])
    scale, rotation, shift = planted.similarity(centres, true)
    assert scale * centres @ rotation.T + shift == pytest.approx(true, abs=0.06)
    for shot, real in zip(model.shots, shots, strict=True):
        turn = shot.rotation @ rotation.T @ real.rotation.T
        assert np.arccos(min(1.0, (np.trace(turn) - 1.0) / 2.0)) < 2e-3


def test_planted_flight_comes_back(flight, model):
    truth, _ = flight
    assert len(model.shots) == len(truth.shots)
    assert model.notes == ()
    _check_against(truth, model)
    (camera,) = model.cameras.values()
    assert camera.focal_px == pytest.approx(truth.camera.focal_px, rel=5e-3)
    assert camera.k1 == pytest.approx(truth.camera.k1, abs=4e-3)
    assert np.median(tie_points.errors_px(model)) < 0.6


def test_tie_points_are_true_many_and_well_formed(flight, model):
    truth, _ = flight
    ties = model.tie_points
    every = np.concatenate([truth.seen[shot.name] for shot in model.shots])
    views = np.bincount(every[every >= 0], minlength=planted.POINT_COUNT)
    several = [np.sum(views[seen[seen >= 0]] > 1) for seen in truth.seen.values()]
    assert (np.bincount(ties.shot_index) > 0.9 * np.array(several)).all()
    assert np.array_equal(np.unique(ties.point_index), np.arange(len(ties.points)))
    assert (np.diff(ties.point_index) >= 0).all()
    assert len({*zip(ties.shot_index, ties.point_index, strict=True)}) == len(ties.shot_index)
    # Behind nearly every tie point there is one true point, the same in all its photos.
    behind = np.empty(len(ties.pixels), np.int64)
    for index, shot in enumerate(model.shots):
        rows = np.flatnonzero(ties.shot_index == index)
        xy = truth.features.features(shot.name).xy
        nearest = [np.abs(xy - pixel).sum(axis=1).argmin() for pixel in ties.pixels[rows]]
        behind[rows] = truth.seen[shot.name][nearest]
    first = behind[np.searchsorted(ties.point_index, ties.point_index)]
    assert np.mean((behind == first) & (behind >= 0)) > 0.99


def test_stage_loads_what_it_saved(flight, model, tmp_path):
    model.save(tmp_path)
    loaded = sfm.SFM.load(tmp_path)
    assert [shot.name for shot in loaded.shots] == [shot.name for shot in model.shots]
    assert np.array_equal(loaded.tie_points.pixels, model.tie_points.pixels)


def test_incremental_mapping_takes_over(flight, tmp_path, monkeypatch):
    truth, inputs = flight
    models = colmap._models
    monkeypatch.setattr(
        colmap, "_models", lambda name, *rest: [] if name == colmap.GLOBAL else models(name, *rest)
    )
    model = colmap.reconstruct(inputs, tmp_path, Run(jobs=2))
    assert len(model.shots) == len(truth.shots)
    _check_against(truth, model)


def test_a_photo_without_matches_is_left_out_and_named(flight, tmp_path):
    truth, inputs = flight
    lost = truth.photos[5].name
    pairs = tuple(p for p in inputs.matches.pairs if lost not in (p.first, p.second))
    model = colmap.reconstruct(replace(inputs, matches=MatchSet(pairs)), tmp_path, Run(jobs=2))
    assert len(model.shots) == len(truth.shots) - 1
    assert any(lost in note for note in model.notes)


def test_an_unknown_focal_length_is_guessed(tmp_path):
    truth, inputs = _inputs(tmp_path, focal_known=False)
    model = colmap.reconstruct(inputs, tmp_path, Run(jobs=2))
    assert len(model.shots) == len(truth.shots)
    (camera,) = model.cameras.values()
    assert 0.8 < camera.focal_px / truth.camera.focal_px < 1.25
    assert np.median(tie_points.errors_px(model)) < 0.8


def test_nothing_that_matches_is_an_error_with_a_remedy(flight, tmp_path):
    with pytest.raises(StageError, match="overlap"):
        colmap.reconstruct(replace(flight[1], matches=MatchSet(())), tmp_path, Run())


def test_the_wish_to_stop_is_heard(flight, tmp_path):
    run = Run()
    run.cancelled.set()
    with pytest.raises(Cancelled):
        colmap.reconstruct(flight[1], tmp_path, run)


@pytest.mark.parametrize("mapper", [colmap.GLOBAL, colmap.INCREMENTAL])
def test_the_wish_to_stop_ends_a_mapper_that_runs(flight, tmp_path, monkeypatch, mapper):
    """The mapper's process is gone when the run has stopped."""
    if mapper == colmap.INCREMENTAL:
        models = colmap._models
        monkeypatch.setattr(
            colmap,
            "_models",
            lambda name, *rest: [] if name == colmap.GLOBAL else models(name, *rest),
        )
    run, seen = Run(), []

    def stop(_fraction, message):
        if message == f"{mapper.title()} mapping":
            seen.extend(_mappers(tmp_path))
            if seen:
                run.cancelled.set()

    run.report = stop
    with pytest.raises(Cancelled):
        colmap.reconstruct(flight[1], tmp_path, run)
    assert len(seen) == 1
    assert not _mappers(tmp_path)


def _mappers(folder: Path) -> list[int]:
    """Processes that map below a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            if "colmap_mapping" in command and str(folder) in command:
                found.append(int(entry.name))
    return found


def test_a_mapper_that_dies_is_an_error_with_a_remedy(flight, tmp_path):
    def kill(_fraction, message):
        for number in _mappers(tmp_path):
            os.kill(number, signal.SIGKILL)

    with pytest.raises(StageError, match=r"(?s)global mapper was killed by signal 9.*fewer --jobs"):
        colmap.reconstruct(flight[1], tmp_path, Run(kill))


def test_unknown_and_missing_engines_are_refused(monkeypatch):
    with pytest.raises(OptionError, match="colmap"):
        choose_engine("magic")
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    monkeypatch.setattr(sfm, "has_pycolmap", lambda: False)
    monkeypatch.setattr(colmap, "has_pycolmap", lambda: False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match="pip install pycolmap"):
        choose_engine("colmap")


REAL = Path(__file__).parents[3] / "shared" / "data"


@pytest.mark.real
@pytest.mark.parametrize(("name", "least"), [("brighton_beach", 18), ("caliterra", 25)])
def test_real_flights_come_together_at_a_reduced_size(name, least, tmp_path):
    folder = REAL / name / "images"
    if not folder.is_dir():
        pytest.skip(f"the flight {folder} is not there")
    run = Run(jobs=2)
    photos = images.read_flight(images.PhotoFolder(folder), run).photos
    pairs = choose_pairs(photos, PairOptions(), run).pairs
    found = features.run(FeatureInputs(photos), FeatureOptions(1400, 4000), tmp_path, run)
    matched = matches.run(MatchInputs(photos, found, pairs), MatchOptions(), tmp_path, run)
    model = colmap.reconstruct(SfmInputs(photos, found, matched), tmp_path, run)
    assert len(model.shots) >= least
    # At this size a feature is known to about a third of 2.9 pixels of the full photo.
    assert np.mean(tie_points.errors_px(model)) < 1.5
    assert np.bincount(model.tie_points.shot_index).min() > 200
