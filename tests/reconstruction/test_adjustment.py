"""The bundle adjustment gets planted parameters back, and knows how well."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction import normal_equations as normal
from reconstruction.adjustment import adjust
from reconstruction.block import TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.network import ControlObservations, FocalPrior, MeasuredPositions

LENS = Camera("drone", 3000, 2000, 2100.0, 1512.0, 985.0, -0.02, 0.01, -0.003, 4e-4, -3e-4)
LEVEL = np.radians(3.0)
FOCAL = {"drone": FocalPrior(2110.0, 0.05)}
NOTHING = np.empty((0, 3))


def no_control() -> ControlObservations:
    none = np.empty(0, np.int32)
    return ControlObservations(NOTHING, NOTHING, none, none, np.empty((0, 2)))


def flight(rng: np.random.Generator, point_count: int = 1500):
    """A block of 5 x 6 photos, 60 m above rolling ground with piles."""
    xy = rng.uniform(-90.0, 90.0, (point_count, 2))
    z = 3.0 * np.sin(xy[:, 0] / 25.0) + 2.0 * np.cos(xy[:, 1] / 18.0)
    z += 8.0 * np.exp(-np.sum((xy - [20.0, 10.0]) ** 2, axis=1) / 200.0)
    points = np.column_stack((xy, z))
    shots = []
    for row in range(5):
        for column in range(6):
            centre = np.array([column * 24.0 - 60.0, row * 30.0 - 60.0, 60.0])
            heading = 90.0 if row % 2 else -90.0
            down = Rotation.from_euler("zx", [heading, 180.0], degrees=True)
            tilt = Rotation.from_rotvec(rng.normal(0.0, 0.03, 3))
            centre = centre + rng.normal(0.0, 0.7, 3)
            shots.append(Shot(f"{row}-{column}", "drone", (tilt * down.inv()).as_matrix(), centre))
    return points, tuple(shots)


def observe(rng, points, shots, sigma_px, camera=LENS):
    shot_index, point_index, pixels = [], [], []
    for index, shot in enumerate(shots):
        seen = shot.to_camera(points)
        pixel = camera.project(seen)
        # Far outside the picture the distortion polynomial folds back into it.
        ideal = np.abs(seen[:, :2] / seen[:, 2:])
        inside = (ideal < [0.8, 0.6]).all(axis=1) & (seen[:, 2] > 0)
        inside &= (pixel > 0).all(axis=1) & (pixel < [camera.width_px, camera.height_px]).all(
            axis=1
        )
        shot_index.append(np.full(inside.sum(), index))
        point_index.append(np.flatnonzero(inside))
        pixels.append(pixel[inside])
    pixels = np.concatenate(pixels)
    return TiePoints(
        points,
        np.concatenate(shot_index).astype(np.int32),
        np.concatenate(point_index).astype(np.int32),
        pixels + rng.normal(0.0, sigma_px, pixels.shape),
    )


def disturb(rng, shots, ties):
    """Initial values as a free reconstruction leaves them."""
    wrong = replace(
        LENS, focal_px=2110.0, cx_px=1499.5, cy_px=999.5, k1=0.0, k2=0.0, k3=0.0, p1=0.0, p2=0.0
    )
    moved = tuple(
        replace(
            shot,
            rotation=Rotation.from_rotvec(rng.normal(0, 0.005, 3)).as_matrix() @ shot.rotation,
            centre=shot.centre + rng.normal(0.0, 0.4, 3),
        )
        for shot in shots
    )
    noisy = replace(ties, points=ties.points + rng.normal(0.0, 0.5, ties.points.shape))
    return {"drone": wrong}, moved, noisy


def measure(rng, shots, sigma=(0.015, 0.015, 0.03)):
    xyz = np.array([shot.centre for shot in shots])
    count = len(shots)
    return MeasuredPositions(
        np.arange(count, dtype=np.int32),
        xyz + rng.normal(0.0, 1.0, xyz.shape) * sigma,
        np.tile(sigma, (count, 1)).astype(float),
        np.linspace(-0.5, 0.5, count),
        np.array([0.01, 0.01, 0.02]),
        np.array([0.005, 0.005, 0.01]),
        1e-6,
    )


def test_jacobian_is_the_derivative():
    lens = np.array([2100.0, 1512.0, 985.0, -0.05, 0.03, -0.01, 1e-3, -2e-3, 0.03])
    motion = np.array([2.0, -3.0, 0.5])
    rotation = Rotation.from_rotvec([3.0, 0.2, 0.1]).as_matrix()
    centre, point = np.array([1.0, 2.0, 60.0]), np.array([20.0, -12.0, 1.0])
    blocks = np.empty((2, 6)), np.empty((2, 9)), np.empty((2, 3))
    normal.jacobian(rotation, centre, lens, point, motion, *blocks)

    def pixel(pose, lens_step, point_step):
        out = np.empty(2)
        turned = Rotation.from_rotvec(pose[:3]).as_matrix() @ rotation
        place = centre + pose[3:]
        mark = np.zeros(2)
        assert normal.residual(
            turned, place, lens + lens_step, point + point_step, mark, motion, out
        )
        return out

    for block, size in zip(blocks, (6, 9, 3), strict=True):
        for column in range(size):
            step = np.zeros(size)
            step[column] = 1e-6
            arguments = [np.zeros(6), np.zeros(9), np.zeros(3)]
            arguments[(6, 9, 3).index(size)] = step
            ahead = pixel(*arguments)
            arguments[(6, 9, 3).index(size)] = -step
            numeric = (ahead - pixel(*arguments)) / 2e-6
            np.testing.assert_allclose(block[:, column], numeric, rtol=1e-4, atol=1e-4)


def test_exact_observations_give_exact_parameters():
    rng = np.random.default_rng(0)
    points, shots = flight(rng)
    ties = observe(rng, points, shots, 0.0)
    positions = measure(rng, shots, (1e-9, 1e-9, 1e-9))
    positions = replace(positions, sigma=np.full_like(positions.sigma, 0.01))
    result = adjust(*disturb(rng, shots, ties), positions, no_control(), LEVEL, FOCAL)
    lens = result.cameras["drone"]
    assert lens.focal_px == pytest.approx(LENS.focal_px, rel=1e-5)
    assert lens.cx_px == pytest.approx(LENS.cx_px, abs=0.05)
    assert lens.k1 == pytest.approx(LENS.k1, abs=1e-4)
    assert result.reprojection_error_px < 0.01
    errors = np.array([a.centre - b.centre for a, b in zip(result.shots, shots, strict=True)])
    assert np.abs(errors).max() < 2e-3


def test_rtk_positions_calibrate_the_lens_and_the_sigmas_are_honest():
    """Normalised errors over seeds are standard normal: focal length, scale, principal point."""
    normalised = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        points, shots = flight(rng, 600)
        ties = observe(rng, points, shots, 0.5)
        result = adjust(*disturb(rng, shots, ties), measure(rng, shots), no_control(), LEVEL, FOCAL)
        lens, sigma = result.cameras["drone"], result.camera_sigma("drone")
        assert result.pixel_sigma == pytest.approx(0.5, rel=0.1)
        pairs = result.tie_points.point_index
        assert pairs.max() + 1 == len(result.tie_points.points)
        normalised += [
            (getattr(lens, name) - getattr(LENS, name)) / sigma[name]
            for name in ("focal_px", "cx_px", "cy_px")
        ]
        assert sigma["focal_px"] < 3.0
    # 36 values, mildly dependent: the 99.9 % bounds of a chi-square with 36 degrees of freedom.
    assert 14.4 < np.sum(np.square(normalised)) < 67.985


def test_functional_sigma_is_the_spread_over_seeds():
    """The height of a hill above its surroundings: predicted and seen spread agree."""
    seen, predicted = [], []
    for seed in range(14):
        rng = np.random.default_rng(seed)
        points, shots = flight(np.random.default_rng(99), 500)
        ties = observe(rng, points, shots, 0.5)
        result = adjust(*disturb(rng, shots, ties), measure(rng, shots), no_control(), LEVEL, FOCAL)
        kept = points[result.kept]
        hill = np.linalg.norm(kept[:, :2] - [20.0, 10.0], axis=1) < 12.0
        weight = np.where(hill, 1.0 / hill.sum(), -1.0 / (~hill).sum())
        g = np.zeros_like(kept)
        g[:, 2] = weight
        seen.append(float(weight @ (result.tie_points.points - kept)[:, 2]))
        predicted.append(result.functional_sigma(g))
    ratio = np.sum(np.square(np.array(seen) / np.array(predicted)))
    # Chi-square between its 0.05 % and 99.95 % points for 14 degrees of freedom.
    assert 2.7 < ratio < 38.1


def test_control_points_overrule_biased_positions():
    rng = np.random.default_rng(5)
    points, shots = flight(rng)
    ties = observe(rng, points, shots, 0.5)
    bias = np.array([3.0, -2.0, 25.0])
    positions = measure(rng, shots, (1.0, 1.0, 2.0))
    positions = replace(
        positions,
        xyz=positions.xyz + bias,
        offset_sigma=np.array([5.0, 5.0, 100.0]),
        drift_sigma=np.array([2.0, 2.0, 4.0]),
    )
    targets = np.array(
        [[-70.0, -70.0, 0.5], [70.0, -70.0, 1.0], [70.0, 70.0, 2.0], [-70, 70, 0.1], [0, 0, 3.0]]
    )
    marked = observe(rng, targets, shots, 0.3)
    control = ControlObservations(
        targets + rng.normal(0.0, 0.01, targets.shape),
        np.full(targets.shape, 0.01),
        marked.shot_index,
        marked.point_index,
        marked.pixels,
    )
    cameras, moved, noisy = disturb(rng, shots, ties)
    result = adjust(cameras, moved, noisy, positions, control, LEVEL, FOCAL)
    assert len(result.kept) > 0.9 * len(points)
    errors = result.tie_points.points - points[result.kept]
    assert np.abs(np.median(errors, axis=0)).max() < 0.02
    np.testing.assert_allclose(result.position_offset, bias, atol=1.5)
    np.testing.assert_allclose(result.control_xyz, targets, atol=0.04)


def test_wild_positions_and_mismatches_do_not_matter():
    rng = np.random.default_rng(7)
    points, shots = flight(rng)
    ties = observe(rng, points, shots, 0.5)
    wild = rng.random(len(ties.pixels)) < 0.03
    ties.pixels[wild] += rng.uniform(-40.0, 40.0, (wild.sum(), 2))
    positions = measure(rng, shots)
    positions.xyz[4] += [30.0, -20.0, 0.0]
    positions.xyz[17] += [0.0, 0.0, 12.0]
    result = adjust(*disturb(rng, shots, ties), positions, no_control(), LEVEL, FOCAL)
    errors = np.array([a.centre - b.centre for a, b in zip(result.shots, shots, strict=True)])
    assert np.abs(errors).max() < 0.1
    assert len(result.tie_points.pixels) < len(ties.pixels)
    assert result.cameras["drone"].focal_px == pytest.approx(LENS.focal_px, rel=1e-3)
    assert np.linalg.norm(result.position_residuals[4]) > 30.0


def test_mismatches_smaller_than_the_least_sigma_of_a_pixel_are_left_out():
    rng = np.random.default_rng(5)
    points, shots = flight(rng)
    ties = observe(rng, points, shots, 0.03)
    views = np.bincount(ties.point_index)[ties.point_index]
    mismatched = (rng.random(len(views)) < 0.05) & (views >= 4)
    pixels = ties.pixels.copy()
    pixels[mismatched] += [0.3, 0.1]
    ties = replace(ties, pixels=pixels)
    result = adjust(*disturb(rng, shots, ties), measure(rng, shots), no_control(), LEVEL, FOCAL)
    kept = set(map(tuple, result.tie_points.pixels))
    # One of several in a track can hide behind the others.
    assert np.mean([tuple(pixel) in kept for pixel in pixels[mismatched]]) < 0.15
    assert len(kept) > 0.9 * len(pixels)
    assert result.pixel_sigma == pytest.approx(0.03, rel=0.1)


def test_observations_count_by_how_exact_they_are():
    """A third is five times as noisy, all share 0.05 px, and only the ratio of noise is told."""
    errors, sigmas = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        points, shots = flight(rng, 700)
        ties = observe(rng, points, shots, 0.05)
        noise_px = np.where(rng.random(len(ties.pixels)) < 0.3, 0.5, 0.1)
        pixels = ties.pixels + rng.normal(0.0, 1.0, ties.pixels.shape) * noise_px[:, None]
        ties = replace(ties, pixels=pixels, noise_px=3.0 * noise_px)
        given = disturb(rng, shots, ties)
        positions = measure(rng, shots)
        result = adjust(*given, positions, no_control(), LEVEL, FOCAL)
        assert result.pixel_sigma == pytest.approx(np.hypot(0.1, 0.05), rel=0.1)
        alike = replace(given[2], noise_px=None)
        plain = adjust(*given[:2], alike, positions, no_control(), LEVEL, FOCAL)
        focal = [found.cameras["drone"].focal_px for found in (result, plain)]
        errors.append(np.array(focal) - LENS.focal_px)
        sigmas.append([found.camera_sigma("drone")["focal_px"] for found in (result, plain)])
    told, untold = np.sqrt(np.mean(np.square(errors), axis=0))
    assert told < untold
    assert np.mean(sigmas, axis=0)[0] < 0.8 * np.mean(sigmas, axis=0)[1]
    assert 0.4 < told / np.mean(sigmas, axis=0)[0] < 1.8


def test_level_holds_a_single_strip_where_positions_cannot():
    """About the axis of one strip only the level observation knows; it takes nothing else."""
    rng = np.random.default_rng(11)
    points, shots = flight(rng)
    strip = tuple(shot for shot in shots if shot.name.startswith("2"))
    strip = tuple(
        replace(shot, centre=np.array([shot.centre[0], 0.0, 60.0]), camera="drone")
        for shot in strip
    )
    ties = observe(rng, points, strip, 0.5)
    result = adjust({"drone": LENS}, strip, ties, measure(rng, strip), no_control(), LEVEL, FOCAL)
    turns = [
        Rotation.from_matrix(a.rotation @ b.rotation.T).magnitude()
        for a, b in zip(result.shots, strip, strict=True)
    ]
    assert np.degrees(max(turns)) < 1.0
