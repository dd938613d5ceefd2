"""Exposure balancing against planted gains and vignetting."""

import cv2
import numpy as np
import pytest

from reconstruction.block import Block, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.errors import InputError
from reconstruction.exposure import Exposures, balance, falloff_terms, read_photo, solve
from reconstruction.frame import LocalFrame
from reconstruction.stage import Run

FRAME = LocalFrame(32632, 47.5, 9.3, 400.0)
CAMERAS = {
    "wide": Camera("wide", 4000, 3000, 3000.0, 1999.5, 1499.5),
    "small": Camera("small", 2000, 1500, 1600.0, 999.5, 749.5),
}
FALLOFF = {"wide": (-0.25, -0.10), "small": (-0.10, 0.04)}


def planted(shot_count=24, seed=5):
    """Points in random places of random photos: nothing but the brightness has a meaning."""
    rng = np.random.default_rng(seed)
    names = [list(CAMERAS)[index % 2] for index in range(shot_count)]
    gains = rng.normal(0.0, 0.15, (shot_count, 3))
    gains -= gains.mean(axis=0)
    shots = tuple(
        Shot(f"{index}.jpg", names[index], np.eye(3), np.zeros(3)) for index in range(shot_count)
    )
    per_shot, points = 600, 2000
    shot_index = np.repeat(np.arange(shot_count, dtype=np.int32), per_shot)
    point_index = np.concatenate(
        [rng.choice(points, per_shot, replace=False) for _ in range(shot_count)]
    ).astype(np.int32)
    size = np.array([(CAMERAS[name].width_px, CAMERAS[name].height_px) for name in names])
    pixels = rng.uniform(0.0, 1.0, (len(shot_index), 2)) * size[shot_index]
    block = Block(
        FRAME, CAMERAS, shots, TiePoints(np.zeros((points, 3)), shot_index, point_index, pixels)
    )
    albedo = rng.uniform(40.0, 130.0, (points, 3))
    logs = np.log(albedo[point_index]) + gains[shot_index]
    for index, name in enumerate(names):
        mine = shot_index == index
        logs[mine] += (falloff_terms(CAMERAS[name], pixels[mine]) @ FALLOFF[name])[:, None]
    chosen = [np.flatnonzero(shot_index == index) for index in range(shot_count)]
    return block, gains, np.exp(logs), chosen


def test_planted_gains_and_falloff_are_found():
    block, gains, values, chosen = planted()
    found = solve(block, chosen, [values[rows] for rows in chosen])
    np.testing.assert_allclose(list(found.shots.values()), gains, atol=3e-3)
    for name, truth in FALLOFF.items():
        r2 = np.linspace(0.0, 1.0, 5)
        first, second = found.falloff[name]
        difference = (first - truth[0]) * r2 + (second - truth[1]) * r2**2
        assert np.abs(difference).max() < 5e-3


def test_moving_things_and_clipped_values_hardly_matter():
    block, gains, values, chosen = planted()
    rng = np.random.default_rng(8)
    moved = rng.random(len(values)) < 0.1
    values[moved] *= 2.2
    values = np.clip(np.rint(values + rng.normal(0.0, 2.0, values.shape)), 0, 255)
    found = solve(block, chosen, [values[rows] for rows in chosen])
    assert np.abs(np.array(list(found.shots.values())) - gains).max() < 0.015


def test_one_photo_with_nothing_in_common_keeps_its_brightness():
    block, _, values, chosen = planted(shot_count=2)
    chosen = [chosen[0], chosen[1][:0]]
    found = solve(block, chosen, [values[chosen[0]], values[:0]])
    assert found.shots["1.jpg"] == pytest.approx((0.0, 0.0, 0.0))


def test_correction_undoes_the_planted_exposure():
    exposures = Exposures({"a": (0.2, 0.0, -0.1)}, {"wide": (-0.3, 0.1)})
    rows, cols = 300, 400
    y, x = np.mgrid[0:rows, 0:cols]
    small = Camera("s", cols, rows, 300.0, 0, 0)
    terms = falloff_terms(small, np.column_stack((x.ravel(), y.ravel())))
    level = (terms @ exposures.falloff["wide"])[:, None] + np.array(exposures.shots["a"])
    image = np.rint(100.0 * np.exp(level)).astype(np.uint8).reshape(rows, cols, 3)
    corrected = exposures.corrected("a", "wide", image)
    assert np.abs(corrected.astype(int) - 100).max() <= 1
    assert Exposures.from_json(exposures.to_json()) == exposures


def test_gains_are_found_from_photo_files(tmp_path):
    rng = np.random.default_rng(3)
    scene = cv2.resize(rng.uniform(60, 160, (30, 40, 3)), (400, 300), interpolation=cv2.INTER_CUBIC)
    camera = Camera("c", 400, 300, 300.0, 199.5, 149.5)
    shots = tuple(Shot(f"{name}.png", "c", np.eye(3), np.zeros(3)) for name in "abc")
    factors = (0.9, 1.0, 1.0 / 0.9)
    photos = {}
    for shot, factor in zip(shots, factors, strict=True):
        photos[shot.name] = tmp_path / shot.name
        cv2.imwrite(str(photos[shot.name]), np.clip(np.rint(scene * factor), 0, 255))
    pixels = rng.uniform(16, 280, (400, 2))
    ties = TiePoints(
        np.zeros((400, 3)),
        np.repeat(np.arange(3, dtype=np.int32), 400),
        np.tile(np.arange(400, dtype=np.int32), 3),
        np.tile(pixels, (3, 1)),
    )
    found = balance(Block(FRAME, {"c": camera}, shots, ties), photos, Run())
    expected = np.tile(np.log(factors)[:, None], (1, 3))
    np.testing.assert_allclose(list(found.shots.values()), expected, atol=4e-3)


def test_an_unreadable_photo_is_named(tmp_path):
    (tmp_path / "x.jpg").write_bytes(b"no photo")
    with pytest.raises(InputError, match=r"x\.jpg"):
        read_photo(tmp_path / "x.jpg")


def test_a_photo_is_read_as_red_green_blue_at_any_reduction(tmp_path):
    image = np.zeros((64, 96, 3), np.uint8)
    image[..., 2] = 200
    cv2.imwrite(str(tmp_path / "red.png"), image)
    for reduction in (1, 2, 4, 8):
        photo = read_photo(tmp_path / "red.png", reduction)
        assert photo.shape == (64 // reduction, 96 // reduction, 3)
        assert photo[0, 0].tolist() == [200, 0, 0]
