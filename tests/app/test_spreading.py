"""Shards on several workers: the same results as on one, whatever happens to the others."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import numpy as np
import pytest
from rq import SimpleWorker
from rq.job import Job

from app import queues
from app.extensions import redis
from app.services import spreading
from reconstruction.dense import DENSE, DenseInputs, DenseOptions
from reconstruction.errors import Cancelled
from reconstruction.features import FEATURES, FeatureInputs, FeatureOptions
from reconstruction.images import PhotoFolder, read_flight
from reconstruction.stage import Run, perform
from tests.app import live
from tests.reconstruction import dense_scene

SHARDS = list(range(40))


def square(number, folder):
    """A shard: its square, and a file of it."""
    (folder / f"{number}.txt").write_text(str(number**2))
    return number**2


def failing(number, folder):
    """A shard that cannot be computed."""
    raise ValueError(f"{number} is odd")


@pytest.fixture
def spread(app, tmp_path):
    """A spreader of a survey, a folder for its files, and a run."""
    spreader = spreading.Spreader(app.extensions["cairn_storage"], uuid4())
    folder = tmp_path / "work" / "features.partial"
    folder.mkdir(parents=True)
    return Run(spreader=spreader), folder


def waiting():
    return [job.decode() for job in redis().lrange(f"rq:queue:{queues.SHARD}", 0, -1)]


def check(results, folder):
    assert results == [number**2 for number in SHARDS]
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert found == {f"{number}.txt": str(number**2) for number in SHARDS}
    # Nothing is left that somebody could begin, and nothing in storage.
    assert waiting() == []


class Others:
    """What others do once the run's worker has laid its plan and looks after it the first time."""

    def __init__(self, run, act):
        self._act, self._report = act, run.report
        run.report = self

    def __call__(self, fraction, message):
        if waiting() and self._act is not None:
            act, self._act = self._act, None
            act()


def help_out(count=None):
    """Another worker takes batches."""
    SimpleWorker([queues.SHARD], connection=redis()).work(burst=True, max_jobs=count)


def begin_and_die(heartbeat):
    """Another worker begins the first batch and is never seen again."""
    job = Job.fetch(redis().lpop(f"rq:queue:{queues.SHARD}").decode(), connection=redis())
    job.set_status("started")
    redis().hset(job.key, "worker_name", "dead")
    redis().hset(job.key, "last_heartbeat", heartbeat.strftime("%Y-%m-%dT%H:%M:%S.%fZ"))


def test_alone_a_worker_computes_all_shards(spread):
    run, folder = spread
    check(run.spread(square, SHARDS, folder, "squares"), folder)


@pytest.mark.parametrize("count", [2, None])
def test_others_compute_some_or_all(spread, count, monkeypatch):
    run, folder = spread
    Others(run, lambda: help_out(count))
    here = []
    compute = Run.compute
    monkeypatch.setattr(Run, "compute", lambda *args: here.append(args[2]) or compute(*args))
    check(run.spread(square, SHARDS, folder, "squares"), folder)
    # `compute` runs in this process on either side; those of the helper are listed first.
    assert len(here) == 5


def test_what_a_dead_worker_had_begun_is_computed_again(spread):
    run, folder = spread
    Others(run, lambda: begin_and_die(datetime.now(UTC) - timedelta(minutes=3)))
    check(run.spread(square, SHARDS, folder, "squares"), folder)


def test_an_emptied_queue_costs_nothing(spread):
    run, folder = spread
    Others(run, lambda: redis().flushall())
    check(run.spread(square, SHARDS, folder, "squares"), folder)


def test_an_error_is_that_of_the_shard(spread):
    run, folder = spread
    Others(run, help_out)
    with pytest.raises(ValueError, match="is odd"):
        run.spread(failing, SHARDS, folder, "squares")
    assert waiting() == []


def test_cancellation_reaches_every_shard(spread):
    run, folder = spread

    def cancel():
        begin_and_die(datetime.now(UTC))
        run.cancelled.set()

    Others(run, cancel)
    listener = redis().pubsub()
    listener.subscribe("rq:pubsub:dead")
    with pytest.raises(Cancelled):
        run.spread(square, SHARDS, folder, "squares")
    assert waiting() == []
    _, told = (listener.get_message(timeout=5) for _ in range(2))
    listener.close()
    assert b"stop-job" in told["data"]


def test_a_batch_that_nobody_waits_for_any_more_is_left(app):
    spreading.compute(app.extensions["cairn_storage"], uuid4(), "gone", 0)


def bits(app, stage, inputs, options, work, *, is_spread):
    """What a stage writes, alone or with another worker that takes a batch."""
    run = Run(spreader=spreading.Spreader(app.extensions["cairn_storage"], uuid4()))
    helped = []
    Others(run, lambda: helped.append(help_out(1)))
    perform(stage, inputs, options, work, run if is_spread else Run())
    assert len(helped) == is_spread
    files = {path.name: path.read_bytes() for path in (work / stage.name).iterdir()}
    # It tells how long the stage took.
    del files["manifest.json"]
    return files


@pytest.mark.parametrize("name", ["features", "dense"])
def test_a_stage_gives_the_same_bits_on_one_worker_and_on_two(app, name, tmp_path, monkeypatch):
    monkeypatch.setattr(spreading, "_LEAST_SHARDS", 2)
    if name == "features":
        photos = read_flight(PhotoFolder(live.small_flight() / "images"), Run()).photos
        work = FEATURES, FeatureInputs(photos), FeatureOptions(800, 500)
    else:
        flight = dense_scene.fly(tmp_path, lambda x, y: np.cos(x / 9.0), dense_scene.texture())
        work = DENSE, DenseInputs(*flight), DenseOptions.for_quality("preview")
    alone = bits(app, *work, tmp_path / "alone", is_spread=False)
    spread = bits(app, *work, tmp_path / "spread", is_spread=True)
    assert len(alone) > 1
    assert alone.keys() == spread.keys()
    assert [name for name in alone if alone[name] != spread[name]] == []
