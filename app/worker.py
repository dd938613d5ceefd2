"""``python -m app.worker``: a worker that registers itself and does what the queues hold."""

from __future__ import annotations

import argparse
import logging
import os
import platform
import socket
import sys
import threading
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from typing import Any

from flask import Flask
from redis import Redis
from rq import Worker
from sqlalchemy.dialects.postgresql import insert

from app import core, logs, memory, queues
from app.config import Config
from app.extensions import db, redis
from app.models import WorkerNode

_log = logging.getLogger(__name__)
_BEAT_S = 5.0
_LOADED = ("app.jobs", "reconstruction.pipeline", "reconstruction.options")
_TOOLS = ("cairn", "rq", "numpy", "opencv-python-headless")


def main(arguments: list[str] | None = None) -> int:
    """Work until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m app.worker", description=__doc__)
    parser.add_argument("--queues", nargs="+", choices=queues.ALL, default=list(queues.ALL))
    parser.add_argument("--burst", action="store_true", help="end when the queues are empty")
    chosen = parser.parse_args(arguments)
    logs.configure()
    config = Config.from_environment(os.environ)
    app = core(config)
    name = f"{socket.gethostname()}:{os.getpid()}"
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(app, name, chosen.queues, ended), daemon=True)
    keeper.start()
    with app.app_context():
        # Each job is done by a fork of this process: what is loaded here is there at once.
        for module in _LOADED:
            import_module(module)
        # Connections of its own: it waits for jobs longer than those of the keeper may take.
        connection = Redis.from_url(config.redis_url)
        worker = Worker(chosen.queues, name=name, connection=connection)
        worker.work(burst=chosen.burst, logging_level="WARNING")
    ended.set()
    keeper.join()
    return 0


def _keep(app: Flask, name: str, names: list[str], ended: threading.Event) -> None:
    """Say that this worker lives, and what it is at."""
    facts = {
        "name": name,
        "host": socket.gethostname(),
        "architecture": platform.machine(),
        "cores": app.extensions["cairn_config"].cores,
        "memory_bytes": memory.limit_bytes(),
        "queues": names,
        "versions": {"python": platform.python_version()} | {t: version(t) for t in _TOOLS},
        "started_at": datetime.now(UTC),
    }
    while True:
        try:
            with app.app_context():
                queues.tell_memory(name, memory.held_bytes())
                _register(facts)
        except Exception:
            # A database or queue that restarts is back at the next beat.
            _log.exception("the worker could not report itself")
        if ended.wait(_BEAT_S):
            break
    with app.app_context():
        db.session.execute(db.delete(WorkerNode).where(WorkerNode.name == name))
        db.session.commit()


def _register(facts: dict[str, Any]) -> None:
    now = {"job": _job(facts["name"]), "heartbeat_at": datetime.now(UTC)}
    statement = insert(WorkerNode).values(facts | now)
    db.session.execute(statement.on_conflict_do_update(index_elements=["name"], set_=now))
    db.session.commit()


def _job(name: str) -> str:
    found = Worker.find_by_key(f"{Worker.redis_worker_namespace_prefix}{name}", redis())
    job = None if found is None else found.get_current_job()
    return "" if job is None else f"{job.func_name} {' '.join(str(a) for a in job.args)}"[:300]


if __name__ == "__main__":
    sys.exit(main())
