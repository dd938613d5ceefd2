"""Values that are made once on many threads."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from threading import Barrier

from reconstruction.once import once


def test_threads_that_ask_at_once_get_one_value(monkeypatch):
    # As in Python 3.12, which has no lock of its own there.
    monkeypatch.setattr(cached_property, "__get__", _without_lock)
    barrier, made = Barrier(4), []

    class Mosaic:
        @once
        def views(self):
            time.sleep(0.02)
            made.append(object())
            return made[-1]

    mosaic = Mosaic()

    def ask(_number):
        barrier.wait(5.0)
        return mosaic.views

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert len(made) == 1
    assert set(found) == set(made)


def _without_lock(self, instance, _owner=None):
    if self.attrname not in instance.__dict__:
        instance.__dict__[self.attrname] = self.func(instance)
    return instance.__dict__[self.attrname]
