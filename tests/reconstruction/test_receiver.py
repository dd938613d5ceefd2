"""What a flight tells of its receiver's errors makes the interval of its scale hold."""

import numpy as np
import pytest
from scipy.linalg import cholesky, solve_triangular
from threadpoolctl import threadpool_limits

from reconstruction.receiver import plan_covariance

STATED_M = 3.0
DELAY_S = 2.0
_FLIGHTS = 60


@pytest.fixture(autouse=True)
def one_thread():
    """Threads of BLAS wait for each other longer than they work on matrices this small."""
    with threadpool_limits(1, user_api="blas"):
        yield


def strips(lines: int, photos: int) -> tuple[np.ndarray, np.ndarray]:
    """Places (k, 2) of a flight to and fro, and their times in seconds."""
    places, times, now = [], [], 0.0
    for line in range(lines):
        along = np.linspace(-35.0, 35.0, photos) * (1 if line % 2 else -1)
        places.append(np.column_stack((along, np.full(photos, 20.0 * line))))
        times.append(now + np.arange(photos) * 2.0)
        now = times[-1][-1] + 8.0
    return np.concatenate(places) - [0.0, 10.0 * (lines - 1)], np.concatenate(times)


def fading(rng, seconds, memory_s):
    errors = rng.normal(size=(len(seconds), 2))
    for index, kept in enumerate(np.exp(-np.diff(seconds) / memory_s), start=1):
        errors[index] = kept * errors[index - 1] + np.sqrt(1.0 - kept**2) * errors[index]
    return errors


def jumping(rng, seconds):
    errors = 0.3 * rng.normal(size=(len(seconds), 2))
    errors[rng.integers(1, len(seconds)) :] += 3.0 * rng.normal(size=2)
    return errors


def wild(rng, seconds):
    errors = 1.5 * fading(rng, seconds, 300.0)
    errors[rng.choice(len(seconds), 2, replace=False)] += 30.0
    return errors


def drifting(rng, seconds):
    share = (seconds - seconds.mean()) / np.ptp(seconds)
    return np.outer(share, 3.0 * rng.normal(size=2)) + 0.3 * rng.normal(size=(len(seconds), 2))


def late(rng, seconds):
    places, _ = strips(4, 7)
    way = rng.uniform(0.5, 2.0) * speeds(places, seconds)
    return way + 1.5 * fading(rng, seconds, 300.0)


RECEIVERS = {
    "independent": lambda rng, seconds: 1.5 * rng.normal(size=(len(seconds), 2)),
    "30 s": lambda rng, seconds: 1.5 * fading(rng, seconds, 30.0),
    "300 s": lambda rng, seconds: 1.5 * fading(rng, seconds, 300.0),
    "1800 s": lambda rng, seconds: 1.5 * fading(rng, seconds, 1800.0),
    "walk": lambda rng, seconds: np.cumsum(0.15 * rng.normal(size=(len(seconds), 2)), axis=0),
    "drift": drifting,
    "jump": jumping,
    "wild": wild,
    "late": late,
}


def speeds(places, seconds) -> np.ndarray:
    """On the way to each place; the first counts as flown like the second."""
    legs = np.diff(places, axis=0) / np.maximum(np.diff(seconds), 1.0)[:, None]
    return np.concatenate((legs[:1], legs))


def scale(errors, places, seconds) -> tuple[float, float]:
    """Error and sigma of the scale, as the adjustment's robust weights give them."""
    velocities = speeds(places, seconds)
    covariance = plan_covariance(
        errors, places, velocities, DELAY_S, seconds, np.full(len(seconds), STATED_M)
    )
    share = (seconds - seconds.mean()) / np.ptp(seconds)
    design = np.column_stack((places @ [1.0, 1.0j], np.ones(len(share)), share))
    design = np.column_stack((design, 1.0j * design, velocities @ [1.0, 1.0j]))
    root = cholesky(covariance, lower=True)
    rows, seen = (
        solve_triangular(root, value, lower=True) for value in (design, errors @ [1.0, 1.0j])
    )
    weight = np.ones(len(share))
    loose = 1.0 / STATED_M**2
    prior = np.diag([0.0, loose, loose, 0.0, loose, loose, 1.0 / DELAY_S**2])
    for _ in range(8):
        inverse = np.linalg.inv(((rows.conj().T * weight) @ rows).real + prior)
        found = inverse @ ((rows.conj().T * weight) @ seen).real
        weight = 1.0 / (1.0 + np.abs(seen - rows @ found) ** 2 / 2.5**2)
    return float(found[0]), float(np.sqrt(inverse[0, 0]))


@pytest.mark.parametrize("receiver", RECEIVERS)
def test_intervals_of_the_scale_hold_whatever_the_receiver(receiver):
    places, seconds = strips(4, 7)
    rng = np.random.default_rng(4)
    found = np.array(
        [scale(RECEIVERS[receiver](rng, seconds), places, seconds) for _ in range(_FLIGHTS)]
    )
    # 95 %, less what so many flights can miss it by; with nine receivers two sigmas are common.
    least = 0.95 - 3.0 * np.sqrt(0.95 * 0.05 / _FLIGHTS)
    assert np.mean(np.abs(found[:, 0]) < 1.96 * found[:, 1]) > least
    # Nor are they wide for safety's sake: drift is part of the model, what is broken costs more.
    wide = 3.0 if receiver in ("drift", "jump", "wild") else 1.6
    assert np.median(found[:, 1]) < wide * np.sqrt(np.mean(found[:, 0] ** 2))


def test_errors_that_hang_together_leave_the_scale_better_known():
    places, seconds = strips(6, 8)
    rng = np.random.default_rng(2)
    sigmas = {
        name: np.median(
            [scale(RECEIVERS[name](rng, seconds), places, seconds)[1] for _ in range(10)]
        )
        for name in ("independent", "30 s", "300 s", "1800 s")
    }
    assert 0.006 < sigmas["independent"] < 0.012
    assert sigmas["1800 s"] < sigmas["300 s"] < sigmas["30 s"]
    assert sigmas["300 s"] < 0.5 * sigmas["independent"]


def test_a_strip_alone_does_not_tell_a_drift_from_the_scale():
    places, seconds = strips(1, 15)
    rng = np.random.default_rng(3)
    _, sigma = scale(RECEIVERS["1800 s"](rng, seconds), places, seconds)
    assert sigma > 0.5 * STATED_M / 70.0


@pytest.mark.parametrize(
    ("photos", "step_s", "wild_m"), [(7, 6.0, 0.0), (1, 1.0, 0.0), (1, 1.0, 50.0)]
)
def test_photos_of_one_moment_and_few_wild_ones_are_no_fault(photos, step_s, wild_m):
    places, seconds = strips(4, photos)
    errors = RECEIVERS["300 s"](np.random.default_rng(1), seconds)
    errors[:2] += wild_m
    covariance = plan_covariance(
        errors,
        places,
        speeds(places, seconds),
        DELAY_S,
        seconds // step_s,
        np.full(len(seconds), STATED_M),
    )
    assert np.linalg.eigvalsh(covariance).min() > 0.0
