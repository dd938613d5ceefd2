"""Units of a site: rows, API and libraries are in SI, people may read others.

Converted here alone; the browser has the factors from the API.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.models import Site

# The international foot, yard and inch, the pound of 0.45359237 kg, a short ton of 2,000 of them.
_PER_M = {"m": 1.0, "ft": 1.0 / 0.3048, "cm": 100.0, "in": 1.0 / 0.0254}
_PER_M3 = {"m³": 1.0, "yd³": 1.0 / 0.9144**3}
_PER_T = {"t": 1.0, "short tons": 1.0 / (2000.0 * 0.45359237e-3)}
_PER_M2 = {"ha": 1e-4, "acres": 1.0 / (43_560.0 * 0.3048**2)}
_SMALL, _LAND = {"m": "cm", "ft": "in"}, {"m": "ha", "ft": "acres"}
_IN_SENTENCE = re.compile(r"(\d+(?:,\d{3})*(?:\.\d+)?) (m³|m²|m|cm)(?!\w)")


@dataclass(frozen=True)
class Units:
    """How a site reads volumes, masses, money and lengths; who counts cubic yards reads feet.

    Parameters
    ----------
    volume, mass, currency, length : str
        Symbols. `length` is of heights, distances and elevations.
    """

    volume: str
    mass: str
    currency: str
    length: str

    @classmethod
    def of(cls, site: Site) -> Units:
        """Units that a site has chosen."""
        is_metric = site.volume_unit == "m3"
        return cls(
            "m³" if is_metric else "yd³",
            "t" if site.mass_unit == "t" else "short tons",
            site.currency,
            "m" if is_metric else "ft",
        )

    @property
    def area(self) -> str:
        """Symbol of areas."""
        return f"{self.length}²"

    @property
    def small(self) -> str:
        """Symbol of lengths that are told in centimetres or inches."""
        return _SMALL[self.length]

    @property
    def land(self) -> str:
        """Symbol of areas that are larger than any pile."""
        return _LAND[self.length]

    @property
    def per_m3(self) -> float:
        """Units of volume in a cubic metre."""
        return _PER_M3[self.volume]

    @property
    def per_t(self) -> float:
        """Units of mass in a tonne."""
        return _PER_T[self.mass]

    @property
    def per_m(self) -> float:
        """Units of length in a metre."""
        return _PER_M[self.length]

    @property
    def per_m2(self) -> float:
        """Units of area in a square metre."""
        return self.per_m**2

    @property
    def small_per_m(self) -> float:
        """Units of small lengths in a metre."""
        return _PER_M[self.small]

    @property
    def land_per_m2(self) -> float:
        """Units of large areas in a square metre."""
        return _PER_M2[self.land]

    def sentence(self, words: str) -> str:
        """A sentence of a library, which speaks SI, with its numbers in these units.

        Examples
        --------
        >>> Units("yd³", "t", "USD", "ft").sentence("it may hold ±10.0 m³; it is 2.5 m high")
        'it may hold ±13.1 yd³; it is 8.2 ft high'
        """
        symbols = {
            "m³": (self.volume, self.per_m3),
            "m²": (self.area, self.per_m2),
            "m": (self.length, self.per_m),
            "cm": (self.small, self.small_per_m / 100.0),
        }

        def read(found: re.Match[str]) -> str:
            number, (symbol, factor) = found[1], symbols[found[2]]
            digits, value = len(number.partition(".")[2]), float(number.replace(",", "")) * factor
            return f"{value:{',' if ',' in number else ''}.{digits}f} {symbol}"

        return _IN_SENTENCE.sub(read, words)
