"""Photos that somebody turned: upside down in their files against how the sensor read them.

An image viewer that turns a photo by 180 degrees leaves its size and most of its metadata, but the
principal point, the decentring of the lens and the order of the rows are then those of another
camera. One camera for both kinds bends the block, so turned photos are turned back for the
adjustment and get a camera of their own afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reconstruction.block import SparseModel, TiePoints
from reconstruction.camera import Camera, Shot
from reconstruction.photo import Photo

_TURN = np.diag([-1.0, -1.0, 1.0])
_TURNED_DEG = 135.0  # difference of the yaw from which on a photo counts as turned
_UPSIDE_DOWN_DEG = 90.0  # roll of a gimbal from which on its yaw points backwards
_NAME = "{} (turned)"


def suspects(model: SparseModel, photos: Mapping[str, Photo]) -> frozenset[str]:
    """Photos whose top edge points away from the yaw that their metadata state.

    Which way of two is the sensor's does not matter, so for each camera these are the fewer.

    Parameters
    ----------
    model : SparseModel
        In a local frame, to some degrees.
    photos : mapping of str to Photo

    Returns
    -------
    frozenset of str
        Names of photos.
    """
    found: set[str] = set()
    for camera in model.cameras:
        shots = [shot for shot in model.shots if shot.camera == camera]
        off_deg = np.array([_off_deg(shot, photos[shot.name]) for shot in shots])
        turned = np.abs(off_deg) > _TURNED_DEG
        if 2 * turned.sum() > len(shots):
            turned = np.abs(off_deg) < 180.0 - _TURNED_DEG
        found.update(shot.name for shot, is_turned in zip(shots, turned, strict=True) if is_turned)
    return frozenset(found)


def _off_deg(shot: Shot, photo: Photo) -> float:
    """Stated yaw less the azimuth of the top edge, -180 to 180; NaN where none is stated."""
    if photo.yaw_deg is None:
        return float("nan")
    east, north, _ = -shot.rotation[1]
    upside_down = photo.roll_deg is not None and abs(photo.roll_deg) > _UPSIDE_DOWN_DEG
    yaw_deg = photo.yaw_deg + (180.0 if upside_down else 0.0)
    return float((yaw_deg - np.degrees(np.arctan2(east, north)) + 180.0) % 360.0 - 180.0)


def turned_back(model: SparseModel, names: frozenset[str]) -> SparseModel:
    """The same model with the named photos as the sensor read them."""
    return replace(
        model,
        shots=tuple(_turned_shot(shot) if shot.name in names else shot for shot in model.shots),
        tie_points=replace(
            model.tie_points,
            pixels=turned_pixels(
                model.tie_points.pixels, model.tie_points.shot_index, model, names
            ),
        ),
    )


def turned_pixels(
    pixels: NDArray[np.float64],
    shot_index: NDArray[np.int32],
    model: SparseModel,
    names: frozenset[str],
) -> NDArray[np.float64]:
    """Pixels (m, 2) of the shots (m,) of a model, those of the named photos turned about."""
    last = np.array(
        [
            (model.cameras[shot.camera].width_px - 1.0, model.cameras[shot.camera].height_px - 1.0)
            for shot in model.shots
        ]
    )
    is_turned = np.array([shot.name in names for shot in model.shots])[shot_index]
    return np.where(is_turned[:, None], last[shot_index] - pixels, pixels)


def as_in_files(
    cameras: Mapping[str, Camera],
    shots: Sequence[Shot],
    ties: TiePoints,
    names: frozenset[str],
) -> tuple[dict[str, Camera], tuple[Shot, ...], TiePoints]:
    """Undo `turned_back` after the adjustment: turned photos get turned cameras.

    Parameters
    ----------
    cameras, shots, ties
        With all photos as the sensor read them.
    names : frozenset of str
        Photos that are turned in their files.

    Returns
    -------
    cameras, shots, ties
    """
    model = turned_back(SparseModel(dict(cameras), tuple(shots), ties), names)
    placed = tuple(
        replace(shot, camera=_NAME.format(shot.camera)) if shot.name in names else shot
        for shot in model.shots
    )
    used = {shot.camera for shot in shots if shot.name in names}
    twins = {_NAME.format(name): _turned_camera(cameras[name]) for name in sorted(used)}
    return {**cameras, **twins}, placed, model.tie_points


def _turned_shot(shot: Shot) -> Shot:
    return replace(shot, rotation=_TURN @ shot.rotation)


def _turned_camera(camera: Camera) -> Camera:
    return replace(
        camera,
        name=_NAME.format(camera.name),
        cx_px=camera.width_px - 1.0 - camera.cx_px,
        cy_px=camera.height_px - 1.0 - camera.cy_px,
        p1=-camera.p1,
        p2=-camera.p2,
        readout_s=-camera.readout_s,
    )
