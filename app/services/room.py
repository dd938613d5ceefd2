"""Room on the disk for several runs at once: what those at work will still write counts as taken.

A run that is alone is not judged here: the reconstruction itself refuses what can never fit.
"""

from __future__ import annotations

import shutil
from uuid import UUID

from sqlalchemy import select

from app import turns
from app.extensions import db
from app.models import Run, RunState, StageRun
from app.queries import photos
from app.storage import Storage
from reconstruction import room

# Most room is taken until the surface is made; after that little is written, and much removed.
_FULLEST = "dense"
_TURN = UUID("0d15c000-0000-4000-8000-000000000001")


def shortage(run: Run, worker: str, storage: Storage) -> str:
    """Why a run of a worker has to wait for others to end, in words; "" where it need not.

    Until the transaction ends no other run is judged, so of two that come at once the second sees
    the first at work.
    """
    turns.wait_for(_TURN)
    at_work = select(Run).where(
        Run.state.in_((RunState.RUNNING, RunState.CANCELLING)), Run.id != run.id
    )
    if not storage.is_shared:
        at_work = at_work.where(Run.worker.startswith(f"{worker.rpartition(':')[0]}:"))
    others = db.session.scalars(at_work).all()
    reserved = sum(_still_writes(other, storage) for other in others)
    needed, free = _still_writes(run, storage), shutil.disk_usage(storage.disk).free
    if not reserved or needed + reserved <= free:
        return ""
    who = "the survey" if len(others) == 1 else f"the {len(others)} surveys"
    return (
        f"waits for room on the disk: it needs {needed / 1e9:.1f} GB, {who} at work "
        f"{reserved / 1e9:.1f} GB more, and {free / 1e9:.1f} GB are free"
    )


def _still_writes(run: Run, storage: Storage) -> float:
    done = select(StageRun.id).where(
        StageRun.run_id == run.id, StageRun.name == _FULLEST, StageRun.state == "done"
    )
    if db.session.scalar(done) is not None:
        return 0.0
    most = room.needed_bytes(*photos.largest(run.survey_id), run.options["quality"])
    return max(0.0, most - storage.held_bytes(run.survey_id))
