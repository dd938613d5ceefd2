"""From OpenSfM's result files to the project's own terms and conventions.

OpenSfM measures images from their centre, in units of their longer side, and writes poses as
axis-angle rotations from world to camera with a translation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.errors import StageError
from reconstruction.photo import Photo
from reconstruction.sfm import STAGE_NAME, not_put_together, unplaced
from reconstruction.sfm.joining import Part, join

_BROWN = ("perspective", "brown", "radial", "simple_radial")  # Brown's lens and special cases


def read_model(dataset: Path, photos: Mapping[str, Photo]) -> SparseModel:
    """The models of an OpenSfM dataset, joined as far as they can be.

    Parameters
    ----------
    dataset : Path
        Folder with ``reconstruction.json`` and ``tracks.csv``.
    photos : mapping of str to Photo
        By name of the image in the dataset.

    Returns
    -------
    SparseModel
        Points and all observations of their tracks, wrong ones among them, ordered by point.
        The frame is OpenSfM's.

    Raises
    ------
    StageError
        When fewer than three photos are in one model, for lenses that the project's camera
        cannot express, and for files that cannot be read.
    """
    try:
        models = json.loads((dataset / "reconstruction.json").read_text(encoding="utf-8"))
        models = [model for model in models if len(model["points"])]
        if not models:
            raise not_put_together(len(photos))
        whole = join([_part(model, dataset / "tracks.csv", photos) for model in models])
        if len(whole.shots) < min(3, len(photos)):
            raise not_put_together(len(photos))
        left_out = unplaced(tuple(photos.values()), {shot.name for shot in whole.shots})
        return replace(whole, notes=(*whole.notes, *left_out))
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StageError(
            STAGE_NAME,
            f"OpenSfM's result cannot be read: {type(error).__name__}, {error}.",
            "Check that OPENSFM_BIN names a working OpenSfM, or choose --engine colmap.",
        ) from error


def _part(model: Any, tracks: Path, photos: Mapping[str, Photo]) -> Part:
    images = sorted(model["shots"], key=lambda image: photos[image].name)
    shots = tuple(_shot(photos[image].name, model["shots"][image]) for image in images)
    used = sorted({shot.camera for shot in shots})
    cameras = {name: _camera(name, model["cameras"][name]) for name in used}
    order = {key: index for index, key in enumerate(model["points"])}
    points = np.array([point["coordinates"] for point in model["points"].values()], np.float64)
    shot_index, point_index, xy = _observations(tracks, images, order)
    pixels = np.empty_like(xy)
    for index, shot in enumerate(shots):
        rows = shot_index == index
        pixels[rows] = to_pixels(cameras[shot.camera], xy[rows])
    ties = TiePoints(points.reshape(-1, 3), shot_index, point_index, pixels)
    numbers = np.array([int(key) for key in model["points"]], np.int64)
    return Part(SparseModel(cameras, shots, ties), numbers)


def _shot(name: str, values: Any) -> Shot:
    rotation = Rotation.from_rotvec(values["rotation"]).as_matrix()
    centre = -rotation.T @ np.array(values["translation"], np.float64)
    return Shot(name, str(values["camera"]), rotation, centre)


def _camera(name: str, values: Any) -> Camera:
    kind = values.get("projection_type", "perspective")
    if kind not in _BROWN:
        raise StageError(
            STAGE_NAME,
            f"OpenSfM took the lens of camera '{name}' as '{kind}', which cannot be used here.",
            "Choose --engine colmap.",
        )
    width, height = int(values["width"]), int(values["height"])
    size = max(width, height)
    # Pixels are square: where OpenSfM has two focal lengths they are held together.
    focal = values["focal"] if "focal" in values else (values["focal_x"] + values["focal_y"]) / 2
    bends = {key: float(values.get(key, 0.0)) for key in ("k1", "k2", "k3", "p1", "p2")}
    return Camera(
        name,
        width,
        height,
        focal * size,
        values.get("c_x", 0.0) * size + (width - 1) / 2.0,
        values.get("c_y", 0.0) * size + (height - 1) / 2.0,
        **bends,
    )


def to_pixels(camera: Camera, xy: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pixels (centres at integers) of OpenSfM's image coordinates, shape (n, 2)."""
    size = max(camera.width_px, camera.height_px)
    return xy * size + (np.array([camera.width_px, camera.height_px]) - 1.0) / 2.0


def _observations(
    tracks: Path, images: list[str], points: dict[str, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float64]]:
    """Shot, point and image coordinates of the observations of points, ordered by point.

    A line has image, track, feature, x, y and more that depends on the version of the file.
    """
    numbers = {image: index for index, image in enumerate(images)}
    ends, xy = [], []
    with tracks.open(encoding="utf-8") as lines:
        for line in lines:
            image, _, rest = line.partition("\t")
            track, _, rest = rest.partition("\t")
            if image in numbers and track in points:
                ends.append((numbers[image], points[track]))
                _, x, y, _ = rest.split("\t", 3)
                xy.append((float(x), float(y)))
    if not ends:
        raise ValueError(f"{tracks.name} has no observation of a point")
    index = np.array(ends, np.int32)
    by_point = np.argsort(index[:, 1], kind="stable")
    return index[by_point, 0], index[by_point, 1], np.array(xy, np.float64)[by_point]
