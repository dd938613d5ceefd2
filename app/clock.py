"""``python -m app.clock``: rings for what is done regularly; workers of the short queue do it.

One clock an installation. A ring that nobody heard is forgotten before the next one, and all that
is done here may be done twice without harm.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable

from redis import Redis
from rq.cron import CronScheduler

from app import chores, queues
from app.config import Config

_MINUTE_S = 60
_TIMEOUT_S = 6 * 3600
# What is done, and every how many seconds.
EVERY: dict[Callable[[], object], int] = {
    chores.rescue_runs: _MINUTE_S,
    chores.take_flights: _MINUTE_S,
    chores.follow_surveys: _MINUTE_S,
    chores.send_messages: _MINUTE_S,
    chores.keep_schedule: 10 * _MINUTE_S,
    chores.send_reports: 60 * _MINUTE_S,
    chores.clean_up: 60 * _MINUTE_S,
}


def main() -> int:
    """Ring until told to stop."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("rq.cron").setLevel(logging.WARNING)
    config = Config.from_environment(os.environ)
    scheduler(Redis.from_url(config.redis_url)).start()
    return 0


def scheduler(connection: Redis) -> CronScheduler:
    """The clock on a queue."""
    clock = CronScheduler(connection, logging_level="WARNING")
    for chore, seconds in EVERY.items():
        clock.register(
            chore,
            queues.SHORT,
            interval=seconds,
            job_timeout=_TIMEOUT_S,
            ttl=seconds,
            result_ttl=seconds,
            failure_ttl=24 * 3600,
        )
    return clock


if __name__ == "__main__":
    sys.exit(main())
