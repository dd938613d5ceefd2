"""The workers that registered themselves, and the queues."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app import queues
from app.auth import policy
from app.queries import runs

blueprint = Blueprint("workers_pages", __name__)

# The clock rings every minute; a long job may keep the workers of short ones for a while.
_STILL = timedelta(minutes=30)
# What a worker does, for people.
_WORDS = {
    "app.jobs.process": "processes a survey",
    "app.jobs.compute": "computes a part of a survey",
    "app.jobs.judge": "looks at the photos of a flight",
    "app.jobs.propose": "looks for piles",
    "app.jobs.follow": "aligns a survey and carries piles over",
}


@blueprint.get("/workers")
@policy.admin
def index() -> ResponseReturnValue:
    """Show the workers and the queues."""
    chores_at = max(queues.chores_done().values(), default=None)
    return render_template(
        "runs/workers.html",
        workers=runs.workers(),
        depths=queues.depths(),
        chores_at=chores_at,
        is_still=chores_at is None or datetime.now(UTC) - chores_at > _STILL,
        words=_WORDS,
    )
