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
        return cls.named(
            "m³" if site.volume_unit == "m3" else "yd³",
            "t" if site.mass_unit == "t" else "short tons",
            site.currency,
        )

    @classmethod
    def named(cls, volume: str, mass: str, currency: str) -> Units:
        """Units by their symbols."""
        per_m3, per_t = {"m³": 1.0, "yd³": _YD3}, {"t": 1.0, "short tons": _SHORT_TON}
        return cls(volume, mass, currency, per_m3[volume], per_t[mass])
