"""Chores: what `app.clock` rings for. One worker does each at a time, and again if it died."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import UTC, datetime

from app import core, queues, turns
from app.config import Config
from app.services import (
    deliveries,
    flighthub,
    following,
    inboxes,
    notices,
    reports,
    runs,
    schedule,
    uploads,
    webhooks,
)


def _chore(work: Callable[[], None]) -> Callable[[], None]:
    """Make the application for it, and let nobody else do it meanwhile."""

    @functools.wraps(work)
    def done() -> None:
        app = core(Config.from_environment(os.environ))
        with app.app_context(), turns.alone(f"chore-{work.__name__}") as is_ours:
            if is_ours:
                work()
                queues.tell_done(work.__name__)

    return done


@_chore
def rescue_runs() -> None:
    """Send runs again whose worker fell silent or whose queue was emptied."""
    runs.rescue()


@_chore
def take_flights() -> None:
    """Take what arrived in inboxes, and process what is whole."""
    inboxes.scan()
    flighthub.take_whole()
    deliveries.settle_all()


@_chore
def follow_surveys() -> None:
    """Do what follows finished surveys and was not done."""
    following.send_all()


@_chore
def send_messages() -> None:
    """Send webhooks and mails that are due."""
    webhooks.deliver_due()
    notices.send_due()


@_chore
def keep_schedule() -> None:
    """Tell of overdue surveys and of flights that came in part."""
    now = datetime.now(UTC)
    schedule.tell_overdue(now)
    schedule.tell_stalled(now)


@_chore
def send_reports() -> None:
    """Mail the monthly reports that are due."""
    reports.send_due_reports(datetime.now(UTC))


@_chore
def clean_up() -> None:
    """Remove uploads that nobody went on with."""
    uploads.remove_expired()
