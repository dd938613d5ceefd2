"""`Idempotency-Key`: a request that may be sent twice, because nobody knows whether it arrived."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from flask import Response, jsonify, request

from app.auth.actor import current_actor
from app.errors import InvalidInput
from app.services import idempotency

_HEADER = "Idempotency-Key"
_LONGEST = 200


def once(done: Callable[[], Response], *, keep: bool) -> Response:
    """Do what a request asks, or answer what was answered to the same request before.

    Parameters
    ----------
    done : callable
        Does it and answers.
    keep : bool
        Whether the answer may be stored; what is shown once is not.

    Raises
    ------
    InvalidInput
        When the key came with another request before.
    Conflict
        When that request is not done yet, or its answer is not told twice.
    """
    key, actor = request.headers.get(_HEADER, ""), current_actor()
    if not key or actor is None:
        return done()
    if len(key) > _LONGEST:
        raise InvalidInput(f"{_HEADER} has {len(key)} characters.", f"Take at most {_LONGEST}.")
    parts = (request.method, request.full_path, request.mimetype)
    digest = hashlib.sha256("\n".join(parts).encode() + b"\n" + request.get_data()).digest()
    earlier = idempotency.claim(actor.user.id, key, digest)
    if earlier is not None:
        answer = jsonify(earlier.body) if earlier.body is not None else Response()
        answer.status_code = earlier.status
        answer.headers["Idempotency-Replayed"] = "true"
        return answer
    try:
        answer = done()
    except BaseException:
        # Nothing was done, so it may be tried again.
        idempotency.release(actor.user.id, key)
        raise
    is_told = keep and (answer.is_json or not answer.get_data())
    body = answer.get_json(silent=True) if is_told else None
    idempotency.settle(actor.user.id, key, answer.status_code, body, is_told=is_told)
    return answer
