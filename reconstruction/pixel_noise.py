"""How exact the pixels of tie points are: by their pictures, by their residuals, together.

A patch with little texture is found less exactly than one with much, and what it shows says by how
much. Lenses that no model fits shift both alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from reconstruction.network import HUBER, Network
from reconstruction.normal_equations import POSE_SIZE

Array = NDArray[np.float64]

OUTLIER = 4.0  # spreads beyond which an observation is no longer believed
_LEAST_SIGMA_PX = 0.1  # no lens model is nearer to a lens, however well patches match
_CLASSES = 16  # of observations about as noisy, whose residuals are compared
_CELLS = 4  # a side, into which a photo is divided to see whether its residuals go together
_TINY_PX = 1e-6  # keeps residuals of planted pixels from being nothing


def set_pixel_sigma(network: Network) -> None:
    """Let the tie points say how much they are worth (control points keep the given sigma).

    Where most match better than any lens is known, all count less by the same factor: one poor
    patch counts as little among good ones as it does among others.
    """
    ties = network.of_ties
    network.spread_px[ties] = spread_px(network)
    worth_px = network.spread_px[ties] * np.sqrt(_design_effect(network))
    network.sigma_px[ties] = worth_px * max(1.0, _LEAST_SIGMA_PX / float(np.median(worth_px)))


def spread_px(network: Network) -> Array:
    """Robust standard deviation of a coordinate of each observation of a tie point, in order.

    Its square is that of the picture's noise times a factor, and a share that all have. Both are
    fitted to the residuals of classes of like noise. Residuals are smaller than errors, since
    every point and pose took its share of them: squares count against the redundancy. Lengths
    are capped, so that mismatches do not.

    References
    ----------
    .. [1] W. Foerstner, B. P. Wrobel, "Photogrammetric Computer Vision", 2016, section 4.2.4:
       estimating variance components.
    """
    used = network.active & network.of_ties
    squares = 0.5 * np.sum(network.errors[used] ** 2, axis=1)
    noise = network.noise_px[used] ** 2
    classes = np.array_split(np.argsort(noise, kind="stable"), min(_CLASSES, len(noise)))
    found = [_capped_mean(squares[rows]) for rows in classes]
    weight = 1.0 / np.maximum(found, _TINY_PX**2)
    design = np.column_stack(([noise[rows].mean() for rows in classes], np.ones(len(classes))))
    (factor, shared), _ = nnls(design * weight[:, None], found * weight)
    unknowns = 3 * len(np.unique(network.point[used])) + POSE_SIZE * len(network.centres)
    redundancy = max(1.0 - unknowns / (2.0 * used.sum()), 0.1)
    variance = (factor * network.noise_px[network.of_ties] ** 2 + shared) / redundancy
    return np.asarray(np.sqrt(np.maximum(variance, _TINY_PX**2)))


def _capped_mean(squares: Array) -> float:
    return float(np.mean(np.minimum(squares, OUTLIER**2 * np.median(squares))))


def _design_effect(network: Network) -> float:
    """How many observations count as one, because neighbours in a photo err alike.

    Rolling shutters and lenses that no model fits leave residuals that go together in each part
    of a photo. Taken as independent they would make the block look far better than it is, and
    let it overrule what is known of lens and positions.

    References
    ----------
    .. [1] L. Kish, "Survey Sampling", 1965, section 5.4: the variance of a cluster's sum over
       that of independent members.
    """
    used = network.active & network.of_ties
    errors = network.errors[used] / network.spread_px[used, None]
    errors = errors * np.minimum(1.0, HUBER / np.linalg.norm(errors, axis=1))[:, None]
    pixels = network.pixels[used]
    share = pixels / (2.0 * network.lenses[network.camera_of[network.shot[used]], 1:3] + 1.0)
    column, row = np.clip((share * _CELLS).astype(np.int64), 0, _CELLS - 1).T
    cell = (network.shot[used] * _CELLS + row) * _CELLS + column
    sums = np.bincount(cell, errors[:, 0]) ** 2 + np.bincount(cell, errors[:, 1]) ** 2
    return max(1.0, float(sums.sum() / np.sum(errors**2)))
