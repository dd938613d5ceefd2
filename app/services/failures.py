"""Why a run ended without products, in words for whoever started it.

Paths, traces and addresses are for who runs the installation. The worker's log has them, under a
reference that people are told where nobody foresaw what happened.
"""

from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING, Any

from app.errors import AppError
from app.storage import FAILURES

if TYPE_CHECKING:
    from reconstruction.errors import UnforeseenError

_log = logging.getLogger(__name__)


def told(error: Exception, stage: str) -> dict[str, Any]:
    """What is to be said of an error that ended a run in a stage, or before the first one ("")."""
    from reconstruction.errors import ReconstructionError, RoomError, UnforeseenError

    if isinstance(error, UnforeseenError):
        return _unforeseen(error)
    if isinstance(error, RoomError):
        return {"cause": "storage"} | _words(
            f"This needs about {error.needed_bytes / 1e9:.1f} GB on the disk with the surveys, "
            f"and {error.free_bytes / 1e9:.1f} GB are free there.",
            "Free some space, or take a lower quality, then run again: finished stages are kept.",
        )
    if isinstance(error, ReconstructionError):
        _log.info("the run failed", exc_info=error)
        failed = getattr(error, "stage", "")
        named = {"stage": failed} if failed else {}
        return {"cause": failed or "input"} | named | _words(error.reason, error.hint)
    if isinstance(error, AppError):
        return {"cause": "input"} | _words(error.reason, error.remedy)
    if isinstance(error, FAILURES):
        return _storage(error)
    return _program(error, stage)


def _words(reason: str, remedy: str) -> dict[str, str]:
    return {name: text for name, text in (("reason", reason), ("remedy", remedy)) if text}


def _unforeseen(error: UnforeseenError) -> dict[str, Any]:
    """What is to be said of an error in a stage; its own words may hold paths."""
    if error.lack == "program":
        return _program(error, error.stage)
    _log.error("the stage %s lacked %s", error.stage, error.lack, exc_info=error)
    if error.lack == "memory":
        cause, reason = error.stage, "There was too little memory."
    else:
        cause, reason = "storage", _disk(error.__cause__)
    return {"cause": cause, "stage": error.stage} | _words(reason, error.hint)


def _storage(error: Exception) -> dict[str, Any]:
    _log.error("the run failed for storage", exc_info=error)
    if isinstance(error, OSError):
        return {"cause": "storage"} | _words(
            _disk(error), "Free space on it or have it looked at, then run again: it resumes."
        )
    return {"cause": "storage"} | _words(
        "The store of photos and products is away.",
        "Run again when it is back: finished stages are kept.",
    )


def _disk(error: BaseException | None) -> str:
    said = getattr(error, "strerror", None) or "it could not be read or written"
    return f"The disk with photos and products refused: {said}."


def _program(error: Exception, stage: str) -> dict[str, Any]:
    reference = secrets.token_hex(4)
    _log.error("unforeseen failure %s in the stage %r", reference, stage, exc_info=error)
    where = f"in the stage {stage.replace('_', ' ')}" if stage else "at the beginning"
    return {"cause": "program", "stage": stage, "reference": reference} | _words(
        f"The program failed {where}, by a fault that nobody foresaw (reference {reference}).",
        "Run it again: finished stages are kept. If it fails again, tell whoever runs this "
        "installation the reference; the worker's log has the details under it.",
    )
