"""The application as it runs for people: a server and a worker as processes of their own."""

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path

SECRET = "a key of the tests, known to everybody 0123456789"
_FLIGHTS = Path(__file__).parents[2] / "build" / "flights"


def small_flight():
    """Folder of a small rendered flight, which all tests share and later runs find again."""
    _FLIGHTS.mkdir(parents=True, exist_ok=True)
    folder = _FLIGHTS / "small"
    command = [sys.executable, "-m", "reconstruction.synthetic", folder, "--size", "small"]
    with (_FLIGHTS / "lock").open("w") as lock:
        # Two processes of the test run may ask at once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([str(word) for word in command], check=True, capture_output=True)
    return folder


def free_port():
    """A port that nobody uses."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def environment(database, queue, storage, port):
    """What the processes are configured with."""
    return os.environ | {
        "DATABASE_URL": database,
        "REDIS_URL": queue,
        "STORAGE_URL": f"file://{storage}",
        "SECRET_KEY": SECRET,
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
    }


class Process:
    """A process of the application that can be killed and started again."""

    def __init__(self, command, environment, log, ready):
        self._command, self._environment, self._log, self._ready = command, environment, log, ready
        self.start()

    def start(self):
        """Start it and wait until it is ready."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                self._command, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )
        until = time.monotonic() + 60.0
        while not self._ready():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"did not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.05)

    def kill(self):
        """End it and its children as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """End it as an operator would, and as a power cut where that takes too long."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


def web(environment, port, log):
    """A server on a port."""
    command = [
        sys.executable, "-m", "gunicorn", "wsgi:application", "--bind", f"127.0.0.1:{port}",
        "--worker-class", "gthread", "--threads", "8",
    ]  # fmt: skip

    def ready():
        try:
            return (
                urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1).status == 200
            )
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    return Process(command, environment, log, ready)


def worker(environment, log, *queues):
    """A worker of all queues, or of these."""
    command = [sys.executable, "-m", "app.worker", *(("--queues", *queues) if queues else ())]
    return Process(command, environment, log, lambda: True)


def clock(environment, log):
    """What rings for chores."""
    return Process([sys.executable, "-m", "app.clock"], environment, log, lambda: True)


@contextmanager
def running(process):
    """A process that is stopped at the end."""
    try:
        yield process
    finally:
        process.stop()
