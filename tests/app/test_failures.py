"""What ends a run is told as what it is; what nobody foresaw has a reference and a logged trace."""

import errno
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from botocore.exceptions import EndpointConnectionError

from app import jobs
from app.errors import InvalidInput
from app.extensions import db
from app.models import Notice, RunState, Survey, SurveyState
from app.services import failures
from reconstruction.errors import InputError, RoomError, StageError, UnforeseenError
from tests.app import live
from tests.app.test_runs import (  # noqa: F401
    environment,
    flight,
    start,
    state_of,
    survey,
    wait_for,
    workspace,
)

PATH = "/srv/cairn/surveys/7/dsm.tif"
SECRET = "postgresql://cairn:hunter2@db/cairn"


def test_a_fault_of_the_program_is_told_at_once_and_not_as_a_dead_worker(
    app,
    client_of,
    survey,  # noqa: F811
    environment,  # noqa: F811
    tmp_path,
    monkeypatch,
):
    client = client_of("surveyor")
    with monkeypatch.context() as patched:
        # Without room only the first stage is done.
        patched.setattr(jobs, "_app", lambda: app)
        patched.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=0.02e9))
        jobs.process(start(client, survey))
    survey_id = survey.id
    # What no stage reads like this: a file that looks finished, of a shape that nobody expects.
    photos = workspace(app, survey) / "work" / "images" / "photos.json"
    photos.write_text(json.dumps({"somebody": "was here"}))
    run_id = start(client, db.session.get_one(Survey, survey_id))
    with live.running(live.worker(environment, tmp_path / "log")):
        wait_for(lambda: state_of(run_id).state == RunState.FAILED, 60)
    run = state_of(run_id)
    assert (run.attempts, run.failure["cause"]) == (1, "program")
    reference = run.failure["reference"]
    assert re.fullmatch(r"[0-9a-f]{8}", reference)
    assert "by a fault that nobody foresaw" in run.failure["reason"]
    assert reference in run.failure["reason"]
    assert "died" not in json.dumps(run.failure)
    page = client_of("viewer").get(f"/surveys/{survey_id}").text
    assert f"(reference {reference})" in page
    mail = db.session.scalar(sa.select(Notice.text).order_by(Notice.created_at.desc()))
    answer = client_of("viewer").get(f"/api/v1/runs/{run_id}").text
    for words in (page, mail, answer):
        assert reference in words
        assert not re.search(r"Traceback|KeyError|TypeError|photos\.json|/work/", words)
    lines = [
        json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if "{" in line
    ]
    (told,) = [line for line in lines if reference in line.get("message", "")]
    assert "Traceback" in told["exception"]
    assert told["run_id"] == run_id
    assert db.session.get_one(Survey, survey_id).state == SurveyState.FAILED


@pytest.mark.parametrize(
    ("error", "cause", "words"),
    [
        (TypeError(f"{PATH}: {SECRET}"), "program", "fault that nobody foresaw"),
        (
            UnforeseenError("dense", f"KeyError: '{PATH}'.", "Report it.", "program"),
            "program",
            "in the stage dense, by a fault that nobody foresaw",
        ),
        (
            UnforeseenError("dense", "MemoryError: 3 GiB.", "Use a machine with more.", "memory"),
            "dense",
            "There was too little memory. Use a machine with more.",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", PATH),
            "storage",
            "refused: No space left on device. Free space on it",
        ),
        (
            EndpointConnectionError(endpoint_url="http://cairn:hunter2@store/bucket"),
            "storage",
            "The store of photos and products is away.",
        ),
        (RoomError(Path(PATH), 3e9, 1e9), "storage", "needs about 3.0 GB on the disk"),
        (StageError("sfm", "Few overlap.", "Fly again."), "sfm", "Few overlap. Fly again."),
        (InputError("One photo.", "Upload more."), "input", "One photo. Upload more."),
        (InvalidInput("No CRS.", "State it."), "input", "No CRS. State it."),
    ],
)
def test_each_failure_has_its_own_words_and_none_shows_what_is_inside(error, cause, words):
    told = failures.told(error, "georeference")
    assert told["cause"] == cause
    assert words in f"{told['reason']} {told['remedy']}"
    assert not re.search(r"/srv|hunter2|KeyError|TypeError|MemoryError|http", json.dumps(told))
    assert ("reference" in told) == (cause == "program")


def test_a_disk_that_a_stage_failed_for_is_told_without_its_paths():
    error = UnforeseenError("dense", f"[Errno 13] denied: '{PATH}'.", "Check the disk.", "disk")
    error.__cause__ = PermissionError(errno.EACCES, "Permission denied", PATH)
    told = failures.told(error, "")
    assert (told["cause"], told["stage"]) == ("storage", "dense")
    assert told["reason"] == "The disk with photos and products refused: Permission denied."
    assert told["remedy"] == "Check the disk."
