"""Structure from motion with COLMAP's mappers, through pycolmap.

The mappers get some hundred long, well-spread tracks a photo and not all matches: the cameras
that come out are as good, in a tenth of the time. Everything else is found by
`reconstruction.tie_points` once the cameras are known.

Global mapping comes first: its time grows with the number of photos and not with its square.
Where it fails, leaves photos out or fits badly, incremental mapping tries too, and the better
model counts.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconstruction import tie_points
from reconstruction.block import SparseModel
from reconstruction.errors import OptionError, StageError
from reconstruction.matches import PairMatches
from reconstruction.photo import Photo
from reconstruction.programs import ending, execute
from reconstruction.sfm import (
    FOCAL_GUESS,
    STAGE_NAME,
    SfmInputs,
    has_pycolmap,
    mapper_tracks,
    not_put_together,
    unplaced,
)
from reconstruction.sfm.colmap_model import COLMAP_HALF_PX, from_colmap, refine
from reconstruction.sfm.joining import join
from reconstruction.sfm.mapper_tracks import MapperTracks
from reconstruction.stage import Run

GLOBAL, INCREMENTAL = "global", "incremental"  # mappers of the program `colmap_mapping`
SEED = 1
_TRACKS_A_PHOTO = 200  # for the mapper
_POSE_MATCHES = 300  # of a pair, for its relative position
_ADJUSTED_A_PHOTO = 800  # observations a photo in the adjustment
_PASSED_ON_A_PHOTO = 4000
# Shares of the photo's longer side.
_MAX_EPIPOLAR_ERROR = 1e-3
_BAND = 1.5e-3
_MAX_ERROR = 1e-3
_POOR_ERROR = 1e-3
# When a second mapper is worth its time.
_GOOD_SHARE = 0.95
_LEAST_TRACK_LENGTH = 2.5
_FOCAL_RANGE = (0.25, 5.0)  # of the longer side
# A focal length that moves more than this from the photo's metadata is a sign that the flight
# cannot tell it (flat ground, level camera), not that the metadata are wrong.
_FOCAL_TRUST = 0.05
_CLEAR_GAIN = 0.97  # of the median error, that shows that an unknown focal length is seen


def require() -> None:
    """Refuse before work starts where pycolmap is missing.

    Raises
    ------
    OptionError
    """
    if not has_pycolmap():
        raise OptionError(
            "The engine 'colmap' needs pycolmap, which is not installed.",
            "Install it with 'pip install pycolmap', or COLMAP's program ('apt-get install "
            "colmap' on Debian), or choose --engine opensfm.",
        )


def reconstruct(inputs: SfmInputs, folder: Path, run: Run) -> SparseModel:
    """Cameras and tie points of a flight.

    Parameters
    ----------
    inputs : SfmInputs
    folder : Path
        For COLMAP's database.
    run : Run

    Returns
    -------
    SparseModel
        Some thousand observations a photo. The world has an arbitrary place, scale and
        rotation.

    Raises
    ------
    StageError
        When fewer than three photos can be put together.
    """
    import pycolmap

    pycolmap.logging.minloglevel = int(pycolmap.logging.Level.FATAL)
    path = folder / "colmap.db"
    chosen = _write_database(path, inputs, run.part(0.0, 0.2))
    model = _map(path, inputs, chosen, run.part(0.2, 0.6))
    model = tie_points.densify(model, inputs.features, _BAND, run.part(0.6, 0.8))
    model = _adjust(model, inputs.photos, run.part(0.8, 1.0))
    path.unlink()
    return model


def _adjust(model: SparseModel, photos: tuple[Photo, ...], run: Run) -> SparseModel:
    """Lens and poses from a part of the tie points, then all tie points again."""
    run.progress(0.0, "Focal length")
    known = {photo.camera: photo.focal_px for photo in photos if photo.focal_px is not None}
    chosen = replace(model, tie_points=tie_points.thin(model, _ADJUSTED_A_PHOTO))
    chosen = _with_focal(chosen, known, run.jobs)
    run.progress(0.5, "Adjustment")
    refined = refine(chosen, "OPENCV", focal=False, jobs=run.jobs)
    refined = replace(refined, tie_points=model.tie_points)
    ties = tie_points.reintersect(refined.cameras, refined.shots, refined.tie_points, _MAX_ERROR)
    refined = replace(refined, tie_points=ties)
    return replace(refined, tie_points=tie_points.thin(refined, _PASSED_ON_A_PHOTO))


def _with_focal(model: SparseModel, known: dict[str, float], jobs: int) -> SparseModel:
    """Focal lengths from the photos, as far as these tell them.

    Flat ground seen by a level camera fits every focal length with a height of its own.
    """
    known = {name: focal for name, focal in known.items() if name in model.cameras}
    if 0 < len(known) < len(model.cameras):
        # The known cameras tell the size of the ground, and that tells the others' focal length.
        model = refine(model, "RADIAL", focal=True, held=known, jobs=jobs)
    free = refine(model, "RADIAL", focal=True, jobs=jobs)
    if known:
        fitted = {name: free.cameras[name].focal_px for name in known}
        told = all(abs(fitted[name] / known[name] - 1.0) < _FOCAL_TRUST for name in known)
    else:
        fixed = refine(model, "RADIAL", focal=False, jobs=jobs)
        told = _median_error(free) < _CLEAR_GAIN * _median_error(fixed)
    return free if told else model


def _median_error(model: SparseModel) -> float:
    return float(np.median(tie_points.errors_px(model)))


class _View(NamedTuple):
    """A photo in the database."""

    image_id: int
    camera: Any
    xy: NDArray[np.float64]


def _write_database(path: Path, inputs: SfmInputs, run: Run) -> MapperTracks:
    """Cameras, relative poses, and the keypoints and matches of chosen tracks; these tracks."""
    import pycolmap

    chosen = mapper_tracks.choose(inputs, _TRACKS_A_PHOTO)
    with pycolmap.Database.open(path) as database:
        cameras: dict[str, Any] = {}
        views: dict[str, _View] = {}
        for photo, keypoints in zip(inputs.photos, chosen.xy, strict=True):
            if photo.camera not in cameras:
                cameras[photo.camera] = _write_camera(database, photo)
            camera = cameras[photo.camera]
            image_id = _write_image(database, photo.name, camera, keypoints)
            xy = inputs.features.features(photo.name).xy
            views[photo.name] = _View(image_id, camera, xy.astype(np.float64) + COLMAP_HALF_PX)
        pairs = inputs.matches.pairs
        geometries = run.map(partial(_geometry, views), pairs, "Relative positions")
        for pair, geometry, matches in zip(pairs, geometries, chosen.matches, strict=True):
            geometry.inlier_matches = matches
            database.write_two_view_geometry(
                views[pair.first].image_id, views[pair.second].image_id, geometry
            )
    return chosen


def _write_camera(database: Any, photo: Photo) -> Any:
    import pycolmap

    focal = photo.focal_px or FOCAL_GUESS * max(photo.width_px, photo.height_px)
    camera = pycolmap.Camera.create_from_model_id(
        pycolmap.INVALID_CAMERA_ID,
        pycolmap.CameraModelId.SIMPLE_RADIAL,
        focal,
        photo.width_px,
        photo.height_px,
    )
    camera.has_prior_focal_length = photo.focal_px is not None
    camera.camera_id = database.write_camera(camera)
    rig = pycolmap.Rig()
    rig.add_ref_sensor(pycolmap.sensor_t(pycolmap.SensorType.CAMERA, camera.camera_id))
    rig.rig_id = database.write_rig(rig)
    return camera


def _write_image(database: Any, name: str, camera: Any, xy: NDArray[np.float32]) -> int:
    import pycolmap

    image = pycolmap.Image(name=name, camera_id=camera.camera_id)
    image.image_id = database.write_image(image)
    frame = pycolmap.Frame()
    sensor = pycolmap.sensor_t(pycolmap.SensorType.CAMERA, camera.camera_id)
    frame.rig_id = database.read_rig_with_sensor(sensor).rig_id
    frame.add_data_id(image.data_id)
    database.write_frame(frame)
    database.write_keypoints(image.image_id, xy + np.float32(COLMAP_HALF_PX))
    return int(image.image_id)


def _geometry(views: dict[str, _View], pair: PairMatches) -> Any:
    """Relative pose of two photos, from matches spread over the list of them."""
    import pycolmap

    first, second = views[pair.first], views[pair.second]
    options = pycolmap.TwoViewGeometryOptions()
    options.compute_relative_pose = True
    options.ransac.random_seed = SEED
    options.ransac.max_error = _MAX_EPIPOLAR_ERROR * max(first.camera.width, first.camera.height)
    step = max(1, len(pair.index) // _POSE_MATCHES)
    index = np.ascontiguousarray(pair.index[::step]).astype(np.uint32)
    return pycolmap.estimate_calibrated_two_view_geometry(
        first.camera, first.xy, second.camera, second.xy, index, options
    )


def _map(path: Path, inputs: SfmInputs, chosen: MapperTracks, run: Run) -> SparseModel:
    """The best model of both mappers, with notes on what it leaves out."""
    count = len(inputs.photos)
    found = _mapped(GLOBAL, path, inputs, chosen, run.part(0.0, 0.5))
    if not found or not _is_good(found[0], count):
        found += _mapped(INCREMENTAL, path, inputs, chosen, run.part(0.5, 1.0))
    best = max(found, key=_rank, default=None)
    if best is None or len(best.shots) < min(3, count):
        raise not_put_together(count)
    left_out = unplaced(inputs.photos, {shot.name for shot in best.shots})
    return replace(best, notes=(*best.notes, *left_out))


def _mapped(
    mapper: str, path: Path, inputs: SfmInputs, chosen: MapperTracks, run: Run
) -> list[SparseModel]:
    """What a mapper makes of a database, its parts joined; empty where it finds nothing."""
    free_focal = any(photo.focal_px is None for photo in inputs.photos)
    camera_names = {photo.name: photo.camera for photo in inputs.photos}
    models = [
        from_colmap(model, camera_names, ()) for model in _models(mapper, path, free_focal, run)
    ]
    models = [model for model in models if len(model.tie_points.points)]
    return [join([chosen.part(model) for model in models])] if models else []


def _models(mapper: str, path: Path, free_focal: bool, run: Run) -> list[Any]:
    """The models that a mapper, run as a program, finds in a database."""
    import pycolmap

    output, log = path.parent / mapper, path.parent / f"{mapper}.log"
    program = [sys.executable, "-m", "reconstruction.sfm.colmap_mapping"]
    told = [mapper, str(path), str(output), str(run.jobs), str(int(free_focal))]
    code = execute([*program, *told], log, lambda: run.progress(0.0, f"{mapper.title()} mapping"))
    if code != 0:
        raise StageError(
            STAGE_NAME,
            f"COLMAP's {mapper} mapper {ending(code, log)}",
            "If memory ran short, take fewer --jobs; else choose --engine opensfm.",
        )
    models = [pycolmap.Reconstruction(folder) for folder in sorted(output.iterdir())]
    shutil.rmtree(output)
    log.unlink()
    return models


def _rank(model: SparseModel) -> tuple[int, float]:
    """More photos are better, of equals the smaller error."""
    return len(model.shots), -float(np.mean(tie_points.errors_px(model)))


def _is_good(model: SparseModel, photo_count: int) -> bool:
    """Whether a model leaves nothing to be hoped for from the other mapper."""
    sizes = [max(camera.width_px, camera.height_px) for camera in model.cameras.values()]
    focals = [camera.focal_px for camera in model.cameras.values()]
    plausible = all(
        _FOCAL_RANGE[0] * size < focal < _FOCAL_RANGE[1] * size
        for focal, size in zip(focals, sizes, strict=True)
    )
    ties = model.tie_points
    return bool(
        len(model.shots) >= _GOOD_SHARE * photo_count
        and np.mean(tie_points.errors_px(model)) < _POOR_ERROR * max(sizes)
        and len(ties.shot_index) > _LEAST_TRACK_LENGTH * len(ties.points)
        and plausible
    )
