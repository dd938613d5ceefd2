"""A processing of a survey. These rows are the truth; the queue only carries them."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.row import Document, Key, Now, SurveyRef, UserRef
from app.models.survey import Survey


class RunState(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    FAILED = "failed"
    DONE = "done"


class Run(db.Model):
    """One attempt, or several resumed ones, to make the products of a survey."""

    id: Mapped[Key]
    survey_id: Mapped[SurveyRef]
    options: Mapped[Document]
    state: Mapped[str] = mapped_column(String(10), default=RunState.QUEUED, index=True)
    fraction: Mapped[float] = mapped_column(default=0.0, server_default="0")
    stage: Mapped[str] = mapped_column(String(60), default="", server_default="")
    message: Mapped[str] = mapped_column(Text, default="", server_default="")
    # What went wrong, for a surveyor: reason, remedy and the photos concerned.
    failure: Mapped[Document]
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    worker: Mapped[str] = mapped_column(String(200), default="", server_default="")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    heartbeat_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))

    survey: Mapped[Survey] = relationship()
    stages: Mapped[list[StageRun]] = relationship(
        order_by="StageRun.position", cascade="all, delete-orphan", passive_deletes=True
    )


class StageRun(db.Model):
    """One stage of a run."""

    id: Mapped[Key]
    run_id: Mapped[UUID] = mapped_column(ForeignKey("run.id", ondelete="CASCADE"), index=True)
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(60))
    state: Mapped[str] = mapped_column(String(10))
    fraction: Mapped[float] = mapped_column(default=0.0, server_default="0")
    message: Mapped[str] = mapped_column(Text, default="", server_default="")
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    cpu_s: Mapped[float] = mapped_column(default=0.0, server_default="0")

    __table_args__ = (UniqueConstraint("run_id", "name"),)
