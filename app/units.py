"""Units of a site: the database has cubic metres and tonnes, people may read others."""

from __future__ import annotations

from dataclasses import dataclass

from app.models import Site

# The international yard is 0.9144 m, the pound 0.45359237 kg, a short ton 2,000 of them.
_YD3 = 1.0 / 0.9144**3
_SHORT_TON = 1.0 / (2000.0 * 0.45359237e-3)


@dataclass(frozen=True)
class Units:
    """How a site reads volumes, masses and money.

    Parameters
    ----------
    volume, mass, currency : str
        Symbols.
    per_m3, per_t : float
        Units in a cubic metre and in a tonne.
    """

    volume: str
    mass: str
    currency: str
    per_m3: float
    per_t: float

    @classmethod
    def of(cls, site: Site) -> Units:
        """Units that a site has chosen."""
        is_metric_volume, is_metric_mass = site.volume_unit == "m3", site.mass_unit == "t"
        return cls(
            "m³" if is_metric_volume else "yd³",
            "t" if is_metric_mass else "short tons",
            site.currency,
            1.0 if is_metric_volume else _YD3,
            1.0 if is_metric_mass else _SHORT_TON,
        )
