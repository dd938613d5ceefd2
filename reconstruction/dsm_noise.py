"""How noisy the surface model is, and over which distances its errors hang together.

The photos of a flight are put into two halves (`stereo_pairs.split_photos`) and each half gives a
surface of its own. No photo is in both, so their difference is noise alone: no ground truth is
needed, and the terrain cancels. Its variogram tells fine noise, which averages out over a
stockpile, from broad errors, which do not.

Both halves lose the same detail: relief finer than the matching window. What one more smoothing
by such a window takes away from the surface stands for what the first one took, as it does on
any surface that is alike at all scales; its variogram is added.

What else both halves have in common (an error of the camera model, of the adjustment as a whole)
cannot show here; the accuracy report has it from the adjustment.

References
----------
.. [1] R. Hugonnet et al., "Uncertainty analysis of digital elevation models by spatial inference
   from stable terrain", IEEE Journal of Selected Topics in Applied Earth Observations and Remote
   Sensing 15, 2022.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from reconstruction.dense_surface import DenseSurface
from reconstruction.point_tile import PointTile

Array = NDArray[np.float64]

_MIN_CELLS = 5000
_OUTLIER_NMAD = 5.0
# Distances of the variogram, in cells.
_LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
# Ranges that may occur, in cells; each is the distance at which the correlation is gone.
_RANGES = (1.0, 2.0, 3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0)
# The smallest part of the variance that is worth a component.
_MIN_SHARE = 0.01
# Lags with fewer pairs of cells, relative to the shortest, tell more of the shape of the area.
_MIN_LAG_SHARE = 0.2
# The window of the matching, as a Gaussian; cells are about as large as its pixels.
_DETAIL_CELLS = 2.0


@dataclass(frozen=True)
class NoiseComponent:
    """One part of the noise.

    Parameters
    ----------
    sigma_m : float
        One standard deviation.
    range_m : float
        Distance beyond which two cells do not share it (spherical model).
    """

    sigma_m: float
    range_m: float


@dataclass(frozen=True)
class DsmNoise:
    """Noise of the surface model as independent parts that add in square.

    Parameters
    ----------
    sigma_m : float
        One standard deviation of a cell's elevation, all parts together.
    components : tuple of NoiseComponent
        From short to long range.
    """

    sigma_m: float
    components: tuple[NoiseComponent, ...]

    def variogram(self, distance_m: Array) -> Array:
        """Half the mean square difference of two cells this far apart, m²."""
        total = np.zeros_like(distance_m)
        for part in self.components:
            total += part.sigma_m**2 * _spherical(distance_m / part.range_m)
        return total

    def to_json(self) -> dict[str, Any]:
        """Plain values as ``accuracy.json`` has them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> DsmNoise:
        """The inverse of `to_json`."""
        parts = tuple(NoiseComponent(**part) for part in values["components"])
        return cls(values["sigma_m"], parts)


def estimate_noise(surface: DenseSurface) -> DsmNoise | None:
    """Noise of a surface from the difference of its two halves; None if too little is known."""
    noise, detail = np.zeros((len(_LAGS), 2)), np.zeros((len(_LAGS), 2))
    predicted = np.zeros((2, 2))
    for tile in surface.tiles:
        sample = _sample(tile)
        noise += _pair_sums(sample.noise_m)
        detail += _pair_sums(sample.detail_m)
        predicted += sample.variances_m2
    if noise[0, 1] < _MIN_CELLS:
        return None
    # Where the halves do not overlap, photos are few and the surface is noisier.
    everywhere, sampled = predicted[:, 0] / predicted[:, 1]
    known = (noise[:, 1] > 0) & (detail[:, 1] > 0)
    squares = np.zeros(len(_LAGS))
    squares[known] = noise[known, 0] * everywhere / sampled
    squares[known] += detail[known, 0] / detail[known, 1] * noise[known, 1]
    return fit_noise(squares, noise[:, 1], surface.grid.cell_size_m)


def fit_noise(squares_m2: Array, counts: Array, cell_size_m: float) -> DsmNoise:
    """Fit nested spherical variograms.

    Parameters
    ----------
    squares_m2 : ndarray, shape (lags,)
        Sums of half squared differences for each of the lags.
    counts : ndarray, shape (lags,)
        Number of pairs of cells in these sums.
    cell_size_m : float

    Returns
    -------
    DsmNoise
    """
    used = counts > _MIN_LAG_SHARE * counts.max()
    lags = np.array(_LAGS, dtype=np.float64)[used]
    gamma = squares_m2[used] / counts[used]
    ranges = np.array([value for value in _RANGES if value <= 1.05 * lags.max()])
    design = _spherical(lags[:, None] / ranges)
    # Relative misfits count: the short lags are as telling as the long ones.
    variances, _ = nnls(design / gamma[:, None], np.ones(len(lags)))
    keep = variances > _MIN_SHARE * variances.sum()
    parts = tuple(
        NoiseComponent(float(np.sqrt(variance)), float(length * cell_size_m))
        for variance, length in zip(variances[keep], ranges[keep], strict=True)
    )
    return DsmNoise(float(np.sqrt(sum(part.sigma_m**2 for part in parts))), parts)


def _spherical(relative: Array) -> Array:
    """Spherical variogram with sill 1 and range 1."""
    inside = np.minimum(relative, 1.0)
    return np.asarray(1.5 * inside - 0.5 * inside**3)


@dataclass(frozen=True)
class _Sample:
    """What a tile tells: pictures of noise and of fine detail, NaN where unknown or absurd.

    ``variances_m2`` has sum and number of the variances that the matches predict, for all cells
    and for those with a sample of noise, shape (2, 2).
    """

    noise_m: NDArray[np.float32]
    detail_m: NDArray[np.float32]
    variances_m2: Array


def _sample(tile: PointTile) -> _Sample:
    with np.load(tile.path) as arrays:
        row, col, noise = arrays["row"], arrays["col"], arrays["noise_m"]
        variance = arrays["sigma_m"].astype(np.float64) ** 2
        elevation = arrays["offsets"][:, 2]
    known = ~np.isnan(noise)
    sums = [[variance.sum(), len(variance)], [variance[known].sum(), np.count_nonzero(known)]]
    pictures = np.full((2, int(np.ptp(row)) + 1, int(np.ptp(col)) + 1), np.nan, dtype=np.float32)
    pictures[:, row - row.min(), col - col.min()] = noise, elevation
    return _Sample(
        _without_outliers(pictures[0]), _without_outliers(_detail(pictures[1])), np.array(sums)
    )


def _detail(elevation_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """The surface minus itself smoothed, where the window is nearly whole."""
    weight = (~np.isnan(elevation_m)).astype(np.float32)
    share = cv2.GaussianBlur(weight, (0, 0), _DETAIL_CELLS)
    total = cv2.GaussianBlur(np.nan_to_num(elevation_m), (0, 0), _DETAIL_CELLS)
    return np.where(share > 0.98, elevation_m - total / np.maximum(share, 0.5), np.nan)


def _without_outliers(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    known = picture[~np.isnan(picture)]
    if len(known) == 0:
        return picture
    middle = np.median(known)
    limit = _OUTLIER_NMAD * 1.4826 * np.median(np.abs(known - middle))
    return np.where(np.abs(picture - middle) <= limit, picture, np.float32(np.nan))


def _pair_sums(values: NDArray[np.float32]) -> Array:
    """Sum of half squared differences and number of pairs along rows and columns, per lag."""
    sums = np.zeros((len(_LAGS), 2))
    for index, lag in enumerate(_LAGS):
        for one, other in (
            (values[lag:], values[:-lag]),
            (values[:, lag:], values[:, :-lag]),
        ):
            square = 0.5 * (one - other).astype(np.float64) ** 2
            known = ~np.isnan(square)
            sums[index] += square[known].sum(), known.sum()
    return sums
