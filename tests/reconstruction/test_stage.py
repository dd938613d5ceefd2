"""Errors that no stage foresaw: told with the stage's name and a remedy."""

import ctypes
import errno
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reconstruction.errors import StageError, UnforeseenError
from reconstruction.stage import Run, Stage, perform


def failing(error):
    """A stage that raises it."""

    def run(inputs, options, folder, run):
        raise error

    return Stage("dense", 1, 1.0, run, lambda folder: None)


@pytest.mark.parametrize(
    ("error", "reason", "hint", "lack"),
    [
        (OSError(errno.ENOSPC, "No space left"), "No space left", "The disk is full", "disk"),
        (PermissionError(errno.EACCES, "denied", "a.tif"), "a.tif", "permissions", "disk"),
        (MemoryError("3 GiB"), "3 GiB", "too little memory", "memory"),
        (KeyError("left"), "KeyError: 'left'", "fault of the program", "program"),
    ],
)
def test_an_error_that_no_stage_foresaw_is_told(tmp_path, error, reason, hint, lack):
    with pytest.raises(UnforeseenError) as caught:
        perform(failing(error), None, None, tmp_path, Run())
    assert (caught.value.stage, caught.value.__cause__) == ("dense", error)
    assert caught.value.lack == lack
    assert reason in caught.value.reason
    assert hint in caught.value.hint


def test_a_library_that_names_a_full_disk_otherwise_is_understood(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=4096))
    with pytest.raises(StageError) as caught:
        perform(failing(RuntimeError("SQLite error 13")), None, None, tmp_path, Run())
    assert "SQLite error 13" in caught.value.reason
    assert "The disk is full" in caught.value.hint


def held_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_what_a_stage_freed_is_the_system_s_again(tmp_path):
    left_behind = []

    def shard(number):
        pictures = []
        for _ in range(1500):
            pictures.append(np.ones(100_000, np.uint8))
            # Something small that stays keeps the heap from shrinking by itself.
            left_behind.append(np.ones(600, np.uint8))

    def run(inputs, options, folder, run):
        run.map(shard, range(2), "shard")

    before = held_mb()
    perform(Stage("dense", 1, 1.0, run, lambda folder: None), None, None, tmp_path, Run(jobs=2))
    assert held_mb() - before < 60


def test_memory_that_is_not_there_is_told(tmp_path):
    def run(inputs, options, folder, run):
        np.zeros(1 << 50)

    with pytest.raises(StageError) as caught:
        perform(Stage("dense", 1, 1.0, run, lambda folder: None), None, None, tmp_path, Run())
    assert "too little memory" in caught.value.hint
