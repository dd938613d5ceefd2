"""The picture on a mesh: each block of texels is taken from the photo that shows it best.

A texel knows its place in space, from the triangle that covers it. So a photo is resampled once,
through the full camera model, whatever the shape of the triangles; and one rule chooses the photo
for ground, walls and truck sides alike: the one that shows the block largest, among those that
see it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconstruction.charts import Atlas
from reconstruction.projection import project, view_matrix
from reconstruction.texels import continued, places_of
from reconstruction.texture_views import Views
from reconstruction.visibility import hidden

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]
Image = NDArray[np.uint8]

# What a border between photos costs, a block side, in units of the logarithm of the magnification.
_SEAM_COST = 0.25
_SMOOTHING_ROUNDS = 6


def bake(views: Views, points: Array, atlas: Atlas, texel_m: float) -> Image:
    """The picture of a tile.

    Parameters
    ----------
    views : Views
    points : ndarray, shape (n, 3)
        Mesh points, local coordinates.
    atlas : Atlas
        Their layout.
    texel_m : float
        Size of a texel, which tells how large the photos are needed.

    Returns
    -------
    ndarray of uint8, shape (height, width, 3)
        Red, green, blue. Texels off the surface, and those that no photo shows, continue the
        colours around them.
    """
    places = places_of(points, atlas)
    shots = views.near(points.min(axis=0), points.max(axis=0))
    scores = np.zeros((len(shots), *places.normals.shape[:2]), np.float32)
    for score, shot in zip(scores, shots, strict=True):
        visibility = views.visibility
        camera, matrix, lens = _geometry(views, shot, places.origin)
        _score(
            matrix,
            lens,
            camera - places.origin,
            views.buffer(shot),
            visibility.scale,
            (visibility.tolerance_m, visibility.step_m),
            places.probes,
            places.normals,
            score,
        )
    labels = _choose(scores)
    total = np.zeros((*places.texels.shape[:2], 4), np.float32)
    for label in np.unique(labels[labels >= 0]):
        shot = shots[label]
        _, matrix, lens = _geometry(views, shot, places.origin)
        photo = views.photo(shot, _reduction(views, shot, places.origin, texel_m))
        _blend(
            matrix,
            lens,
            photo,
            views.corrections[shot],
            places.texels,
            labels,
            label,
            scores[label],
            total,
        )
    return continued(total)


def _geometry(views: Views, shot_index: int, origin: Array) -> tuple[Array, Array, Array]:
    """Projection centre, view matrix for places counted from ``origin``, and lens of a shot."""
    shot = views.visibility.block.shots[shot_index]
    matrix = view_matrix(shot)
    matrix[:, 3] += shot.rotation @ origin
    return shot.centre, matrix, views.visibility.lenses[shot.camera]


def _reduction(views: Views, shot_index: int, place: Array, texel_m: float) -> int:
    """How many times smaller than the photo's pixels the texels are needed at most: 1, 2, 4, 8."""
    shot = views.visibility.block.shots[shot_index]
    focal_px = views.visibility.block.cameras[shot.camera].focal_px
    pixel_m = float(np.linalg.norm(shot.centre - place)) / focal_px
    # A texel may be sampled from pixels up to a third larger than itself.
    return int(2 ** np.clip(np.floor(np.log2(1.3 * texel_m / pixel_m)), 0, 3))


@njit(cache=True, nogil=True)
def _score(matrix, lens, camera, buffer, scale, tolerances_m, probes, normals, score):  # type: ignore[no-untyped-def]
    """How large a shot shows each block: image area by surface area, times the share it sees."""
    rows, cols = normals.shape[:2]
    for row in range(rows):
        for col in range(cols):
            known = seen = 0
            largest = 0.0
            # A wall seen from above spans many depths in a pixel, and must not hide itself.
            upright = normals[row, col, 2] < 0.7
            step_m = np.inf if upright else tolerances_m[1]
            for index in range(probes.shape[2]):
                x, y, z = probes[row, col, index]
                if np.isnan(x):
                    continue
                known += 1
                dx, dy, dz = camera[0] - x, camera[1] - y, camera[2] - z
                distance2 = dx * dx + dy * dy + dz * dz
                n = normals[row, col]
                cosine = (n[0] * dx + n[1] * dy + n[2] * dz) / np.sqrt(distance2)
                if cosine <= 0.05:
                    break
                px, py, depth = project(matrix, lens, x, y, z)
                inside = 1.0 <= px <= lens[9] - 2.0 and 1.0 <= py <= lens[10] - 2.0
                if depth <= 0.0 or not inside:
                    continue
                if hidden(buffer, scale, px, py, depth, tolerances_m[0], step_m):
                    continue
                seen += 1
                largest = max(largest, cosine * lens[0] * lens[0] / distance2)
            if seen > 0:
                share = seen / known
                score[row, col] = largest * share**4


def _choose(scores: Float32) -> NDArray[np.int32]:
    """The photo of each block: large, and the same as its neighbours' where nothing is lost.

    Parameters
    ----------
    scores : ndarray of float32, shape (shots, rows, cols)

    Returns
    -------
    ndarray of int32, shape (rows, cols)
        Index of the shot; -1 where none shows the block.
    """
    if len(scores) == 0:
        return np.full(scores.shape[1:], -1, np.int32)
    labels = np.where(scores.max(axis=0) > 0.0, scores.argmax(axis=0), -1).astype(np.int32)
    best = labels.copy()
    for _ in range(_SMOOTHING_ROUNDS):
        if not _smooth(scores, best, labels, _SEAM_COST):
            break
    return labels


@njit(cache=True, nogil=True)
def _smooth(scores, best, labels, seam_cost):  # type: ignore[no-untyped-def]
    """One round of iterated conditional modes: a block may change to a neighbour's photo, or back
    to its best.
    """
    rows, cols = labels.shape
    changed = 0
    around = np.empty(5, np.int32)
    for row in range(rows):
        for col in range(cols):
            if labels[row, col] < 0:
                continue
            around[0] = labels[row - 1, col] if row > 0 else -1
            around[1] = labels[row + 1, col] if row < rows - 1 else -1
            around[2] = labels[row, col - 1] if col > 0 else -1
            around[3] = labels[row, col + 1] if col < cols - 1 else -1
            around[4] = best[row, col]
            lowest, choice = np.inf, labels[row, col]
            for candidate in around:
                if candidate < 0 or scores[candidate, row, col] <= 0.0:
                    continue
                cost = -0.5 * np.log(scores[candidate, row, col])
                for neighbour in around[:4]:
                    if neighbour >= 0 and neighbour != candidate:
                        cost += seam_cost
                if cost < lowest:
                    lowest, choice = cost, candidate
            if choice != labels[row, col]:
                labels[row, col] = choice
                changed += 1
    return changed


@njit(cache=True, nogil=True)
def _blend(matrix, lens, photo, correction, texels, labels, label, score, total):  # type: ignore[no-untyped-def]
    """Add a photo to the texels of its blocks, fading out towards the blocks of other photos."""
    height, width = photo.shape[:2]
    scale = 0.5 * (width / lens[9] + height / lens[10])
    corner2 = 0.25 * (lens[9] * lens[9] + lens[10] * lens[10])
    last = correction.shape[0] - 1
    rows, cols = labels.shape
    for row in range(rows):
        for col in range(cols):
            if score[row, col] <= 0.0 or not _touches(labels, row, col, label):
                continue
            for texel in range(64):
                r, c = 8 * row + texel // 8, 8 * col + texel % 8
                if np.isnan(texels[r, c, 0]):
                    continue
                weight = _weight(labels, label, r, c)
                if weight <= 0.0:
                    continue
                place = texels[r, c]
                x, y, _ = project(matrix, lens, place[0], place[1], place[2])
                dx, dy = x + 0.5 - 0.5 * lens[9], y + 0.5 - 0.5 * lens[10]
                ring = min(int((dx * dx + dy * dy) / corner2 * last + 0.5), last)
                x = min(max((x + 0.5) * scale - 0.5, 0.0), width - 1.001)
                y = min(max((y + 0.5) * scale - 0.5, 0.0), height - 1.001)
                left, top = int(x), int(y)
                fx, fy = x - left, y - top
                four = photo[top : top + 2, left : left + 2]
                for band in range(3):
                    above = four[0, 0, band] * (1.0 - fx) + four[0, 1, band] * fx
                    below = four[1, 0, band] * (1.0 - fx) + four[1, 1, band] * fx
                    value = above * (1.0 - fy) + below * fy
                    total[r, c, band] += weight * correction[ring, band] * value
                total[r, c, 3] += weight


@njit(cache=True, nogil=True, inline="always")
def _touches(labels, row, col, label):  # type: ignore[no-untyped-def]
    """Whether a block or one of the 8 around it has a label."""
    rows, cols = labels.shape
    for r in range(max(row - 1, 0), min(row + 2, rows)):
        for c in range(max(col - 1, 0), min(col + 2, cols)):
            if labels[r, c] == label:
                return True
    return False


@njit(cache=True, nogil=True, inline="always")
def _weight(labels, label, r, c):  # type: ignore[no-untyped-def]
    """Share of a label at a texel, linear between the middles of the four blocks around it."""
    rows, cols = labels.shape
    v, u = (r + 0.5) / 8.0 - 0.5, (c + 0.5) / 8.0 - 0.5
    row, col = int(np.floor(v)), int(np.floor(u))
    weight = 0.0
    for down in range(2):
        for right in range(2):
            block_row = min(max(row + down, 0), rows - 1)
            block_col = min(max(col + right, 0), cols - 1)
            if labels[block_row, block_col] == label:
                share_v = v - row if down else 1.0 - (v - row)
                share_u = u - col if right else 1.0 - (u - col)
                weight += share_v * share_u
    return weight
