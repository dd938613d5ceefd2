"""A private database, queue, folder and server for a measurement, gone afterwards."""

from __future__ import annotations

import contextlib
import http.client
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.services import services


@contextlib.contextmanager
def installation() -> Iterator[dict[str, str]]:
    """The environment that configures an application on them."""
    with tempfile.TemporaryDirectory(prefix="cairn-bench-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with services(folder, "http://localhost") as environment:
            yield environment


@contextlib.contextmanager
def server(environment: dict[str, str], application: str, folder: Path) -> Iterator[int]:
    """One process of the server that the images run, on a port of this machine."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", application, "--bind", f"127.0.0.1:{port}"]
    command += ["--worker-class", "gthread", "--threads", "8", "--log-level", "warning"]
    server = subprocess.Popen(
        [*command, "--chdir", str(folder)], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        _wait(port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


@contextlib.contextmanager
def worker(environment: dict[str, str]) -> Iterator[None]:
    """A worker, as the images run it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.worker"], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(30)


def _wait(port: int) -> None:
    """Until the process has loaded all and answers, whatever it answers."""
    until = time.monotonic() + 60.0
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/")
            connection.getresponse()
            break
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        finally:
            connection.close()
