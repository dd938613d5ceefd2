"""Runs: started, carried on by whoever is alive, cancelled. The rows are the truth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from flask import current_app
from sqlalchemy import select, update

from app import memory, queues
from app.auth.actor import actor_id
from app.errors import Conflict, InvalidInput, NotFound
from app.extensions import db
from app.models import Run, RunState, Site, StageRun, Survey, SurveyKind, SurveyState
from app.queries import photos
from app.services import audit, following, room, webhooks
from app.services.toes import refuse_if_closed
from reconstruction.room import needed_bytes

PROCESS = "app.jobs.process"
MAX_ATTEMPTS = 3
# A worker says that it lives every few seconds; silent for longer, it is dead.
_SILENT = timedelta(seconds=60)
_OPEN = (RunState.QUEUED, RunState.RUNNING, RunState.CANCELLING)
_QUALITIES = ("preview", "standard", "high")


@dataclass(frozen=True)
class Choice:
    """What somebody chose for a run."""

    quality: str = "standard"
    engine: str = "colmap"
    epsg: int | None = None
    # Of a finished surface, see `app.services.finished_surfaces.Stated`.
    noise_sigma_m: float | None = None
    noise_range_m: float | None = None
    vertical_sigma_m: float | None = None


def get(run_id: UUID) -> Run:
    """A run that the request was let in to.

    Raises
    ------
    NotFound
        When its survey was deleted meanwhile.
    """
    run = db.session.get(Run, run_id)
    if run is None:
        raise NotFound("There is no such run.", "Check the address.")
    return run


def start(survey: Survey, choice: Choice) -> Run:
    """Process a survey, again or for the first time; finished stages that still fit are kept.

    Raises
    ------
    Conflict
        When it is being processed already, or lies in a closed period.
    InvalidInput
        When there are too few photos, or there is no such quality.
    """
    refuse_if_closed(survey)
    if choice.quality not in _QUALITIES:
        raise InvalidInput(
            f"There is no quality {choice.quality!r}.", f"Take {', '.join(_QUALITIES)}.", "quality"
        )
    # Two who press the button at once start one run.
    db.session.execute(select(Survey.id).where(Survey.id == survey.id).with_for_update())
    query = select(Run.id).where(Run.survey_id == survey.id, Run.state.in_(_OPEN))
    if db.session.scalar(query) is not None:
        raise Conflict("The survey is being processed already.", "Watch that run, or cancel it.")
    _check_files(survey)
    run = Run(
        survey_id=survey.id,
        options=asdict(choice),
        state=RunState.QUEUED,
        created_by=actor_id(),
    )
    survey.state = SurveyState.PROCESSING
    db.session.add(run)
    db.session.flush()
    site = db.session.get_one(Site, survey.site_id)
    audit.record(
        "run.start",
        survey.name,
        organisation_id=site.organisation_id,
        site_id=site.id,
        run=str(run.id),
        **asdict(choice),
    )
    db.session.commit()
    send(run)
    return run


def send(run: Run) -> None:
    """Put a run into its queue, unless it is there."""
    survey = db.session.get_one(Survey, run.survey_id)
    flight = (*photos.largest(survey.id), run.options["quality"])
    needs = memory.needed_bytes(*flight, cores=1), needed_bytes(*flight)
    queue = queues.survey_queue(*needs)
    queues.enqueue(queue, PROCESS, str(run.id), job_id=_job_id(run.id, run.attempts))


def cancel(run: Run) -> None:
    """Ask a run to stop; what it finished stays and a later run goes on from there.

    Raises
    ------
    Conflict
        When it has ended.
    """
    query = update(Run).where(Run.id == run.id, Run.state.in_(_OPEN))
    is_waiting = run.state == RunState.QUEUED
    state = RunState.CANCELLED if is_waiting else RunState.CANCELLING
    if not db.session.execute(query.values(state=state)).rowcount:
        raise Conflict("The run has ended.", "Start another one.")
    survey = db.session.get_one(Survey, run.survey_id)
    if is_waiting:
        _leave(survey)
    site = db.session.get_one(Site, survey.site_id)
    audit.record(
        "run.cancel",
        survey.name,
        organisation_id=site.organisation_id,
        site_id=site.id,
        run=str(run.id),
    )
    db.session.commit()


def claim(run_id: UUID, worker: str) -> Run | None:
    """Take a run over for a worker; None where there is nothing to do any more, or no room yet.

    What has no room beside the runs at work stays queued, and is sent again by `rescue`.
    """
    run = db.session.scalar(select(Run).where(Run.id == run_id).with_for_update())
    now = datetime.now(UTC)
    if run is None or run.state not in (RunState.QUEUED, RunState.RUNNING):
        db.session.rollback()
        return None
    if run.state == RunState.RUNNING and run.heartbeat_at and run.heartbeat_at > now - _SILENT:
        # The same job was delivered twice; the other worker lives.
        db.session.rollback()
        return None
    if words := room.shortage(run, worker, current_app.extensions["cairn_storage"]):
        run.state, run.worker, run.message = RunState.QUEUED, "", words
        db.session.commit()
        return None
    run.state, run.worker, run.attempts = RunState.RUNNING, worker, run.attempts + 1
    run.started_at = run.started_at or now
    run.heartbeat_at, run.ended_at, run.failure = now, None, {}
    db.session.commit()
    return run


def beat(run_id: UUID, stage: str, fraction: float, message: str) -> bool:
    """Note how far a run is; returns whether it should go on."""
    now = datetime.now(UTC)
    state = db.session.scalar(
        update(Run)
        .where(Run.id == run_id, Run.state.in_((RunState.RUNNING, RunState.CANCELLING)))
        .values(heartbeat_at=now, stage=stage, fraction=fraction, message=message[:500])
        .returning(Run.state)
    )
    if state is not None and stage:
        _note_stage(run_id, stage, message, now)
    db.session.commit()
    return state == RunState.RUNNING


def give_back(run_id: UUID) -> bool:
    """Let another worker go on with a run; False where it is not to go on."""
    run = db.session.scalar(select(Run).where(Run.id == run_id).with_for_update())
    if run is None or run.state != RunState.RUNNING:
        db.session.rollback()
        return False
    # Nothing went wrong: it does not count as an attempt.
    run.state, run.worker, run.attempts = RunState.QUEUED, "", run.attempts - 1
    run.message = "waits for another worker"
    for stage in run.stages:
        if stage.state == "running":
            stage.state, stage.started_at = "waiting", None
    db.session.commit()
    return True


def finish(run_id: UUID, facts: dict[str, Any], verdict: dict[str, Any]) -> None:
    """Note that the products of a survey are there."""
    run = get(run_id)
    now = datetime.now(UTC)
    run.state, run.fraction, run.stage, run.message = RunState.DONE, 1.0, "", "done"
    run.ended_at = now
    for stage in run.stages:
        stage.state, stage.fraction, stage.ended_at = "done", 1.0, stage.ended_at or now
    for timing in facts.get("stages", []):
        row = next((stage for stage in run.stages if stage.name == timing["stage"]), None)
        if row is not None:
            row.cpu_s = timing.get("cpu_seconds") or 0.0
    survey = db.session.get_one(Survey, run.survey_id)
    survey.state, survey.facts, survey.verdict = SurveyState.READY, facts, verdict
    survey.followed_at = None
    site = db.session.get_one(Site, survey.site_id)
    if not site.epsg:
        site.epsg = int(facts.get("epsg") or 0)
    told = {"site": str(site.id), "survey": str(survey.id), "flown_on": str(survey.flown_on)}
    webhooks.announce(site.organisation_id, "survey.ready", told)
    db.session.commit()
    following.send(survey.id)


def fail(run_id: UUID, failure: dict[str, Any], state: RunState = RunState.FAILED) -> None:
    """Note that a run ended without products, and why."""
    run = get(run_id)
    run.state, run.failure, run.ended_at = state, failure, datetime.now(UTC)
    for stage in run.stages:
        if stage.state == "running":
            stage.state, stage.ended_at = str(state), run.ended_at
    survey = db.session.get_one(Survey, run.survey_id)
    _leave(survey)
    if state == RunState.FAILED:
        if survey.state != SurveyState.READY:
            survey.state = SurveyState.FAILED
        following.tell_failure(run, survey, db.session.get_one(Site, survey.site_id))
    db.session.commit()


def rescue() -> int:
    """Send runs again whose worker fell silent or whose queue was emptied; returns how many."""
    silent = datetime.now(UTC) - _SILENT
    left = (Run.state.in_((RunState.RUNNING, RunState.CANCELLING)), Run.heartbeat_at < silent)
    sent = 0
    for run in db.session.scalars(select(Run).where(*left).with_for_update(skip_locked=True)).all():
        if run.state == RunState.CANCELLING:
            fail(run.id, {}, RunState.CANCELLED)
        else:
            sent += _again(run)
    sent += _refill()
    db.session.commit()
    return sent


def _refill() -> int:
    """Send queued runs that the queue lost. There may be thousands, and usually all are there."""
    query = select(Run.id, Run.attempts).where(Run.state == RunState.QUEUED)
    jobs = {_job_id(run_id, attempts): run_id for run_id, attempts in db.session.execute(query)}
    lost = queues.lost(list(jobs))
    for job in lost:
        send(db.session.get_one(Run, jobs[job]))
    return len(lost)


def _job_id(run_id: UUID, attempts: int) -> str:
    return f"run-{run_id}-{attempts}"


def _again(run: Run) -> int:
    if run.attempts >= MAX_ATTEMPTS:
        where = f"the stage {run.stage}" if run.stage else "the beginning"
        reason = f"The worker died {run.attempts} times, last in {where}."
        remedy = "It may lack memory: use a worker with more, or a lower quality."
        fail(run.id, {"cause": "worker", "reason": reason, "remedy": remedy})
        return 0
    run.state = RunState.QUEUED
    db.session.flush()
    send(run)
    return 1


def plan(run_id: UUID, stages: list[str]) -> None:
    """Note which stages a run will go through."""
    known = set(db.session.scalars(select(StageRun.name).where(StageRun.run_id == run_id)))
    for position, name in enumerate(stages):
        if name not in known:
            row = StageRun(run_id=run_id, position=position, name=name, state="waiting")
            db.session.add(row)
    db.session.commit()


def _note_stage(run_id: UUID, name: str, message: str, now: datetime) -> None:
    query = select(StageRun).where(StageRun.run_id == run_id)
    for row in db.session.scalars(query):
        if row.name == name:
            row.state, row.message = "running", message[:500]
            row.started_at = row.started_at or now
        elif row.state == "running":
            row.state, row.fraction, row.ended_at = "done", 1.0, now


def _leave(survey: Survey) -> None:
    """Back to what the survey was before the run."""
    survey.state = SurveyState.READY if survey.facts else SurveyState.COLLECTING


def _check_files(survey: Survey) -> None:
    if survey.kind == SurveyKind.SURFACE:
        if not photos.names(survey.id, "surface"):
            raise InvalidInput("The survey has no surface yet.", "Upload a GeoTIFF, LAS or LAZ.")
        return
    count, _ = photos.largest(survey.id)
    if count < 3:
        raise InvalidInput(
            f"The survey has {count} photos; a surface needs at least 3 that overlap.",
            "Upload the whole flight first.",
        )
