"""A planted flight: known cameras above known ground, and the features that they would give."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reconstruction.camera import Camera, Shot
from reconstruction.features import FeatureFiles, Features
from reconstruction.photo import Photo

POINT_COUNT = 4000


@dataclass(frozen=True)
class Planted:
    """Truth and the measurements made from it."""

    camera: Camera
    shots: tuple[Shot, ...]
    points: np.ndarray
    photos: tuple[Photo, ...]
    features: FeatureFiles
    seen: dict[str, np.ndarray]  # index of the point behind each feature

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        names = [shot.name for shot in self.shots]
        return tuple((a, b) for i, a in enumerate(names) for b in names[i + 1 :])


def flight(folder: Path, *, noise_px: float = 0.3, focal_known: bool = True) -> Planted:
    """3 strips of 4 photos above rolling ground, tilted a little to and fro.

    Every point has a descriptor of its own, a tenth of the features are of nothing.
    """
    rng = np.random.default_rng(7)
    camera = Camera("c", 1200, 900, 950.0, 599.5, 449.5, k1=-0.06, k2=0.01)
    xy = rng.uniform((-35.0, -35.0), (75.0, 75.0), (POINT_COUNT, 2))
    z = 4.0 * np.sin(xy[:, 0] / 9.0) * np.cos(xy[:, 1] / 11.0) + 0.05 * xy[:, 0]
    points = np.column_stack((xy, z))
    looks = rng.integers(0, 90, (POINT_COUNT, 128))
    shots, photos, files, counts, seen = [], [], {}, {}, {}
    for strip in range(3):
        for number in range(4):
            name = f"{strip}{number}.jpg"
            centre = np.array([13.0 * number, 20.0 * strip, 50.0]) + rng.normal(0.0, 0.5, 3)
            shot = Shot(name, "c", _looking_down(rng, strip), centre)
            shots.append(shot)
            local = shot.to_camera(points)
            pixels = camera.project(local)
            inside = np.flatnonzero(((pixels > 5) & (pixels < [1194, 894])).all(axis=1))
            inside = rng.permutation(inside)
            pixels = pixels[inside] + rng.normal(0.0, noise_px, (len(inside), 2))
            descriptors = np.clip(looks[inside] + rng.integers(-6, 7, (len(inside), 128)), 0, 255)
            wrong = len(inside) // 10
            pixels[:wrong] = rng.uniform((5, 5), (1194, 894), (wrong, 2))
            descriptors[:wrong] = rng.integers(0, 90, (wrong, 128))
            seen[name] = np.where(np.arange(len(inside)) < wrong, -1, inside)
            files[name] = f"{name}.npz"
            counts[name] = len(inside)
            sigma = np.full(len(inside), 2.0, np.float32)
            Features(pixels.astype(np.float32), sigma, _unit(descriptors)).save(
                folder / files[name]
            )
            photos.append(_photo(name, camera.focal_px if focal_known else None))
    features = FeatureFiles(folder, files, counts)
    return Planted(camera, tuple(shots), points, tuple(photos), features, seen)


def _looking_down(rng: np.random.Generator, strip: int) -> np.ndarray:
    """Down, the top of the photo along the flight, that is to and fro, a few degrees off."""
    turn = 1.0 if strip % 2 else -1.0
    down = np.array([[0.0, turn, 0.0], [turn, 0.0, 0.0], [0.0, 0.0, -1.0]])
    a, b = rng.normal(0.0, 0.08, 2)
    tilt_a = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    tilt_b = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    return tilt_a @ tilt_b @ down


def _unit(descriptors: np.ndarray) -> np.ndarray:
    length = np.linalg.norm(descriptors, axis=1, keepdims=True)
    return np.rint(512.0 * descriptors / length).astype(np.uint8)


def _photo(name: str, focal_px: float | None) -> Photo:
    return Photo(
        name=name,
        path=Path(name),
        sha256="",
        width_px=1200,
        height_px=900,
        camera="c",
        focal_px=focal_px,
        focal_sigma=0.1 if focal_px else None,
        captured_at=None,
        position=None,
        yaw_deg=None,
        pitch_deg=None,
        roll_deg=None,
        relative_altitude_m=None,
        altitude_datum="unknown",
    )


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation and shift that bring points onto others with least squared distance."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    u, singular, vt = np.linalg.svd(b.T @ a)
    flip = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])
    rotation = u @ flip @ vt
    scale = float((singular * np.diag(flip)).sum() / (a * a).sum())
    return scale, rotation, target.mean(axis=0) - scale * rotation @ source.mean(axis=0)
