"""What workers do. The queue carries dotted names of these functions and identifiers, no more."""

from __future__ import annotations

import logging
import os
import socket
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

from flask import Flask, current_app
from redis.exceptions import RedisError
from rq import Retry
from sqlalchemy.exc import OperationalError

from app import core, logs, memory, queues
from app.config import Config
from app.extensions import db
from app.models import Run, RunState, SurveyKind
from app.queries import photos
from app.queries import runs as run_queries
from app.services import (
    carrying,
    failures,
    finished_surfaces,
    flights,
    following,
    runs,
    spreading,
    surveys,
)
from app.storage import Storage

_log = logging.getLogger(__name__)
_BEAT_S = 1.0
# Database or queue that do not answer for a moment.
_AWAY = (OperationalError, RedisError)
_MOST_EVICTIONS = 1000
# The only stage of a surface that another program finished.
_SURFACE = "surface"
# What of the workspace are products; the rest is for resuming.
_PRODUCTS = (
    "survey.json", "accuracy.json", "dsm.tif", "dsm_quality.tif", "orthomosaic.tif",
    "point_cloud.copc.laz", "model", "cameras.geojson", "report.html", "log.jsonl",
)  # fmt: skip


def process(run_id: str) -> Retry | None:
    """Make the products of a survey, from wherever an earlier attempt left off.

    The job of a worker that was told to go is done again, by another one.
    """
    app = _app()
    logs.run_id.set(run_id)
    with app.app_context():
        run = runs.claim(UUID(run_id), f"{socket.gethostname()}:{os.getppid()}")
        is_left = run is not None and _process(app, run)
    return Retry(max=_MOST_EVICTIONS, enqueue_at_front=True) if is_left else None


def compute(survey_id: str, plan: str, number: int) -> None:
    """Compute a batch of shards for the worker of a run."""
    app = _app()
    with app.app_context():
        storage, survey = app.extensions["cairn_storage"], UUID(survey_id)
        cores = _cores(survey, run_queries.quality_of(survey))
        spreading.compute(storage, survey, plan, number, cores)


def judge(survey_id: str) -> None:
    """Look at the photos of a survey before anybody starts it."""
    with _app().app_context():
        flights.judge(UUID(survey_id))


def propose(survey_id: str) -> None:
    """Look for piles in a new surface, and carry over those of the survey before."""
    with _app().app_context():
        carrying.search(UUID(survey_id))


def follow(survey_id: str) -> None:
    """Do what follows a finished survey."""
    with _app().app_context():
        following.follow(UUID(survey_id))


def _app() -> Flask:
    return core(Config.from_environment(os.environ))


class _Pulse:
    """Tells the row every second how far the run is, and hears there whether it should stop.

    A worker that was told to go leaves when a stage has ended: nothing is lost, and no pod that is
    evicted waits for hours.
    """

    def __init__(self, app: Flask, run: Run) -> None:
        self.cancelled = threading.Event()
        self.has_left = False
        self._app, self._run_id, self._worker = app, run.id, run.worker
        self._is_ending = False
        self._news = ("", 0.0, "starting")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def stage(self) -> str:
        """The stage that the recipe told of last."""
        return self._news[0]

    def report(self, stage: str, fraction: float, message: str) -> None:
        """Take the progress of the recipe."""
        if self._is_ending and stage != self._news[0]:
            self.has_left = True
            self.cancelled.set()
        self._news = (stage, fraction, message)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            try:
                with self._app.app_context():
                    if not runs.beat(self._run_id, *self._news):
                        self.cancelled.set()
                    self._is_ending = queues.is_ending(self._worker)
            except Exception:
                # A database that restarts must not end hours of work; the next beat tries again.
                _log.exception("run %s could not tell its progress", self._run_id)


def _process(app: Flask, run: Run) -> bool:
    """Do a run; whether it is left to another worker."""
    from reconstruction.errors import Cancelled
    from reconstruction.pipeline import RECIPE

    run_id, survey_id, options = run.id, run.survey_id, dict(run.options)
    pulse = _Pulse(app, run)
    is_finished = run.survey.kind == SurveyKind.SURFACE
    runs.plan(run_id, [_SURFACE] if is_finished else [stage.name for stage in RECIPE])
    db.session.remove()
    storage: Storage = app.extensions["cairn_storage"]
    try:
        with pulse:
            if is_finished:
                workspace = _take_surface(storage, survey_id, options, pulse)
            else:
                spreader = _spreader(app, storage, survey_id)
                cores = _cores(survey_id, options["quality"])
                workspace = _reconstruct(storage, survey_id, options, pulse, spreader, cores)
            storage.publish(survey_id, [n for n in _PRODUCTS if (workspace / n).exists()])
        facts = surveys.read_facts(workspace)
        runs.finish(run_id, _kept(facts), facts.get("verdict", {}))
    except Cancelled:
        if pulse.has_left and runs.give_back(run_id):
            return True
        runs.fail(run_id, {}, RunState.CANCELLED)
    except Exception as error:
        if isinstance(error.__cause__ or error, _AWAY):
            # The run stays silent, and is sent again.
            raise
        db.session.rollback()
        runs.fail(run_id, failures.told(error, pulse.stage))
    finally:
        storage.release(survey_id)
    return False


def _spreader(app: Flask, storage: Storage, survey_id: UUID) -> spreading.Spreader | None:
    """What spreads the shards of a large survey; a small one is done sooner alone."""
    config: Config = app.extensions["cairn_config"]
    is_large = len(photos.names(survey_id, "photo")) >= config.spread_photos
    return spreading.Spreader(storage, survey_id) if is_large else None


def _cores(survey_id: UUID, quality: str) -> int:
    """As many cores of this worker as the survey fits on with its memory."""
    cores = current_app.extensions["cairn_config"].cores
    return memory.cores_for(*photos.largest(survey_id), quality, cores, memory.limit_bytes())


def _reconstruct(
    storage: Storage,
    survey_id: UUID,
    options: dict[str, Any],
    pulse: _Pulse,
    spreader: spreading.Spreader | None,
    cores: int,
) -> Path:
    """Make the survey in its workspace, and keep each stage as soon as it is finished."""
    from reconstruction.pipeline import WORK_FOLDER, reconstruct
    from reconstruction.stage import MANIFEST

    workspace = storage.workspace(survey_id)
    request = flights.request(survey_id, options, workspace)
    db.session.remove()
    current = ""

    def keep(stage: str) -> None:
        if (workspace / WORK_FOLDER / stage / MANIFEST).is_file():
            storage.keep(survey_id, stage)

    def report(stage: str, fraction: float, message: str) -> None:
        nonlocal current
        pulse.report(stage, fraction, message)
        if stage != current:
            keep(current)
            current = stage

    reconstruct(request(), cores, report, pulse.cancelled, spreader=spreader)
    keep(current)
    return workspace


def _take_surface(
    storage: Storage, survey_id: UUID, options: dict[str, Any], pulse: _Pulse
) -> Path:
    """Make the survey of a surface that another program finished, in its workspace."""
    from reconstruction.errors import Cancelled

    workspace = storage.workspace(survey_id)

    def report(fraction: float, message: str) -> None:
        pulse.report(_SURFACE, fraction, message)
        if pulse.cancelled.is_set():
            raise Cancelled

    finished_surfaces.make(survey_id, options, workspace, report)
    return workspace


def _kept(facts: dict[str, Any]) -> dict[str, Any]:
    """``survey.json`` without what is long and lies in the file anyway."""
    return {name: value for name, value in facts.items() if name not in ("products", "verdict")}
