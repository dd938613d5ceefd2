r"""Noise of a DSM that is correlated in space, and what it does to sums over cells.

A photogrammetric surface is never wrong cell by cell only: matching errors reach over a few cells,
a stereo model's orientation over metres to tens of metres. Such an error does not average out
within its range, so a volume is less certain than independent cells would make it.

The noise is a sum of independent components, each with a standard deviation
:math:`\sigma` and a range :math:`r` beyond which it is uncorrelated (spherical model):

.. math:: C(h) = \sigma^2 (1 - \tfrac{3}{2} h/r + \tfrac{1}{2} (h/r)^3), \quad h < r

References
----------
Rolstad, C., Haug, T., Denby, B. (2009): Spatially integrated geodetic glacier mass balance and its
uncertainty based on geostatistical analysis. Journal of Glaciology 55(192), 666-680.

Hugonnet, R. et al. (2022): Uncertainty analysis of digital elevation models by spatial inference
from stable terrain. IEEE JSTARS 15, 6456-6472.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import fft

from volumetrics.errors import InputError
from volumetrics.grid import Array

# A component is summed on blocks this many times smaller than its range, or than the pile.
_BLOCKS_PER_RANGE = 12
_BLOCKS_PER_SIDE = 64
# Noise of a shorter range comes from matching and differs from cell to cell; longer waves come from
# the orientation of photos and pass over slopes and level ground alike.
_LOCAL_RANGE_M = 5.0


@dataclass(frozen=True)
class NoiseComponent:
    """One component: 1 sigma in metres, and the range in metres where correlation ends."""

    sigma_m: float
    range_m: float

    def __post_init__(self) -> None:
        values = (self.sigma_m, self.range_m)
        if not all(math.isfinite(value) and value >= 0.0 for value in values):
            raise InputError(
                f"DSM noise of sigma {self.sigma_m} m and range {self.range_m} m is impossible.",
                "Both must be finite and not negative.",
            )

    def covariance(self, distance_m: Array) -> Array:
        """Covariance in square metres of two places at a distance; same shape as the distance."""
        ratio = np.minimum(distance_m / max(self.range_m, 1e-9), 1.0)
        return np.asarray(self.sigma_m**2 * (1.0 - 1.5 * ratio + 0.5 * ratio**3))


@dataclass(frozen=True)
class DsmNoise:
    """Zero-mean noise of a DSM, alike everywhere but for a factor of its local part.

    Parameters
    ----------
    components : tuple of NoiseComponent
        Independent of each other. Empty means a perfect surface.
    dof : float
        Degrees of freedom that the standard deviations were estimated with.
    source : str
        Where the numbers come from, for the report.
    """

    components: tuple[NoiseComponent, ...]
    dof: float = math.inf
    source: str = "stated"

    @property
    def sigma_m(self) -> float:
        """Standard deviation of one cell."""
        return math.sqrt(sum(part.sigma_m**2 for part in self.components))

    def covariance(self, distance_m: Array) -> Array:
        """Covariance in square metres at distances of any shape."""
        total = np.zeros_like(distance_m, dtype=np.float64)
        for part in self.components:
            total += part.covariance(distance_m)
        return total

    def local(self) -> DsmNoise:
        """The components of matching, which differ from cell to cell."""
        parts = tuple(part for part in self.components if part.range_m <= _LOCAL_RANGE_M)
        return replace(self, components=parts)

    def propagate(
        self, loads: Sequence[Array], cell_size_m: float, factor: Array | None = None
    ) -> Array:
        r"""Covariance of weighted sums of the noise, :math:`L^T C L`.

        Parameters
        ----------
        loads : sequence of k ndarrays, shape (rows, cols)
            Weight of every cell's elevation in each of k sums, e.g. cell areas in m².
        cell_size_m : float
        factor : ndarray, shape (rows, cols), optional
            Relative standard deviation of the local part in every cell; 1 when left out.

        Returns
        -------
        ndarray, shape (k, k)
            In the square of load units times metres.
        """
        total = np.zeros((len(loads), len(loads)))
        longest_side = max(loads[0].shape)
        even = np.ones((1, 1)) if factor is None else factor
        kernels: dict[tuple[int, bool], list[NoiseComponent]] = {}
        for part in self.components:
            if part.sigma_m > 0.0:
                block = part.range_m / cell_size_m / _BLOCKS_PER_RANGE
                block = min(block, longest_side / _BLOCKS_PER_SIDE)
                is_local = factor is not None and part.range_m <= _LOCAL_RANGE_M
                kernels.setdefault((max(1, int(block)), is_local), []).append(part)
        for (block, is_local), parts in kernels.items():
            weight = even if is_local else np.ones((1, 1))
            summed = [_block_sums(load, weight, block) for load in loads]
            total += _quadratic_forms(summed, parts, block * cell_size_m)
        return total


PERFECT = DsmNoise(())


@numba.njit(cache=True, nogil=True)
def _block_sums(
    load: Array, factor: Array, block: int
) -> NDArray[np.float32]:  # pragma: no cover - compiled
    """Sums of load times factor over square blocks; the last ones may reach over the edge.

    A factor of one cell holds for all.
    """
    rows, cols = load.shape
    is_even = factor.size == 1
    sums = np.zeros(((rows + block - 1) // block, (cols + block - 1) // block), np.float32)
    line = np.zeros(sums.shape[1])
    for first in range(0, rows, block):
        line[:] = 0.0
        for row in range(first, min(rows, first + block)):
            for number in range(line.size):
                left = number * block
                total = 0.0
                for col in range(left, min(cols, left + block)):
                    value = load[row, col]
                    if value != 0.0:
                        total += value * (factor[0, 0] if is_even else factor[row, col])
                line[number] += total
        for number in range(line.size):
            sums[first // block, number] = line[number]
    return sums


def _quadratic_forms(
    loads: list[NDArray[np.float32]], parts: list[NoiseComponent], step_m: float
) -> Array:
    """All products of loads under the covariance of the parts, by Parseval's theorem."""
    reach = max(part.range_m for part in parts) / step_m
    if reach <= 1.0:
        variance = sum(part.sigma_m**2 for part in parts)
        return variance * np.array(
            [[np.sum(a * b, dtype=np.float64) for b in loads] for a in loads]
        )
    shape = tuple(
        fft.next_fast_len(side + min(side, math.ceil(reach)), real=True) for side in loads[0].shape
    )
    kernel = _kernel(parts, shape, math.ceil(reach), step_m)
    # Single precision: the sums are of a million positive terms at most.
    power = fft.rfft2(kernel).real
    power[:, 1 : (shape[1] + 1) // 2] *= 2.0
    spectra = [fft.rfft2(load, shape) for load in loads]
    forms = np.zeros((len(loads), len(loads)))
    for i, left in enumerate(spectra):
        weighted = left * power
        for j in range(i, len(loads)):
            right = spectra[j]
            product = np.sum(weighted.real * right.real + weighted.imag * right.imag)
            forms[i, j] = forms[j, i] = float(product) / (shape[0] * shape[1])
    return forms


def _kernel(
    parts: list[NoiseComponent], shape: tuple[int, ...], reach: int, step_m: float
) -> NDArray[np.float32]:
    """Covariance at all lags of a periodic grid; only those within reach are not zero."""
    rows, cols = (np.arange(min(reach, side // 2) + 1) for side in shape)
    distance = np.hypot(rows[:, None], cols[None, :]) * step_m
    quarter = DsmNoise(tuple(parts)).covariance(distance)
    kernel = np.zeros(shape, dtype=np.float32)
    for row in (rows, -rows):
        for col in (cols, -cols):
            kernel[np.ix_(row, col)] = quarter
    return kernel
