"""Whether this process lives, and whether it can serve."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app import metrics
from app.auth import policy
from app.errors import NotFound
from app.extensions import db, limiter, redis
from app.storage import FAILURES

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@policy.anybody
@limiter.exempt
def alive() -> ResponseReturnValue:
    """The process answers."""
    return {"status": "ok"}


@blueprint.get("/readyz")
@policy.anybody
@limiter.exempt
def ready() -> ResponseReturnValue:
    """Database, queue and storage answer, too."""
    checks = {"database": _database(), "queue": _queue(), "storage": _storage()}
    is_ready = all(state == "ok" for state in checks.values())
    return {"status": "ok" if is_ready else "unavailable", **checks}, 200 if is_ready else 503


@blueprint.get("/metrics")
@policy.anybody
@limiter.exempt
def measured() -> ResponseReturnValue:
    """Queues, runs and workers, for Prometheus; it asks directly, and not through the proxy."""
    if "X-Forwarded-For" in request.headers:
        raise NotFound("There are no metrics here.", "Ask the process itself.")
    return Response(metrics.text(), content_type=metrics.CONTENT_TYPE)


def _database() -> str:
    try:
        db.session.execute(text("select 1"))
    except SQLAlchemyError:
        db.session.rollback()
        return "does not answer"
    return "ok"


def _queue() -> str:
    try:
        redis().ping()
    except RedisError:
        return "does not answer"
    return "ok"


def _storage() -> str:
    try:
        current_app.extensions["cairn_storage"].check()
    except FAILURES:
        return "does not answer"
    return "ok"
