r"""What a survey's accuracy means for a pile: one that everybody can picture.

The pile is a cone on level ground, measured above a plane through its own toe. Its volume is the
mean height of the disc less that of the ring around it, times the area; so the noise of the
surface counts by three mean covariances,

.. math:: \sigma^2 = A^2 (C_{dd} - 2 C_{dr} + C_{rr}),

between two places of the disc, one of the disc and one of the ring, and two of the ring. The
distances of such pairs have densities in closed form.

References
----------
.. [1] A. M. Mathai, "An Introduction to Geometrical Probability", 1999, section 2.3 (distances in
   a disc).
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXAMPLE_M3 = 1000.0
# Gravel and crushed stone rest at about this angle.
REPOSE_DEG = 35.0
U95_PER_SIGMA = 1.959964
_STEPS = 20_000


def cone_radius_m(volume_m3: float = EXAMPLE_M3) -> float:
    """Radius of the toe of a cone at the angle of repose."""
    return (3.0 * volume_m3 / (math.pi * math.tan(math.radians(REPOSE_DEG)))) ** (1.0 / 3.0)


def noise_sigma_m3(components: Iterable[tuple[float, float]], radius_m: float) -> float:
    """Standard deviation of the volume over a disc that the noise of a surface makes.

    Parameters
    ----------
    components : iterable of (float, float)
        Standard deviation and range of each part of the noise (spherical model), metres.
    radius_m : float

    Returns
    -------
    float
        Cubic metres.
    """
    variance = sum(sigma_m**2 * _share(range_m, radius_m) for sigma_m, range_m in components)
    return math.pi * radius_m**2 * math.sqrt(variance)


def _share(range_m: float, radius_m: float) -> float:
    """Variance of the mean of the disc less that of the ring, for noise of variance 1."""
    # Distances are 2 R sin(angle), where all densities are smooth; steps are finest at short
    # distances, because the correlation is.
    u = (np.arange(_STEPS) + 0.5) / _STEPS
    angle = 0.5 * math.pi * u**2
    step = math.pi * u / _STEPS
    part, cosine = np.sin(angle), np.cos(angle)
    arc = 0.5 * math.pi - angle
    in_disc = 16.0 / math.pi * part * (arc - part * cosine) * cosine
    disc_to_ring = 8.0 / math.pi * part * arc * cosine
    in_ring = 2.0 / math.pi
    # The densities cancel for noise that all share, so the variogram gives the same sum without
    # the rounding.
    difference = _variogram(2.0 * radius_m * part / range_m)
    return float(np.sum(difference * (2.0 * disc_to_ring - in_disc - in_ring) * step))


def _variogram(relative: Array) -> Array:
    inside = np.minimum(relative, 1.0)
    return np.asarray(1.5 * inside - 0.5 * inside**3)
