"""Runs: started, watched, cancelled; and the workers that do them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from flask import Blueprint, Response, stream_with_context
from pydantic import Field, model_validator

from app import queues
from app.api.contract import Shape, contract
from app.auth import policy
from app.extensions import db
from app.models import Role, Run, RunState
from app.queries import runs as run_queries
from app.queries import surveys
from app.services import runs

blueprint = Blueprint("runs", __name__, url_prefix="/api/v1")

_EVERY_S = 1.0
# A proxy closes what is silent; browsers come back by themselves.
_LONGEST_S = 300.0


Sigma = Annotated[float, Field(gt=0, le=100)]


class RunChoice(Shape):
    """How to process a survey.

    The last three are of a finished surface: 1 sigma of its noise and the distance over which that
    hangs together, estimated where they are not stated, and 1 sigma of its height as a whole.
    """

    quality: Literal["preview", "standard", "high"] = "standard"
    engine: Literal["colmap", "opensfm"] = "colmap"
    epsg: Annotated[int, Field(ge=1024, le=999999)] | None = None
    noise_sigma_m: Sigma | None = None
    noise_range_m: Sigma | None = None
    vertical_sigma_m: Sigma | None = None

    @model_validator(mode="after")
    def _noise_is_whole(self) -> Self:
        if (self.noise_sigma_m is None) != (self.noise_range_m is None):
            raise ValueError("noise_sigma_m and noise_range_m go together")
        return self

    def choice(self) -> runs.Choice:
        """As the services take it."""
        return runs.Choice(**self.model_dump())


class StageShape(Shape):
    """One stage of a run."""

    name: str
    state: str
    message: str
    started_at: datetime | None
    ended_at: datetime | None
    cpu_s: float


class RunShape(Shape):
    """A run; `fraction` of the whole, `remaining_s` as far as it can be told."""

    id: UUID
    survey_id: UUID
    state: str
    fraction: float
    stage: str
    message: str
    remaining_s: float | None
    options: dict[str, Any]
    failure: dict[str, Any]
    attempts: int
    worker: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stages: list[StageShape]


class WorkerShape(Shape):
    """A worker that registered itself."""

    name: str
    host: str
    architecture: str
    cores: int
    memory_bytes: int
    queues: list[str]
    versions: dict[str, str]
    job: str
    started_at: datetime
    heartbeat_at: datetime
    is_alive: bool


class QueueShape(Shape):
    """How much waits in a queue."""

    name: str
    waiting: int


class WorkersShape(Shape):
    """All workers, and the queues."""

    workers: list[WorkerShape]
    queues: list[QueueShape]


@blueprint.get("/surveys/<uuid:survey_id>/runs")
@policy.role(Role.VIEWER)
@contract(answer=list[RunShape])
def index(survey_id: UUID) -> list[dict[str, Any]]:
    """List the runs of a survey, the newest first."""
    return [run_queries.document(run) for run in run_queries.of_survey(survey_id)]


@blueprint.post("/surveys/<uuid:survey_id>/runs")
@policy.role(Role.SURVEYOR)
@contract(body=RunChoice, answer=RunShape, status=201)
def start(survey_id: UUID, body: RunChoice) -> dict[str, Any]:
    """Process a survey."""
    return run_queries.document(runs.start(surveys.get(survey_id), body.choice()))


@blueprint.get("/runs/<uuid:run_id>")
@policy.role(Role.VIEWER)
@contract(answer=RunShape)
def show(run_id: UUID) -> dict[str, Any]:
    """Show a run."""
    return run_queries.document(runs.get(run_id))


@blueprint.post("/runs/<uuid:run_id>/cancel")
@policy.role(Role.SURVEYOR)
@contract(answer=RunShape)
def cancel(run_id: UUID) -> dict[str, Any]:
    """Ask a run to stop."""
    run = runs.get(run_id)
    runs.cancel(run)
    return run_queries.document(run)


@blueprint.get("/runs/<uuid:run_id>/events")
@policy.role(Role.VIEWER)
@contract(media_type="text/event-stream")
def events(run_id: UUID) -> Response:
    """Follow a run by server-sent events: one for each change, until it has ended."""
    answer = Response(stream_with_context(_changes(run_id)), mimetype="text/event-stream")
    answer.headers["Cache-Control"] = "no-store"
    # Nginx would hold the events back.
    answer.headers["X-Accel-Buffering"] = "no"
    return answer


@blueprint.get("/workers")
@policy.admin
@contract(answer=WorkersShape)
def workers() -> dict[str, Any]:
    """List the workers and the queues."""
    return {"workers": run_queries.workers(), "queues": queues.depths()}


def _changes(run_id: UUID) -> Iterator[str]:
    until = time.monotonic() + _LONGEST_S
    last = ""
    while time.monotonic() < until:
        run = db.session.get(Run, run_id)
        if run is None:
            return
        shape = RunShape.model_validate(run_queries.document(run))
        ended = run.state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED)
        # Nothing of the database is held while nothing happens.
        db.session.rollback()
        db.session.remove()
        text = json.dumps(shape.model_dump(mode="json"))
        if text != last:
            last = text
            yield f"event: run\ndata: {text}\n\n"
        else:
            yield ": still here\n\n"
        if ended:
            return
        time.sleep(_EVERY_S)
