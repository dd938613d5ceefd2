"""The files of COLMAP's program: its database, written, and its model, read as text.

The database is SQLite in the layout of COLMAP 3.7 to 3.11, which its own ``database_creator``
makes; only the columns that all of these have are filled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.photo import Photo
from reconstruction.sfm import FOCAL_GUESS, SfmInputs
from reconstruction.sfm.colmap_model import COLMAP_HALF_PX
from reconstruction.sfm.mapper_tracks import MapperTracks

_SIMPLE_RADIAL = 2
_CALIBRATED = 2  # a two-view geometry with known lenses
_PAIR_BASE = 2**31 - 1


def write_database(path: Path, inputs: SfmInputs, chosen: MapperTracks) -> None:
    """Cameras, photos, keypoints and matches into an empty database.

    Photos are numbered from 1 in their order and carry that number as their name.
    """
    photos = inputs.photos
    numbers = {photo.name: number for number, photo in enumerate(photos, 1)}
    with closing(sqlite3.connect(path)) as database, database:
        cameras: dict[str, int] = {}
        for photo, keypoints in zip(photos, chosen.xy, strict=True):
            if photo.camera not in cameras:
                cameras[photo.camera] = len(cameras) + 1
                _insert(database, "cameras", _camera_row(cameras[photo.camera], photo))
            number = numbers[photo.name]
            image = {"image_id": number, "name": str(number), "camera_id": cameras[photo.camera]}
            _insert(database, "images", image)
            table = _table(keypoints + np.float32(COLMAP_HALF_PX), np.float32)
            _insert(database, "keypoints", {"image_id": number, **table})
        for pair, matches in zip(inputs.matches.pairs, chosen.matches, strict=True):
            first, second = numbers[pair.first], numbers[pair.second]
            ordered = matches if first < second else matches[:, ::-1]
            low, high = sorted((first, second))
            key = {"pair_id": low * _PAIR_BASE + high}
            _insert(database, "matches", key | _table(ordered, np.uint32))
            unknown = dict.fromkeys(("F", "E", "H", "qvec", "tvec"), b"")
            row = key | _table(ordered, np.uint32) | {"config": _CALIBRATED} | unknown
            _insert(database, "two_view_geometries", row)


def _insert(database: sqlite3.Connection, table: str, row: dict[str, object]) -> None:
    places = ", ".join("?" * len(row))
    # Names of tables and columns are those above.
    database.execute(
        f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places})",  # noqa: S608
        tuple(row.values()),
    )


def _camera_row(number: int, photo: Photo) -> dict[str, object]:
    focal = photo.focal_px or FOCAL_GUESS * max(photo.width_px, photo.height_px)
    params = np.array([focal, photo.width_px / 2.0, photo.height_px / 2.0, 0.0])
    return {
        "camera_id": number,
        "model": _SIMPLE_RADIAL,
        "width": photo.width_px,
        "height": photo.height_px,
        "params": params.tobytes(),
        "prior_focal_length": int(photo.focal_px is not None),
    }


def _table(values: NDArray[np.generic], kind: type) -> dict[str, object]:
    return {
        "rows": values.shape[0],
        "cols": values.shape[1],
        "data": np.ascontiguousarray(values, kind).tobytes(),
    }


def read_model(folder: Path, photos: tuple[Photo, ...]) -> SparseModel:
    """A model of simple radial lenses that was written as text.

    Parameters
    ----------
    folder : Path
        With ``cameras.txt`` and ``images.txt`` and ``points3D.txt``.
    photos : tuple of Photo
        As in `write_database`.

    Returns
    -------
    SparseModel
        Observations ordered by point; no notes.

    Raises
    ------
    ValueError
        When the files are not as COLMAP writes them.
    """
    lenses = {words[0]: words for words in _rows(folder / "cameras.txt")}
    points = {row[0]: row[1:4] for row in _rows(folder / "points3D.txt")}
    order = {point: index for index, point in enumerate(sorted(points, key=int))}
    cameras, shots, seen = {}, [], []
    lines = _rows(folder / "images.txt", keep_empty=True)
    poses = sorted(
        zip(lines, lines, strict=True), key=lambda pair: photos[int(pair[0][9]) - 1].name
    )
    for index, (pose, observed) in enumerate(poses):
        photo = photos[int(pose[9]) - 1]
        cameras[photo.camera] = _camera(photo.camera, lenses[pose[8]])
        shots.append(_shot(photo, [float(word) for word in pose[1:8]]))
        for x, y, point in zip(observed[::3], observed[1::3], observed[2::3], strict=True):
            if point != "-1":
                seen.append((index, order[point], float(x), float(y)))
    table = np.array(seen, np.float64).reshape(-1, 4)
    table = table[np.argsort(table[:, 1], kind="stable")]
    ends = table[:, :2].astype(np.int32)
    xyz = np.array([points[point] for point in order], np.float64).reshape(-1, 3)
    pixels = table[:, 2:] - COLMAP_HALF_PX
    return SparseModel(cameras, tuple(shots), TiePoints(xyz, ends[:, 0], ends[:, 1], pixels))


def _rows(path: Path, *, keep_empty: bool = False) -> Iterator[list[str]]:
    """Words of the lines of a file that are no comments."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            if not line.startswith("#") and (keep_empty or line.strip()):
                yield line.split()


def _camera(name: str, words: list[str]) -> Camera:
    if words[1] != "SIMPLE_RADIAL":
        raise ValueError(f"the lens is a {words[1]}")
    width, height = int(words[2]), int(words[3])
    focal, cx, cy, k1 = (float(word) for word in words[4:8])
    return Camera(name, width, height, focal, cx - COLMAP_HALF_PX, cy - COLMAP_HALF_PX, k1=k1)


def _shot(photo: Photo, pose: list[float]) -> Shot:
    """A shot of a quaternion (w first) and a translation, from world to camera."""
    rotation = Rotation.from_quat([*pose[1:4], pose[0]]).as_matrix()
    return Shot(photo.name, photo.camera, rotation, -rotation.T @ np.array(pose[4:7]))
