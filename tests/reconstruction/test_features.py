from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from reconstruction import features
from reconstruction.errors import StageError
from reconstruction.features import FeatureInputs, FeatureOptions, Features
from reconstruction.stage import Run

from .planted import _photo
from .test_sift import texture


@pytest.mark.parametrize("image_size_px", [600, 300, 400])
def test_positions_are_those_of_the_full_image(tmp_path: Path, image_size_px):
    centres = np.array([[90.3, 120.8], [430.6, 99.1], [250.0, 333.4], [540.2, 380.7]])
    rows, cols = np.mgrid[:450, :600]
    image = np.full((450, 600), 60.0)
    for x, y in centres:
        image += 150.0 * np.exp(-((cols - x) ** 2 + (rows - y) ** 2) / (2.0 * 7.0**2))
    cv2.imwrite(str(tmp_path / "full.png"), np.rint(image).astype(np.uint8))
    found = features.extract(tmp_path / "full.png", FeatureOptions(image_size_px, 100))
    miss = np.linalg.norm(found.xy[:, None] - centres[None], axis=2).min(axis=0)
    # A shift of half a pixel, the usual mistake of a reduced image, would show.
    assert miss.max() < 0.15
    at = np.linalg.norm(found.xy[:, None] - centres[None], axis=2).argmin(axis=0)
    assert found.sigma[at] == pytest.approx(7.0 / 2.0 ** (1 / 6), rel=0.12)


def test_selection_covers_the_image_in_every_prefix():
    rng = np.random.default_rng(1)
    xy = np.concatenate((rng.uniform(0, 100, (3000, 2)), rng.uniform(0, 960, (800, 2))))
    response = np.concatenate((np.full(3000, 0.9), np.full(800, 0.1))).astype(np.float32)
    chosen = features.spread(xy.astype(np.float32), response, (960, 960), 600)
    assert len(np.unique(chosen)) == 600
    cells = np.unique(xy[chosen] // 160, axis=0)
    assert len(cells) == 36


@pytest.mark.parametrize("count", [0, 1])
def test_selection_of_few_points(count):
    xy = np.zeros((count, 2), np.float32)
    assert len(features.spread(xy, xy[:, 0], (10, 10), 5)) == count


def test_stage_writes_what_it_loads(tmp_path: Path):
    photos = []
    for name, image in (("a.png", texture()), ("grey.png", np.full((300, 400), 90, np.uint8))):
        cv2.imwrite(str(tmp_path / name), image)
        photos.append(replace(_photo(name, None), path=tmp_path / name))
    result = features.run(FeatureInputs(tuple(photos)), FeatureOptions(), tmp_path, Run(jobs=2))
    assert features.load(tmp_path) == result
    assert result.counts["grey.png"] == 0
    assert len(result.features("a.png").xy) == result.counts["a.png"] > 300
    again = features.extract(tmp_path / "a.png", FeatureOptions())
    assert np.array_equal(again.descriptors, result.features("a.png").descriptors)


def test_a_file_that_is_no_photo_is_named(tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    with pytest.raises(StageError, match=r"broken\.jpg"):
        features.extract(tmp_path / "broken.jpg", FeatureOptions())


def test_round_trip(tmp_path: Path):
    some = Features(
        np.ones((2, 2), np.float32), np.ones(2, np.float32), np.ones((2, 128), np.uint8)
    )
    some.save(tmp_path / "f.npz")
    assert np.array_equal(Features.load(tmp_path / "f.npz").xy, some.xy)


def test_smooth_material_is_described_by_what_it_has(tmp_path: Path):
    """Texture of a grey level is found in all parts of a photo, and again in another photo."""
    rng = np.random.default_rng(3)
    grain = cv2.GaussianBlur(rng.normal(0.0, 1.0, (400, 440)), (0, 0), 2.0)
    grain *= 1.0 / grain.std()
    for name, left in (("a.png", 0), ("b.png", 40)):
        seen = 120.0 + grain[:, left : left + 400] + rng.normal(0.0, 0.3, (400, 400))
        cv2.imwrite(str(tmp_path / name), np.rint(seen).astype(np.uint8))
    one, other = (
        features.extract(tmp_path / name, FeatureOptions(400, 400)) for name in ("a.png", "b.png")
    )
    assert len(one.xy) == len(other.xy) == 400
    match = cv2.BFMatcher(cv2.NORM_L2, crossCheck=True).match(
        one.descriptors.astype(np.float32), other.descriptors.astype(np.float32)
    )
    moved = np.array([one.xy[m.queryIdx] - other.xy[m.trainIdx] for m in match])
    assert np.sum(np.abs(moved - [40.0, 0.0]).max(axis=1) < 1.0) > 100
