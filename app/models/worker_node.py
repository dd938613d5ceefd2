"""Workers that registered themselves."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Bytes, Document, Moment


class WorkerNode(db.Model):
    """A worker process: where it runs, what it can do, what it does, and when it last said so."""

    name: Mapped[str] = mapped_column(String(200), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    architecture: Mapped[str] = mapped_column(String(20))
    cores: Mapped[int]
    memory_bytes: Mapped[Bytes]
    queues: Mapped[list[str]] = mapped_column(ARRAY(String(40)))
    versions: Mapped[Document]
    job: Mapped[str] = mapped_column(String(300), default="", server_default="")
    started_at: Mapped[Moment]
    heartbeat_at: Mapped[Moment]
