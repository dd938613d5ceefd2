"""How noisy the surface model is, and over which distances its errors hang together.

The photos of a flight are put into two halves (`stereo_pairs.split_photos`) and each half gives a
surface of its own. No photo is in both, so their difference is noise alone: no ground truth is
needed, and the terrain cancels. Its variogram tells fine noise, which averages out over a
stockpile, from broad errors, which do not.

What both halves have in common (an error of the camera model, of the adjustment as a whole)
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

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from reconstruction.dense import DenseSurface
from reconstruction.point_tile import PointTile

Array = NDArray[np.float64]

_MIN_CELLS = 5000
_OUTLIER_NMAD = 5.0
# Distances of the variogram, in cells.
_LAGS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)
# Ranges that may occur, in cells; each is the distance at which the correlation is gone.
_RANGES = (3.0, 6.0, 12.0, 25.0, 50.0, 100.0, 200.0, 400.0)
_MIN_SHARE = 0.01
"""The smallest part of the variance that is worth a component."""


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
    sums = np.zeros((len(_LAGS), 2))
    predicted = np.zeros((2, 2))
    for tile in surface.tiles:
        picture, variances = _noise_of(tile)
        sums += _pair_sums(picture)
        predicted += variances
    if sums[0, 1] < _MIN_CELLS:
        return None
    # Where the halves do not overlap, photos are few and the surface is noisier.
    everywhere, sampled = predicted[:, 0] / predicted[:, 1]
    return fit_noise(sums[:, 0] * everywhere / sampled, sums[:, 1], surface.grid.cell_size_m)


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
    used = counts > 0.05 * counts.max()
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


def _noise_of(tile: PointTile) -> tuple[NDArray[np.float32], Array]:
    """The noise samples of a tile as a picture, NaN where unknown or absurd.

    Also the sums and numbers of the variances that the matches predict, shape (2, 2): for all
    cells, and for those with a sample.
    """
    with np.load(tile.path) as arrays:
        row, col, values = arrays["row"], arrays["col"], arrays["noise_m"]
        variance = arrays["sigma_m"].astype(np.float64) ** 2
    known = ~np.isnan(values)
    sums = np.array(
        [[variance.sum(), len(variance)], [variance[known].sum(), np.count_nonzero(known)]]
    )
    out = np.full((int(np.ptp(row)) + 1, int(np.ptp(col)) + 1), np.nan, dtype=np.float32)
    if known.any():
        middle = np.median(values[known])
        nmad = 1.4826 * np.median(np.abs(values[known] - middle))
        values = np.where(np.abs(values - middle) <= _OUTLIER_NMAD * nmad, values, np.nan)
        out[row - row.min(), col - col.min()] = values
    return out, sums


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
