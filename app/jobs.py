"""What workers do. The queue carries dotted names of these functions and identifiers, no more."""

from __future__ import annotations

import logging
import os
import socket
import threading
from typing import Any
from uuid import UUID

from flask import Flask

from app import core
from app.config import Config
from app.extensions import db
from app.models import Run, RunState
from app.queries import surveys as queries
from app.services import carrying, flights, proposing, runs, surveys

_log = logging.getLogger(__name__)
_BEAT_S = 1.0
# What of the workspace are products; the rest is for resuming.
_PRODUCTS = (
    "survey.json", "accuracy.json", "dsm.tif", "dsm_quality.tif", "orthomosaic.tif",
    "point_cloud.copc.laz", "model", "cameras.geojson", "report.html", "log.jsonl",
)  # fmt: skip


def process(run_id: str) -> None:
    """Make the products of a survey, from wherever an earlier attempt left off."""
    app = _app()
    with app.app_context():
        run = runs.claim(UUID(run_id), f"{socket.gethostname()}:{os.getppid()}")
        if run is not None:
            _process(app, run)


def judge(survey_id: str) -> None:
    """Look at the photos of a survey before anybody starts it."""
    with _app().app_context():
        flights.judge(UUID(survey_id))


def propose(survey_id: str) -> None:
    """Look for piles in a new surface, and carry over those of the survey before."""
    with _app().app_context():
        proposing.propose(UUID(survey_id))
        carrying.carry(queries.get(UUID(survey_id)))


def _app() -> Flask:
    return core(Config.from_environment(os.environ))


class _Pulse:
    """Tells the row every second how far the run is, and hears there whether it should stop."""

    def __init__(self, app: Flask, run_id: UUID) -> None:
        self.cancelled = threading.Event()
        self._app, self._run_id = app, run_id
        self._news = ("", 0.0, "starting")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()

    def report(self, stage: str, fraction: float, message: str) -> None:
        """Take the progress of the recipe."""
        self._news = (stage, fraction, message)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_S):
            try:
                with self._app.app_context():
                    if not runs.beat(self._run_id, *self._news):
                        self.cancelled.set()
            except Exception:
                # A database that restarts must not end hours of work; the next beat tries again.
                _log.exception("run %s could not tell its progress", self._run_id)


def _process(app: Flask, run: Run) -> None:
    from reconstruction.errors import Cancelled, ReconstructionError
    from reconstruction.pipeline import RECIPE, reconstruct

    run_id, survey_id = run.id, run.survey_id
    runs.plan(run_id, [stage.name for stage in RECIPE])
    storage = app.extensions["cairn_storage"]
    workspace = storage.workspace(survey_id)
    request = flights.request(survey_id, dict(run.options), workspace)
    db.session.remove()
    try:
        with _Pulse(app, run_id) as pulse:
            reconstruct(request(), os.cpu_count() or 1, pulse.report, pulse.cancelled)
    except Cancelled:
        runs.fail(run_id, {}, RunState.CANCELLED)
        return
    except ReconstructionError as error:
        runs.fail(run_id, _failure(error))
        return
    except OSError as error:
        runs.fail(run_id, {"reason": f"{error}.", "remedy": "Free space on the disk, run again."})
        return
    storage.publish(survey_id, [name for name in _PRODUCTS if (workspace / name).exists()])
    facts = surveys.read_facts(workspace)
    runs.finish(run_id, _kept(facts), facts.get("verdict", {}))


def _failure(error: Any) -> dict[str, Any]:
    known = {"reason": error.reason, "remedy": error.hint, "stage": getattr(error, "stage", "")}
    return {name: value for name, value in known.items() if value}


def _kept(facts: dict[str, Any]) -> dict[str, Any]:
    """``survey.json`` without what is long and lies in the file anyway."""
    return {name: value for name, value in facts.items() if name not in ("products", "verdict")}
