"""The picture on a mesh: each block of texels is taken from the photo that shows it best.

A texel knows its place in space, from the triangle that covers it. So a photo is resampled once,
through the full camera model, whatever the shape of the triangles; and one rule chooses the photo
for ground, walls and truck sides alike: the one that shows the block largest, among those that
see it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from reconstruction.charts import BLOCK_TEXELS, Atlas
from reconstruction.texture_views import Views
from reconstruction.visibility import hidden, project, view_matrix

Array = NDArray[np.float64]
Float32 = NDArray[np.float32]
Image = NDArray[np.uint8]

# What a border between photos costs, a block side, in units of the logarithm of the magnification.
_SEAM_COST = 0.25
_SMOOTHING_ROUNDS = 6
# Where a block is probed for visibility: its middle and its corners, in texels from its corner.
_PROBES = np.array([[3, 3], [0, 0], [0, 7], [7, 0], [7, 7]])
# Texels over which the places on a wall are smoothed: less than what lies between charts.
_STRAIGHTEN = (7, 7)
# Empty texels take colours from up to 2 to this power texels away: enough for any mipmap, and not
# so far that an unseen wall takes those of another chart.
_CONTINUED_LEVELS = 4


@dataclass(frozen=True)
class _Places:
    """Texels in space.

    Parameters
    ----------
    origin : ndarray, shape (3,)
        Local coordinates that the others count from.
    texels : ndarray of float32, shape (height, width, 3)
        NaN where there is no surface.
    probes : ndarray of float32, shape (block rows, block cols, 5, 3)
        Some texels of each block.
    normals : ndarray of float32, shape (block rows, block cols, 3)
    """

    origin: Array
    texels: Float32
    probes: Float32
    normals: Float32


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
    places = _places(points, atlas)
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
    return _finish(total)


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


def _places(points: Array, atlas: Atlas) -> _Places:
    origin = points.mean(axis=0)
    shape = (atlas.height, atlas.width)
    padded = tuple(size + -size % BLOCK_TEXELS for size in shape)
    texels = np.full((*padded, 3), np.nan, np.float32)
    normals = np.zeros((padded[0] // BLOCK_TEXELS, padded[1] // BLOCK_TEXELS, 3), np.float32)
    corners = (points - origin)[atlas.point_index].astype(np.float32)
    sides = np.full(padded, -1, np.int8)
    _draw(atlas.texels, corners, atlas.faces, atlas.side, texels, normals, sides)
    if (atlas.side >= 0).any():
        _straighten(texels, sides)
    length = np.linalg.norm(normals, axis=2, keepdims=True)
    normals /= np.where(length > 0.0, length, 1.0)
    return _Places(origin, texels, _probe(texels, _PROBES), normals)


@njit(cache=True, nogil=True)
def _draw(uv, points, faces, face_sides, texels, normals, sides):  # type: ignore[no-untyped-def]
    """Give each texel whose middle lies in a face its place and side; sum up normals of blocks."""
    height, width = texels.shape[:2]
    for face in range(faces.shape[0]):
        a, b, c = faces[face]
        ax, ay = uv[a, 0] - 0.5, uv[a, 1] - 0.5
        ux, uy = uv[b, 0] - 0.5 - ax, uv[b, 1] - 0.5 - ay
        vx, vy = uv[c, 0] - 0.5 - ax, uv[c, 1] - 0.5 - ay
        area = ux * vy - uy * vx
        if area == 0.0:
            continue
        side_b, side_c = points[b] - points[a], points[c] - points[a]
        normal = np.cross(side_b, side_c)
        normal /= np.sqrt((normal * normal).sum())
        first_row = max(int(np.ceil(ay + min(0.0, uy, vy) - 1e-6)), 0)
        last_row = min(int(np.floor(ay + max(0.0, uy, vy) + 1e-6)), height - 1)
        first_col = max(int(np.ceil(ax + min(0.0, ux, vx) - 1e-6)), 0)
        last_col = min(int(np.floor(ax + max(0.0, ux, vx) + 1e-6)), width - 1)
        for row in range(first_row, last_row + 1):
            for col in range(first_col, last_col + 1):
                dx, dy = col - ax, row - ay
                wb = (dx * vy - dy * vx) / area
                wc = (ux * dy - uy * dx) / area
                if wb < -1e-6 or wc < -1e-6 or wb + wc > 1.0 + 1e-6:
                    continue
                for axis in range(3):
                    texels[row, col, axis] = points[a, axis] + wb * side_b[axis] + wc * side_c[axis]
                    normals[row // 8, col // 8, axis] += normal[axis]
                sides[row, col] = face_sides[face]


def _straighten(texels: Float32, sides: NDArray[np.int8]) -> None:
    """Smooth how far out the texels of upright charts lie.

    On a grid, a wall that is not parallel to it has steps of a cell. A photo from above would show
    each of them another strip of the wall, and the picture on the wall would have teeth.
    """
    for axis, pair in ((0, (0, 2)), (1, (1, 3))):
        there = (sides == pair[0]) | (sides == pair[1])
        out = np.where(there, texels[..., axis], 0.0).astype(np.float32)
        mean = cv2.blur(out, _STRAIGHTEN) / np.maximum(
            cv2.blur(there.astype(np.float32), _STRAIGHTEN), 1e-6
        )
        texels[..., axis][there] = mean[there]


@njit(cache=True, nogil=True)
def _probe(texels, offsets):  # type: ignore[no-untyped-def]
    """Texels at the wanted places of each block, or any others of it instead of missing ones."""
    rows, cols = texels.shape[0] // 8, texels.shape[1] // 8
    probes = np.full((rows, cols, offsets.shape[0], 3), np.nan, np.float32)
    for row in range(rows):
        for col in range(cols):
            block = texels[8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
            for index in range(offsets.shape[0]):
                down, right = offsets[index]
                # From a wanted corner towards the middle, until there is surface.
                for _ in range(4):
                    if not np.isnan(block[down, right, 0]):
                        probes[row, col, index] = block[down, right]
                        break
                    down += 1 if down < 3 else (-1 if down > 4 else 0)
                    right += 1 if right < 3 else (-1 if right > 4 else 0)
            if np.isnan(probes[row, col, :, 0]).all():
                for place in range(64):
                    if not np.isnan(block[place // 8, place % 8, 0]):
                        probes[row, col, 0] = block[place // 8, place % 8]
    return probes


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


def _finish(total: Float32) -> Image:
    """Colours from sums of weighted colours; the empty texels continue those near them."""
    levels = [_normalize(total)]
    for _ in range(_CONTINUED_LEVELS):
        rows, cols = levels[-1].shape[:2]
        half = ((cols + 1) // 2, (rows + 1) // 2)
        levels.append(_normalize(cv2.resize(levels[-1], half, interpolation=cv2.INTER_AREA)))
    widest = levels[-1]
    seen = widest[..., 3] > 0.0
    widest[~seen] = widest[seen].mean(axis=0) if seen.any() else 0.0
    for fine, coarse in zip(levels[-2::-1], levels[:0:-1], strict=True):
        _fill(fine, coarse)
    return cv2.convertScaleAbs(levels[0][..., :3]).astype(np.uint8, copy=False)


@njit(cache=True, nogil=True)
def _normalize(sums):  # type: ignore[no-untyped-def]
    """Weighted sums, divided by their weights in place; empty texels stay zero."""
    for row in range(sums.shape[0]):
        for col in range(sums.shape[1]):
            weight = sums[row, col, 3]
            if weight > 0.0:
                for band in range(4):
                    sums[row, col, band] /= weight
    return sums


@njit(cache=True, nogil=True)
def _fill(fine, coarse):  # type: ignore[no-untyped-def]
    """Give empty texels the colour of the wider average they lie in."""
    for row in range(fine.shape[0]):
        for col in range(fine.shape[1]):
            if fine[row, col, 3] == 0.0:
                for band in range(4):
                    fine[row, col, band] = coarse[row // 2, col // 2, band]
