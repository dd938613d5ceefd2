"""Photos that look alike: neighbours of photos that have no position.

A vocabulary is learned from the flight's own local features, each photo becomes one vector
(VLAD [1]_), the likeliest partners are compared feature by feature. Rotation and scale do not
matter, and no model has to be downloaded.

References
----------
.. [1] H. Jégou et al., "Aggregating local descriptors into a compact image representation",
   CVPR 2010.
.. [2] R. Arandjelović, A. Zisserman, "Three things everyone should know to improve object
   retrieval", CVPR 2012 (the square root of SIFT).
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reconstruction.stage import Run

Descriptors = NDArray[np.float32]

_THUMBNAIL_PX = 800
_FEATURES = 400
_WORDS = 64
_SAMPLE = 30_000
_SHORTLIST = 30
_RATIO = 0.85
_LEAST_MATCHES = 8
_LEAST_PARTNERS = 3


def alike_pairs(
    paths: list[Path], some: NDArray[np.intp], neighbours: int, run: Run
) -> NDArray[np.intp]:
    """Pairs of some photos with the photos of the whole flight that look most alike.

    Parameters
    ----------
    paths : list of Path
        All photos.
    some : ndarray of int
        Indices of the photos to find partners for.
    neighbours : int
        How many partners to find for each.
    run : Run

    Returns
    -------
    ndarray of int, shape (m, 2)
    """
    features = run.part(0.0, 0.5).map(_describe, paths, "describing photos")
    vectors = _vlad(features)
    shards = [(index, _shortlist(vectors, index), features, neighbours) for index in some]
    found = run.part(0.5, 1.0).map(_partners, shards, "comparing photos")
    return np.concatenate([np.empty((0, 2), dtype=np.intp), *found])


def _describe(path: Path) -> Descriptors:
    """Square roots of the SIFT descriptors of a thumbnail, unit length, shape (n, 128)."""
    flags = cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_IGNORE_ORIENTATION
    image = cv2.imread(str(path), flags)
    if image is None:
        return np.empty((0, 128), dtype=np.float32)
    factor = min(1.0, _THUMBNAIL_PX / max(image.shape))
    small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    keypoints, descriptors = cv2.SIFT.create(nfeatures=_FEATURES).detectAndCompute(small, None)
    if not keypoints:
        return np.empty((0, 128), dtype=np.float32)
    # At equal contrast SIFT may return more than it was asked for.
    descriptors = descriptors[:_FEATURES]
    total = np.maximum(descriptors.sum(axis=1, keepdims=True), 1e-6)
    return np.asarray(np.sqrt(descriptors / total), dtype=np.float32)


def _vlad(features: list[Descriptors]) -> Descriptors:
    """One unit vector a photo, shape (photos, words * 128)."""
    words = _vocabulary(np.concatenate(features))
    vectors = np.zeros((len(features), *words.shape), dtype=np.float32)
    for vector, descriptors in zip(vectors, features, strict=True):
        if not len(descriptors):
            continue
        nearest = np.argmax(descriptors @ words.T - 0.5 * np.sum(words**2, axis=1), axis=1)
        np.add.at(vector, nearest, descriptors - words[nearest])
    vectors /= np.maximum(np.linalg.norm(vectors, axis=2, keepdims=True), 1e-6)
    vectors = vectors.reshape(len(features), -1)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)


def _vocabulary(descriptors: Descriptors) -> Descriptors:
    """Centres of the flight's descriptors; the same for the same flight."""
    if len(descriptors) <= _WORDS:
        return np.zeros((1, 128), dtype=np.float32)
    generator = np.random.default_rng(0)
    size = min(_SAMPLE, len(descriptors))
    sample = descriptors[generator.choice(len(descriptors), size, replace=False)]
    cv2.setRNGSeed(0)
    stop = (cv2.TERM_CRITERIA_MAX_ITER, 12, 0.0)
    labels = np.zeros((size, 1), dtype=np.int32)
    centres = cv2.kmeans(sample, _WORDS, labels, stop, 1, cv2.KMEANS_PP_CENTERS)[2]
    return np.asarray(centres, dtype=np.float32)


def _shortlist(vectors: Descriptors, index: int) -> NDArray[np.intp]:
    similarity = vectors @ vectors[index]
    similarity[index] = -np.inf
    return np.argsort(-similarity, kind="stable")[: min(_SHORTLIST, len(vectors) - 1)]


def _partners(
    shard: tuple[int, NDArray[np.intp], list[Descriptors], int],
) -> NDArray[np.intp]:
    """The photos of a shortlist with the most features in common."""
    index, shortlist, features, count = shard
    listed = [features[other] for other in shortlist]
    ends = np.cumsum([len(descriptors) for descriptors in listed])
    product = features[index] @ np.concatenate(listed).T
    parts = np.split(product, ends[:-1], axis=1)
    matches = np.array([_common(part) for part in parts])
    order = np.argsort(-matches, kind="stable")[:count]
    order = order[(matches[order] >= _LEAST_MATCHES) | (np.arange(len(order)) < _LEAST_PARTNERS)]
    return np.column_stack((np.full(len(order), index), shortlist[order])).astype(np.intp)


def _common(product: Descriptors) -> int:
    """Number of features whose nearest partner is clearly nearer than the next.

    Parameters
    ----------
    product : ndarray, shape (n, m)
        Scalar products of the unit vectors of two photos; changed.
    """
    if not len(product) or product.shape[1] < 2:
        return 0
    rows = np.arange(len(product))
    nearest = np.argmax(product, axis=1)
    best = product[rows, nearest]
    product[rows, nearest] = -1.0
    # Unit vectors: the squared distance is 2 - 2 times the product.
    return int(np.sum(1.0 - best < _RATIO**2 * (1.0 - product.max(axis=1))))
