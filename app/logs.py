"""Logs as lines of JSON: which request or run they belong to, and no secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from uuid import UUID, uuid4

from flask import Flask, Response, g, request

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# Passwords in addresses, tokens, signatures of links, keys: what follows is not written.
_SECRETS = (
    (re.compile(r"(\w+://[^\s:/@]*:)[^\s@/]+@"), r"\1***@"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]+"), r"\1 ***"),
    (
        re.compile(
            r"(?i)([\w-]*(?:password|secret|token|signature|credential|api[-_]?key)[\w-]*"
            r"[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;]+"
        ),
        r"\1***",
    ),
)
_QUIET = ("/healthz", "/readyz", "/metrics")

run_id: ContextVar[str] = ContextVar("run_id", default="")
_request_id: ContextVar[str] = ContextVar("request_id", default="")


class JsonLines(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """As a line."""
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": _request_id.get(),
            "run_id": run_id.get(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            facts["exception"] = self.formatException(record.exc_info)
        known = {name: value for name, value in facts.items() if value not in ("", None)}
        return json.dumps(
            {name: without_secrets(v) if isinstance(v, str) else v for name, v in known.items()},
            ensure_ascii=False,
        )


def without_secrets(text: str) -> str:
    """A text in which what looks like a secret is left out.

    Examples
    --------
    >>> without_secrets("postgresql://cairn:pit@db/cairn, Authorization: Bearer abc.def")
    'postgresql://cairn:***@db/cairn, Authorization: Bearer ***'
    >>> without_secrets("https://store/a?X-Amz-Signature=12ab&x=1 with SECRET_KEY='abc'")
    "https://store/a?X-Amz-Signature=***&x=1 with SECRET_KEY='***'"
    """
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def configure() -> None:
    """Write all logs of this process as lines of JSON to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # They say much, and some of it every second.
    for name in ("botocore", "urllib3", "rq.worker", "rasterio", "fontTools"):
        logging.getLogger(name).setLevel(logging.WARNING)


def install(app: Flask) -> None:
    """Give each request an identifier, which the answer tells, and log what became of it."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    given = request.headers.get("X-Request-ID", "")
    g.request_id = given if _REQUEST_ID.fullmatch(given) else uuid4().hex
    g.began_s = time.perf_counter()
    _request_id.set(g.request_id)


def _end(response: Response) -> Response:
    response.headers["X-Request-ID"] = g.request_id
    if request.path not in _QUIET and request.endpoint != "static":
        # Not the address itself: links of invitations and queries may hold secrets.
        ids = {k: str(v) for k, v in (request.view_args or {}).items() if isinstance(v, UUID)}
        facts = {
            "method": request.method,
            "route": str(request.url_rule or "none"),
            "status": response.status_code,
            "seconds": round(time.perf_counter() - g.began_s, 4),
            **ids,
        }
        _log.info("request", extra={"facts": facts})
    return response
