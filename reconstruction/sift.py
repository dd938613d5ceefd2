"""Scale-invariant keypoints and their descriptors, for photographs of rough ground.

The pyramid starts at the given size, not at twice that: in aerial photos the smallest structures
are mostly noise, and there are more than enough of the next size. Everything that is not worth
describing is dropped before the costly steps.

References
----------
.. [1] D. G. Lowe, "Distinctive image features from scale-invariant keypoints", IJCV 60(2), 2004.
.. [2] R. Arandjelović, A. Zisserman, "Three things everyone should know to improve object
   retrieval", CVPR 2012 (square root of the normalised histogram).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

Image = NDArray[np.float32]

DESCRIPTOR_LENGTH = 128

_LAYERS = 3  # scales an octave
_SIGMA = 1.6  # blur of the first layer
_FIRST_SIGMA = np.sqrt(_SIGMA**2 - 0.5**2)  # a photo has a blur of about half a pixel itself
_BLUR_REACH = 3.0  # sigmas
_BORDER = 5
_EDGE_RATIO = 10.0
_ORIENTATION_BINS = 36
_CELLS, _ANGLES = 4, 8  # the descriptor's grid and its directions
_MIN_SIZE = 32


class Keypoints(NamedTuple):
    """Places worth describing.

    Parameters
    ----------
    xy : ndarray of float32, shape (n, 2)
        Pixels, centres at integers.
    sigma : ndarray of float32, shape (n,)
        Scale: blur of the layer that the keypoint was found in, pixels.
    response : ndarray of float32, shape (n,)
        Contrast, 0 to 1.
    octave, layer : ndarray of int32, shape (n,)
        Where it was found in the pyramid.
    """

    xy: NDArray[np.float32]
    sigma: NDArray[np.float32]
    response: NDArray[np.float32]
    octave: NDArray[np.int32]
    layer: NDArray[np.int32]

    def take(self, index: NDArray[np.intp]) -> Keypoints:
        """A selection, in the order of ``index``."""
        return Keypoints(
            self.xy[index],
            self.sigma[index],
            self.response[index],
            self.octave[index],
            self.layer[index],
        )


def pyramid(image: NDArray[np.uint8], octaves: int) -> list[Image]:
    """Gaussian scale space.

    Parameters
    ----------
    image : ndarray of uint8, shape (rows, cols)
    octaves : int
        At most; an image too small for that has fewer.

    Returns
    -------
    list of ndarray of float32, shape (layers + 3, rows >> octave, cols >> octave)
    """
    sigmas = _SIGMA * 2.0 ** (np.arange(_LAYERS + 3) / _LAYERS)
    increments = np.sqrt(np.diff(sigmas**2))
    first = _blur(image.astype(np.float32) / np.float32(255.0), _FIRST_SIGMA)
    space: list[Image] = []
    for _ in range(octaves):
        if min(first.shape) < _MIN_SIZE:
            break
        stack = np.empty((_LAYERS + 3, *first.shape), dtype=np.float32)
        stack[0] = first
        for layer, sigma in enumerate(increments):
            stack[layer + 1] = _blur(stack[layer], sigma)
        space.append(stack)
        first = np.ascontiguousarray(stack[_LAYERS, ::2, ::2])
    return space


def _blur(image: Image, sigma: float) -> Image:
    radius = int(np.ceil(_BLUR_REACH * sigma))
    blurred = cv2.GaussianBlur(image, (2 * radius + 1, 2 * radius + 1), float(sigma))
    return np.asarray(blurred, dtype=np.float32)


def detect(space: list[Image], contrast: float) -> Keypoints:
    """Extrema of the difference of Gaussians, to a fraction of a pixel.

    Parameters
    ----------
    space : list of ndarray
        From `pyramid`.
    contrast : float
        Least response, 0 to 1.

    Returns
    -------
    Keypoints
        In no order that means anything.
    """
    found = []
    for octave, stack in enumerate(space):
        rows = _extrema(np.diff(stack, axis=0), np.float32(contrast))
        found.append(np.column_stack((rows, np.full(len(rows), octave, np.float32))))
    table = np.concatenate(found) if found else np.empty((0, 6), np.float32)
    octave_index = table[:, 5].astype(np.int32)
    step = np.exp2(table[:, 5])
    layer = np.clip(np.rint(table[:, 2]), 1, _LAYERS).astype(np.int32)
    sigma = _SIGMA * np.exp2(table[:, 2] / _LAYERS) * step
    xy = table[:, :2] * step[:, None]
    return Keypoints(
        xy.astype(np.float32), sigma.astype(np.float32), table[:, 3], octave_index, layer
    )


@njit(cache=True, nogil=True)
def _extrema(dog: Image, contrast: np.float32) -> Image:
    """Rows of x, y, layer (with fractions), response and sign, shape (n, 5)."""
    layers, height, width = dog.shape
    rows = []
    for layer in range(1, layers - 1):
        for row in range(_BORDER, height - _BORDER):
            for col in range(_BORDER, width - _BORDER):
                value = dog[layer, row, col]
                if abs(value) < 0.5 * contrast or not _is_extremum(dog, layer, row, col):
                    continue
                x, y, s, response, good = _refine(dog, layer, row, col)
                if good and response >= contrast:
                    rows.append((x, y, s, response, np.float32(np.sign(value))))
    out = np.empty((len(rows), 5), dtype=np.float32)
    for index in range(len(rows)):
        for column in range(5):
            out[index, column] = rows[index][column]
    return out


@njit(cache=True, nogil=True)
def _is_extremum(dog: Image, layer: int, row: int, col: int) -> bool:
    value = dog[layer, row, col]
    sign = np.float32(1.0) if value > 0 else np.float32(-1.0)
    value *= sign
    # The neighbours in the same row turn most pixels away.
    if value < sign * dog[layer, row, col - 1] or value < sign * dog[layer, row, col + 1]:
        return False
    for k in range(layer - 1, layer + 2):
        for i in range(row - 1, row + 2):
            for j in range(col - 1, col + 2):
                if value < sign * dog[k, i, j]:
                    return False
    return True


@njit(cache=True, nogil=True)
def _refine(
    dog: Image, layer: int, row: int, col: int
) -> tuple[np.float32, np.float32, np.float32, np.float32, bool]:
    """Peak of the parabola through the neighbours: x, y, layer, response, and whether it holds."""
    layers, height, width = dog.shape
    no = np.float32(0.0)
    for _ in range(4):
        here = dog[layer, row, col]
        gx = (dog[layer, row, col + 1] - dog[layer, row, col - 1]) * 0.5
        gy = (dog[layer, row + 1, col] - dog[layer, row - 1, col]) * 0.5
        gs = (dog[layer + 1, row, col] - dog[layer - 1, row, col]) * 0.5
        xx = dog[layer, row, col + 1] + dog[layer, row, col - 1] - 2.0 * here
        yy = dog[layer, row + 1, col] + dog[layer, row - 1, col] - 2.0 * here
        ss = dog[layer + 1, row, col] + dog[layer - 1, row, col] - 2.0 * here
        xy = 0.25 * (
            dog[layer, row + 1, col + 1]
            - dog[layer, row + 1, col - 1]
            - dog[layer, row - 1, col + 1]
            + dog[layer, row - 1, col - 1]
        )
        xs = 0.25 * (
            dog[layer + 1, row, col + 1]
            - dog[layer + 1, row, col - 1]
            - dog[layer - 1, row, col + 1]
            + dog[layer - 1, row, col - 1]
        )
        ys = 0.25 * (
            dog[layer + 1, row + 1, col]
            - dog[layer + 1, row - 1, col]
            - dog[layer - 1, row + 1, col]
            + dog[layer - 1, row - 1, col]
        )
        # Cofactors of the symmetric Hessian solve for the step.
        cxx, cxy, cxs = yy * ss - ys * ys, xs * ys - xy * ss, xy * ys - yy * xs
        cyy, cys, css = xx * ss - xs * xs, xy * xs - xx * ys, xx * yy - xy * xy
        determinant = xx * cxx + xy * cxy + xs * cxs
        if determinant == 0.0:
            return no, no, no, no, False
        dx = -(cxx * gx + cxy * gy + cxs * gs) / determinant
        dy = -(cxy * gx + cyy * gy + cys * gs) / determinant
        ds = -(cxs * gx + cys * gy + css * gs) / determinant
        if abs(dx) <= 0.6 and abs(dy) <= 0.6 and abs(ds) <= 0.6:
            trace = xx + yy
            limit = (_EDGE_RATIO + 1.0) ** 2 / _EDGE_RATIO
            if css <= 0.0 or trace * trace >= limit * css:
                return no, no, no, no, False
            response = abs(here + 0.5 * (gx * dx + gy * dy + gs * ds))
            return (
                np.float32(col + dx),
                np.float32(row + dy),
                np.float32(layer + ds),
                np.float32(response),
                True,
            )
        if max(abs(dx), abs(dy), abs(ds)) > 2.0:
            return no, no, no, no, False
        col += int(np.rint(dx))
        row += int(np.rint(dy))
        layer += int(np.rint(ds))
        inside = _BORDER <= row < height - _BORDER and _BORDER <= col < width - _BORDER
        if not inside or layer < 1 or layer > layers - 2:
            return no, no, no, no, False
    return no, no, no, no, False


def describe(space: list[Image], keypoints: Keypoints) -> NDArray[np.uint8]:
    """Descriptors along each keypoint's main direction.

    Parameters
    ----------
    space : list of ndarray
        From `pyramid`.
    keypoints : Keypoints

    Returns
    -------
    ndarray of uint8, shape (n, 128)
        Square roots of the histogram's shares; the length of each row is 512 but for rounding.
    """
    descriptors = np.zeros((len(keypoints.xy), DESCRIPTOR_LENGTH), dtype=np.uint8)
    for octave, stack in enumerate(space):
        for layer in range(1, _LAYERS + 1):
            index = np.flatnonzero((keypoints.octave == octave) & (keypoints.layer == layer))
            if len(index):
                step = np.float32(2.0**octave)
                xy, sigma = keypoints.xy[index] / step, keypoints.sigma[index] / step
                descriptors[index] = _describe(stack[layer], xy, sigma)
    return descriptors


@njit(cache=True, nogil=True)
def _describe(image: Image, xy: Image, sigma: Image) -> NDArray[np.uint8]:
    out = np.zeros((len(xy), DESCRIPTOR_LENGTH), dtype=np.uint8)
    for index in range(len(xy)):
        x, y, s = xy[index, 0], xy[index, 1], sigma[index]
        _describe_one(image, x, y, s, _main_direction(image, x, y, s), out[index])
    return out


@njit(cache=True, nogil=True)
def _direction(dx: np.float32, dy: np.float32) -> np.float32:
    """Angle of a gradient in turns, -0.5 to 0.5, good to 0.001 turns."""
    ax, ay = abs(dx), abs(dy)
    ratio = min(ax, ay) / (max(ax, ay) + np.float32(1e-12))
    square = ratio * ratio
    turns = ratio * (
        np.float32(0.158988) + square * (np.float32(-0.0516748) + square * np.float32(0.0177136))
    )
    if ay > ax:
        turns = np.float32(0.25) - turns
    if dx < 0.0:
        turns = np.float32(0.5) - turns
    return -turns if dy < 0.0 else turns


@njit(cache=True, nogil=True)
def _main_direction(image: Image, x: np.float32, y: np.float32, sigma: np.float32) -> np.float32:
    """Direction of most gradient around a keypoint, in turns."""
    height, width = image.shape
    weight_sigma = np.float32(1.5) * sigma
    radius = int(np.rint(3.0 * weight_sigma))
    row, col = int(np.rint(y)), int(np.rint(x))
    histogram = np.zeros(_ORIENTATION_BINS, dtype=np.float32)
    falloff = np.float32(-0.5) / (weight_sigma * weight_sigma)
    for i in range(max(1, row - radius), min(height - 2, row + radius) + 1):
        for j in range(max(1, col - radius), min(width - 2, col + radius) + 1):
            dx = image[i, j + 1] - image[i, j - 1]
            dy = image[i + 1, j] - image[i - 1, j]
            distance2 = np.float32((i - y) ** 2 + (j - x) ** 2)
            weight = np.sqrt(dx * dx + dy * dy) * np.exp(distance2 * falloff)
            position = (_direction(dx, dy) + np.float32(1.0)) * np.float32(_ORIENTATION_BINS)
            lower = int(position)
            share = position - np.float32(lower)
            histogram[lower % _ORIENTATION_BINS] += weight * (np.float32(1.0) - share)
            histogram[(lower + 1) % _ORIENTATION_BINS] += weight * share
    smooth = np.empty_like(histogram)
    for k in range(_ORIENTATION_BINS):
        smooth[k] = (
            np.float32(6.0) * histogram[k]
            + np.float32(4.0) * (histogram[k - 1] + histogram[(k + 1) % _ORIENTATION_BINS])
            + histogram[k - 2]
            + histogram[(k + 2) % _ORIENTATION_BINS]
        )
    best = int(np.argmax(smooth))
    left, right = smooth[best - 1], smooth[(best + 1) % _ORIENTATION_BINS]
    curvature = left + right - np.float32(2.0) * smooth[best]
    shift = np.float32(0.5) * (left - right) / curvature if curvature < 0.0 else np.float32(0.0)
    return (np.float32(best) + shift) / np.float32(_ORIENTATION_BINS)


@njit(cache=True, nogil=True)
def _describe_one(
    image: Image,
    x: np.float32,
    y: np.float32,
    sigma: np.float32,
    turns: np.float32,
    out: NDArray[np.uint8],
) -> None:
    height, width = image.shape
    cell = np.float32(3.0) * sigma
    radius = int(cell * np.float32(1.4142136 * (_CELLS + 1) * 0.5) + np.float32(0.5))
    cosine = np.float32(np.cos(2.0 * np.pi * turns)) / cell
    sine = np.float32(np.sin(2.0 * np.pi * turns)) / cell
    row, col = int(np.rint(y)), int(np.rint(x))
    # One cell more on each side takes what the interpolation spills.
    histogram = np.zeros((_CELLS + 2, _CELLS + 2, _ANGLES + 1), dtype=np.float32)
    falloff = np.float32(-0.5) / (np.float32(0.5 * _CELLS) * cell) ** 2
    weight_x = np.empty(2 * radius + 1, dtype=np.float32)
    for j in range(-radius, radius + 1):
        weight_x[j + radius] = np.exp(falloff * np.float32((col + j - x) ** 2))
    centre = np.float32(0.5 * _CELLS - 0.5)
    one = np.float32(1.0)
    for i in range(max(1, row - radius), min(height - 2, row + radius) + 1):
        v = np.float32(i - y)
        weight_y = np.exp(falloff * v * v)
        for j in range(max(1, col - radius), min(width - 2, col + radius) + 1):
            u = np.float32(j - x)
            across = cosine * u + sine * v + centre
            down = cosine * v - sine * u + centre
            if across <= -one or down <= -one or across >= _CELLS or down >= _CELLS:
                continue
            dx = image[i, j + 1] - image[i, j - 1]
            dy = image[i + 1, j] - image[i - 1, j]
            weight = np.sqrt(dx * dx + dy * dy) * weight_y * weight_x[j - col + radius]
            angle = (_direction(dx, dy) - turns + np.float32(2.0)) * np.float32(_ANGLES)
            bin_a = int(angle)
            share_a = angle - np.float32(bin_a)
            bin_a &= _ANGLES - 1
            # Just below the edge the sum is rounded up to it, past what the histogram has.
            bin_x, bin_y = min(int(across + one), _CELLS), min(int(down + one), _CELLS)
            share_x, share_y = across + one - bin_x, down + one - bin_y
            upper = weight * (one - share_y)
            lower = weight * share_y
            for cell_y, part in ((bin_y, upper), (bin_y + 1, lower)):
                left, right = part * (one - share_x), part * share_x
                histogram[cell_y, bin_x, bin_a] += left * (one - share_a)
                histogram[cell_y, bin_x, bin_a + 1] += left * share_a
                histogram[cell_y, bin_x + 1, bin_a] += right * (one - share_a)
                histogram[cell_y, bin_x + 1, bin_a + 1] += right * share_a
    _normalise(histogram, out)


@njit(cache=True, nogil=True)
def _normalise(histogram: NDArray[np.float32], out: NDArray[np.uint8]) -> None:
    """Clip the largest bins, take the square roots of the shares."""
    square_sum = np.float32(0.0)
    for i in range(1, _CELLS + 1):
        for j in range(1, _CELLS + 1):
            histogram[i, j, 0] += histogram[i, j, _ANGLES]
            for a in range(_ANGLES):
                square_sum += histogram[i, j, a] ** 2
    limit = np.float32(0.2) * np.sqrt(square_sum)
    total = np.float32(1e-12)
    for i in range(1, _CELLS + 1):
        for j in range(1, _CELLS + 1):
            for a in range(_ANGLES):
                histogram[i, j, a] = min(histogram[i, j, a], limit)
                total += histogram[i, j, a]
    k = 0
    for i in range(1, _CELLS + 1):
        for j in range(1, _CELLS + 1):
            for a in range(_ANGLES):
                value = np.float32(512.0) * np.sqrt(histogram[i, j, a] / total)
                out[k] = np.uint8(min(np.float32(255.0), value + np.float32(0.5)))
                k += 1
