"""From the local frame to the Earth-centred one that globes are drawn in."""

from __future__ import annotations

import numpy as np
import pyproj
from numpy.typing import NDArray

from reconstruction.frame import LocalFrame

Array = NDArray[np.float64]


def ecef_transform(frame: LocalFrame, geoid_height_m: float) -> Array:
    """From the local frame to Earth-centred coordinates (EPSG:4978), rigid, shape (4, 4)."""
    to_ecef = pyproj.Transformer.from_crs(4979, 4978, always_xy=True)
    # A long base makes the rounding of 6,000 km coordinates irrelevant.
    base_m = 1000.0
    local = np.vstack((np.zeros(3), base_m * np.eye(3)))
    latitude, longitude, elevation = frame.to_geodetic(local)
    ecef = np.column_stack(to_ecef.transform(longitude, latitude, elevation))
    up = (ecef[3] - ecef[0]) / base_m
    transform = np.eye(4)
    transform[:3, :3] = ((ecef[1:] - ecef[0]) / base_m).T
    transform[:3, 3] = ecef[0] + up * geoid_height_m
    return transform
