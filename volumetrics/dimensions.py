r"""How well the area and the heights of a pile are known.

The area changes with the toe's line and with the scale. The mean height is the net volume by the
area, so what a moving line does to both partly cancels. The greatest height is one cell's, the
difference of that cell and the base below it; besides it was picked for being the greatest, and the
noise of n independent candidates lifts the greatest by about :math:`\sigma\sqrt{2\ln n}`.

References
----------
JCGM 100:2008 (GUM), 5.2.2 (correlated quantities), F.2.4.5 (effects that are not corrected for).

Cramér, H. (1946): Mathematical Methods of Statistics, section 28.6 (extremes of a sample).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from volumetrics.base_surface import BaseSurface
from volumetrics.budget import Accuracy
from volumetrics.footprint import Footprint
from volumetrics.grid import Array
from volumetrics.heights import HeightSums
from volumetrics.noise import DsmNoise
from volumetrics.toe_motion import ToeMotion
from volumetrics.uncertainty import NORMAL_95, Budget

_STATIONS = 200
# A cell lower than the greatest by more than this many sigma is no candidate for it.
_CANDIDATE_SIGMAS = 3.0


@dataclass(frozen=True)
class DimensionsU95:
    """Half-widths of the 95 % intervals of a pile's area and heights."""

    area_m2: float
    height_max_m: float
    height_mean_m: float


def dimensions_u95(
    pile: Footprint,
    base: BaseSurface,
    sums: HeightSums,
    net: Budget,
    motion: ToeMotion,
    accuracy: Accuracy,
) -> DimensionsU95:
    """Half-widths for a pile whose net volume has the budget ``net``."""
    area_m2 = float(pile.cell_areas_m2.sum())
    mean_m = (sums.fill_m3 - sums.cut_m3) / area_m2
    at_top = _top_load(base, sums)
    loads = base.toe_weights(sums.fill_load + sums.cut_load)
    gains = np.array(
        [
            motion.length_m,
            (motion.height_m * motion.length_m - motion.by_base(loads) - mean_m * motion.length_m)
            / area_m2,
            -motion.by_base(at_top),
        ]
    )
    area, mean, top = np.diag(motion.covariance(gains))
    scale = accuracy.scale_sigma
    # The line's motion and the scale change volume and area together.
    other = sum(t.variance_m6 for t in net.terms if t.name not in ("toe_position", "scale"))
    mean += other / area_m2**2 + (scale * mean_m) ** 2
    top += _top_noise(pile, base, sums, at_top, accuracy) + (scale * sums.height_max_m) ** 2
    return DimensionsU95(
        NORMAL_95 * math.sqrt(area + (2.0 * scale * area_m2) ** 2),
        NORMAL_95 * math.sqrt(max(top, 0.0)),
        net.coverage_factor * math.sqrt(max(mean, 0.0)),
    )


def _top_load(base: BaseSurface, sums: HeightSums) -> Array:
    """Shares (n,) of the toe samples in the base below the highest cell."""
    load = np.zeros(sums.fill_load.shape)
    load[sums.top] = 1.0
    return base.toe_weights(load)


def _top_noise(
    pile: Footprint, base: BaseSurface, sums: HeightSums, shares: Array, accuracy: Accuracy
) -> float:
    """Variance in m² of the greatest height by the noise of the surface and of the base."""
    noise, grid = accuracy.noise, pile.grid
    factor = 1.0 if grid.noise_factor is None else float(grid.noise_factor[sums.top])
    local_m = factor * noise.local().sigma_m
    variance = noise.sigma_m**2 + (factor**2 - 1.0) * noise.local().sigma_m ** 2
    if shares.any():
        variance += _toe_noise(pile, sums, shares, noise)
    variance += base.noise.sigma_m**2 + base.offset_sigma_m**2
    if base.keeps_bias:
        variance += accuracy.vertical_sigma_m**2
    level_m = sums.height_max_m - _CANDIDATE_SIGMAS * local_m
    near_m2 = pile.cell_areas_m2[pile.elevation_m - base.elevation_m > level_m].sum()
    independent_m2 = max(_mean_range_m(noise.local()) ** 2, grid.cell_area_m2)
    rough_m = math.hypot(local_m, base.noise.local().sigma_m)
    picked_m = rough_m * math.sqrt(2.0 * math.log(max(1.0, float(near_m2) / independent_m2)))
    return variance + picked_m**2


def _toe_noise(pile: Footprint, sums: HeightSums, shares: Array, noise: DsmNoise) -> float:
    """Variance of the base below the top, and its covariance with the top, in m²."""
    samples, grid = pile.samples, pile.grid
    group = np.arange(shares.size) * min(shares.size, _STATIONS) // shares.size
    count = np.bincount(group)
    place = np.column_stack([np.bincount(group, c) / count for c in samples.position_m.T])
    weight = np.bincount(group, shares)
    top = np.array([[grid.x_m()[sums.top[1]], grid.y_m()[sums.top[0]]]])
    own = weight @ noise.covariance(cdist(place, place)) @ weight
    return float(own - 2.0 * weight @ noise.covariance(cdist(place, top))[:, 0])


def _mean_range_m(noise: DsmNoise) -> float:
    weights = [part.sigma_m**2 for part in noise.components]
    ranges = [part.range_m for part in noise.components]
    return float(np.average(ranges, weights=weights)) if sum(weights) > 0.0 else 0.0
