"""A planted survey: strips over rolling ground in a known frame, and what is measured of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.control import Control, Observation
from reconstruction.frame import LocalFrame
from reconstruction.georeference import GeoreferenceInputs, GeoreferenceOptions, georeference
from reconstruction.photo import Photo, Position
from reconstruction.stage import Run

FRAME = LocalFrame(32633, 48.2, 15.6, 400.0)
LENS = Camera("drone", 3000, 2000, 2100.0, 1507.0, 992.0, -0.02, 0.01)
SIGMA = {"rtk": (0.015, 0.03), "consumer": (3.0, 8.0)}


def flight() -> tuple[SparseModel, np.ndarray]:
    """Four strips of five photos over rolling ground, in the local frame."""
    rng = np.random.default_rng(1)
    plan = rng.uniform(-85.0, 85.0, (900, 2))
    height = 3.0 * np.sin(plan[:, 0] / 25.0) + 6.0 * np.exp(-np.sum(plan**2, axis=1) / 150.0)
    points = np.column_stack((plan, height))
    shots = []
    for row in range(4):
        for column in range(5):
            centre = np.array([column * 26.0 - 52.0, row * 32.0 - 48.0, 60.0])
            centre += rng.normal(0.0, 0.6, 3)
            turn = Rotation.from_euler("z", -90.0 if row % 2 else 90.0, degrees=True)
            down = Rotation.from_euler("x", 180.0, degrees=True) * turn
            tilt = Rotation.from_rotvec(rng.normal(0.0, 0.02, 3))
            shots.append(Shot(f"{row}{column}.jpg", "drone", (tilt * down).as_matrix(), centre))
    return SparseModel({"drone": LENS}, tuple(shots), observe(rng, points, shots)), points


def observe(rng: np.random.Generator, points: np.ndarray, shots: list[Shot]) -> TiePoints:
    found = []
    for index, shot in enumerate(shots):
        seen = shot.to_camera(points)
        pixel = LENS.project(seen) + rng.normal(0.0, 0.4, (len(points), 2))
        inside = (np.abs(seen[:, 0] / seen[:, 2]) < 0.8) & (
            (pixel > 0) & (pixel < [3000, 2000])
        ).all(1)
        number = np.flatnonzero(inside)
        found.append((np.full(len(number), index), number, pixel[inside]))
    shot, point, pixels = (np.concatenate(part) for part in zip(*found, strict=True))
    return TiePoints(points, shot.astype(np.int32), point.astype(np.int32), pixels)


def free(truth: SparseModel, lean_deg: float = 70.0) -> SparseModel:
    """The model as structure from motion leaves it: any place, any scale, any up."""
    turn = Rotation.from_euler("xyz", [lean_deg, 20.0, 130.0], degrees=True).as_matrix()
    shift, scale = np.array([4.0, -7.0, 2.0]), 0.11
    shots = tuple(
        replace(shot, rotation=shot.rotation @ turn.T, centre=scale * turn @ shot.centre + shift)
        for shot in truth.shots
    )
    points = scale * truth.tie_points.points @ turn.T + shift
    cameras = {"drone": replace(LENS, focal_px=2115.0, cx_px=1499.5, cy_px=999.5)}
    return replace(
        truth, cameras=cameras, shots=shots, tie_points=replace(truth.tie_points, points=points)
    )


def photos_of(truth: SparseModel, receiver: str | None, gimbal: bool = False) -> tuple[Photo, ...]:
    rng = np.random.default_rng(5)
    photos = []
    for number, shot in enumerate(truth.shots):
        position = None
        if receiver:
            h, v = SIGMA[receiver]
            place = shot.centre + rng.normal(0.0, 1.0, 3) * [h, h, v]
            latitude, longitude, altitude = FRAME.to_geodetic(place[None])
            position = Position(
                float(latitude[0]), float(longitude[0]), float(altitude[0]), h, v, receiver
            )
        photos.append(
            Photo(
                shot.name, Path(shot.name), "", 3000, 2000, "drone", 2110.0, 0.1,
                f"2026-05-04T10:00:{number:02d}", position, None, -90.0 if gimbal else None,
                0.0 if gimbal else None, None, "ellipsoidal" if receiver == "rtk" else "unknown",
            )
        )  # fmt: skip
    return tuple(photos)


def surveyed(truth: SparseModel, kind: type, places: list[list[float]]) -> tuple:
    rng = np.random.default_rng(9)
    found = []
    for number, place in enumerate(places):
        xyz = np.array([place])
        latitude, longitude, elevation = FRAME.to_geodetic(xyz)
        marks = []
        for shot in truth.shots:
            pixel = LENS.project(shot.to_camera(xyz))[0] + rng.normal(0.0, 0.3, 2)
            if (pixel > 0).all() and (pixel < [3000, 2000]).all():
                marks.append(Observation(shot.name, float(pixel[0]), float(pixel[1])))
        found.append(
            kind(
                f"{kind.__name__}{number}", float(latitude[0]), float(longitude[0]),
                float(elevation[0]), 0.01, 0.01, tuple(marks),
            )
        )  # fmt: skip
    return tuple(found)


TARGETS = [[-40, -42, 0.5], [40, -38, 1.0], [36, 40, 2.0], [-42, 37, 0.2], [3, -2, 4.0]]


def run(model: SparseModel, photos: tuple[Photo, ...], control: Control | None = None):
    return georeference(GeoreferenceInputs(model, photos, control), GeoreferenceOptions(), Run())


def errors(result, truth: SparseModel) -> np.ndarray:
    """Errors of the centres in metres, through the map, as a user would compare them."""
    planted = {shot.name: FRAME.to_map(shot.centre[None])[0] for shot in truth.shots}
    return np.array(
        [
            result.block.frame.to_map(shot.centre[None])[0] - planted[shot.name]
            for shot in result.block.shots
        ]
    )
