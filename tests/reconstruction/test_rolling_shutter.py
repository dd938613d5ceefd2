"""A planted readout time is found, and the shots that take all at once see the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from reconstruction.adjustment import adjust
from reconstruction.block import TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.network import ControlObservations, FocalPrior, MeasuredPositions
from reconstruction.photo import Photo
from reconstruction.rolling_shutter import at_once, with_velocities

LENS = Camera("drone", 3000, 2000, 2100.0, 1512.0, 985.0, -0.02, 0.01)
SPEED_M_S = 8.0
STEP_S = 3.0


def strips() -> tuple[Shot, ...]:
    """Four strips flown to and fro, looking down, the top of the photos ahead."""
    shots = []
    for strip in range(4):
        sign = -1.0 if strip % 2 else 1.0
        heading = Rotation.from_euler("z", 0.0 if sign > 0 else 180.0, degrees=True)
        turn = Rotation.from_euler("x", 180.0, degrees=True) * heading
        for number in range(6):
            along = sign * (number - 2.5) * SPEED_M_S * STEP_S
            centre = np.array([strip * 30.0 - 45.0, along, 60.0 + number % 2])
            velocity = np.array([0.0, sign * SPEED_M_S, 0.0])
            shots.append(Shot(f"{strip}{number}", "drone", turn.as_matrix(), centre, velocity))
    return tuple(shots)


def project(camera: Camera, shot: Shot, points: np.ndarray) -> np.ndarray:
    """Pixels of a rolling shutter, row by row until the row stands."""
    pixels = camera.project(shot.to_camera(points))
    for _ in range(10):
        share = (pixels[:, 1:] + 0.5) / camera.height_px - 0.5
        centres = shot.centre + camera.readout_s * shot.velocity_m_s * share
        pixels = camera.project((points - centres) @ shot.rotation.T)
    return pixels


def observe(camera: Camera, shots: tuple[Shot, ...], sigma_px: float) -> TiePoints:
    rng = np.random.default_rng(3)
    points = np.column_stack((rng.uniform(-90.0, 90.0, (1500, 2)), np.zeros(1500)))
    points[:, 2] = 6.0 * np.sin(points[:, 0] / 20.0) * np.cos(points[:, 1] / 25.0)
    found = []
    for index, shot in enumerate(shots):
        ahead = np.abs(shot.to_camera(points)[:, :2] / shot.to_camera(points)[:, 2:])
        near = np.flatnonzero((ahead < [0.72, 0.48]).all(axis=1))
        pixels = project(camera, shot, points[near])
        inside = (pixels > 0).all(axis=1) & (pixels < [3000, 2000]).all(axis=1)
        found.append((np.full(inside.sum(), index), near[inside], pixels[inside]))
    shot_index, point_index, pixels = (np.concatenate(part) for part in zip(*found, strict=True))
    pixels = pixels + rng.normal(0.0, sigma_px, pixels.shape)
    return TiePoints(points, shot_index.astype(np.int32), point_index.astype(np.int32), pixels)


def adjusted(readout_s: float, is_known_to_move: bool = True):
    shots = strips()
    ties = observe(replace(LENS, readout_s=readout_s), shots, 0.3)
    if not is_known_to_move:
        shots = tuple(replace(shot, velocity_m_s=np.zeros(3)) for shot in shots)
    rng = np.random.default_rng(4)
    xyz = np.array([shot.centre for shot in shots]) + rng.normal(0.0, 0.02, (len(shots), 3))
    positions = MeasuredPositions(
        np.arange(len(shots), dtype=np.int32), xyz, np.full((len(shots), 3), 0.02),
        np.linspace(-0.5, 0.5, len(shots)), np.full(3, 0.02), np.full(3, 0.005), 1e-6,
    )  # fmt: skip
    none = np.empty(0, np.int32)
    control = ControlObservations(np.empty((0, 3)), np.empty((0, 3)), none, none, np.empty((0, 2)))
    start = {"drone": Camera("drone", 3000, 2000, 2110.0, 1499.5, 999.5)}
    priors = {"drone": FocalPrior(2110.0, 0.1)}
    return adjust(start, shots, ties, positions, control, np.radians(3.0), priors), ties


@pytest.mark.parametrize("readout_s", [0.03, -0.03, 0.0])
def test_planted_readout_is_found(readout_s):
    result, _ = adjusted(readout_s)
    sigma = result.camera_sigma("drone")
    assert sigma["readout_s"] < 0.002
    assert abs(result.cameras["drone"].readout_s - readout_s) < 4.0 * sigma["readout_s"]
    assert abs(result.cameras["drone"].focal_px - LENS.focal_px) < 4.0 * sigma["focal_px"]


def test_the_block_is_stretched_along_the_flight_without_the_readout():
    def stretch(is_known_to_move: bool) -> float:
        result, ties = adjusted(0.04, is_known_to_move)
        found, truth = result.tie_points.points[:, 1], ties.points[result.kept, 1]
        return float(abs(np.polyfit(truth, found, 1)[0] - 1.0))

    assert stretch(True) < 5e-4
    assert stretch(False) > 2e-3


def test_shots_at_once_see_the_same():
    camera = replace(LENS, readout_s=0.03)
    tilt = Rotation.from_rotvec([0.05, -0.04, 0.3]).as_matrix()
    shot = replace(strips()[0], velocity_m_s=np.array([3.0, 8.0, -1.0]))
    shot = replace(shot, rotation=tilt @ shot.rotation)
    rng = np.random.default_rng(5)
    pixels = rng.uniform([0.0, 0.0], [2999.0, 1999.0], (200, 2))
    depth_m = 60.0
    rays = np.column_stack(((pixels - [1512.0, 985.0]) / 2100.0, np.ones(200)))
    for relief, tolerance_px in ((0.0, 0.1), (0.1, 0.6)):
        depths = depth_m * (1.0 + relief * rng.uniform(-1.0, 1.0, (200, 1)))
        points = (rays * depths) @ shot.rotation + shot.centre
        cameras, (still,) = at_once({"drone": camera}, [shot], np.array([depth_m]))
        seen = cameras["drone"].project(still.to_camera(points))
        error = np.abs(seen - project(camera, shot, points))
        moved = np.abs(seen - LENS.project(shot.to_camera(points)))
        assert error.max() < tolerance_px
        assert moved.max() > 3.0


def photo(name: str, captured_at: str | None) -> Photo:
    return Photo(
        name, Path(name), "", 3000, 2000, "drone", None, None, captured_at, None, None, None, None,
        None, "unknown",
    )  # fmt: skip


def test_velocities_follow_straight_lines_and_survive_turns_and_whole_seconds():
    shots = strips()
    photos = {
        shot.name: photo(shot.name, f"2026-05-04T10:{index // 6:02d}:{10 + 3 * (index % 6):02d}")
        for index, shot in enumerate(shots)
    }
    # The last photo of a strip and the first of the next are one leg of a turn.
    found = with_velocities([replace(s, velocity_m_s=np.zeros(3)) for s in shots], photos)
    for shot, truth in zip(found, shots, strict=True):
        np.testing.assert_allclose(shot.velocity_m_s, truth.velocity_m_s, atol=0.5)


@pytest.mark.parametrize("captured_at", [None, "yesterday", "2026-05-04T10:00:00"])
def test_photos_without_times_stand_still(captured_at):
    shots = strips()
    photos = {shot.name: photo(shot.name, captured_at) for shot in shots}
    for shot in with_velocities(shots, photos):
        assert not shot.velocity_m_s.any()
