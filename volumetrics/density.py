r"""Tonnes: a volume times the density of the material as it lies, with and without its water.

Moisture is the mass of water by the mass of dry material (EN 1097-5), so that

.. math:: m_{wet} = V \rho, \quad m_{dry} = V \rho / (1 + w)

and the relative variances of volume, density and (1 + w) add (GUM, 5.1.6). Piles of the same
material have their density from the same test: in a site's total its error adds linearly (GUM,
5.2.2).

References
----------
EN 1097-5:2008, Tests for mechanical and physical properties of aggregates: Determination of the
water content by drying in a ventilated oven.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from volumetrics.errors import InputError
from volumetrics.uncertainty import NORMAL_95, Budget, total

# From light foam glass to iron ore.
_POSSIBLE_DENSITY_T_M3 = (0.05, 6.0)


@dataclass(frozen=True)
class Material:
    """Bulk density and moisture of a pile, 1 sigma each.

    Parameters
    ----------
    density_t_m3, density_sigma_t_m3 : float
        As it lies, with its water.
    moisture, moisture_sigma : float
        Water by dry mass, 0.05 is 5 %.

    Raises
    ------
    InputError
        When a value is impossible, e.g. a density in kilograms.
    """

    density_t_m3: float
    density_sigma_t_m3: float = 0.0
    moisture: float = 0.0
    moisture_sigma: float = 0.0

    def __post_init__(self) -> None:
        low, high = _POSSIBLE_DENSITY_T_M3
        if not low <= self.density_t_m3 <= high:
            raise InputError(
                f"A density of {self.density_t_m3:g} t/m³ is impossible.",
                f"Give it in tonnes per cubic metre, between {low:g} and {high:g}.",
            )
        if not 0.0 <= self.moisture < 1.0:
            raise InputError(
                f"A moisture of {self.moisture:g} is impossible.",
                "Give the share of the dry mass, e.g. 0.05 for 5 %.",
            )
        for sigma in (self.density_sigma_t_m3, self.moisture_sigma):
            if not (math.isfinite(sigma) and sigma >= 0.0):
                raise InputError(f"A sigma of {sigma} is impossible.", "Give at least 0.")


@dataclass(frozen=True)
class Tonnes:
    """Mass of a pile with the half-widths of the 95 % intervals."""

    wet_t: float
    wet_u95_t: float
    dry_t: float
    dry_u95_t: float


def tonnes(volume_m3: float, volume_u95_m3: float, material: Material) -> Tonnes:
    """Mass of a volume.

    Parameters
    ----------
    volume_m3, volume_u95_m3 : float
        Usually the net volume of a pile.
    material : Material

    Returns
    -------
    Tonnes
    """
    density = material.density_t_m3
    wet = volume_m3 * density
    by_volume = volume_u95_m3 * density
    by_density = NORMAL_95 * volume_m3 * material.density_sigma_t_m3
    dried = 1.0 + material.moisture
    by_moisture = NORMAL_95 * wet / dried * material.moisture_sigma
    return Tonnes(
        wet,
        math.hypot(by_volume, by_density),
        wet / dried,
        math.hypot(by_volume, by_density, by_moisture) / dried,
    )


def total_tonnes(piles: Sequence[tuple[float, Budget, Material]]) -> Tonnes:
    """Mass of several piles together.

    Parameters
    ----------
    piles : sequence of (volume in m³, its budget, material)
        Piles with equal materials share the errors of density and moisture.

    Returns
    -------
    Tonnes
    """
    budgets = [budget for _, budget, _ in piles]
    densities = [material.density_t_m3 for _, _, material in piles]
    dry_densities = [m.density_t_m3 / (1.0 + m.moisture) for _, _, m in piles]
    wet_t = sum(volume * rho for (volume, _, _), rho in zip(piles, densities, strict=True))
    dry_t = sum(volume * rho for (volume, _, _), rho in zip(piles, dry_densities, strict=True))
    wet_u95_t = [total(budgets, densities).u95_m3]
    dry_u95_t = [total(budgets, dry_densities).u95_m3]
    for one in {material for _, _, material in piles}:
        alike_m3 = sum(volume for volume, _, material in piles if material == one)
        dried = 1.0 + one.moisture
        by_density = NORMAL_95 * alike_m3 * one.density_sigma_t_m3
        by_moisture = NORMAL_95 * alike_m3 * one.density_t_m3 / dried**2 * one.moisture_sigma
        wet_u95_t.append(by_density)
        dry_u95_t += [by_density / dried, by_moisture]
    return Tonnes(wet_t, math.hypot(*wet_u95_t), dry_t, math.hypot(*dry_u95_t))


def material_of(properties: Mapping[str, Any]) -> Material | None:
    """The material that a feature's properties state, by the names of `Material`'s fields.

    Raises
    ------
    InputError
        When a value is not a number or impossible.
    """
    if properties.get("density_t_m3") is None:
        return None
    names = ("density_t_m3", "density_sigma_t_m3", "moisture", "moisture_sigma")
    values = {name: properties[name] for name in names if properties.get(name) is not None}
    for name, value in values.items():
        if not isinstance(value, int | float):
            raise InputError(f"{name} = {value!r} is not a number.", "Write it without a unit.")
    return Material(**values)
