"""The stage protocol: a pure function with a name, a version and a folder of its own.

A stage that finished is never run again for the same inputs and options, a stage that was
interrupted leaves nothing behind that could be mistaken for a result, and a stage that
cannot work says why.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, is_dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar

import cv2
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from reconstruction.errors import Cancelled, ReconstructionError, UnforeseenError

In = TypeVar("In")
Opt = TypeVar("Opt")
Out = TypeVar("Out")
Shard = TypeVar("Shard")
Result = TypeVar("Result")

MANIFEST = "manifest.json"
# What a shard reads.
Reads = Callable[[Any], Iterable[Path]]
# Computes shards on other machines: run, function, shards, folder, message, reads -> results.
Spreader = Callable[["Run", Callable[[Any, Path], Any], list[Any], Path, str, Reads], list[Any]]
# With less than this no survey goes on.
_LITTLE_BYTES = 16 << 20
_TOOLS = ("numpy", "scipy", "numba", "opencv-python-headless", "pycolmap", "rasterio", "DracoPy")


@dataclass
class Run:
    """What a running stage may use of the world: progress, cancellation and the cores.

    Parameters
    ----------
    report : callable
        Receives the fraction done of this stage (0 to 1) and a message.
    jobs : int
        How many shards run at once.
    cancelled : threading.Event
        Set by whoever wants the run to stop.
    spreader : callable or None
        Computes the shards of `spread` on other machines.
    """

    report: Callable[[float, str], None] = lambda fraction, message: None
    jobs: int = 1
    cancelled: threading.Event = field(default_factory=threading.Event)
    spreader: Spreader | None = None

    def progress(self, fraction: float, message: str) -> None:
        """Say how far the stage is; raises `Cancelled` when it should stop."""
        if self.cancelled.is_set():
            raise Cancelled(message)
        self.report(fraction, message)

    def part(self, start: float, end: float) -> Run:
        """The same run, its fractions mapped into start..end of this stage."""
        return Run(
            lambda fraction, message: self.report(start + (end - start) * fraction, message),
            self.jobs,
            self.cancelled,
            self.spreader,
        )

    def map(
        self,
        function: Callable[[Shard], Result],
        shards: Iterable[Shard],
        message: str,
    ) -> list[Result]:
        """Results of independent shards, in their order, computed on all cores.

        Threads, not processes: the heavy parts (OpenCV, numba with ``nogil``, numpy, codecs)
        release the interpreter lock, and threads share read-only arrays without copies.
        """
        todo = list(shards)
        results: list[Any] = [None] * len(todo)
        with ThreadPoolExecutor(max(1, self.jobs)) as pool:
            pending: dict[Future[Result], int] = {}
            try:
                done_count = 0
                for index, shard in enumerate(todo):
                    pending[pool.submit(function, shard)] = index
                while pending:
                    finished, _ = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    for future in finished:
                        results[pending.pop(future)] = future.result()
                        done_count += 1
                    self.progress(done_count / len(todo), f"{message} {done_count}/{len(todo)}")
            except BaseException:
                for future in pending:
                    future.cancel()
                raise
        return results

    def spread(
        self,
        function: Callable[[Shard, Path], Result],
        shards: Iterable[Shard],
        folder: Path,
        message: str,
        reads: Reads,
    ) -> list[Result]:
        """Results of shards that may be computed on other machines, too.

        Parameters
        ----------
        function : callable
            ``function(shard, folder) -> result``, all of it picklable. It leaves files in no other
            folder than the one it is given; paths in its results are in that folder and may be of
            another machine. What many shards share and is dear to make is a cached property of
            the object that it is a method of, and stays behind when that travels.
        shards : iterable
        folder : Path
            Where the files of all shards are afterwards.
        message : str
        reads : callable
            ``reads(shard)``: the photos and the files of finished stages that it reads, and nothing
            else.
        """
        if self.spreader is not None:
            return self.spreader(self, function, list(shards), folder, message, reads)
        return self.compute(function, shards, folder, message)

    def compute(
        self,
        function: Callable[[Shard, Path], Result],
        shards: Iterable[Shard],
        folder: Path,
        message: str,
    ) -> list[Result]:
        """The same on this machine alone.

        One core a shard: threads of BLAS and OpenCV that wait for each other cost more than they
        compute.
        """
        before = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            with threadpool_limits(1, user_api="blas"):
                return self.map(partial(_in_folder, function, folder), shards, message)
        finally:
            cv2.setNumThreads(before)


def _in_folder(function: Callable[[Shard, Path], Result], folder: Path, shard: Shard) -> Result:
    return function(shard, folder)


@dataclass(frozen=True)
class Stage(Generic[In, Opt, Out]):
    """One step of the recipe.

    Parameters
    ----------
    name : str
        Also the name of its folder.
    version : int
        Raised when the meaning of its output changes.
    weight : float
        Share of the whole run's time, in any unit.
    run : callable
        ``run(inputs, options, folder, run) -> Out``. Writes only below ``folder``.
    load : callable
        ``load(folder) -> Out`` for a finished folder; `run`'s result after a reload.
    """

    name: str
    version: int
    weight: float
    run: Callable[[In, Opt, Path, Run], Out]
    load: Callable[[Path], Out]


@dataclass(frozen=True)
class Finished(Generic[Out]):
    """The output of a stage with the fingerprint that later stages depend on."""

    output: Out
    fingerprint: str
    resumed: bool
    seconds: float
    cpu_seconds: float


def perform(
    stage: Stage[In, Opt, Out],
    inputs: In,
    options: Opt,
    work: Path,
    run: Run,
    depends_on: Iterable[str] = (),
) -> Finished[Out]:
    """Load a stage's output if it is fresh, else run the stage.

    Parameters
    ----------
    stage : Stage
    inputs, options
        As the stage takes them. ``options`` is part of the fingerprint.
    work : Path
        Folder that holds the stage folders.
    run : Run
        Progress of this stage.
    depends_on : iterable of str
        Fingerprints of the stages and input files that ``inputs`` came from.

    Raises
    ------
    StageError
        With the stage's name, also for errors that the stage did not foresee.
    Cancelled
        The partial folder is left for `shutil` to remove at the next attempt.
    """
    fingerprint = fingerprint_of(stage, options, depends_on)
    folder = work / stage.name
    manifest = _manifest(folder)
    if is_fresh(stage, work, fingerprint):
        run.progress(1.0, f"{stage.name}: done before")
        seconds, cpu_seconds = manifest["seconds"], manifest["cpu_seconds"]
        return Finished(stage.load(folder), fingerprint, True, seconds, cpu_seconds)
    partial = work / f"{stage.name}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    wall, cpu = time.perf_counter(), _cpu_seconds()
    try:
        stage.run(inputs, options, partial, run)
    except (ReconstructionError, Cancelled):
        raise
    except Exception as error:
        raise unforeseen(stage.name, error, work) from error
    _give_back_memory()
    seconds, cpu_seconds = time.perf_counter() - wall, _cpu_seconds() - cpu
    facts = {
        "stage": stage.name,
        "fingerprint": fingerprint,
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu_seconds, 2),
    }
    (partial / MANIFEST).write_text(json.dumps(facts, indent=1))
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return Finished(stage.load(folder), fingerprint, False, seconds, cpu_seconds)


def _give_back_memory() -> None:
    """Return what a stage freed to the system: glibc keeps it, scattered over its threads' arenas.

    Else each stage would come on top of those before it.
    """
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)


def _cpu_seconds() -> float:
    """Of this process and of the programs that it ran to their end."""
    return sum(os.times()[:4])


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError):
        return {}


def unforeseen(stage: str, error: Exception, folder: Path) -> UnforeseenError:
    """What to say of an error that no stage raised: mostly a disk that does not do as it should.

    Parameters
    ----------
    stage : str
    error : Exception
    folder : Path
        Where was written. Libraries have errors of their own for a full disk, so it is looked at.
    """
    is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if is_full or shutil.disk_usage(folder).free < _LITTLE_BYTES:
        lack = "disk"
        hint = "The disk is full: free some space and run the same command again, it resumes."
    elif isinstance(error, MemoryError):
        lack = "memory"
        hint = "There is too little memory: use a machine with more, or a lower quality."
    elif isinstance(error, OSError):
        lack = "disk"
        hint = "Check the disk and the folder's permissions, then run the same command again."
    else:
        lack = "program"
        hint = "This is a fault of the program: report it with the survey's log.jsonl."
    said = str(error) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
    return UnforeseenError(stage, f"{said}.", hint, lack)


def is_fresh(stage: Stage[Any, Any, Any], work: Path, fingerprint: str) -> bool:
    """Whether a stage's output is there, as `perform` would make it."""
    return bool(_manifest(work / stage.name).get("fingerprint") == fingerprint)


def fingerprint_of(
    stage: Stage[Any, Any, Any], options: Any, depends_on: Iterable[str] = ()
) -> str:
    """What the output of a stage is made of, see `perform`."""
    values = asdict(options) if is_dataclass(options) and not isinstance(options, type) else options
    text = json.dumps(
        [stage.name, stage.version, values, list(depends_on), tool_versions()],
        sort_keys=True,
        default=str,
    )
    return hashlib.sha256(text.encode()).hexdigest()


def tool_versions() -> dict[str, str]:
    """Versions of the installed libraries whose results end up in products."""
    found = {}
    for name in _TOOLS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
