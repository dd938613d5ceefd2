"""A Monday morning, simulated: many sites upload within an hour, a few dozen workers compute.

Times of stages are CPU-seconds that were measured; a worker does what does not split on the few
cores that such stages had use for, and shards on all of its own. The queueing policy is the
application's: shards of surveys that were begun come before surveys that wait, the oldest first,
and the worker of a survey computes the shards that nobody else takes.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count

# Stages whose shards others take; see `Run.spread` in `reconstruction/stage.py`.
SPREAD = ("features", "matches", "dense", "orthomosaic", "model")


@dataclass(frozen=True)
class Fleet:
    """The cluster.

    Parameters
    ----------
    workers, cores : int
        Workers, and the cores of each.
    busy : float
        Cores that a stage keeps busy that does not spread, as measured on two: on more it may be
        faster.
    """

    workers: int = 50
    cores: int = 16
    busy: float = 1.5


@dataclass
class _Survey:
    arrived_s: float
    stages: deque[tuple[str, float]]
    batches: int
    open_batches: int = 0
    waits_for: bool = False
    ended_s: float = 0.0


@dataclass
class _Cluster:
    fleet: Fleet
    now_s: float = 0.0
    idle: int = 0
    waiting: deque[_Survey] = field(default_factory=deque)
    shards: deque[tuple[_Survey, float]] = field(default_factory=deque)
    events: list[tuple[float, int, str, _Survey]] = field(default_factory=list)
    number: count[int] = field(default_factory=count)

    def later(self, seconds: float, what: str, survey: _Survey) -> None:
        """Note what happens then."""
        heapq.heappush(self.events, (self.now_s + seconds, next(self.number), what, survey))

    def assign(self) -> None:
        """Give idle workers work: shards first, then the survey that waits longest."""
        while self.idle and (self.shards or self.waiting):
            self.idle -= 1
            if self.shards:
                survey, seconds = self.shards.popleft()
                self.later(seconds, "batch elsewhere", survey)
            else:
                self.go_on(self.waiting.popleft())

    def go_on(self, survey: _Survey) -> None:
        """The survey's worker begins its next stage, or is free."""
        if not survey.stages:
            survey.ended_s, self.idle = self.now_s, self.idle + 1
            return
        name, cpu_s = survey.stages.popleft()
        if name not in SPREAD:
            self.later(cpu_s / self.fleet.busy, "stage", survey)
            return
        survey.open_batches = survey.batches
        seconds = cpu_s / survey.batches / self.fleet.cores
        self.shards.extend([(survey, seconds)] * (survey.batches - 1))
        self.later(seconds, "batch here", survey)

    def take_back(self, survey: _Survey) -> None:
        """The survey's worker computes a batch that nobody took, or waits for the others."""
        if survey.open_batches == 0:
            self.go_on(survey)
            return
        own = next(
            (i for i in reversed(range(len(self.shards))) if self.shards[i][0] is survey), None
        )
        if own is None:
            survey.waits_for = True
            return
        seconds = self.shards[own][1]
        del self.shards[own]
        self.later(seconds, "batch here", survey)

    def happen(self, what: str, survey: _Survey) -> None:
        """Do what was noted."""
        if what == "arrival":
            self.waiting.append(survey)
        elif what == "stage":
            self.go_on(survey)
        else:
            survey.open_batches -= 1
            if what == "batch here":
                self.take_back(survey)
            else:
                self.idle += 1
                if survey.waits_for and survey.open_batches == 0:
                    survey.waits_for = False
                    self.go_on(survey)
        self.assign()


def hours_of_sites(
    stages_cpu_s: dict[str, float], photos: int, fleet: Fleet, sites: int, within_s: float
) -> list[float]:
    """Hours from its arrival until each survey is done, for sites that arrive evenly.

    Parameters
    ----------
    stages_cpu_s : dict
        CPU-seconds of each stage of one survey, in their order.
    photos : int
        Of one survey: a batch is of as many as a worker has cores.
    fleet : Fleet
    sites : int
    within_s : float
        Seconds in which all arrive.
    """
    cluster = _Cluster(fleet, idle=fleet.workers)
    surveys = []
    for site in range(sites):
        at = within_s * (site + 0.5) / sites
        survey = _Survey(at, deque(stages_cpu_s.items()), -(-photos // fleet.cores))
        surveys.append(survey)
        cluster.later(at, "arrival", survey)
    while cluster.events:
        cluster.now_s, _, what, survey = heapq.heappop(cluster.events)
        cluster.happen(what, survey)
    return [(survey.ended_s - survey.arrived_s) / 3600.0 for survey in surveys]
