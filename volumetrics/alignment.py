r"""Bring a later survey onto an earlier one over ground that did not change.

For a surface shifted by :math:`(\delta_x, \delta_y, \delta_z)` and tilted by
:math:`(\alpha, \beta)` the difference to the earlier one is

.. math:: dh = -\delta_x z_x - \delta_y z_y + \delta_z + \alpha x + \beta y

so that slopes tell the horizontal shift: the relation of Nuth and Kääb between elevation
difference, slope and aspect, written with the gradient, which has no singular aspect on level
ground. It is solved robustly and iterated, since it is linear for small shifts only.

References
----------
Nuth, C., Kääb, A. (2011): Co-registration and bias corrections of satellite elevation data sets
for quantifying glacier thickness change. The Cryosphere 5, 271-290.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.distance import cdist

from volumetrics.errors import InputError
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise

_ITERATIONS = 6
# So few that the covariance of all of them can be written down.
_MAX_CELLS = 1500
_MIN_CELLS = 100
_TUKEY = 4.685
# Gradients from noisy cells are too weak a regressor: smooth them over some cells first.
_SMOOTHING_CELLS = 2.0
# A horizontal shift less certain than this share of a cell is not applied.
_CERTAIN_SHIFT_CELLS = 0.5
# Larger ones are no residual of georeferencing, but another datum or a mistake.
MAX_SHIFT_M = 1.0
MAX_VERTICAL_M = 1.0
MAX_TILT = 0.005


@dataclass(frozen=True)
class Alignment:
    """How the later surface lies on the earlier one.

    Parameters
    ----------
    shift_m : ndarray, shape (2,)
        The later surface lies this far to the east and to the north.
    shift_sigma_m : ndarray, shape (2,)
        1 sigma; where it is infinite the ground is too level to tell, and the shift is 0.
    centre_m : ndarray, shape (2,)
    plane : ndarray, shape (3,)
        Vertical offset at the centre in metres, tilt to the east and to the north.
    residual_sigma_m : float
        Robust spread of the differences that remain.
    plane_covariance : ndarray, shape (3, 3)
        Of the plane, with the correlated noise of both surfaces.
    """

    shift_m: Array
    shift_sigma_m: Array
    centre_m: Array
    plane: Array
    residual_sigma_m: float
    plane_covariance: Array

    def offset_m(self, x_m: Array, y_m: Array) -> Array:
        """Vertical offset of the later surface at places of any shape."""
        level, east, north = self.plane
        return np.asarray(
            level + east * (x_m - self.centre_m[0]) + north * (y_m - self.centre_m[1])
        )

    def offset_sigma_m(self, place_m: Array) -> float:
        """1 sigma of the offset at a place (2,)."""
        at = np.array([1.0, *(place_m - self.centre_m)])
        return math.sqrt(max(0.0, float(at @ self.plane_covariance @ at)))

    def summary(self) -> dict[str, float | None]:
        """The alignment in numbers for the report."""
        sigma = [value if math.isfinite(value) else None for value in self.shift_sigma_m.tolist()]
        return {
            "east_m": float(self.shift_m[0]),
            "north_m": float(self.shift_m[1]),
            "east_sigma_m": sigma[0],
            "north_sigma_m": sigma[1],
            "vertical_m": float(self.plane[0]),
            "tilt_east": float(self.plane[1]),
            "tilt_north": float(self.plane[2]),
            "residual_sigma_m": self.residual_sigma_m,
        }


def align(earlier: Grid, later: Grid, is_stable: NDArray[np.bool_], noise: DsmNoise) -> Alignment:
    """Find how the later surface lies on the earlier one.

    Parameters
    ----------
    earlier, later : Grid
        Of the same place; the grids may differ.
    is_stable : ndarray of bool, shape (rows, cols) of ``earlier``
        Ground that is thought to be unchanged; what moved on it is rejected as outliers.
    noise : DsmNoise
        Of the difference of the two surfaces: the components of both.

    Returns
    -------
    Alignment

    Raises
    ------
    InputError
        When there is too little common ground, or the surfaces lie too far apart.
    """
    place, before, gradient = _stable_cells(earlier, later, is_stable)
    centre = place.mean(axis=0)
    design = np.column_stack((-gradient, np.ones(len(place)), place - centre))
    ground_covariance = noise.covariance(cdist(place, place))
    shift = np.zeros(2)
    is_certain = np.array([True, True])
    for _ in range(_ITERATIONS):
        after = later.stencil(place + shift).sample(later.elevation_m)
        found = np.isfinite(after)
        columns = np.flatnonzero([*is_certain, True, True, True])
        values, shares, spread = _robust(design[found][:, columns], (after - before)[found])
        step, step_sigma = np.zeros(5), np.full(5, np.inf)
        step[columns] = values
        covariance = shares @ ground_covariance[np.ix_(found, found)] @ shares.T
        step_sigma[columns] = np.sqrt(np.maximum(np.diag(covariance), 0.0))
        uncertain = step_sigma[:2] > _CERTAIN_SHIFT_CELLS * earlier.cell_size_m
        if np.any(uncertain & is_certain):
            is_certain &= ~uncertain
            shift = np.zeros(2)
            continue
        shift = shift + step[:2]
        if np.abs(step[:2]).max() < 1e-3 * earlier.cell_size_m:
            break
    aligned = Alignment(
        shift,
        step_sigma[:2],
        centre,
        step[2:],
        spread,
        covariance[-3:, -3:],
    )
    _check_limits(aligned)
    return aligned


def _stable_cells(
    earlier: Grid, later: Grid, is_stable: NDArray[np.bool_]
) -> tuple[Array, Array, Array]:
    """Places (n, 2), earlier elevations (n,) and slopes (n, 2) of cells that both surveys show."""
    slopes = _gradient(earlier)
    usable = is_stable & np.isfinite(earlier.elevation_m) & np.isfinite(slopes).all(axis=0)
    row, col = np.nonzero(usable)
    place = np.column_stack((earlier.x_m()[col], earlier.y_m()[row]))
    seen = np.flatnonzero(np.isfinite(later.stencil(place).sample(later.elevation_m)))
    if seen.size < _MIN_CELLS:
        raise InputError(
            f"The surveys share only {seen.size} cells of unchanged ground.",
            "Compare surveys of the same site, and leave some ground outside the piles.",
        )
    if seen.size > _MAX_CELLS:
        seen = np.sort(np.random.default_rng(0).choice(seen, _MAX_CELLS, replace=False))
    row, col = row[seen], col[seen]
    return place[seen], earlier.elevation_m[row, col], slopes[:, row, col].T


def _gradient(grid: Grid) -> Array:
    """Slopes to the east and to the north, shape (2, rows, cols); NaN near holes."""
    seen = np.isfinite(grid.elevation_m)
    level = float(np.mean(grid.elevation_m[seen])) if seen.any() else 0.0
    filled = np.where(seen, grid.elevation_m - level, 0.0)
    share = ndimage.gaussian_filter(seen.astype(np.float64), _SMOOTHING_CELLS)
    smooth = ndimage.gaussian_filter(filled, _SMOOTHING_CELLS) / np.maximum(share, 1e-9)
    north, east = np.gradient(smooth, grid.cell_size_m)
    return np.where(share > 0.99, np.stack((east, -north)), np.nan)


def _robust(design: Array, values: Array) -> tuple[Array, Array, float]:
    """Coefficients (k,) of a biweight regression, their shares (k, n), and the spread."""
    coefficients = np.zeros(design.shape[1])
    # The differences of most cells are about one level: start there.
    coefficients[-3] = np.median(values)
    for _ in range(20):
        residual = values - design @ coefficients
        spread = 1.4826 * float(np.median(np.abs(residual)))
        ratio = residual / (_TUKEY * max(spread, 1e-6))
        weighted = design * np.where(np.abs(ratio) < 1.0, (1.0 - ratio**2) ** 2, 0.0)[:, None]
        shares = np.linalg.pinv(weighted.T @ design, hermitian=True) @ weighted.T
        coefficients = shares @ values
    return coefficients, shares, spread


def _check_limits(found: Alignment) -> None:
    moved = float(np.hypot(*found.shift_m))
    tilt = float(np.hypot(*found.plane[1:]))
    if moved > MAX_SHIFT_M or abs(found.plane[0]) > MAX_VERTICAL_M or tilt > MAX_TILT:
        raise InputError(
            f"The later survey lies {moved:.2f} m aside, {found.plane[0]:+.2f} m in height and "
            f"tilted by {1000.0 * tilt:.1f} mm per metre against the earlier one; at most "
            f"{MAX_SHIFT_M:g} m, {MAX_VERTICAL_M:g} m and {1000.0 * MAX_TILT:g} mm are aligned.",
            "Check the CRS, the vertical datum and the control of both surveys.",
        )
