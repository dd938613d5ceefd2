"""Structure from motion with COLMAP's mappers, through pycolmap.

Global mapping comes first: its time grows with the number of photos and not with its square.
Where it fails or leaves photos out, incremental mapping tries too, and the better model counts.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.errors import OptionError, StageError
from reconstruction.matches import PairMatches
from reconstruction.photo import Photo
from reconstruction.sfm import STAGE_NAME, SfmInputs
from reconstruction.stage import Run

_SEED = 1
_FOCAL_GUESS = 0.7  # of the longer side: 25 mm on a 36 mm frame, as most survey drones have
_HALF = 0.5  # COLMAP's pixel centres are at halves
_MAX_EPIPOLAR_ERROR_PX = 4.0
_MAX_ERROR_PX = 4.0  # of an observation that is passed on
_GOOD_SHARE = 0.95  # registered photos that make a second mapper needless
_POOR_ERROR_PX = 2.0


def require() -> None:
    """Refuse before work starts where pycolmap is missing.

    Raises
    ------
    OptionError
    """
    if importlib.util.find_spec("pycolmap") is None:
        raise OptionError(
            "The engine 'colmap' needs pycolmap, which is not installed.",
            "Install it with 'pip install pycolmap' (on Linux arm64 from conda-forge), "
            "or choose --engine opensfm.",
        )


def reconstruct(inputs: SfmInputs, folder: Path, run: Run) -> SparseModel:
    """Cameras and tie points of a flight.

    Parameters
    ----------
    inputs : SfmInputs
    folder : Path
        For COLMAP's database.
    run : Run

    Raises
    ------
    StageError
        When fewer than three photos can be put together.
    """
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.FATAL)
    run.progress(0.0, "Relative positions")
    path = folder / "colmap.db"
    with pycolmap.Database.open(path) as database:
        images = _write_photos(database, inputs)
        _write_pairs(database, inputs, images, run)
    run.progress(0.3, "Global mapping")
    candidates = _global_models(path, run.jobs)
    best = _best(candidates)
    if best is None or not _is_good(best, len(inputs.photos)):
        run.progress(0.6, "Incremental mapping")
        candidates += _incremental_models(path, folder, run.jobs)
        best = _best(candidates)
    if best is None or best.num_reg_images() < 3:
        raise StageError(
            STAGE_NAME,
            f"The {len(inputs.photos)} photos could not be put together.",
            "Check that neighbouring photos overlap by 60 % or more, are sharp, and show "
            "something else than water or moving leaves.",
        )
    run.progress(0.9, "Tie points")
    return _sparse_model(best, inputs.photos, tuple(_notes(best, candidates, inputs.photos)))


def _write_photos(database: Any, inputs: SfmInputs) -> dict[str, int]:
    """Cameras, frames and keypoints into the database; image ids by photo name."""
    import pycolmap

    cameras: dict[str, int] = {}
    images: dict[str, int] = {}
    for photo in inputs.photos:
        if photo.camera not in cameras:
            cameras[photo.camera] = camera_id = database.write_camera(_camera(photo))
            rig = pycolmap.Rig()
            rig.add_ref_sensor(pycolmap.sensor_t(pycolmap.SensorType.CAMERA, camera_id))
            database.write_rig(rig)
        camera_id = cameras[photo.camera]
        image = pycolmap.Image(name=photo.name, camera_id=camera_id)
        image.image_id = images[photo.name] = database.write_image(image)
        frame = pycolmap.Frame()
        frame.rig_id = camera_id
        frame.add_data_id(image.data_id)
        database.write_frame(frame)
        xy = inputs.features.features(photo.name).xy
        database.write_keypoints(image.image_id, xy + np.float32(_HALF))
    return images


def _camera(photo: Photo) -> Any:
    import pycolmap

    focal = photo.focal_px or _FOCAL_GUESS * max(photo.width_px, photo.height_px)
    camera = pycolmap.Camera.create_from_model_id(
        pycolmap.INVALID_CAMERA_ID,
        pycolmap.CameraModelId.SIMPLE_RADIAL,
        focal,
        photo.width_px,
        photo.height_px,
    )
    camera.has_prior_focal_length = photo.focal_px is not None
    return camera


def _write_pairs(database: Any, inputs: SfmInputs, images: dict[str, int], run: Run) -> None:
    """Relative poses and matches into the database."""
    cameras = {camera.camera_id: camera for camera in database.read_all_cameras()}
    views = {}
    for image in database.read_all_images():
        xy = database.read_keypoints(image.image_id)[:, :2].astype(np.float64)
        views[image.name] = _View(cameras[image.camera_id], xy)
    geometries = run.part(0.0, 0.3).map(
        partial(_geometry, views), inputs.matches.pairs, "Relative positions"
    )
    for pair, geometry in zip(inputs.matches.pairs, geometries, strict=True):
        database.write_two_view_geometry(images[pair.first], images[pair.second], geometry)


@dataclass(frozen=True)
class _View:
    camera: Any
    xy: NDArray[np.float64]


def _geometry(views: dict[str, _View], pair: PairMatches) -> Any:
    import pycolmap

    options = pycolmap.TwoViewGeometryOptions()
    options.compute_relative_pose = True
    options.ransac.random_seed = _SEED
    options.ransac.max_error = _MAX_EPIPOLAR_ERROR_PX
    first, second = views[pair.first], views[pair.second]
    index = pair.index.astype(np.uint32)
    return pycolmap.estimate_calibrated_two_view_geometry(
        first.camera, first.xy, second.camera, second.xy, index, options
    )


def _global_models(path: Path, jobs: int) -> list[Any]:
    import pycolmap

    options = pycolmap.GlobalPipelineOptions()
    options.num_threads = jobs
    options.random_seed = _SEED
    options.image_path = ""
    options.mapper.bundle_adjustment.refine_focal_length = False
    options.mapper.bundle_adjustment.ceres.use_gpu = False
    options.mapper.global_positioning.use_gpu = False
    manager = pycolmap.ReconstructionManager()
    with pycolmap.Database.open(path) as database:
        pycolmap.GlobalPipeline(options, database, manager).run()
    return [manager.get(index) for index in range(manager.size())]


def _incremental_models(path: Path, folder: Path, jobs: int) -> list[Any]:
    import pycolmap

    options = pycolmap.IncrementalPipelineOptions()
    options.num_threads = jobs
    options.random_seed = _SEED
    options.extract_colors = False
    options.ba_refine_focal_length = False
    output = folder / "incremental"
    models = pycolmap.incremental_mapping(path, folder, output, options)
    return list(models.values())


def _best(models: list[Any]) -> Any:
    """The model with most photos, of equals the one with most observations."""
    return max(
        models,
        key=lambda model: (model.num_reg_images(), model.compute_num_observations()),
        default=None,
    )


def _is_good(model: Any, photo_count: int) -> bool:
    share = model.num_reg_images() / photo_count
    return bool(share >= _GOOD_SHARE and model.compute_mean_reprojection_error() < _POOR_ERROR_PX)


def _notes(best: Any, models: list[Any], photos: tuple[Photo, ...]) -> list[str]:
    registered = {image.name for image in best.images.values() if image.has_pose}
    missing = [photo.name for photo in photos if photo.name not in registered]
    notes = []
    if missing:
        notes.append(
            f"{len(missing)} of {len(photos)} photos could not be placed: {', '.join(missing)}."
        )
    return notes


def _sparse_model(model: Any, photos: tuple[Photo, ...], notes: tuple[str, ...]) -> SparseModel:
    """COLMAP's reconstruction in the project's own terms and conventions."""
    camera_names = {photo.name: photo.camera for photo in photos}
    images = sorted(
        (image for image in model.images.values() if image.has_pose), key=lambda image: image.name
    )
    cameras, shots = {}, []
    for image in images:
        name = camera_names[image.name]
        cameras[name] = _to_camera(name, model.cameras[image.camera_id])
        rotation = image.cam_from_world().rotation.matrix()
        shots.append(Shot(image.name, name, rotation, image.projection_center()))
    return SparseModel(cameras, tuple(shots), _tie_points(model, images), notes)


def _to_camera(name: str, camera: Any) -> Camera:
    focal, cx, cy, k1 = camera.params
    return Camera(name, camera.width, camera.height, focal, cx - _HALF, cy - _HALF, k1)


def _tie_points(model: Any, images: list[Any]) -> TiePoints:
    """Points in the order of their ids, observations grouped by photo."""
    order = {point_id: index for index, point_id in enumerate(sorted(model.points3D))}
    points = np.array([model.points3D[point_id].xyz for point_id in order]).reshape(-1, 3)
    shot_index, point_index, pixels = [], [], []
    for index, image in enumerate(images):
        for seen in image.get_observation_points2D():
            shot_index.append(index)
            point_index.append(order[seen.point3D_id])
            pixels.append(seen.xy)
    return TiePoints(
        points,
        np.array(shot_index, dtype=np.int32),
        np.array(point_index, dtype=np.int32),
        np.array(pixels).reshape(-1, 2) - _HALF,
    )
