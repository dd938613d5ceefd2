"""Between COLMAP's reconstructions and the project's own terms and conventions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot

COLMAP_HALF_PX = 0.5  # COLMAP's pixel centres are at halves

_ROBUST_SCALE = 0.5e-3  # of the photo's longer side: errors beyond count less and less
_MAX_ITERATIONS = 30
_TOLERANCE = 1e-4


def from_colmap(model: Any, camera_names: dict[str, str], notes: tuple[str, ...]) -> SparseModel:
    """A `SparseModel` of a pycolmap reconstruction.

    Parameters
    ----------
    model : pycolmap.Reconstruction
    camera_names : dict of str to str
        Name of the camera, by photo name.
    notes : tuple of str
    """
    images = sorted(
        (image for image in model.images.values() if image.has_pose), key=lambda image: image.name
    )
    cameras, shots = {}, []
    for image in images:
        name = camera_names[image.name]
        cameras[name] = _to_camera(name, model.cameras[image.camera_id])
        shots.append(_to_shot(image, name))
    return SparseModel(cameras, tuple(shots), _tie_points(model, images), notes)


def _to_shot(image: Any, camera: str) -> Shot:
    rotation = image.cam_from_world().rotation.matrix()
    return Shot(image.name, camera, rotation, image.projection_center())


def _to_camera(name: str, camera: Any) -> Camera:
    params = [float(value) for value in camera.params]
    if camera.model.name == "OPENCV":
        params = [0.5 * (params[0] + params[1]), *params[2:]]
    focal, cx, cy, k1, *more = params
    k2, p1, p2 = (*more, 0.0, 0.0, 0.0)[:3]
    centre = cx - COLMAP_HALF_PX, cy - COLMAP_HALF_PX
    return Camera(name, camera.width, camera.height, focal, *centre, k1=k1, k2=k2, p1=p1, p2=p2)


def _tie_points(model: Any, images: list[Any]) -> TiePoints:
    """Points in the order of their ids, observations ordered by point."""
    order = {point_id: index for index, point_id in enumerate(sorted(model.points3D))}
    points = np.array([model.points3D[point_id].xyz for point_id in order]).reshape(-1, 3)
    shot_index, point_index, pixels = [], [], []
    for index, image in enumerate(images):
        for seen in image.get_observation_points2D():
            shot_index.append(index)
            point_index.append(order[seen.point3D_id])
            pixels.append(seen.xy)
    by_point = np.argsort(np.array(point_index, dtype=np.int32), kind="stable")
    return TiePoints(
        points,
        np.array(shot_index, dtype=np.int32)[by_point],
        np.array(point_index, dtype=np.int32)[by_point],
        np.array(pixels).reshape(-1, 2)[by_point] - COLMAP_HALF_PX,
    )


def refine(
    model: SparseModel, lens: str, *, focal: bool, held: Collection[str] = (), jobs: int
) -> SparseModel:
    """Bundle adjustment of poses, points and lens; the principal point stays.

    Parameters
    ----------
    model : SparseModel
        Observations ordered by point.
    lens : str
        COLMAP's lens model: ``RADIAL`` (k1, k2) or ``OPENCV`` (with p1, p2).
    focal : bool
        Whether focal lengths are free.
    held : collection of str
        Cameras whose lens stays as it is.
    jobs : int
        Threads.

    Returns
    -------
    SparseModel
    """
    import pycolmap

    numbers = {name: number for number, name in enumerate(model.cameras, 1)}
    colmap = _to_colmap(model, lens, numbers)
    sizes = [max(camera.width_px, camera.height_px) for camera in model.cameras.values()]
    options = pycolmap.BundleAdjustmentOptions()
    options.refine_focal_length = focal
    options.min_track_length = 2
    options.print_summary = False
    options.ceres.use_gpu = False
    options.ceres.loss_function_type = pycolmap.LossFunctionType.CAUCHY
    options.ceres.loss_function_scale = _ROBUST_SCALE * max(sizes)
    options.ceres.auto_select_solver_type = True
    options.ceres.solver_options.num_threads = jobs
    options.ceres.solver_options.max_num_iterations = _MAX_ITERATIONS
    options.ceres.solver_options.function_tolerance = _TOLERANCE
    config = pycolmap.BundleAdjustmentConfig()
    for image_id in colmap.images:
        config.add_image(image_id)
    for name in held:
        config.set_constant_cam_intrinsics(numbers[name])
    config.fix_gauge(pycolmap.BundleAdjustmentGauge.TWO_CAMS_FROM_WORLD)
    pycolmap.create_default_bundle_adjuster(options, config, colmap).solve()
    cameras = {name: _to_camera(name, colmap.cameras[number]) for name, number in numbers.items()}
    shots = tuple(
        _to_shot(colmap.images[number], shot.camera) for number, shot in enumerate(model.shots, 1)
    )
    xyz = np.array(
        [colmap.points3D[number + 1].xyz for number in range(len(model.tie_points.points))]
    )
    return replace(
        model, cameras=cameras, shots=shots, tie_points=replace(model.tie_points, points=xyz)
    )


def _to_colmap(model: SparseModel, lens: str, numbers: dict[str, int]) -> Any:
    import pycolmap

    colmap = pycolmap.Reconstruction()
    for name, camera in model.cameras.items():
        theirs = pycolmap.Camera.create_from_model_id(
            numbers[name],
            getattr(pycolmap.CameraModelId, lens),
            camera.focal_px,
            camera.width_px,
            camera.height_px,
        )
        centre = camera.cx_px + COLMAP_HALF_PX, camera.cy_px + COLMAP_HALF_PX
        focals = (camera.focal_px,) * len(theirs.focal_length_idxs())
        bend = (camera.k1, camera.k2, camera.p1, camera.p2)[: len(theirs.extra_params_idxs())]
        theirs.params = [*focals, *centre, *bend]
        colmap.add_camera_with_trivial_rig(theirs)
    ties = model.tie_points
    slot = np.empty(len(ties.shot_index), np.int64)
    for index, shot in enumerate(model.shots):
        rows = np.flatnonzero(ties.shot_index == index)
        slot[rows] = np.arange(len(rows))
        image = pycolmap.Image(name=shot.name, camera_id=numbers[shot.camera], image_id=index + 1)
        pixels = ties.pixels[rows] + COLMAP_HALF_PX
        image.points2D = pycolmap.Point2DList([pycolmap.Point2D(xy) for xy in pixels])
        pose = np.column_stack((shot.rotation, -shot.rotation @ shot.centre))
        colmap.add_image_with_trivial_frame(image, pycolmap.Rigid3d(pose))
    starts = np.searchsorted(ties.point_index, np.arange(len(ties.points) + 1))
    for number, xyz in enumerate(ties.points):
        track = pycolmap.Track()
        for row in range(starts[number], starts[number + 1]):
            track.add_element(int(ties.shot_index[row]) + 1, int(slot[row]))
        colmap.add_point3D(xyz, track)
    return colmap
