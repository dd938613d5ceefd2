r"""The error budget of a volume: named terms that add up.

Each term is a variance in m⁶; together they are the variance of the volume. Most are squares of
a standard deviation. One is a covariance and may be negative: pile and toe are measured in the
same surface, and where its noise lifts both alike the volume does not change.

===================  ==============================================================================
term                 what it is, and where it comes from
===================  ==============================================================================
surface_noise        correlated noise of the DSM over the pile (Rolstad et al. 2009; Hugonnet et
                     al. 2022), see `volumetrics.noise`
base_noise           the same noise at the toe, through the fit of the base (GUM, 5.2.2)
shared_noise         covariance of the two (GUM, equation 13)
base_choice          what remains unknown of a base that no noise explains: a stated elevation's
                     sigma, which of the lowest points is the lowest
base_distance        coarse cells let the ground be seen only farther outside the toe than usual:
                     the base may be off by up to its rise over that distance
base_survey_noise    noise of the other survey, for a base that comes from one
vertical_bias        the whole surface too high or too low; cancels where the base comes from the
                     same surface (Rolstad et al. 2009, the fully correlated part)
tilt                 the whole surface leaning; cancels where the base leans with it (GUM, 5.1.2)
toe_position         the line was drawn here and not a little beside it: change of volume along
                     the normal of the line (Reynolds' transport theorem), errors correlated along
                     the line
scale                every length too long by the same factor, so a volume by three times that
holes                what may stand where the surface has holes
hidden_toe           ground along the toe that was not seen and is stood for by the nearest that
                     was, from the relief along the toe (Matheron 1963)
noise_rectification  fill and cut only: noise about the base adds to both, twice nothing to net
===================  ==============================================================================

References
----------
Matheron, G. (1963): see `volumetrics.ground_shape`.

JCGM 100:2008, Evaluation of measurement data: Guide to the expression of uncertainty in
measurement (GUM); its annex G.4 has the effective degrees of freedom (Welch-Satterthwaite).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class Term:
    """One line of a budget.

    Parameters
    ----------
    name : str
        As in the table of this module.
    variance_m6 : float
        Contribution to the variance; negative only for a covariance.
    effect_m3 : float
        For a term that all piles of a survey share: change of the volume for one standard
        deviation of the common cause, with its sign. 0 for the others.
    """

    name: str
    variance_m6: float
    effect_m3: float = 0.0

    @property
    def sigma_m3(self) -> float:
        """Signed root of the variance, for people."""
        return math.copysign(math.sqrt(abs(self.variance_m6)), self.variance_m6)


def independent(name: str, sigma_m3: float) -> Term:
    """A term that no other pile shares."""
    return Term(name, sigma_m3**2)


def shared(name: str, effect_m3: float) -> Term:
    """A term with a cause that all piles of a survey share."""
    return Term(name, effect_m3**2, effect_m3)


@dataclass(frozen=True)
class Budget:
    """The uncertainty of one volume.

    Parameters
    ----------
    terms : tuple of Term
    noise_dof : float
        Degrees of freedom of the estimated DSM noise; the other sigmas are stated ones.
    """

    terms: tuple[Term, ...]
    noise_dof: float = math.inf

    @property
    def sigma_m3(self) -> float:
        """Standard uncertainty: the root of the sum of all terms."""
        return math.sqrt(max(0.0, sum(term.variance_m6 for term in self.terms)))

    @property
    def coverage_factor(self) -> float:
        """Student's t for 95 % with the effective degrees of freedom (GUM G.4)."""
        noise = sum(term.variance_m6 for term in self.terms if term.name in _NOISE)
        if not math.isfinite(self.noise_dof) or noise <= 0.0:
            return NORMAL_95
        dof = self.sigma_m3**4 * self.noise_dof / noise**2
        return float(stats.t.ppf(0.975, max(dof, 1.0)))

    @property
    def u95_m3(self) -> float:
        """Half-width of the 95 % interval."""
        return self.coverage_factor * self.sigma_m3


# Where each term comes from, for reports.
REFERENCES = {
    "surface_noise": "Rolstad et al. 2009; Hugonnet et al. 2022",
    "base_noise": "JCGM 100:2008, 5.2.2",
    "shared_noise": "JCGM 100:2008, equation 13",
    "base_choice": "JCGM 100:2008, 4.3; Rasmussen and Williams 2006, 2.7, for extreme levels",
    "base_distance": "JCGM 100:2008, 4.3.7",
    "base_survey_noise": "Rolstad et al. 2009; Hugonnet et al. 2022",
    "vertical_bias": "Rolstad et al. 2009",
    "tilt": "JCGM 100:2008, 5.1.2",
    "toe_position": "Reynolds' transport theorem; JCGM 100:2008, 5.2.2",
    "scale": "JCGM 100:2008, 5.1.2",
    "holes": "JCGM 100:2008, 4.3.7",
    "hidden_toe": "Matheron 1963",
    "noise_rectification": "JCGM 100:2008, F.2.4.5",
}
_NOISE = frozenset({"surface_noise", "base_noise", "shared_noise"})
NORMAL_95 = float(stats.norm.ppf(0.975))


def total(budgets: Sequence[Budget], signs: Iterable[float] | None = None) -> Budget:
    """Budget of a sum of volumes.

    Parameters
    ----------
    budgets : sequence of Budget
        One a pile, all of one survey.
    signs : iterable of float, optional
        Factor of each volume in the sum, 1 when left out.

    Returns
    -------
    Budget
        Shared terms added linearly, all others in quadrature.
    """
    factors = [1.0] * len(budgets) if signs is None else list(signs)
    names = list(dict.fromkeys(term.name for budget in budgets for term in budget.terms))
    terms = []
    for name in names:
        found = [
            (factor, term)
            for factor, budget in zip(factors, budgets, strict=True)
            for term in budget.terms
            if term.name == name
        ]
        effect = sum(factor * term.effect_m3 for factor, term in found)
        own = sum(factor**2 * (term.variance_m6 - term.effect_m3**2) for factor, term in found)
        terms.append(Term(name, own + effect**2, effect))
    return Budget(tuple(terms), min((budget.noise_dof for budget in budgets), default=math.inf))
