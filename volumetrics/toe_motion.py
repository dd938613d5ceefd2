r"""What changes when the line of a toe lies a little beside where it was drawn.

Moving a piece of the line outwards sweeps over the height there, and moves its ground samples,
whose heights above the base then change by their slope. A hand follows the same mistaken line for
some metres, so the errors of neighbouring pieces hang together.

References
----------
Reynolds' transport theorem: the change of an integral over a moving region is the integrand on its
boundary times the boundary's motion along the normal (JCGM 100:2008, 5.2.2, for its variance).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import spatial

from volumetrics.base_surface import BaseSurface
from volumetrics.footprint import Footprint
from volumetrics.grid import Array

_RANGE_M = 5.0
_STATIONS = 400
# No loose material rests at more than 45 degrees; what is steeper is a wall or an object, which a
# robust base rejects when a sample climbs it.
_STEEPEST = 1.0


@dataclass(frozen=True)
class ToeMotion:
    """The line of a toe, free to move across its direction.

    Parameters
    ----------
    pile : Footprint
    sigma_m : float
        1 sigma of the motion.
    height_m : ndarray, shape (pieces,)
        Height above the base that each piece sweeps over.
    slope : ndarray, shape (n,)
        How the ground samples rise outwards against the base.
    """

    pile: Footprint
    sigma_m: float
    height_m: Array
    slope: Array

    @property
    def length_m(self) -> Array:
        """Length of each piece, which is its change of area for one metre outwards."""
        return self.pile.line.length_m

    def by_base(self, toe_weights: Array) -> Array:
        """Change of a sum over the base for one metre outwards, by piece.

        Parameters
        ----------
        toe_weights : ndarray, shape (n,)
            Of the sum, see `volumetrics.base_surface.BaseSurface`.
        """
        piece = self.pile.samples.piece
        change = np.bincount(piece, toe_weights * self.slope, minlength=self.length_m.size)
        return change.astype(np.float64)

    def covariance(self, gains: Array) -> Array:
        """Covariance of quantities that the motion changes.

        Parameters
        ----------
        gains : ndarray, shape (k, pieces)
            Change of each quantity for one metre outwards of each piece.

        Returns
        -------
        ndarray, shape (k, k)
        """
        if self.sigma_m == 0.0:
            return np.zeros((len(gains), len(gains)))
        line = self.pile.line
        pieces = line.length_m.size
        # Neighbouring pieces move together: sums over short stretches are enough.
        group = np.arange(pieces) * min(pieces, _STATIONS) // pieces
        count = np.bincount(group)
        place = np.column_stack([np.bincount(group, weights=c) / count for c in line.middle_m.T])
        pushes = np.array(
            [[np.bincount(group, weights=gain * n) for n in line.normal.T] for gain in gains]
        )
        correlation = np.exp(-spatial.distance.cdist(place, place) / _RANGE_M)
        return np.asarray(
            self.sigma_m**2 * np.einsum("iag,jag->ij", pushes @ correlation, pushes, optimize=True)
        )


def rise_outwards(pile: Footprint, base: BaseSurface) -> Array:
    """How the ground rises against the base from each of its samples outwards, shape (n,)."""
    samples, cell_m = pile.samples, pile.grid.cell_size_m
    height = pile.grid.elevation_m - base.elevation_m
    outer = pile.grid.stencil(samples.position_m + cell_m * pile.line.normal[samples.piece])
    rise = (outer.sample(height) - samples.stencil.sample(height)) / cell_m
    return np.clip(np.nan_to_num(rise), -_STEEPEST, _STEEPEST)


def toe_motion(pile: Footprint, base: BaseSurface, sigma_m: float) -> ToeMotion:
    """The motion of a pile's line against its base, 1 sigma in metres."""
    grid, line, samples = pile.grid, pile.line, pile.samples
    height = grid.elevation_m - base.elevation_m
    # A pile's foot rises on one side of the line only, so the mean of both sides counts. Along a
    # wall it is a cell inside: on the line itself the wall would be sampled with the pile.
    reach_m = np.where(line.is_ground, 0.5 * sigma_m, grid.cell_size_m)[:, None] * line.normal
    inside = grid.stencil(line.middle_m - reach_m).sample(height)
    outside = grid.stencil(line.middle_m + reach_m).sample(height)
    swept = np.nan_to_num(np.where(line.is_ground, 0.5 * (inside + outside), inside))

    step_m = max(grid.cell_size_m, sigma_m)
    step = step_m * line.normal[samples.piece]
    outer = grid.stencil(samples.position_m + step).sample(height)
    inner = grid.stencil(samples.position_m - step).sample(height)
    slope = np.nan_to_num((outer - inner) / (2.0 * step_m))
    return ToeMotion(pile, sigma_m, swept, np.clip(slope, -_STEEPEST, _STEEPEST))
