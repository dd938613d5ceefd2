"""The queues: short work that somebody waits for, and surveys by what they need."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from rq import Queue, Worker
from rq.command import send_stop_job_command
from rq.exceptions import InvalidJobOperation, NoSuchJobError
from rq.job import Job, JobStatus
from rq.utils import utcparse

from app.extensions import redis

SHORT = "short"
SHARD = "shard"
SURVEY = "survey"
LARGE = "survey-large"
# The most urgent first: surveys that are begun are finished before others begin.
ALL = (SHORT, SHARD, SURVEY, LARGE)

# What workers of the queue for usual surveys have, less what else runs and lies there.
USUAL_MEMORY, USUAL_DISK = 15e9, 150e9
_HOUR_S, _DAY_S = 3600, 24 * 3600
# RQ's workers tell every half minute that they are at a job.
_SILENT = timedelta(seconds=90)
_MEMORY = "cairn:memory:"
_CHORES = "cairn:chores"
# What RQ notes of a worker that got SIGTERM while it was at a job.
_ENDING = "shutdown_requested_date"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Depth:
    """How much waits in a queue and is being done, and how long the oldest has waited."""

    name: str
    waiting: int
    running: int
    oldest_s: float


def survey_queue(memory_bytes: float, disk_bytes: float) -> str:
    """Queue for a survey that needs so much."""
    return LARGE if memory_bytes > USUAL_MEMORY or disk_bytes > USUAL_DISK else SURVEY


def enqueue(queue: str, function: str, *arguments: Any, job_id: str | None = None) -> None:
    """Put work into a queue by the dotted name of its function: the web knows no more of it.

    With a job id it is put there once: again only when it is neither waiting nor being done.
    """
    found = Queue(queue, connection=redis())
    if job_id is not None and _is_there(found, job_id):
        return
    found.enqueue_call(
        function, arguments, timeout=_DAY_S, result_ttl=_HOUR_S, failure_ttl=_DAY_S, job_id=job_id
    )


def offer(queue: str, function: str, *arguments: Any, job_id: str) -> None:
    """Put work into a queue that is done here if it does not get there."""
    try:
        enqueue(queue, function, *arguments, job_id=job_id)
    except RedisError as error:
        _log.warning("the queue %s is away: %s", queue, error)


def take_back(queue: str, job_id: str) -> bool:
    """Take a job out of a queue; False where somebody has begun it, or it is not there."""
    try:
        return bool(Queue(queue, connection=redis()).remove(job_id))
    except RedisError:
        return False


def state(job_id: str) -> str:
    """What became of a job that was begun: ``finished``, ``running``, or ``lost``."""
    try:
        (status,) = _statuses([job_id])
    except RedisError:
        return "lost"
    return {JobStatus.FINISHED: "finished", JobStatus.STARTED: "running"}.get(status, "lost")


def withdraw(queue: str, job_id: str) -> None:
    """Let nobody begin a job, and stop who is at it."""
    try:
        if not take_back(queue, job_id):
            send_stop_job_command(redis(), job_id)
    except (NoSuchJobError, InvalidJobOperation, RedisError):
        return


def depths() -> list[Depth]:
    """How much waits in each queue."""
    return [_depth(Queue(name, connection=redis())) for name in ALL]


def lost(job_ids: list[str]) -> list[str]:
    """Which of these jobs no queue and no worker has any more; one question for all."""
    waiting = {job_id for name in ALL for job_id in Queue(name, connection=redis()).job_ids}
    others = [job_id for job_id in job_ids if job_id not in waiting]
    known = zip(others, _statuses(others), strict=True)
    return [job_id for job_id, status in known if status != JobStatus.STARTED]


def is_ending(worker: str) -> bool:
    """Whether a worker was told to go and ends after its job."""
    return bool(redis().hexists(f"{Worker.redis_worker_namespace_prefix}{worker}", _ENDING))


def tell_memory(worker: str, held_bytes: int) -> None:
    """Note what memory a worker holds."""
    redis().set(f"{_MEMORY}{worker}", held_bytes, ex=60)


def memory_of(worker: str) -> int:
    """What memory a worker holds, as it last told; 0 where that is long ago."""
    return int(redis().get(f"{_MEMORY}{worker}") or 0)


def tell_done(chore: str) -> None:
    """Note that a chore was done just now."""
    redis().hset(_CHORES, chore, datetime.now(UTC).timestamp())


def chores_done() -> dict[str, datetime]:
    """When each chore was done last; nothing where the clock has not rung yet."""
    known = redis().hgetall(_CHORES).items()
    return {name.decode(): datetime.fromtimestamp(float(at), UTC) for name, at in known}


def _depth(queue: Queue) -> Depth:
    first = queue.fetch_job(head) if (head := next(iter(queue.get_job_ids(0, 1)), "")) else None
    waited = datetime.now(UTC) - first.enqueued_at if first and first.enqueued_at else timedelta()
    running = queue.started_job_registry.get_job_count(cleanup=False)
    return Depth(queue.name, queue.count, running, waited.total_seconds())


def _is_there(queue: Queue, job_id: str) -> bool:
    """Whether a job waits or is being done; removes what a worker that died has left of it."""
    if queue.get_job_position(job_id) is not None or _statuses([job_id]) == [JobStatus.STARTED]:
        return True
    if (rest := queue.fetch_job(job_id)) is not None:
        rest.delete()
    return False


def _statuses(job_ids: list[str]) -> list[str]:
    """What RQ calls each job; nothing for one that it lost, or whose worker fell silent."""
    with redis().pipeline(transaction=False) as pipeline:
        for job_id in job_ids:
            pipeline.hmget(Job.key_for(job_id), "status", "last_heartbeat")
        known = pipeline.execute()
    return [_status(*((value or b"").decode() for value in values)) for values in known]


def _status(status: str, told: str) -> str:
    is_silent = not told or utcparse(told) < datetime.now(UTC) - _SILENT
    return "" if status == JobStatus.STARTED and is_silent else status
