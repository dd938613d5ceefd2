"""A number with its 95 % interval, and the sums of such numbers that an inventory needs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

# Half-width of a 95 % interval in standard deviations of a normal distribution.
NORMAL_95 = 1.959963984540054
_MOST_DIGITS = 2


@dataclass(frozen=True)
class Amount:
    """A value and the half-width of its 95 % interval, in the same unit.

    Examples
    --------
    >>> Amount(100.0, 3.0) * 2.0
    Amount(value=200.0, u95=6.0)
    >>> Amount(100.0, 3.0).is_beyond
    True
    """

    value: float
    u95: float

    def __mul__(self, factor: float) -> Amount:
        return Amount(self.value * factor, self.u95 * abs(factor))

    def __sub__(self, other: Amount) -> Amount:
        """Difference of two amounts with errors of their own."""
        return Amount(self.value - other.value, math.hypot(self.u95, other.u95))

    @property
    def is_beyond(self) -> bool:
        """Whether it differs from zero by more than chance explains."""
        return abs(self.value) > self.u95

    @property
    def digits(self) -> int:
        """Decimals that are worth showing: two significant digits of the interval, at most two.

        Examples
        --------
        >>> [Amount(806.4, u95).digits for u95 in (0.0, 0.031, 0.9, 0.996, 5.7, 43.0)]
        [2, 2, 2, 1, 1, 0]
        """
        if self.u95 <= 0.0:
            return _MOST_DIGITS
        # Rounded first: 0.996 is shown as 1.0.
        shown = float(f"{self.u95:.1e}")
        return min(max(1 - math.floor(math.log10(shown)), 0), _MOST_DIGITS)

    @property
    def share(self) -> float:
        """Half-width as a share of the value; infinite where the value is 0."""
        return self.u95 / abs(self.value) if self.value else math.inf

    def by(self, factor: float, factor_sigma: float) -> Amount:
        """Product with a number that is uncertain itself.

        Examples
        --------
        >>> Amount(1000.0, 0.0).by(1.6, 0.05)
        Amount(value=1600.0, u95=97.998)
        """
        by_factor = NORMAL_95 * self.value * factor_sigma
        return Amount(self.value * factor, math.hypot(self.u95 * factor, by_factor))


@dataclass(frozen=True)
class Part:
    """The volume of one pile as its survey knows it; see `app.models.Measurement`."""

    net_m3: float
    own_sigma_m3: float
    scale_effect_m3: float
    bias_effect_m3: float

    @property
    def amount(self) -> Amount:
        """The volume with its interval."""
        return total([self])


def total(parts: Iterable[Part]) -> Amount:
    """Sum over piles of one survey: what they share adds up, the rest in quadrature.

    Examples
    --------
    >>> apart, shared = Part(100.0, 1.0, 0.0, 0.0), Part(100.0, 0.0, 1.0, 0.0)
    >>> round(total([apart] * 4).u95, 2), round(total([shared] * 4).u95, 2)
    (3.92, 7.84)
    """
    return weighted((part, 1.0, 0.0) for part in parts)


def weighted(parts: Iterable[tuple[Part, float, float]]) -> Amount:
    """Sum of volumes times factors, such as tonnes.

    Parameters
    ----------
    parts : iterable of (Part, factor, sigma of the factor)
        All sigmas belong to one cause: the density of one material, shared by all its piles.
    """
    value = own = scale = bias = cause = 0.0
    for part, factor, factor_sigma in parts:
        value += part.net_m3 * factor
        own += (part.own_sigma_m3 * factor) ** 2
        scale += part.scale_effect_m3 * factor
        bias += part.bias_effect_m3 * factor
        cause += part.net_m3 * factor_sigma
    return Amount(value, NORMAL_95 * math.sqrt(own + scale**2 + bias**2 + cause**2))
