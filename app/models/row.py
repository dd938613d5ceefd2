"""Columns that many rows have."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, DateTime, ForeignKey, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import mapped_column

Key = Annotated[UUID, mapped_column(primary_key=True, default=uuid4)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
Now = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
Name = Annotated[str, mapped_column(String(200))]
Bytes = Annotated[int, mapped_column(BigInteger)]
Document = Annotated[dict, mapped_column(JSONB, default=dict, server_default="{}")]
UserRef = Annotated[UUID | None, mapped_column(ForeignKey("user.id", ondelete="SET NULL"))]
OrganisationRef = Annotated[
    UUID, mapped_column(ForeignKey("organisation.id", ondelete="CASCADE"), index=True)
]
SiteRef = Annotated[UUID, mapped_column(ForeignKey("site.id", ondelete="CASCADE"), index=True)]
SurveyRef = Annotated[UUID, mapped_column(ForeignKey("survey.id", ondelete="CASCADE"), index=True)]
