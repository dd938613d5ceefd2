"""Shards as another machine computes them: from a copy, with no files but those they read."""

import pickle
from pathlib import Path

import numpy as np
import pytest

import reconstruction
from reconstruction import orthomosaic, tile_tree
from reconstruction.dense import DENSE, DenseInputs, DenseOptions
from reconstruction.features import FEATURES, FeatureInputs, FeatureOptions
from reconstruction.images import PhotoFolder, read_flight
from reconstruction.matches import MATCHES, MatchInputs, MatchOptions
from reconstruction.orthomosaic import ORTHOMOSAIC, OrthomosaicInputs, OrthomosaicOptions
from reconstruction.stage import Run, perform
from reconstruction.tiles3d import MODEL, ModelInputs, ModelOptions
from tests.reconstruction import dense_scene
from tests.reconstruction.model import conftest as yard_scene


class Elsewhere:
    """Computes each shard alone, with all photos hidden that it does not say it reads."""

    def __init__(self, photos, hidden):
        self.photos, self.hidden = photos, hidden
        self.counts = {}

    def __call__(self, run, function, shards, folder, message, reads):
        results = []
        for shard in shards:
            copy, alone = pickle.loads(pickle.dumps((function, shard)))
            unread = set(self.photos) - set(reads(shard))
            self.hidden.mkdir()
            for path in unread:
                path.rename(self.hidden / path.name)
            results += run.compute(copy, [alone], folder, message)
            for path in unread:
                (self.hidden / path.name).rename(path)
            self.hidden.rmdir()
            self.counts[message] = self.counts.get(message, 0) + bool(unread)
        # What was computed here is as picklable afterwards.
        pickle.dumps(function)
        return pickle.loads(pickle.dumps(results))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """A flight over waves: its photos, and its block."""
    folder = tmp_path_factory.mktemp("waves")
    return dense_scene.fly(folder, lambda x, y: np.cos(x / 9.0), dense_scene.texture(), 4)


@pytest.fixture(scope="module")
def yard(tmp_path_factory):
    """A yard photographed from above and from aside."""
    return yard_scene.build(tmp_path_factory.mktemp("yard"))


def test_no_kernel_may_round_as_the_compiler_likes():
    # Compiled just now, from a cache or on another processor: each would give other bits.
    sources = Path(reconstruction.__file__).parent.rglob("*.py")
    assert [path.name for path in sources if "fastmath" in path.read_text()] == []


def files(folder):
    """Contents of what a stage wrote, but for how long it took."""
    found = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return {path: content for path, content in found.items() if path.name != "manifest.json"}


def check(tmp_path, photos, stage, inputs, options, spread):
    """The same files either way, though some shards saw some photos only."""
    elsewhere = Elsewhere(photos, tmp_path / "hidden")
    perform(stage, inputs, options, tmp_path / "here", Run(jobs=2))
    perform(stage, inputs, options, tmp_path / "there", Run(spreader=elsewhere))
    here, there = files(tmp_path / "here" / stage.name), files(tmp_path / "there" / stage.name)
    assert here.keys() == there.keys()
    assert [name for name in here if here[name] != there[name]] == []
    assert elsewhere.counts.keys() == spread
    # The top of a tree reads all.
    assert next(iter(elsewhere.counts.values())) > 0


def test_features_and_matches(tmp_path, scene):
    photos = read_flight(PhotoFolder(next(iter(scene[1].values())).parent), Run()).photos
    paths = list(scene[1].values())
    check(tmp_path, paths, FEATURES, FeatureInputs(photos), FeatureOptions(800, 500), {"Features"})
    found = FEATURES.load(tmp_path / "here" / "features")
    pairs = (photos[0].name, photos[1].name), (photos[1].name, photos[2].name)
    inputs = MatchInputs(photos, found, pairs)
    check(tmp_path, paths, MATCHES, inputs, MatchOptions(), {"Matches"})


def test_depth(tmp_path, scene):
    options = DenseOptions.for_quality("preview")
    check(tmp_path, scene[1].values(), DENSE, DenseInputs(*scene), options, {"Matching photos"})


def test_tiles_of_the_orthomosaic(tmp_path, yard, monkeypatch):
    monkeypatch.setattr(orthomosaic, "_TILE_PX", 128)
    inputs = OrthomosaicInputs(yard.block, yard.photos, yard.dsm, yard.gsd_m)
    options = OrthomosaicOptions()
    check(tmp_path, yard.photos.values(), ORTHOMOSAIC, inputs, options, {"orthomosaic tile"})


def test_tiles_of_the_model(tmp_path, yard, monkeypatch):
    monkeypatch.setattr(tile_tree, "_TILE_TEXELS", 128)
    inputs = ModelInputs(yard.block, yard.photos, yard.exposures, yard.dsm, yard.gsd_m)
    levels = {f"model level {level}: tile" for level in range(4)}
    check(tmp_path, yard.photos.values(), MODEL, inputs, ModelOptions(), levels)
