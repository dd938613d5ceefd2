"""How far the base methods disagree about one pile."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from volumetrics.base_surface import BaseMethod, Plane
from volumetrics.errors import BaseError
from volumetrics.extreme_base import Extreme
from volumetrics.flexible_base import Smooth, Triangulated
from volumetrics.footprint import Footprint
from volumetrics.level_base import Average
from volumetrics.noise import DsmNoise

# Those that aim at the ground itself, and those that bound it by definition.
CENTRAL: tuple[BaseMethod, ...] = (Plane(), Triangulated(), Smooth(), Average())
BOUNDS: tuple[BaseMethod, ...] = (Extreme(is_lowest=True), Extreme(is_lowest=False))


def net_by_method(pile: Footprint, noise: DsmNoise) -> dict[str, float]:
    """Net volume in m³ with every base that the toe determines, by the method's name.

    Parameters
    ----------
    pile : Footprint
    noise : DsmNoise
        Of the surface.

    Returns
    -------
    dict of str to float
    """
    inside = pile.cell_areas_m2 > 0.0
    areas, elevation = pile.cell_areas_m2[inside], pile.elevation_m[inside]
    nets = {}
    for method in (*CENTRAL, *BOUNDS):
        try:
            base = method.fit(pile.grid, pile.samples, noise)
        except BaseError:
            continue
        nets[method.name] = float(np.dot(areas, elevation - base.elevation_m[inside]))
    return nets


def spread_m3(nets: Mapping[str, float]) -> float:
    """Difference of the largest and the smallest net volume of the methods that seek the ground.

    The lowest and the highest base bound it by definition and are left out: on sloping ground they
    always differ.
    """
    central = [nets[method.name] for method in CENTRAL if method.name in nets]
    return max(central) - min(central) if central else 0.0
