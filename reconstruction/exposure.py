"""Exposure balancing: one brightness scale for all photos of a flight.

Every tie point is the same piece of ground in several photos. What differs between its values in
those photos is put down to the photo (a gain a channel: exposure, white balance, passing cloud)
and to the place in the image (vignetting, one falloff a camera), and found by robust least squares.
Values are logarithms of stored 8-bit values, so a gain is a factor on those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from reconstruction.block import Block
from reconstruction.camera import Camera
from reconstruction.errors import InputError
from reconstruction.stage import Run

Array = NDArray[np.float64]
UInt8 = NDArray[np.uint8]

# Photos are compared at an eighth of their size: textures match no pixel exactly, patches do.
THUMBNAIL = 8
_SAMPLES_PER_SHOT = 1500
# Darker and brighter values are clipped or noise.
_DARKEST, _BRIGHTEST = 6, 249
# A priori: gains differ by some tens of per cent, a patch repeats to some per cent.
_GAIN_SIGMA = 0.5
_PATCH_SIGMA = 0.05
_ROUNDS = 6

_REDUCED = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


@dataclass(frozen=True)
class Exposures:
    """How bright each photo is, compared with the whole flight.

    Parameters
    ----------
    shots : dict of str to tuple of float
        For each shot, the logarithm of its gain in red, green and blue.
    falloff : dict of str to tuple of float
        For each camera, the logarithm of the brightness at ``r2`` is ``a r2 + b r2²``, where
        ``r2`` is the squared distance from the image centre over that of the corner.
    """

    shots: dict[str, tuple[float, float, float]]
    falloff: dict[str, tuple[float, float]]

    def correction(self, shot: str, camera: str, steps: int) -> NDArray[np.float32]:
        """Factors that bring a photo to the common brightness.

        Returns
        -------
        ndarray of float32, shape (steps, 3)
            For red, green, blue at ``r2`` from 0 to 1.
        """
        r2 = np.linspace(0.0, 1.0, steps)
        first, second = self.falloff[camera]
        level = np.array(self.shots[shot]) + (first * r2 + second * r2 * r2)[:, None]
        return np.exp(-level).astype(np.float32)

    def corrected(self, shot: str, camera: str, image: UInt8) -> UInt8:
        """A whole photo, of any size, brought to the common brightness."""
        rows, cols = image.shape[:2]
        x = (np.arange(cols) + 0.5) / cols * 2.0 - 1.0
        y = (np.arange(rows) + 0.5) / rows * 2.0 - 1.0
        weight = cols * cols / (cols * cols + rows * rows)
        r2 = weight * x[None, :] ** 2 + (1.0 - weight) * y[:, None] ** 2
        factors = self.correction(shot, camera, 257)[np.rint(r2 * 256.0).astype(np.int32)]
        return np.clip(np.rint(image * factors), 0, 255).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Plain values for a JSON file."""
        return {"shots": self.shots, "falloff": self.falloff}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Exposures:
        """The inverse of `to_json`."""
        return cls(
            {name: (red, green, blue) for name, (red, green, blue) in values["shots"].items()},
            {name: (first, second) for name, (first, second) in values["falloff"].items()},
        )


def read_photo(path: Path, reduction: int = 1) -> UInt8:
    """A photo as stored, at 1/1, 1/2, 1/4 or 1/8 of its size.

    Returns
    -------
    ndarray of uint8, shape (rows, cols, 3)
        Red, green, blue.

    Raises
    ------
    InputError
        The file cannot be decoded.
    """
    image = cv2.imread(str(path), _REDUCED[reduction] | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise InputError(f"{path} cannot be read.", "Copy the photo again, or leave it out.")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, image).astype(np.uint8, copy=False)


def balance(block: Block, photos: Mapping[str, Path], run: Run) -> Exposures:
    """Find the gains of a block's photos and the falloff of its cameras.

    Parameters
    ----------
    block : Block
    photos : mapping of str to Path
        The file of each shot.
    run : Run

    Returns
    -------
    Exposures
    """
    chosen = [_chosen(block, index) for index in range(len(block.shots))]

    def values_of(index: int) -> Array:
        thumbnail = read_photo(photos[block.shots[index].name], THUMBNAIL)
        return _sample(thumbnail, block.tie_points.pixels[chosen[index]])

    values = run.map(values_of, range(len(block.shots)), "comparing photos")
    return solve(block, chosen, values)


def _chosen(block: Block, index: int) -> NDArray[np.intp]:
    """Evenly picked observations of a shot."""
    mine = np.flatnonzero(block.tie_points.shot_index == index)
    return mine[np.linspace(0, len(mine) - 1, min(len(mine), _SAMPLES_PER_SHOT)).astype(np.intp)]


def _sample(thumbnail: UInt8, pixels: Array) -> Array:
    """Mean colours around pixels of the full photo, shape (n, 3)."""
    if len(pixels) == 0:
        return np.zeros((0, 3))
    place = ((pixels + 0.5) / THUMBNAIL - 0.5).astype(np.float32)
    x, y = place[:, :1], place[:, 1:]
    smooth = cv2.blur(thumbnail, (3, 3))
    found = cv2.remap(smooth, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    return found[:, 0].astype(np.float64)


def falloff_terms(camera: Camera, pixels: Array) -> Array:
    """The terms r2, r2² of the falloff at pixels of a camera, shape (n, 2)."""
    half = np.array([camera.width_px, camera.height_px]) / 2.0
    r2 = (((pixels + 0.5 - half) ** 2).sum(axis=1)) / (half @ half)
    return np.column_stack((r2, r2 * r2))


def solve(block: Block, chosen: Sequence[NDArray[np.intp]], values: Sequence[Array]) -> Exposures:
    """Gains and falloff from values at tie points.

    The brightness of each point is eliminated; what remains is one equation system with a gain a
    shot and two coefficients a camera, reweighted so that shadows and moving things count little.

    Parameters
    ----------
    block : Block
    chosen : sequence of ndarray of int, shape (k,)
        For each shot, which observations were sampled.
    values : sequence of ndarray, shape (k, 3)
        The 8-bit values found there.
    """
    cameras = sorted(block.cameras)
    rows = np.concatenate([*chosen, np.zeros(0, np.intp)]).astype(np.intp)
    levels = np.concatenate([*values, np.zeros((0, 3))])
    usable = ((levels > _DARKEST) & (levels < _BRIGHTEST)).all(axis=1)
    rows, logs = rows[usable], np.log(levels[usable])
    ties = block.tie_points
    design = _design(block, cameras, ties.shot_index[rows], ties.pixels[rows])
    point = np.unique(ties.point_index[rows], return_inverse=True)[1]
    found = np.column_stack([_fit(design, point, logs[:, channel]) for channel in range(3)])
    # Vignetting is the lens's doing and the same for all colours.
    shot_count = len(block.shots)
    falloff = found[shot_count:].mean(axis=1).reshape(-1, 2)
    return Exposures(
        {
            shot.name: (float(red), float(green), float(blue))
            for shot, (red, green, blue) in zip(block.shots, found[:shot_count], strict=True)
        },
        {name: (float(a), float(b)) for name, (a, b) in zip(cameras, falloff, strict=True)},
    )


def _design(
    block: Block, cameras: list[str], shot_index: NDArray[np.int32], pixels: Array
) -> scipy.sparse.csr_array:
    """One row an observation: 1 for its shot, the falloff terms for its camera."""
    count, shot_count = len(shot_index), len(block.shots)
    camera_of = np.array([cameras.index(shot.camera) for shot in block.shots])[shot_index]
    terms = np.zeros((count, 2))
    for index, name in enumerate(cameras):
        mine = camera_of == index
        terms[mine] = falloff_terms(block.cameras[name], pixels[mine])
    row = np.tile(np.arange(count), 3)
    col = np.concatenate((shot_index, shot_count + 2 * camera_of, shot_count + 2 * camera_of + 1))
    data = np.concatenate((np.ones(count), terms.T.ravel()))
    return scipy.sparse.csr_array((data, (row, col)), (count, shot_count + 2 * len(cameras)))


def _fit(design: scipy.sparse.csr_array, point: NDArray[np.intp], logs: Array) -> Array:
    """Robust least squares of one channel; unknown point brightnesses are eliminated."""
    count, unknowns = design.shape
    points = int(point.max()) + 1 if count else 0
    weights = np.ones(count)
    solution = np.zeros(unknowns)
    prior = np.full(unknowns, (_PATCH_SIGMA / _GAIN_SIGMA) ** 2)
    for _ in range(_ROUNDS):
        mass = np.maximum(np.bincount(point, weights, points), 1e-9)
        selector = scipy.sparse.csr_array((weights, (point, np.arange(count))), (points, count))
        means = selector @ design
        normal = (design.T @ design.multiply(weights[:, None])).toarray()
        normal -= (means.T @ means.multiply(1.0 / mass[:, None])).toarray()
        right = design.T @ (weights * logs) - means.T @ ((selector @ logs) / mass)
        solution = np.linalg.solve(normal + np.diag(prior), right)
        residuals = logs - design @ solution
        residuals -= ((selector @ residuals) / mass)[point]
        # Cauchy weights, written for an error of a few per cent.
        weights = 1.0 / (1.0 + (residuals / _PATCH_SIGMA) ** 2)
    return solution
