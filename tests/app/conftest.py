"""A real PostGIS for the tests of the application."""

import tempfile
from pathlib import Path

import pytest

from scripts.services import PROGRAMS, postgis


@pytest.fixture(scope="session")
def database_url():
    """URL of a private cluster, gone after the tests."""
    if not (PROGRAMS / "initdb").exists():
        pytest.skip("postgresql-15 is not installed")
    with tempfile.TemporaryDirectory(prefix="cairn-test-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        with postgis(Path(folder) / "cluster") as url:
            yield url
