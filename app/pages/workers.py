"""The workers that registered themselves, and the queues."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app import queues
from app.auth import policy
from app.queries import runs

blueprint = Blueprint("workers_pages", __name__)


@blueprint.get("/workers")
@policy.admin
def index() -> ResponseReturnValue:
    """Show the workers and the queues."""
    return render_template("runs/workers.html", workers=runs.workers(), depths=queues.depths())
