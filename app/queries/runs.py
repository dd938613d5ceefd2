"""Runs and workers as they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, inspect, select

from app.extensions import db
from app.models import Run, RunState, StageRun, WorkerNode

_ALIVE = timedelta(seconds=20)
# Earlier than this the first stages say little about the rest.
_LEAST_FRACTION = 0.03


def of_survey(survey_id: UUID) -> list[Run]:
    """Runs of a survey, the newest first."""
    query = select(Run).where(Run.survey_id == survey_id).order_by(Run.created_at.desc())
    return list(db.session.scalars(query))


def quality_of(survey_id: UUID) -> str:
    """At which quality a survey is processed; the usual one where nobody has started it."""
    query = select(Run.options["quality"].astext).where(Run.survey_id == survey_id)
    return db.session.scalar(query.order_by(Run.created_at.desc()).limit(1)) or "standard"


def document(run: Run) -> dict[str, Any]:
    """A run with its stages and what remains."""
    columns = {column.key: getattr(run, column.key) for column in inspect(Run).column_attrs}
    shown = (
        "id", "survey_id", "state", "fraction", "stage", "message", "options", "failure",
        "attempts", "worker", "created_at", "started_at", "ended_at",
    )  # fmt: skip
    stages = [
        {
            "name": stage.name,
            "state": stage.state,
            "message": stage.message,
            "started_at": stage.started_at,
            "ended_at": stage.ended_at,
            "cpu_s": stage.cpu_s,
        }
        for stage in run.stages
    ]
    return {name: columns[name] for name in shown} | {
        "remaining_s": _remaining_s(run),
        "stages": stages,
    }


def workers() -> list[dict[str, Any]]:
    """Registered workers, the living first."""
    query = select(WorkerNode).order_by(WorkerNode.heartbeat_at.desc())
    alive_since = datetime.now(UTC) - _ALIVE
    return [
        {column.key: getattr(row, column.key) for column in inspect(WorkerNode).column_attrs}
        | {"is_alive": row.heartbeat_at > alive_since}
        for row in db.session.scalars(query)
    ]


def count_by_state() -> dict[str, int]:
    """How many runs are in each state."""
    counts = dict(db.session.execute(select(Run.state, func.count()).group_by(Run.state)).all())
    return {str(state): counts.get(state, 0) for state in RunState}


def count_failures() -> dict[str, int]:
    """How many runs failed, by cause: a stage, input, storage, program or worker."""
    cause = func.coalesce(Run.failure["cause"].astext, "unknown")
    query = select(cause, func.count()).where(Run.state == RunState.FAILED).group_by(cause)
    return {name: count for name, count in db.session.execute(query)}


def stage_seconds() -> dict[str, tuple[int, float]]:
    """How often each stage was done, and in how many seconds altogether."""
    seconds = func.extract("epoch", StageRun.ended_at - StageRun.started_at)
    query = select(StageRun.name, func.count(), func.sum(seconds))
    done = query.where(StageRun.state == "done", StageRun.started_at.is_not(None))
    return {
        name: (count, float(total or 0.0))
        for name, count, total in db.session.execute(done.group_by(StageRun.name))
    }


def _remaining_s(run: Run) -> float | None:
    if run.state != RunState.RUNNING or run.started_at is None or run.fraction < _LEAST_FRACTION:
        return None
    passed = (datetime.now(UTC) - run.started_at).total_seconds()
    return float(round(passed * (1.0 - run.fraction) / run.fraction))
