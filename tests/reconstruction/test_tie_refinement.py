"""Tie points measured again in rendered photos of a plane come back to the true pixels."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction import patches
from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.errors import StageError
from reconstruction.stage import Run
from reconstruction.tie_refinement import TieInputs, refined

LENS = Camera("drone", 400, 300, 350.0, 203.0, 146.0)
_HALF_M, _CELL_M = 60.0, 0.05


def texture(rng: np.random.Generator) -> np.ndarray:
    """Ground as an array of cells, rough at several scales."""
    size = int(2 * _HALF_M / _CELL_M)
    ground = np.zeros((size, size), np.float32)
    for sigma in (6.0, 12.0, 30.0):
        noise = rng.normal(0.0, 1.0, (size, size)).astype(np.float32)
        blurred = cv2.GaussianBlur(noise, (0, 0), sigma)
        ground += blurred / blurred.std()
    return np.clip(128.0 + 30.0 * ground, 0.0, 255.0).astype(np.float32)


def photograph(ground: np.ndarray, shot: Shot, lens: Camera, gain: float) -> np.ndarray:
    """What a shot sees of the plane z = 0."""
    x, y = np.meshgrid(np.arange(lens.width_px), np.arange(lens.height_px))
    rays = np.stack(
        ((x - lens.cx_px) / lens.focal_px, (y - lens.cy_px) / lens.focal_px, np.ones(x.shape)), -1
    )
    rays = rays @ shot.rotation
    plan = shot.centre[:2] - rays[..., :2] * (shot.centre[2] / rays[..., 2])[..., None]
    cells = ((plan + _HALF_M) / _CELL_M - 0.5).astype(np.float32)
    seen = cv2.remap(ground, cells[..., 0], cells[..., 1], cv2.INTER_LINEAR)
    return np.clip(np.rint(gain * seen), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Five photos of a plane, their files, and the true tie points."""
    return plant(tmp_path_factory.mktemp("photos"), [LENS] * 5)


def plant(folder, lenses):
    """What `scene` is, taken by these lenses."""
    rng = np.random.default_rng(2)
    ground = texture(rng)
    shots = []
    for number, lens in enumerate(lenses):
        turn = Rotation.from_euler("xz", [180.0, 40.0 * number], degrees=True)
        tilt = Rotation.from_rotvec(rng.normal(0.0, 0.06, 3))
        centre = np.array([4.0 * number - 8.0, rng.normal(0.0, 2.0), 40.0 + 2.0 * number])
        shot = Shot(f"{number}.png", lens.name, (tilt * turn).as_matrix(), centre)
        cv2.imwrite(str(folder / shot.name), photograph(ground, shot, lens, 1.0 - 0.1 * number))
        shots.append(shot)
    points = np.column_stack((rng.uniform(-9.0, 9.0, (150, 2)), np.zeros(150)))
    shot_index, point_index, pixels = [], [], []
    for point in range(len(points)):
        for index, (shot, lens) in enumerate(zip(shots, lenses, strict=True)):
            pixel = lens.project(shot.to_camera(points[point : point + 1]))[0]
            if (pixel > 20.0).all() and (pixel < [lens.width_px - 20, lens.height_px - 20]).all():
                shot_index.append(index)
                point_index.append(point)
                pixels.append(pixel)
    ties = TiePoints(
        points, np.array(shot_index, np.int32), np.array(point_index, np.int32), np.array(pixels)
    )
    model = SparseModel({lens.name: lens for lens in lenses}, tuple(shots), ties)
    return model, {shot.name: folder / shot.name for shot in shots}, ground


def residuals_px(model: SparseModel) -> np.ndarray:
    """Distance of each pixel from where the track's first pixel lies on the plane."""
    ties = model.tie_points
    worst = []
    for point in np.unique(ties.point_index):
        rows = np.flatnonzero(ties.point_index == point)
        places = []
        for row in rows:
            shot = model.shots[ties.shot_index[row]]
            ray = np.append((ties.pixels[row] - [LENS.cx_px, LENS.cy_px]) / LENS.focal_px, 1.0)
            ray = ray @ shot.rotation
            places.append(shot.centre[:2] - ray[:2] * shot.centre[2] / ray[2])
        apart_m = np.linalg.norm(np.array(places) - np.median(places, axis=0), axis=1)
        worst.extend(apart_m * LENS.focal_px / 44.0)
    return np.array(worst)


def test_noisy_pixels_come_back(scene):
    model, files, _ = scene
    noise = np.random.default_rng(4).normal(0.0, 1.0, model.tie_points.pixels.shape)
    ties = replace(model.tie_points, pixels=model.tie_points.pixels + noise)
    result = refined(TieInputs(replace(model, tie_points=ties), files), Run())
    assert len(result.tie_points.pixels) > 0.8 * len(ties.pixels)
    assert np.sqrt(np.mean(residuals_px(replace(model, tie_points=ties)) ** 2)) > 0.8
    assert np.sqrt(np.mean(residuals_px(result) ** 2)) < 0.1


def test_patches_of_coarse_photos_are_found_in_fine_ones_and_not_the_other_way(tmp_path):
    fine = replace(LENS.scaled(2.0), name="fine")
    model, files, _ = plant(tmp_path, [LENS, fine, fine, fine, LENS])
    ties = model.tie_points
    assert len(np.unique(ties.point_index[np.isin(ties.shot_index, [0, 4])])) == len(ties.points)
    noise = np.random.default_rng(4).normal(0.0, 1.0, ties.pixels.shape)
    given = replace(ties, pixels=ties.pixels + noise)
    found = refined(TieInputs(replace(model, tie_points=given), files), Run()).tie_points
    assert len(found.pixels) > 0.8 * len(given.pixels)
    # What patches were taken from stays where it was.
    stayed = np.isin(found.pixels[:, 0], given.pixels[:, 0])
    assert set(found.shot_index[stayed]) <= {0, 4}


def test_cores_make_no_difference(scene):
    model, files, _ = scene
    one, two = (refined(TieInputs(model, files), Run(jobs=jobs)) for jobs in (1, 2))
    np.testing.assert_array_equal(one.tie_points.pixels, two.tie_points.pixels)


def test_a_mismatch_is_left_out(scene):
    model, files, _ = scene
    pixels = model.tie_points.pixels.copy()
    row = int(np.flatnonzero(model.tie_points.shot_index == 0)[0])
    pixels[row] += [60.0, 40.0]
    wrong = replace(model, tie_points=replace(model.tie_points, pixels=pixels))
    result = refined(TieInputs(wrong, files), Run()).tie_points
    distance = np.linalg.norm(result.pixels - pixels[row], axis=1)
    assert distance[result.shot_index == 0].min() > 1.0


def test_a_photo_without_texture_keeps_its_observations(scene, tmp_path):
    model, files, _ = scene
    cv2.imwrite(str(tmp_path / "flat.png"), np.full((300, 400), 120, np.uint8))
    result = refined(TieInputs(model, {**files, "4.png": tmp_path / "flat.png"}), Run()).tie_points
    before = np.sum(model.tie_points.shot_index == 4)
    assert np.sum(result.shot_index == 4) > 0.8 * before


def test_a_photo_that_is_gone_is_named(scene, tmp_path):
    model, files, _ = scene
    with pytest.raises(StageError, match=r"gone\.png"):
        refined(TieInputs(model, {**files, "2.png": tmp_path / "gone.png"}), Run())


def shifted(contrast: float) -> tuple[np.ndarray, np.ndarray]:
    """A picture of rough ground, and the same 1.37 px to the right and 0.61 px up."""
    rng = np.random.default_rng(6)
    picture = cv2.GaussianBlur(rng.normal(0.0, 1.0, (90, 90)).astype(np.float32), (0, 0), 2.5)
    picture = 120.0 + contrast * picture / picture.std()
    shift = np.float32([[1.0, 0.0, 1.37], [0.0, 1.0, -0.61]])
    return picture, 0.7 * cv2.warpAffine(picture, shift, (90, 90), flags=cv2.INTER_CUBIC) + 20.0


def found_again(picture: np.ndarray, moved: np.ndarray) -> np.ndarray:
    """Where the patch in the middle of a picture lies in another, shape (2,)."""
    centre = np.array([[45.0, 45.0]])
    patch = np.empty((1, 21, 21), np.float32)
    patches.cut(picture, centre, 10, patch)
    found, noise = np.empty((1, 2)), np.empty(1)
    patches.find(moved, patch, np.eye(2)[None], centre, 8.0, 0.8, found, noise)
    return found[0]


def test_a_patch_is_found_at_the_planted_shift():
    np.testing.assert_allclose(found_again(*shifted(25.0)), [46.37, 44.39], atol=0.03)


def test_a_patch_of_ground_that_differs_by_a_grey_value_is_found():
    """As fine sand does: rounding takes part of it away, not all."""
    picture, moved = (np.rint(image) for image in shifted(1.5))
    np.testing.assert_allclose(found_again(picture, moved), [46.37, 44.39], atol=0.15)


@pytest.mark.parametrize("contrast", [6.0, 25.0])
def test_a_patch_tells_how_exactly_it_is_found(contrast):
    rng = np.random.default_rng(8)
    texture = cv2.GaussianBlur(rng.normal(0.0, 1.0, (700, 700)).astype(np.float32), (0, 0), 1.5)
    texture = 120.0 + contrast * texture / texture.std()
    here, there = (texture + rng.normal(0.0, 1.5, texture.shape).astype(np.float32) for _ in "ab")
    x, y = np.meshgrid(np.arange(20.0, 680.0, 22.0), np.arange(20.0, 680.0, 22.0))
    places = np.column_stack((x.ravel(), y.ravel()))
    cut = np.empty((len(places), 21, 21), np.float32)
    patches.cut(here, places, 10, cut)
    found, noise = np.empty(places.shape), np.empty(len(places))
    shapes = np.tile(np.eye(2), (len(places), 1, 1))
    patches.find(there, cut, shapes, places, 8.0, 0.5, found, noise)
    assert np.isfinite(found).all()
    # Noise in the gradients makes faint ones look up to a tenth stronger.
    assert np.sqrt(np.mean(noise**2)) == pytest.approx((found - places).std(), rel=0.15)


def test_noise_of_tie_points_is_that_of_their_residuals(tmp_path):
    """Half of the ground is faint: there observations are worse, and say so."""
    model, files, _ = plant(tmp_path, [LENS] * 5)
    rng = np.random.default_rng(9)
    for name, path in files.items():
        shot = next(shot for shot in model.shots if shot.name == name)
        photo = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.float64)
        y, x = np.indices(photo.shape)
        rays = np.stack(((x - LENS.cx_px), (y - LENS.cy_px), np.full(x.shape, LENS.focal_px)), -1)
        rays = rays @ shot.rotation
        is_faint = shot.centre[0] - rays[..., 0] * shot.centre[2] / rays[..., 2] > 0.0
        photo = np.where(is_faint, 120.0 + 0.2 * (photo - 120.0), photo)
        photo += rng.normal(0.0, 2.0, photo.shape)
        cv2.imwrite(str(path), np.clip(np.rint(photo), 0, 255).astype(np.uint8))
    found = refined(TieInputs(model, files), Run())
    ties = found.tie_points
    errors_px = residuals_px(found)
    assert len(errors_px) == len(ties.noise_px)
    faint = ties.points[ties.point_index, 0] > 1.0
    strong = ties.points[ties.point_index, 0] < -1.0
    assert np.median(ties.noise_px[faint]) > 2.0 * np.median(ties.noise_px[strong])
    told = np.median(ties.noise_px[faint]) / np.median(ties.noise_px[strong])
    seen = np.median(errors_px[faint]) / np.median(errors_px[strong])
    assert seen == pytest.approx(told, rel=0.3)


@pytest.mark.parametrize("place", [[45.0, 45.0], [3.0, 45.0]])
def test_flat_and_outside_patches_are_not_found(place):
    flat = np.full((90, 90), 100.0, np.float32)
    patch = np.empty((1, 21, 21), np.float32)
    patches.cut(flat, np.array([place]), 10, patch)
    assert np.isnan(patch).all()
    found, noise = np.empty((1, 2)), np.empty(1)
    patches.find(flat, patch, np.eye(2)[None], np.array([place]), 8.0, 0.8, found, noise)
    assert np.isnan(found).all()
