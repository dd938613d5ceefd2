"""How the errors of a receiver hang together in time, as the positions of a flight tell.

A receiver without corrections is off by metres, but by nearly the same metres from one photo to the
next. Taken as independent, such errors make the scale look far worse known than it is, or far
better: it depends on how fast they change and how the flight goes to and fro. Photos tell their own
places to centimetres but for a similarity, so what is left between the two shows the errors.

They are modelled as a part that fades with time (Gauss and Markov) and a part that every photo has
for itself, beside a delay: cameras with a receiver of their own write where they were seconds
before. How long the memory is and how large the parts are is not decided: every model counts by
its restricted likelihood [1]_, which knows that a similarity and a delay were fitted, and the
covariance is the mean over all models.

References
----------
.. [1] H. D. Patterson, R. Thompson, "Recovery of inter-block information when block sizes are
   unequal", Biometrika 58(3), 1971.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Parts of the variance that every photo has for itself.
_SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
# Memories that may occur: from two photos to many flights, which is a random walk in one.
_MEMORIES = 8
_SHORTEST_STEPS, _LONGEST_FLIGHTS = 2.0, 50.0
# What is stated of the receiver counts like two residuals, or a flight of few would know too much.
_STATED_COUNT = 2.0
_LEAST_TAME = 3
_WILD = 4.0  # sigmas beyond which a position tells nothing of the others


@dataclass(frozen=True)
class _Model:
    """One way in which the errors may hang together, and what the flight thinks of it.

    Parameters
    ----------
    memory_s : float
        After which the correlation has fallen to 1/e.
    share : float
        Of the variance, without memory.
    variance : float
        Of the errors in units of what was stated, if this is the model.
    log_likelihood : float
    """

    memory_s: float
    share: float
    variance: float
    log_likelihood: float


def plan_covariance(
    errors_m: Array,
    centres_m: Array,
    velocities_m_s: Array,
    delay_sigma_s: float,
    seconds: Array,
    sigma_m: Array,
) -> Array:
    """Covariance of the errors of the positions in plan, the same to the east and to the north.

    Parameters
    ----------
    errors_m : ndarray, shape (k, 2)
        Places less measured positions; a similarity of the places and a delay may be amiss.
    centres_m, velocities_m_s : ndarray, shape (k, 2)
        Those places, and how fast the flight moved there.
    delay_sigma_s : float
        How well the delay was known beforehand, for errors as large as stated.
    seconds : ndarray, shape (k,)
        When they were taken.
    sigma_m : ndarray, shape (k,)
        Sigma of each position as stated.

    Returns
    -------
    ndarray, shape (k, k)
    """
    # As complex numbers, east and north of a similarity are one linear equation.
    scaled = errors_m @ [1.0, 1.0j] / sigma_m
    design = np.column_stack((centres_m @ [1.0, 1.0j], np.ones(len(scaled)))) / sigma_m[:, None]
    delayed = delay_sigma_s * (velocities_m_s @ [1.0, 1.0j]) / sigma_m
    tame = np.abs(scaled) < _WILD
    if tame.sum() < _LEAST_TAME:
        tame[:] = True
    equations = np.column_stack((design, delayed, scaled)).astype(np.complex128)
    models = [
        _weigh(equations[tame], faded, memory_s, share)
        for memory_s in _memories(seconds)
        for faded in [_faded(seconds[tame], memory_s)]
        for share in _SHARES
    ]
    likelihood = np.array([model.log_likelihood for model in models])
    chance = np.exp(likelihood - likelihood.max())
    chance /= chance.sum()
    total = np.zeros((len(seconds), len(seconds)))
    for model, weight in zip(models, chance, strict=True):
        if weight > 1e-4:
            faded = _faded(seconds, model.memory_s)
            total += weight * model.variance * _with_share(faded, model.share)
    # What is wild has an error of its own.
    total += np.diag(np.where(tame, 0.0, np.abs(scaled) ** 2))
    return total * np.outer(sigma_m, sigma_m)


def _memories(seconds: Array) -> Array:
    """Memories that are tried, in seconds."""
    steps = np.diff(np.sort(seconds))
    shortest = _SHORTEST_STEPS * np.median(steps[steps > 0.0])
    return np.geomspace(shortest, _LONGEST_FLIGHTS * np.ptp(seconds), _MEMORIES)


def _weigh(
    equations: NDArray[np.complex128], faded: Array, memory_s: float, share: float
) -> _Model:
    """A model with its restricted likelihood; the last columns are delay and errors."""
    root = np.linalg.cholesky(_with_share(faded, share))
    white = scipy.linalg.solve_triangular(root, equations, lower=True)
    size = np.asarray(np.linalg.qr(white, mode="r"))
    # What the similarity leaves of both. A delay is a real number, known to one beforehand.
    delayed, errors = size[2:, 2:].T
    delay_weight = 1.0 + np.linalg.norm(delayed) ** 2
    explained = np.vdot(delayed, errors).real ** 2 / delay_weight
    # Two real numbers for each complex one.
    freedom = 2.0 * (len(equations) - 2) + _STATED_COUNT
    squares = np.linalg.norm(errors) ** 2 - explained + _STATED_COUNT
    log_determinants = np.log(np.diagonal(root)).sum() + np.log(np.abs(np.diagonal(size)[:2])).sum()
    return _Model(
        memory_s,
        share,
        float(squares / (freedom - 2.0)),
        float(
            -2.0 * log_determinants - 0.5 * np.log(delay_weight) - 0.5 * freedom * np.log(squares)
        ),
    )


def _faded(seconds: Array, memory_s: float) -> Array:
    """Correlation of the part that fades."""
    return np.asarray(np.exp(-np.abs(seconds[:, None] - seconds) / memory_s))


def _with_share(faded: Array, share: float) -> Array:
    """Correlation of both parts together."""
    return (1.0 - share) * faded + share * np.eye(len(faded))
