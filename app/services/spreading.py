"""Shards of a stage, computed by whichever workers have time.

The worker of a run lays a plan into storage, the function and its shards in batches, each with the
names of the files that it reads, and puts a job for each batch into the queue. Then it takes back
what nobody has begun, the last first, and computes that itself; when nothing is left to take back
it waits for the others, and does again what came to nothing. So a run depends on no other worker,
not on the queue, and not on how often a batch is done.
"""

from __future__ import annotations

import pickle
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from app import bundle, queues
from app.storage import Storage

if TYPE_CHECKING:
    from reconstruction.stage import Run

COMPUTE = "app.jobs.compute"
_LEAST_SHARDS = 8
_MOST_BATCHES = 64
_LOOK_S = 0.5
_RESULTS = "results.pickle"


class Spreader:
    """Computes shards of one survey here and elsewhere; see `reconstruction.stage.Run.spread`.

    Parameters
    ----------
    storage : Storage
    survey_id : UUID
    """

    def __init__(self, storage: Storage, survey_id: UUID) -> None:
        self._storage, self._survey_id = storage, survey_id

    def __call__(
        self,
        run: Run,
        function: Callable[[Any, Path], Any],
        shards: list[Any],
        folder: Path,
        message: str,
        reads: Callable[[Any], Iterable[Path]],
    ) -> list[Any]:
        """Results of all shards, in their order."""
        # A batch keeps all cores of its worker busy.
        size = max(_LEAST_SHARDS, run.jobs, -(-len(shards) // _MOST_BATCHES))
        batches = [shards[start : start + size] for start in range(0, len(shards), size)]
        if len(batches) < 2:
            return run.compute(function, shards, folder, message)
        # Whoever listens keeps the stages before, which the others need.
        run.progress(0.0, message)
        plan = self._lay(function, batches, reads)
        jobs = {number: f"{plan}-{number}" for number in range(len(batches))}
        results: dict[int, list[Any]] = {}
        try:
            for number, job in jobs.items():
                arguments = (str(self._survey_id), plan, number)
                queues.offer(queues.SHARD, COMPUTE, *arguments, job_id=job)
            while len(results) < len(batches):
                done = len(results) / len(batches)
                run.progress(done, f"{message} {len(results) * size}/{len(shards)}")
                results |= self._come_back(jobs, jobs.keys() - results.keys(), plan, folder)
                number = _not_begun(jobs, jobs.keys() - results.keys())
                if number is not None:
                    part = run.part(done, done + 1.0 / len(batches))
                    results[number] = part.compute(function, batches[number], folder, message)
                elif len(results) < len(batches):
                    time.sleep(_LOOK_S)
        finally:
            for number in jobs.keys() - results.keys():
                queues.withdraw(queues.SHARD, jobs[number])
            self._storage.drop(self._survey_id)
        return [result for number in sorted(results) for result in results[number]]

    def _lay(
        self,
        function: Callable[[Any, Path], Any],
        batches: list[list[Any]],
        reads: Callable[[Any], Iterable[Path]],
    ) -> str:
        plan = uuid4().hex
        self._hand_over(plan, function)
        for number, batch in enumerate(batches):
            files = {path for shard in batch for path in reads(shard)}
            self._hand_over(f"{plan}-{number}-shards", (batch, files))
        return plan

    def _hand_over(self, name: str, content: Any) -> None:
        with tempfile.NamedTemporaryFile() as file:
            pickle.dump(content, file)
            file.flush()
            self._storage.send(self._survey_id, name, Path(file.name))

    def _come_back(
        self, jobs: dict[int, str], open_: set[int], plan: str, folder: Path
    ) -> dict[int, list[Any]]:
        """Results of batches that others finished; their files are moved into the folder."""
        found = {}
        for number in open_:
            if queues.state(jobs[number]) == "finished":
                with tempfile.TemporaryDirectory(dir=folder.parent) as name:
                    archive = Path(name) / "archive"
                    self._storage.fetch(self._survey_id, f"{plan}-{number}-results", archive)
                    found[number] = _unpack(archive, folder)
        return found


def compute(storage: Storage, survey_id: UUID, plan: str, number: int, cores: int) -> None:
    """Compute a batch for the worker of a run; nothing where that gave up waiting."""
    from reconstruction.stage import Run

    with tempfile.TemporaryDirectory(prefix="cairn-") as name:
        root = Path(name)
        try:
            function = _taken(storage, survey_id, plan, root / "function")
            shards, files = _taken(storage, survey_id, f"{plan}-{number}-shards", root / "shards")
        except FileNotFoundError:
            return
        storage.bring(survey_id, files)
        folder = root / "files"
        folder.mkdir()
        results = Run(jobs=cores).compute(function, shards, folder, "shards")
        (folder / _RESULTS).write_bytes(pickle.dumps(results))
        bundle.pack(folder, root / "archive")
        storage.send(survey_id, f"{plan}-{number}-results", root / "archive")


def _taken(storage: Storage, survey_id: UUID, name: str, path: Path) -> Any:
    storage.fetch(survey_id, name, path)
    # Written by another worker of this installation, like everything in storage.
    return pickle.loads(path.read_bytes())  # noqa: S301


def _unpack(archive: Path, folder: Path) -> list[Any]:
    files = archive.with_name("files")
    bundle.unpack(archive, files)
    results = files / _RESULTS
    found: list[Any] = pickle.loads(results.read_bytes())  # noqa: S301 - as above
    results.unlink()
    for path in files.iterdir():
        shutil.move(path, folder / path.name)
    return found


def _not_begun(jobs: dict[int, str], open_: set[int]) -> int | None:
    """A batch that has to be computed here: nobody has begun it, or it came to nothing."""
    for number in sorted(open_, reverse=True):
        if queues.take_back(queues.SHARD, jobs[number]):
            return number
    return next((number for number in open_ if queues.state(jobs[number]) == "lost"), None)
