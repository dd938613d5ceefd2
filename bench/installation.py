"""A private database, queue and folder for a measurement, gone afterwards."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from scripts.services import postgis, valkey


@contextlib.contextmanager
def installation() -> Iterator[dict[str, str]]:
    """The environment that configures an application on them."""
    with tempfile.TemporaryDirectory(prefix="cairn-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with postgis(folder / "cluster") as database, valkey(folder / "valkey") as queue:
            yield os.environ | {
                "DATABASE_URL": database,
                "REDIS_URL": queue,
                "STORAGE_URL": f"file://{folder / 'storage'}",
                "SECRET_KEY": "a key of the bench, known to everybody 0123456789",
                "PUBLIC_URL": "http://localhost",
            }
