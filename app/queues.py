"""The queues: short work that somebody waits for, and surveys by the memory that they need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rq import Queue

from app.extensions import redis

SHORT = "short"
SURVEY = "survey"
LARGE = "survey-large"
ALL = (SHORT, SURVEY, LARGE)

# Memory grows with the pixels of a photo, not with their number: see `bench` for the measurement.
_LARGE_PHOTOS = 600
_DAY_S = 24 * 3600


@dataclass(frozen=True)
class Depth:
    """How much waits in a queue."""

    name: str
    waiting: int


def survey_queue(photo_count: int) -> str:
    """Queue for a survey of so many photos."""
    return LARGE if photo_count > _LARGE_PHOTOS else SURVEY


def enqueue(queue: str, function: str, *arguments: Any, job_id: str | None = None) -> None:
    """Put work into a queue by the dotted name of its function: the web knows no more of it.

    With a job id it is put there once: again only when it is neither waiting nor being done.
    """
    found = Queue(queue, connection=redis())
    if job_id is not None and _is_alive(found, job_id):
        return
    found.enqueue_call(
        function, arguments, timeout=_DAY_S, result_ttl=60, failure_ttl=_DAY_S, job_id=job_id
    )


def depths() -> list[Depth]:
    """How much waits in each queue."""
    return [Depth(name, Queue(name, connection=redis()).count) for name in ALL]


def _is_alive(queue: Queue, job_id: str) -> bool:
    job = queue.fetch_job(job_id)
    return job is not None and job.get_status() in ("queued", "started", "scheduled", "deferred")
