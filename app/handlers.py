"""The one table from what goes wrong to HTTP: problem details for machines, pages for people."""

from __future__ import annotations

import errno
import json
import logging
from typing import Any

from flask import Flask, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, InternalServerError

from app.auth.actor import current_actor
from app.errors import AppError, NotSignedIn, StorageAway, StorageFull
from app.extensions import db
from app.storage import FAILURES

_log = logging.getLogger(__name__)
_API = "/api/"
# What people are told where the protocol's own words do not help.
_TOO_OLD = (
    "This page was open for too long",
    "You signed out meanwhile, or it waited longer than it may. Load it again and repeat the last "
    "step; nothing was changed.",
)
_WORDS = {
    404: ("There is no such page", "Check the address, or begin anew."),
    405: ("Nothing to see at this address", "It takes forms only. Go back to the page before."),
}


def problem(status: int, title: str, detail: str, **more: Any) -> Response:
    """An answer of RFC 9457."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(
        json.dumps(body | {name: value for name, value in more.items() if value}),
        status,
        mimetype="application/problem+json",
    )


def is_api() -> bool:
    """Whether a program asks, and not a person."""
    return request.path.startswith(_API)


def install(app: Flask) -> None:
    """Answer errors of an application."""
    app.register_error_handler(AppError, _app_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _surprise)
    for failure in FAILURES:
        app.register_error_handler(failure, _storage_failure)


def _app_error(error: AppError) -> ResponseReturnValue:
    db.session.rollback()
    if is_api():
        detail = f"{error.reason} {error.remedy}".strip()
        answer = problem(error.status, error.title, detail, remedy=error.remedy, field=error.field)
        if isinstance(error, NotSignedIn):
            answer.headers["WWW-Authenticate"] = "Bearer"
        return answer
    if isinstance(error, NotSignedIn) and request.method == "GET":
        return redirect(url_for("sign_in.form", to=request.full_path.rstrip("?")))
    return _page(error.status, error.title, error.reason, error.remedy)


def _http_error(error: HTTPException) -> ResponseReturnValue:
    if error.code is None or error.code < 400:
        return error.get_response()
    db.session.rollback()
    title, detail = error.name, error.description or ""
    if is_api():
        answer = problem(error.code, title, detail)
    else:
        is_too_old = isinstance(error, CSRFError)
        words = _TOO_OLD if is_too_old else _WORDS.get(error.code, (title, detail))
        answer = Response(_page(error.code, *words, "")[0], error.code)
    # Which methods are allowed, when to try again: what the error knows goes along.
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            answer.headers[name] = value
    return answer


def _storage_failure(error: Exception) -> ResponseReturnValue:
    if not isinstance(error, OSError):
        _log.error("storage: %s", error)
        return _app_error(StorageAway("Storage does not answer.", "Try again in a minute."))
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        _log.error("storage: %s", error)
        return _app_error(StorageFull("The disk is full.", "Tell whoever runs this installation."))
    return _surprise(error)


def _surprise(error: Exception) -> ResponseReturnValue:
    _log.exception("%s %s failed", request.method, request.path)
    db.session.rollback()
    return _http_error(
        InternalServerError("Something went wrong on our side. Nothing was saved; try again.")
    )


def _page(status: int, title: str, reason: str, remedy: str) -> tuple[str, int]:
    page = render_template(
        "error.html", title=title, reason=reason, remedy=remedy, actor=current_actor()
    )
    return page, status
