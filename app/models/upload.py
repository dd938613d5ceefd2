"""A file on its way in: resumable by the tus protocol."""

from __future__ import annotations

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.extensions import db
from app.models.row import Bytes, Key, Moment, Name, Now, SurveyRef, UserRef


class Upload(db.Model):
    """An upload that is not complete. Its bytes lie in storage; complete, it becomes a photo."""

    id: Mapped[Key]
    survey_id: Mapped[SurveyRef]
    name: Mapped[Name]
    length: Mapped[Bytes]
    offset: Mapped[Bytes] = mapped_column(default=0, server_default="0")
    sha256: Mapped[str] = mapped_column(String(64), default="", server_default="")
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
    expires_at: Mapped[Moment]
