"""Shards on several workers: the same results as on one, whatever happens to the others."""

import time
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import numpy as np
import pytest
from rq import SimpleWorker
from rq.job import Job

from app import queues
from app.extensions import redis
from app.services import spreading
from reconstruction import orthomosaic, tile_tree
from reconstruction.dense import DENSE, DenseInputs, DenseOptions
from reconstruction.errors import Cancelled
from reconstruction.features import FEATURES, FeatureInputs, FeatureOptions
from reconstruction.images import PhotoFolder, read_flight
from reconstruction.orthomosaic import ORTHOMOSAIC, OrthomosaicInputs, OrthomosaicOptions
from reconstruction.stage import Run, perform
from reconstruction.tiles3d import MODEL, ModelInputs, ModelOptions
from tests.app import live
from tests.reconstruction import dense_scene
from tests.reconstruction.model import conftest as yard_scene

SHARDS = list(range(40))
SURVEY = UUID("5a1f0000-0000-4000-8000-000000000002")


def square(number, folder):
    """A shard: its square, and a file of it."""
    (folder / f"{number}.txt").write_text(str(number**2))
    return number**2


def reads(number):
    """The shards are all there is."""
    return ()


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
    check(run.spread(square, SHARDS, folder, "squares", reads), folder)


@pytest.mark.parametrize("count", [2, None])
def test_others_compute_some_or_all(spread, count, monkeypatch):
    run, folder = spread
    Others(run, lambda: help_out(count))
    here = []
    compute = Run.compute
    monkeypatch.setattr(Run, "compute", lambda *args: here.append(args[2]) or compute(*args))
    check(run.spread(square, SHARDS, folder, "squares", reads), folder)
    # `compute` runs in this process on either side; those of the helper are listed first.
    assert len(here) == 5


def test_what_a_dead_worker_had_begun_is_computed_again(spread):
    run, folder = spread
    Others(run, lambda: begin_and_die(datetime.now(UTC) - timedelta(minutes=3)))
    check(run.spread(square, SHARDS, folder, "squares", reads), folder)


def test_an_emptied_queue_costs_nothing(spread):
    run, folder = spread
    Others(run, lambda: redis().flushall())
    check(run.spread(square, SHARDS, folder, "squares", reads), folder)


def test_an_error_is_that_of_the_shard(spread):
    run, folder = spread
    Others(run, help_out)
    with pytest.raises(ValueError, match="is odd"):
        run.spread(failing, SHARDS, folder, "squares", reads)
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
        run.spread(square, SHARDS, folder, "squares", reads)
    assert waiting() == []
    _, told = (listener.get_message(timeout=5) for _ in range(2))
    listener.close()
    assert b"stop-job" in told["data"]


def test_a_batch_that_nobody_waits_for_any_more_is_left(app):
    spreading.compute(app.extensions["cairn_storage"], uuid4(), "gone", 0, 1)


def test_few_shards_are_computed_here(spread, monkeypatch):
    run, folder = spread
    monkeypatch.setattr(spreading, "COMPUTE", "nobody.is.asked")
    assert run.spread(square, SHARDS[:3], folder, "squares", reads) == [0, 1, 4]
    assert redis().keys("rq:*") == []


def bits(app, stage, inputs, options, work, *, is_spread):
    """What a stage writes, alone or with another process that takes at least a batch."""
    run = Run(spreader=spreading.Spreader(app.extensions["cairn_storage"], SURVEY))
    taken = []

    def let_another_begin():
        count, until = len(waiting()), time.monotonic() + 120
        while len(waiting()) == count:
            assert time.monotonic() < until, "nobody took a batch"
            time.sleep(0.01)
        taken.append(count - len(waiting()))

    Others(run, let_another_begin)
    perform(stage, inputs, options, work, run if is_spread else Run())
    assert (sum(taken) > 0) == is_spread
    found = {p.relative_to(work): p.read_bytes() for p in work.rglob("*") if p.is_file()}
    # It tells how long the stage took.
    return {path: content for path, content in found.items() if path.name != "manifest.json"}


@pytest.fixture
def another(app, services, tmp_path):
    """A worker beside the test that computes shards, and nothing but shards."""
    environment = live.environment(*services, app.extensions["cairn_storage"].root, 80)
    process = live.worker(environment, tmp_path / "log", queues.SHARD)
    with live.running(process):
        yield process
    assert "Traceback" not in (tmp_path / "log").read_text()


def work_of(name, folder, monkeypatch):
    """A stage with what it takes; its shards are small, and many."""
    monkeypatch.setattr(orthomosaic, "_TILE_PX", 128)
    monkeypatch.setattr(tile_tree, "_TILE_TEXELS", 128)
    monkeypatch.setattr(spreading, "_LEAST_SHARDS", 2)
    if name == "features":
        photos = read_flight(PhotoFolder(live.small_flight() / "images"), Run()).photos
        return FEATURES, FeatureInputs(photos), FeatureOptions(800, 500)
    if name == "dense":
        flight = dense_scene.fly(folder, lambda x, y: np.cos(x / 9.0), dense_scene.texture())
        return DENSE, DenseInputs(*flight), DenseOptions.for_quality("preview")
    yard = yard_scene.build(folder)
    if name == "orthomosaic":
        inputs = OrthomosaicInputs(yard.block, yard.photos, yard.dsm, yard.gsd_m)
        return ORTHOMOSAIC, inputs, OrthomosaicOptions()
    inputs = ModelInputs(yard.block, yard.photos, yard.exposures, yard.dsm, yard.gsd_m)
    return MODEL, inputs, ModelOptions()


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize("name", ["features", "dense", "orthomosaic", "model"])
def test_a_stage_gives_the_same_bits_on_one_worker_and_on_two(app, name, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    work = work_of(name, tmp_path / "photos", monkeypatch)
    alone = bits(app, *work, tmp_path / "alone", is_spread=False)
    spread = bits(app, *work, tmp_path / "spread", is_spread=True)
    assert len(alone) > 1
    assert alone.keys() == spread.keys()
    assert [name for name in alone if alone[name] != spread[name]] == []
