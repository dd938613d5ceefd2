"""Change between two surveys: what came and what went, pile by pile.

The later surface is first laid onto the earlier one over unchanged ground, which takes away the
vertical bias of both; what remains of it is the alignment's own uncertainty. Then the earlier
surface is the base of the later one.

The level of detection is the height that a single cell must have changed by to be told from noise
at 95 %. Volumes of the cells above it are given beside the plain ones, which have no threshold: a
threshold cuts away the foot of every real change, and the plain sum over many cells is far more
certain than any one of them.

References
----------
Wheaton, J. M. et al. (2010): Accounting for uncertainty in DEMs from repeat topographic surveys.
Earth Surface Processes and Landforms 35(2), 136-156.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from volumetrics.alignment import Alignment
from volumetrics.base_surface import BaseSurface
from volumetrics.budget import Accuracy
from volumetrics.footprint import footprint
from volumetrics.grid import Array, Grid
from volumetrics.noise import DsmNoise
from volumetrics.toe import Toe, ToeSamples
from volumetrics.volume import MIN_COVERAGE, Volume, measure


@dataclass(frozen=True)
class Change:
    """Change within one polygon.

    Parameters
    ----------
    volume : Volume
        Fill is what came, cut what went, each with its budget.
    level_of_detection_m : float
    detected_fill_m3, detected_cut_m3 : float
        Of the cells that changed by more.
    """

    volume: Volume
    level_of_detection_m: float
    detected_fill_m3: float
    detected_cut_m3: float


@dataclass(frozen=True)
class _Earlier:
    """The earlier surface as a base, with the uncertainty of laying the later one onto it."""

    elevation_m: Array
    noise: DsmNoise
    alignment_sigma_m: float
    name: str = "earlier survey"

    def fit(self, grid: Grid, samples: ToeSamples, noise: DsmNoise) -> BaseSurface:
        """Give the earlier elevations; see `volumetrics.base_surface.BaseMethod`."""
        nothing = np.zeros(samples.elevation_m.size)
        return BaseSurface(
            self.name,
            self.elevation_m,
            lambda load: nothing,
            offset_sigma_m=self.alignment_sigma_m,
            is_anchored=False,
            is_aligned=True,
            noise=self.noise,
        )


def measure_change(
    earlier: Grid,
    later: Grid,
    toe: Toe,
    alignment: Alignment,
    earlier_noise: DsmNoise,
    later_accuracy: Accuracy,
    min_coverage: float = MIN_COVERAGE,
) -> Change:
    """Measure what changed within a polygon.

    Parameters
    ----------
    earlier, later : Grid
        The surfaces around the polygon; the grids may differ.
    toe : Toe
        Everything that may have changed: the outline of both dates' piles.
    alignment : Alignment
        Of the later survey onto the earlier one, see `volumetrics.alignment.align`.
    earlier_noise : DsmNoise
    later_accuracy : Accuracy
        Its vertical sigma is not used: the alignment's takes its place.
    min_coverage : float
        Share of the area that both surveys must show.

    Returns
    -------
    Change

    Raises
    ------
    ToeError, CoverageError
        As in `volumetrics.volume.measure`.
    """
    earlier = earlier.containing(toe.polygon.bounds)
    x, y = np.meshgrid(earlier.x_m(), earlier.y_m())
    place = np.column_stack((x.ravel(), y.ravel())) + alignment.shift_m
    after = later.stencil(place).sample(later.elevation_m).reshape(x.shape)
    # Both must be seen: a hole in either is a hole of the change.
    aligned = earlier.with_elevation(
        np.where(np.isnan(earlier.elevation_m), np.nan, after - alignment.offset_m(x, y))
    )
    seen = np.isfinite(earlier.elevation_m)
    before = np.where(seen, earlier.elevation_m, float(np.nanmean(earlier.elevation_m)))
    both = DsmNoise(earlier_noise.components + later_accuracy.noise.components)
    centre = np.array(toe.polygon.centroid.coords[0])
    sigma_m = alignment.offset_sigma_m(centre)
    difference = aligned.with_elevation(aligned.elevation_m - before)
    level = _Earlier(np.zeros(x.shape), earlier_noise, sigma_m)
    volume = measure(difference, toe, level, later_accuracy, min_coverage)
    detection_m = 1.96 * both.sigma_m
    pile = footprint(difference, toe, min_coverage)
    height = np.where(pile.cell_areas_m2 > 0.0, pile.elevation_m, 0.0)
    counted = np.where(np.abs(height) > detection_m, height * pile.cell_areas_m2, 0.0)
    return Change(
        volume,
        detection_m,
        float(counted[counted > 0.0].sum()),
        float(-counted[counted < 0.0].sum()),
    )
