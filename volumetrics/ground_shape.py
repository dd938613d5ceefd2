r"""How far the ground under a pile may differ from its base.

A base is a convention; the interval of a volume says how well that convention was measured. Ground
that undulates along the toe undulates under the pile as well, and no base knows how. This module
tells how much volume that may be, beside the interval and not within it.

The toe's departures from a plane, beyond the noise of the surface, are taken as a draw of a random
ground with the variogram they show. The base is a linear function of the toe, so the hidden volume
between ground and base has the variance :math:`\lambda^T C \lambda`, with :math:`\lambda` the
pile's cell areas less the base's shares of the toe (kriging's estimation variance).

References
----------
Matheron, G. (1963): Principles of geostatistics. Economic Geology 58(8), 1246-1266.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.spatial.distance import pdist

from volumetrics.base_surface import fit_toe_plane, thin
from volumetrics.errors import BaseError
from volumetrics.noise import PERFECT, DsmNoise
from volumetrics.toe import ToeSamples
from volumetrics.variogram import fit_components

_MAX_SAMPLES = 200
_LAG_CLASSES = 12
_MIN_DOF = 4.0
# A departure beyond this many spreads is an object or a neighbour at the toe, not ground.
_OUTLIER_SIGMAS = 4.7


# The hidden stretches of a toe and the hidden ground below a pile ask for the same.
@lru_cache(maxsize=2)
def ground_relief(samples: ToeSamples, noise: DsmNoise) -> DsmNoise:
    """Variogram components of the ground's departures from a plane, less the surface's noise.

    Parameters
    ----------
    samples : ToeSamples
    noise : DsmNoise
        Of the surface that the samples come from.

    Returns
    -------
    DsmNoise
        With the degrees of freedom that so short a line has. No components where the toe shows no
        more than noise, or does not determine a plane.
    """
    try:
        plane = fit_toe_plane(samples)
    except BaseError:
        return PERFECT
    position, elevation, _ = thin(samples, _MAX_SAMPLES)
    residual = elevation - plane.at(position)
    spread = max(1.4826 * float(np.median(np.abs(residual))), 1e-6)
    is_ground = np.abs(residual) < _OUTLIER_SIGMAS * spread
    position, residual = position[is_ground], residual[is_ground]
    distance = pdist(position)
    half_square = 0.5 * pdist(residual[:, None], "sqeuclidean")
    edges = np.linspace(0.0, 0.6 * float(distance.max()), _LAG_CLASSES + 1)
    number = np.digitize(distance, edges) - 1
    near = number < _LAG_CLASSES
    pairs = np.bincount(number[near], minlength=_LAG_CLASSES)
    filled = pairs > 0
    lag = np.bincount(number[near], distance[near], _LAG_CLASSES)[filled] / pairs[filled]
    semivariance = np.bincount(number[near], half_square[near], _LAG_CLASSES)[filled]
    seen = semivariance / pairs[filled] - (noise.sigma_m**2 - noise.covariance(lag))
    components = fit_components(lag, seen, float(lag[0]))
    length_m = float(np.hypot(*np.diff(position, axis=0).T).sum())
    longest_m = max((part.range_m for part in components), default=length_m)
    # Stretches of one range are as many observations; the plane takes three of them.
    dof = max(_MIN_DOF, length_m / longest_m - 3.0)
    return DsmNoise(components, dof, "departures of the toe")
