"""COLMAP's program on planted matches, on the real flights, and when it fails."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reconstruction import features, images, matches, sfm, tie_points
from reconstruction.errors import Cancelled, OptionError, StageError
from reconstruction.features import FeatureInputs, FeatureOptions
from reconstruction.matches import MatchInputs, MatchOptions, MatchSet
from reconstruction.pairs import PairOptions, choose_pairs
from reconstruction.sfm import SfmInputs, SfmOptions, choose_engine, colmap_cli
from reconstruction.stage import Run

from . import planted

REAL = Path(__file__).parents[3] / "shared" / "data"
PROGRAM = shutil.which("colmap")
needs_colmap = pytest.mark.skipif(PROGRAM is None, reason="the program colmap is not installed")


def _inputs(folder, **settings):
    truth = planted.flight(folder, **settings)
    found = matches.run(
        MatchInputs(truth.photos, truth.features, truth.pairs), MatchOptions(), folder, Run(jobs=2)
    )
    return truth, SfmInputs(truth.photos, truth.features, found)


@pytest.fixture(scope="module")
def flight(tmp_path_factory):
    return _inputs(tmp_path_factory.mktemp("planted"))


@needs_colmap
def test_planted_flight_comes_back(flight, tmp_path):
    truth, inputs = flight
    fractions = []
    run = Run(lambda fraction, message: fractions.append(fraction), jobs=2)
    model = sfm.run(inputs, SfmOptions("colmap-cli"), tmp_path, run)
    assert len(model.shots) == len(truth.shots)
    assert model.notes == ()
    assert fractions == sorted(fractions)
    centres = np.array([shot.centre for shot in model.shots])
    true = np.array([shot.centre for shot in truth.shots])
    scale, rotation, shift = planted.similarity(centres, true)
    # The lens has one term only; the adjustment brings the others, and with them the rest.
    assert scale * centres @ rotation.T + shift == pytest.approx(true, abs=0.15)
    for shot, real in zip(model.shots, truth.shots, strict=True):
        turn = shot.rotation @ rotation.T @ real.rotation.T
        assert np.arccos(min(1.0, (np.trace(turn) - 1.0) / 2.0)) < 4e-3
    assert np.median(tie_points.errors_px(model)) < 0.6
    every = np.concatenate([truth.seen[shot.name] for shot in model.shots])
    views = np.bincount(every[every >= 0], minlength=planted.POINT_COUNT)
    several = [np.sum(views[seen[seen >= 0]] > 1) for seen in truth.seen.values()]
    assert (np.bincount(model.tie_points.shot_index) > 0.9 * np.array(several)).all()
    assert (np.diff(model.tie_points.point_index) >= 0).all()
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("colmap")] == [
        "colmap.log"
    ]


@needs_colmap
def test_a_photo_without_matches_is_left_out_and_named(flight, tmp_path):
    truth, inputs = flight
    lost = truth.photos[5].name
    pairs = tuple(p for p in inputs.matches.pairs if lost not in (p.first, p.second))
    engine = choose_engine("colmap-cli")
    model = engine(replace(inputs, matches=MatchSet(pairs)), tmp_path, Run(jobs=2))
    assert len(model.shots) == len(truth.shots) - 1
    assert any(lost in note for note in model.notes)


@needs_colmap
def test_an_unknown_focal_length_is_found(tmp_path):
    truth, inputs = _inputs(tmp_path, focal_known=False)
    model = choose_engine("colmap-cli")(inputs, tmp_path, Run(jobs=2))
    assert len(model.shots) == len(truth.shots)
    (camera,) = model.cameras.values()
    assert 0.8 < camera.focal_px / truth.camera.focal_px < 1.25


@needs_colmap
def test_nothing_that_matches_is_an_error_with_a_remedy(flight, tmp_path):
    with pytest.raises(StageError, match="overlap"):
        choose_engine("colmap-cli")(replace(flight[1], matches=MatchSet(())), tmp_path, Run())


def test_the_wish_to_stop_ends_the_program(flight, tmp_path):
    run = Run()

    def stop(_fraction, message):
        if message == "COLMAP: mapper":
            run.cancelled.set()

    run.report = stop
    program = _program(tmp_path, 'case $1 in mapper) echo $$ > "$0.pid"; sleep 60 ;; esac')
    _empty_database(tmp_path / "made.db")
    with pytest.raises(Cancelled):
        colmap_cli.reconstruct(flight[1], tmp_path, run, program)
    number = Path(f"{program}.pid").read_text().strip()
    assert not Path("/proc", number).exists()


def test_a_command_that_fails_shows_the_end_of_its_log(flight, tmp_path):
    program = _program(tmp_path, "echo out of memory; exit 3")
    with pytest.raises(StageError, match=r"database_creator ended with code 3:\nout of memory"):
        colmap_cli.reconstruct(flight[1], tmp_path, Run(), program)


def test_a_missing_program_is_refused_with_a_remedy(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(OptionError, match="apt-get install colmap") as refused:
        choose_engine("colmap-cli")
    assert "PATH" in refused.value.reason


def test_the_program_stands_in_for_the_missing_library(monkeypatch, tmp_path):
    program = _program(tmp_path, "")
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(sfm, "has_pycolmap", lambda: False)
    assert choose_engine("colmap").func is colmap_cli.reconstruct
    monkeypatch.setattr(sfm, "has_pycolmap", lambda: True)
    pytest.importorskip("pycolmap", reason="pycolmap is not installed")
    assert choose_engine("colmap") is sfm.colmap.reconstruct


@needs_colmap
@needs_colmap
def test_the_program_says_its_version_where_it_works(monkeypatch, tmp_path):
    said = subprocess.run([PROGRAM, "help"], capture_output=True, text=True, check=True).stdout
    version = sfm.program_versions("colmap-cli")["colmap"]
    assert said.startswith(f"COLMAP {version} ")
    assert sfm.program_versions("colmap") == {}
    monkeypatch.setattr(sfm, "has_pycolmap", lambda: False)
    assert sfm.program_versions("colmap") == {"colmap": version}
    assert colmap_cli.version(_program(tmp_path, "exit 1")) == ""


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
    model = choose_engine("colmap-cli")(SfmInputs(photos, found, matched), tmp_path, run)
    assert len(model.shots) >= least
    assert np.bincount(model.tie_points.shot_index).min() > 200


def _program(folder, body):
    """A stand-in for the program: makes the database, and then does what the body says."""
    path = folder / "bin" / "colmap"
    path.parent.mkdir()
    create = '[ "$1" != database_creator ] || cp "$(dirname "$3")/../made.db" "$3"'
    path.write_text(f"#!/bin/sh\n{body}\n{create}\n")
    path.chmod(0o755)
    return path


def _empty_database(path):
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(path)) as database, database:
        database.executescript("""
            CREATE TABLE cameras (camera_id, model, width, height, params, prior_focal_length);
            CREATE TABLE images (image_id, name, camera_id);
            CREATE TABLE keypoints (image_id, rows, cols, data);
            CREATE TABLE matches (pair_id, rows, cols, data);
            CREATE TABLE two_view_geometries
                (pair_id, rows, cols, data, config, F, E, H, qvec, tvec);
        """)
