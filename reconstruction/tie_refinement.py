"""The stage that measures tie points again: patch by patch in the full photos.

Feature detectors place a point to about half a pixel of the reduced photo. Once the geometry is
roughly known, the surroundings of a point in one photo can be laid over each other photo of its
track and shifted until they fit, which is several times as exact. What lens, scale and bending of
the block are known by is exactly this.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from reconstruction import patches
from reconstruction.block import SparseModel, TiePoints
from reconstruction.errors import StageError
from reconstruction.georeference import thinned
from reconstruction.stage import Run, Stage

Array = NDArray[np.float64]

_HALF_PX = 14  # of a patch's side
_BLUR_PX = 0.6  # sigma: what interpolation between pixels cannot follow is left out
_REACH_PX = 8.0
_LEAST_LIKENESS = 0.5
_NEIGHBOURS = 9  # tie points that tell which way the ground faces
_LEAST_FACING = 0.5  # cosine between the ground's normal and the view
_ALIKE = 0.7  # of the coarsest view of a point: what is as coarse can give its patch
_LEAST_SHARE = 0.25  # of a photo's observations that must be found for it to be believed
_FEATURE_NOISE_PX = 0.5  # of what is left as the features had it
# Blurring makes the noise of neighbouring pixels go together: so many times it is as large.
_CORRELATED = np.sqrt(4.0 * np.pi) * _BLUR_PX
_STEP = 1e-3  # of the depth, to see how the ground lies in a photo


@dataclass(frozen=True)
class TieInputs:
    """Input of the stage.

    Parameters
    ----------
    model : SparseModel
    photos : dict of str to Path
        File of every shot, by its name.
    """

    model: SparseModel
    photos: dict[str, Path]


def refined(inputs: TieInputs, run: Run) -> SparseModel:
    """The same cameras with fewer tie points, measured again.

    Observations that cannot be found again are left out, unless that would leave little of a
    photo: then all of the photo's stay as the features had them.

    Parameters
    ----------
    inputs : TieInputs
    run : Run

    Returns
    -------
    SparseModel
        The shape of the points is not adjusted to the new pixels.
    """
    model = inputs.model
    model = replace(model, tie_points=thinned(model.tie_points, len(model.shots), model))
    ties = model.tie_points
    reference = _references(model)
    is_reference = np.zeros(len(ties.pixels), bool)
    is_reference[reference] = True
    warps = _warps(model, reference)
    size = 2 * _HALF_PX + 1
    templates = np.full((len(ties.points), size, size), np.nan, np.float32)
    shots = range(len(model.shots))
    pixels, noise_px = ties.pixels.copy(), np.full(len(ties.pixels), _FEATURE_NOISE_PX)
    cutter = partial(_cut, inputs, ties, is_reference, templates)
    run.part(0.0, 0.4).map(cutter, shots, "Patches of photos")
    finder = partial(_find, inputs, ties, is_reference, templates, warps, pixels, noise_px)
    run.part(0.4, 1.0).map(finder, shots, "Patches found again in photos")
    scale = np.sqrt(np.abs(np.linalg.det(warps)))
    least_px = np.full(len(ties.points), _FEATURE_NOISE_PX)
    np.minimum.at(least_px, ties.point_index, noise_px / scale)
    # A patch is as noisy in the photo that it is from as in the one that shows it next best.
    noise_px[reference] = least_px
    return replace(model, tie_points=_kept(ties, pixels, noise_px, is_reference))


def _references(model: SparseModel) -> NDArray[np.intp]:
    """The observation of each tie point that its patch is taken from.

    Of the photos that show the point about as coarsely as any, it is the one that was taken most in
    the middle of all: what a coarse photo shows is found in a fine one, and not the other way.
    """
    ties = model.tie_points
    grain = _grain(model)
    coarsest = np.zeros(len(ties.points))
    np.maximum.at(coarsest, ties.point_index, grain)
    is_fine = grain < _ALIKE * coarsest[ties.point_index]
    centres = np.array([shot.centre for shot in model.shots])[ties.shot_index]
    count = np.bincount(ties.point_index)
    middle = np.column_stack(
        [np.bincount(ties.point_index, centres[:, axis]) / count for axis in range(3)]
    )
    aside = np.linalg.norm(centres - middle[ties.point_index], axis=1)
    order = np.lexsort((aside, is_fine, ties.point_index))
    return order[np.searchsorted(ties.point_index[order], np.arange(len(ties.points)))]


def _grain(model: SparseModel) -> Array:
    """What a pixel of each observation covers where its point lies, in the model's unit."""
    ties = model.tie_points
    grain = np.empty(len(ties.pixels))
    for index, shot in enumerate(model.shots):
        rows = np.flatnonzero(ties.shot_index == index)
        depth = shot.to_camera(ties.points[ties.point_index[rows]])[:, 2]
        grain[rows] = depth / model.cameras[shot.camera].focal_px
    return grain


def _warps(model: SparseModel, reference: NDArray[np.intp]) -> Array:
    """Steps in each observation's photo by steps in that of the reference, shape (m, 2, 2)."""
    ties = model.tie_points
    along, across = _ground_axes(model, reference)
    steps = np.empty((len(ties.pixels), 2, 2))
    for index, shot in enumerate(model.shots):
        rows = np.flatnonzero(ties.shot_index == index)
        point = ties.point_index[rows]
        camera = model.cameras[shot.camera]
        here = camera.project(shot.to_camera(ties.points[point]))
        for column, axis in enumerate((along, across)):
            there = camera.project(shot.to_camera(ties.points[point] + axis[point]))
            steps[rows, :, column] = there - here
    warps: Array = steps @ np.linalg.inv(steps[reference])[ties.point_index]
    return warps


def _ground_axes(model: SparseModel, reference: NDArray[np.intp]) -> tuple[Array, Array]:
    """Two short vectors (n, 3) in the ground at each tie point.

    Where the points around make no ground that faces the view, it is taken to face it.
    """
    points = model.tie_points.points
    shots = [model.shots[index] for index in model.tie_points.shot_index[reference]]
    view = points - np.array([shot.centre for shot in shots])
    depth = np.linalg.norm(view, axis=1, keepdims=True)
    view = view / depth
    count = min(_NEIGHBOURS, len(points))
    _, near = cKDTree(points).query(points, count)
    around = points[near.reshape(len(points), count)]
    around = around - around.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(around.transpose(0, 2, 1) @ around)
    normal = axes[:, :, 0]
    facing = np.abs(np.sum(normal * view, axis=1)) >= _LEAST_FACING
    normal = np.where(facing[:, None], normal, view)
    # Any axis of the photo's rows that is not the normal will do.
    along = np.array([shot.rotation[0] for shot in shots])
    along = along - normal * np.sum(along * normal, axis=1, keepdims=True)
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    return _STEP * depth * along, _STEP * depth * np.cross(normal, along)


def _cut(
    inputs: TieInputs,
    ties: TiePoints,
    is_reference: NDArray[np.bool_],
    templates: NDArray[np.float32],
    index: int,
) -> None:
    """Shard: the patches of the tie points that a photo is the reference of."""
    rows = np.flatnonzero((ties.shot_index == index) & is_reference)
    if not len(rows):
        return
    found = np.empty((len(rows), *templates.shape[1:]), np.float32)
    patches.cut(_read(inputs, index), ties.pixels[rows], _HALF_PX, found)
    templates[ties.point_index[rows]] = found


def _find(
    inputs: TieInputs,
    ties: TiePoints,
    is_reference: NDArray[np.bool_],
    templates: NDArray[np.float32],
    warps: Array,
    pixels: Array,
    noise_px: Array,
    index: int,
) -> None:
    """Shard: new pixels and noise of a photo's other observations, NaN for those not found."""
    rows = np.flatnonzero((ties.shot_index == index) & ~is_reference)
    if not len(rows):
        return
    found, sigma = np.empty((len(rows), 2)), np.full(len(rows), np.nan)
    patches.find(
        _read(inputs, index),
        templates[ties.point_index[rows]],
        warps[rows],
        ties.pixels[rows],
        _REACH_PX,
        _LEAST_LIKENESS,
        found,
        sigma,
    )
    pixels[rows] = found
    noise_px[rows] = np.where(np.isnan(sigma), _FEATURE_NOISE_PX, _CORRELATED * sigma)


def _read(inputs: TieInputs, index: int) -> NDArray[np.float32]:
    path = inputs.photos[inputs.model.shots[index].name]
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise StageError(
            "ties",
            f"{path.name} cannot be decoded.",
            "Copy the photo from the card again or remove it from the folder.",
        )
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), _BLUR_PX))


def _kept(
    ties: TiePoints, pixels: Array, noise_px: Array, is_reference: NDArray[np.bool_]
) -> TiePoints:
    """Tie points with what was found, and all observations of photos where little was."""
    found = np.isfinite(pixels[:, 0])
    looked_for = np.bincount(ties.shot_index, ~is_reference)
    share = np.bincount(ties.shot_index, found & ~is_reference) / np.maximum(looked_for, 1.0)
    poor = (share < _LEAST_SHARE)[ties.shot_index]
    pixels = np.where(found[:, None], pixels, ties.pixels)
    kept = found | poor
    views = np.bincount(ties.point_index, kept, minlength=len(ties.points))
    kept &= views[ties.point_index] >= 2
    return replace(ties, pixels=pixels, noise_px=noise_px).only(kept)


def run(inputs: TieInputs, options: None, folder: Path, run: Run) -> SparseModel:
    """The stage's work: `refined`, written into a folder."""
    model = refined(inputs, run)
    model.save(folder)
    return model


TIES: Stage[TieInputs, None, SparseModel] = Stage("ties", 4, 0.3, run, SparseModel.load)
