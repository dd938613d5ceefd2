"""Which photos look at the same ground from far enough apart to measure its height."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reconstruction.block import Block
from reconstruction.rectify import common_axes

Array = NDArray[np.float64]

# Height precision grows with the base, likeness of the pictures shrinks with it.
_BEST_BASE_TO_DEPTH = 0.32
_BASE_SPREAD = 0.55  # of the natural logarithm of base over depth
_MIN_BASE_TO_DEPTH = 0.08
_MAX_BASE_TO_DEPTH = 0.75
_MIN_OVERLAP = 0.25
_MAX_AXES_DEG = 40.0
_MAX_SCALE_RATIO = 1.8
_SAMPLE = 150
_OTHER_DIRECTION_DEG = 40.0
_SEEN_FROM_EACH_SIDE = 12


@dataclass(frozen=True)
class StereoPair:
    """Two shots of a block to be matched.

    Parameters
    ----------
    left, right : int
        Indices into the block's shots, ``left < right``.
    overlap : float
        Share of the left photo's ground that the right photo sees, 0 to 1.
    base_to_depth : float
        Distance of the projection centres over the mean depth.
    """

    left: int
    right: int
    overlap: float
    base_to_depth: float


def select_pairs(block: Block, partners: int) -> list[StereoPair]:
    """The best partners of every photo, across the flight lines too.

    Each photo takes its best partners by overlap and base; the last place goes to the best one
    in another direction if there is any, so that blunders along one baseline direction
    (repetitive texture, hidden faces) are contradicted from another.

    Parameters
    ----------
    block : Block
    partners : int
        How many partners every photo chooses; it may be chosen by more.

    Returns
    -------
    list of StereoPair
        Sorted; empty where no two photos fit.
    """
    ground = [_ground_of(block, index) for index in range(len(block.shots))]
    centres = np.array([shot.centre for shot in block.shots]).reshape(-1, 3)
    chosen: dict[tuple[int, int], StereoPair] = {}
    for index in range(len(block.shots)):
        scored = _partners_of(block, index, ground, centres)
        for pair in _best(scored, index, centres, partners):
            chosen.setdefault((pair.left, pair.right), pair)
    return [chosen[key] for key in sorted(chosen)]


def _ground_of(block: Block, index: int) -> Array:
    """Some tie points of a shot, evenly taken, shape (k, 3)."""
    points = block.points_of(index)
    step = max(1, len(points) // _SAMPLE)
    return points[::step]


def _partners_of(
    block: Block, index: int, ground: list[Array], centres: Array
) -> list[tuple[float, StereoPair]]:
    """Every usable partner of a shot with its score, best first."""
    points = ground[index]
    if len(points) == 0:
        return []
    depth_m = float(np.median(block.shots[index].to_camera(points)[:, 2]))
    ratios = np.linalg.norm(centres - centres[index], axis=1) / max(depth_m, 1e-6)
    usable = (ratios >= _MIN_BASE_TO_DEPTH) & (ratios <= _MAX_BASE_TO_DEPTH)
    scored = []
    for other in np.flatnonzero(usable):
        overlap = _overlap(block, index, int(other), points)
        if overlap < _MIN_OVERLAP or common_axes(block.shots[index], block.shots[other]) is None:
            continue
        ratio = float(ratios[other])
        score = overlap * np.exp(-0.5 * (np.log(ratio / _BEST_BASE_TO_DEPTH) / _BASE_SPREAD) ** 2)
        left, right = sorted((index, int(other)))
        scored.append((float(score), StereoPair(left, right, overlap, ratio)))
    return sorted(scored, key=lambda item: (-item[0], item[1].left, item[1].right))


def _overlap(block: Block, index: int, other: int, points: Array) -> float:
    """Share of ground points of one shot that another shot sees alike, 0 if the views differ."""
    shot, partner = block.shots[index], block.shots[other]
    if shot.rotation[2] @ partner.rotation[2] < np.cos(np.deg2rad(_MAX_AXES_DEG)):
        return 0.0
    local = partner.to_camera(points)
    ahead = local[:, 2] > 0.0
    if not ahead.any():
        return 0.0
    camera, partner_camera = block.cameras[shot.camera], block.cameras[partner.camera]
    sizes = np.median(shot.to_camera(points)[:, 2]) / camera.focal_px
    scale = np.median(local[ahead, 2]) / partner_camera.focal_px / sizes
    if not 1.0 / _MAX_SCALE_RATIO < scale < _MAX_SCALE_RATIO:
        return 0.0
    pixels = partner_camera.project(local[ahead])
    limits = np.array([partner_camera.width_px, partner_camera.height_px])
    inside = ((pixels >= 0.0) & (pixels <= limits - 1.0)).all(axis=1)
    return float(inside.sum()) / len(points)


def _best(
    scored: list[tuple[float, StereoPair]], index: int, centres: Array, partners: int
) -> list[StereoPair]:
    """The first ``partners``, the last of them in another direction than the first if possible."""
    pairs = [pair for _, pair in scored]
    best = pairs[:partners]
    if len(pairs) <= partners or partners < 2:
        return best
    first = _direction(best[0], index, centres)
    others = (
        pair
        for pair in pairs
        if abs(first @ _direction(pair, index, centres)) < np.cos(np.deg2rad(_OTHER_DIRECTION_DEG))
    )
    across = next(others, None)
    if across is None or across in best:
        return best
    return [*best[:-1], across]


def _direction(pair: StereoPair, index: int, centres: Array) -> Array:
    """Unit vector from one shot of a pair to the other."""
    other = pair.right if pair.left == index else pair.left
    base = centres[other] - centres[index]
    return np.asarray(base / np.linalg.norm(base))


def split_photos(block: Block, pairs: list[StereoPair]) -> NDArray[np.int8]:
    """Put every photo into one of two halves so that both halves keep pairs of their own.

    Heights from pairs within one half share no photo with those from the other half: their
    difference is noise and nothing else. Runs of photos along the flight stay together where
    that keeps more pairs; on the ground the halves cover the same area because their runs
    alternate.

    Parameters
    ----------
    block : Block
    pairs : list of StereoPair

    Returns
    -------
    ndarray of int8, shape (shots,)
        0 or 1.
    """
    count = len(block.shots)
    points = block.tie_points.points
    if count < 4 or not pairs or len(points) == 0:
        return np.arange(count, dtype=np.int8) % 2
    edges = np.array([(pair.left, pair.right) for pair in pairs])
    sees = _sees(block)
    cells = np.array([sees[left] & sees[right] for left, right in edges])
    half = (np.arange(count) // 2 % 2).astype(np.int8)
    best = _shared(half, edges, cells)
    for _ in range(6):
        improved = False
        for index in range(count):
            half[index] ^= 1
            value = _shared(half, edges, cells)
            if value > best:
                best, improved = value, True
            else:
                half[index] ^= 1
        if not improved:
            break
    return half


def _sees(block: Block) -> NDArray[np.bool_]:
    """Which of some hundred ground points each shot could see, shape (shots, points)."""
    points = block.tie_points.points
    points = points[:: max(1, len(points) // 400)]
    rows = []
    for shot in block.shots:
        camera = block.cameras[shot.camera]
        local = shot.to_camera(points)
        ahead = local[:, 2] > 0.0
        pixels = camera.project(np.where(ahead[:, None], local, [0.0, 0.0, 1.0]))
        limits = np.array([camera.width_px, camera.height_px])
        rows.append(ahead & ((pixels >= 0.0) & (pixels <= limits - 1.0)).all(axis=1))
    return np.array(rows)


def _shared(half: NDArray[np.int8], edges: NDArray[np.int64], cells: NDArray[np.bool_]) -> float:
    """How well ground points are measured in both halves: sum of the smaller pair count."""
    same = half[edges[:, 0]] == half[edges[:, 1]]
    first = cells[same & (half[edges[:, 0]] == 0)].sum(axis=0)
    second = cells[same & (half[edges[:, 0]] == 1)].sum(axis=0)
    return float(np.sqrt(np.minimum(first, second)).sum())
