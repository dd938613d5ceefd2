"""The platform beside the reconstruction: workers, queue, storage, and what waits for them."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import cv2
import flask_migrate
from flask import Flask

from app import core, memory, queues
from app.config import Config
from app.extensions import db, redis
from app.models import Organisation, Photo, Run, RunState, Site, Survey
from app.services import runs
from bench.installation import installation
from bench.programs import FLIGHTS, ROOT, run
from bench.simulation import Fleet, hours_of_sites
from scripts.chart_tools import TOOLS

_WORKERS = (1, 2, 4)
_MANY = 40
_SURVEYS = 4
_QUEUED = 10_000
# Of the dense surface what does not spread: fusing tiles, 15 of 75 CPU-seconds of `caliterra`.
_FUSING = 0.2
_SITES, _SITE_PHOTOS, _SITE_PX = 200, 200, 20_000_000


def measure_cluster(folder: Path, quality: str) -> None:
    """Print a table of throughput, of what queue and storage cost, and of full queues."""
    few = _rendered(folder / "platform-12", "--size", "small", "--photos", 12)
    many = _rendered(FLIGHTS / "week0")[:_MANY]
    print("\n| what | aim | measured |\n|---|---|---|")
    with installation() as environment:
        app = core(Config.from_environment(environment))
        with app.app_context():
            flask_migrate.upgrade()
            for count in _WORKERS:
                _throughput(app, environment, few, count, quality)
            stages = _overhead(app, environment, many, quality)
            _full_queue()
    _monday(stages, many, quality)
    _chart()


def _rendered(flight: Path, *options: object) -> list[Path]:
    """Photos of a flight, which is rendered once."""
    run("reconstruction.synthetic", flight, *options, is_quiet=True)
    return sorted((flight / "images").glob("*.JPG"))


def _queue_surveys(count: int, photos: list[Path], options: dict[str, Any]) -> list[UUID]:
    """Surveys with photos, each with a run that is queued; returns the runs."""
    organisation = Organisation(name="Bench")
    db.session.add(organisation)
    db.session.flush()
    site = Site(organisation_id=organisation.id, name="Pit", epsg=25832)
    db.session.add(site)
    db.session.flush()
    surveys = [
        Survey(site_id=site.id, name=str(number), flown_on=date(2026, 11, 23))
        for number in range(count)
    ]
    db.session.add_all(surveys)
    db.session.flush()
    db.session.execute(
        db.insert(Photo),
        [
            {"survey_id": survey.id, "name": path.name, "sha256": bytes([n] * 32), "size": 1}
            for survey in surveys
            for n, path in enumerate(photos)
        ],
    )
    queued = [Run(survey_id=s.id, options=options, state=RunState.QUEUED) for s in surveys]
    db.session.add_all(queued)
    db.session.commit()
    return [run.id for run in queued]


def _throughput(
    app: Flask, environment: dict[str, str], photos: list[Path], count: int, quality: str
) -> None:
    done, passed_s, _ = _process(app, environment, photos, _SURVEYS, count, quality)
    cpu_s = sum(timing["cpu_seconds"] for run in done for timing in run.survey.facts["stages"])
    _row(
        f"{_SURVEYS} surveys of {len(photos)} photos, `{quality}`, {count} workers",
        "",
        f"{_SURVEYS / passed_s * 3600:.0f} surveys an hour ({passed_s:.0f} s, "
        f"{cpu_s / _SURVEYS:.0f} CPU-seconds each)",
    )


def _overhead(
    app: Flask, environment: dict[str, str], photos: list[Path], quality: str
) -> dict[str, float]:
    """What of a survey's time is in no stage; returns the CPU-seconds of its stages."""
    (run,), passed_s, peaks = _process(app, environment, photos, 1, 1, quality)
    facts = run.survey.facts["stages"]
    lost = 1.0 - sum(timing["seconds"] for timing in facts) / passed_s
    _row(
        f"{len(photos)} photos, `{quality}`: time from the button to the products in no stage",
        "5 %",
        f"{100 * lost:.1f} % of {passed_s:.0f} s "
        f"({sum(timing['cpu_seconds'] for timing in facts):.0f} CPU-seconds)",
    )
    cores = len(os.sched_getaffinity(0))
    expected = memory.needed_bytes(len(photos), _pixels(photos[0]), quality, cores)
    _row(
        "the same: memory of the worker at its peak",
        f"{expected / 1e9:.1f} GB, as predicted",
        f"{max(peaks.values()) / 1e9:.1f} GB (" + _by_stage(peaks) + ")",
    )
    return {timing["stage"]: timing["cpu_seconds"] for timing in facts}


def _process(
    app: Flask,
    environment: dict[str, str],
    photos: list[Path],
    surveys: int,
    workers: int,
    quality: str,
) -> tuple[list[Run], float, dict[str, int]]:
    """Do surveys with so many workers.

    Returns the runs, the seconds of all, and the most memory that a worker held, by the stage that
    the last of them was at.
    """
    options = {"quality": quality, "engine": "colmap", "epsg": None}
    ids = _queue_surveys(surveys, photos, options)
    for run_id in ids:
        survey_id = db.session.get_one(Run, run_id).survey_id
        for path in photos:
            shutil.copy(path, app.extensions["cairn_storage"].photos(survey_id))
    peaks: dict[str, int] = {}
    with _workers(environment, workers) as processes:
        started = time.monotonic()
        for run_id in ids:
            runs.send(db.session.get_one(Run, run_id))
        while stages := _open(ids):
            held = max(memory.held_bytes(process.pid) for process in processes)
            peaks[stages[-1]] = max(peaks.get(stages[-1], 0), held)
            time.sleep(0.2)
        passed_s = time.monotonic() - started
    done = [db.session.get_one(Run, run_id) for run_id in ids]
    if failed := [run.failure for run in done if run.state != RunState.DONE]:
        raise RuntimeError(f"{len(failed)} runs failed: {failed[0]}")
    return done, passed_s, peaks


@contextlib.contextmanager
def _workers(environment: dict[str, str], count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """So many workers, ready for work."""
    command = [sys.executable, "-m", "app.worker"]
    processes = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stderr=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        _wait(lambda: len(redis().smembers("rq:workers")) >= count)
        yield processes
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _open(ids: list[UUID]) -> list[str]:
    """The stages of the runs that have not ended."""
    db.session.rollback()
    states = (RunState.QUEUED, RunState.RUNNING)
    query = db.select(Run.stage).where(Run.id.in_(ids), Run.state.in_(states))
    return list(db.session.scalars(query.order_by(Run.created_at)))


def _by_stage(peaks: dict[str, int]) -> str:
    return ", ".join(f"{stage} {held / 1e9:.1f}" for stage, held in peaks.items() if stage)


def _wait(condition: Any, seconds: float = 3600.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise RuntimeError("it took more than an hour")
        time.sleep(0.2)


def _full_queue() -> None:
    """Dispatch ten thousand runs, look after them, and send them again into an emptied queue."""
    ids = _queue_surveys(_QUEUED, [Path("a.jpg")], {"quality": "standard"})
    times = []
    for run_id in ids:
        started = time.perf_counter()
        runs.send(db.session.get_one(Run, run_id))
        times.append(time.perf_counter() - started)
    worst = statistics.quantiles(times, n=1000)[-1]
    said = f"{1e3 * statistics.mean(times):.1f} ms, 99.9 % below {1e3 * worst:.1f} ms"
    _row(f"{_QUEUED:,} queued runs: dispatch of each", "50 ms", said)
    db.session.rollback()
    started = time.perf_counter()
    sent = runs.rescue()
    passed_s = time.perf_counter() - started
    _row(f"the reconciler, {_QUEUED:,} runs queued, {sent} lost", "1 s", f"{passed_s:.2f} s")
    waiting = {depth.name: depth.waiting for depth in queues.depths()}
    _row("in their queue afterwards", f"{_QUEUED:,}", f"{waiting[queues.SURVEY]:,}")


def _monday(stages: dict[str, float], photos: list[Path], quality: str) -> None:
    """Simulate many sites; CPU-seconds are taken to go with the pixels of all photos."""
    scale = _SITE_PHOTOS * _SITE_PX / (len(photos) * _pixels(photos[0]))
    scaled = {name: cpu_s * scale for name, cpu_s in stages.items()}
    scaled["fusing"] = _FUSING * scaled["dense"]
    scaled["dense"] -= scaled["fusing"]
    hours = hours_of_sites(scaled, _SITE_PHOTOS, Fleet(), _SITES, 3600.0)
    total = sum(scaled.values()) * _SITES / 3600.0
    _row(
        f"simulated: {_SITES} sites of {_SITE_PHOTOS} photos of {_SITE_PX / 1e6:.0f} megapixels "
        f"within an hour, `{quality}`, 50 workers of 16 cores ({total:.0f} core-hours)",
        "",
        f"half done {60 * statistics.median(hours):.0f} min after upload, "
        f"all after {60 * max(hours):.0f} min",
    )


def _pixels(photo: Path) -> int:
    return int(cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE).size)


def _chart() -> None:
    helm = str(TOOLS / "helm4")
    values = ROOT / "helm" / "cairn" / "ci" / "whole.yaml"
    command = [helm, "template", "cairn", str(ROOT / "helm" / "cairn"), "--values", str(values)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True)
    passed_s = time.perf_counter() - started
    said = f"{passed_s:.2f} s" if done.returncode == 0 else done.stderr.decode()[:200]
    _row("chart, rendered with all parts", "1 s", said)


def _row(what: str, aim: str, measured: str) -> None:
    print(f"| {what} | {aim} | {measured} |", flush=True)


if __name__ == "__main__":
    measure_cluster(Path(sys.argv[1]), sys.argv[2])
