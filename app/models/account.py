"""Who may do what: organisations, people, their roles on sites, sign-ins and invitations."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, String, func
from sqlalchemy.orm import Mapped, mapped_column, relationship

from app.extensions import db
from app.models.row import Key, Moment, Name, Now, OrganisationRef, UserRef


class Role(IntEnum):
    """What a person may do on a site; a higher role may all that a lower one may."""

    VIEWER = 1
    SURVEYOR = 2
    MANAGER = 3


class Organisation(db.Model):
    """A customer. Nothing of one organisation is ever seen by another."""

    id: Mapped[Key]
    name: Mapped[Name]
    created_at: Mapped[Now]


class User(db.Model):
    """A person of an organisation. Without a password hash only single sign-on lets them in."""

    id: Mapped[Key]
    organisation_id: Mapped[OrganisationRef]
    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[Name]
    password_hash: Mapped[str | None] = mapped_column(String(200))
    single_sign_on_subject: Mapped[str | None] = mapped_column(String(255), unique=True)
    is_admin: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_active: Mapped[bool] = mapped_column(default=True, server_default="true")
    locale: Mapped[str] = mapped_column(String(20), default="", server_default="")
    created_at: Mapped[Now]

    organisation: Mapped[Organisation] = relationship()

    __table_args__ = (Index("uq_user_email_lower", func.lower(email), unique=True),)


class SiteMember(db.Model):
    """The role of a person on a site."""

    site_id: Mapped[UUID] = mapped_column(
        ForeignKey("site.id", ondelete="CASCADE"), primary_key=True
    )
    user_id: Mapped[UUID] = mapped_column(
        ForeignKey("user.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    role: Mapped[int]

    __table_args__ = (CheckConstraint("role between 1 and 3", name="role"),)


class SignIn(db.Model):
    """A session of a browser; the cookie holds a secret of which this row has the hash."""

    id: Mapped[Key]
    user_id: Mapped[UUID] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[Now]
    seen_at: Mapped[Moment]
    expires_at: Mapped[Moment]
    address: Mapped[str] = mapped_column(String(45))
    browser: Mapped[str] = mapped_column(String(300))

    user: Mapped[User] = relationship()


class InvitationKind(StrEnum):
    """What a link that works once is for."""

    JOIN = "join"
    PASSWORD = "password"  # noqa: S105


class Invitation(db.Model):
    """A link that works once: to join an organisation, or to set a new password."""

    id: Mapped[Key]
    kind: Mapped[str] = mapped_column(String(10))
    organisation_id: Mapped[OrganisationRef]
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"))
    email: Mapped[str] = mapped_column(String(254))
    site_id: Mapped[UUID | None] = mapped_column(ForeignKey("site.id", ondelete="CASCADE"))
    role: Mapped[int | None]
    is_admin: Mapped[bool] = mapped_column(default=False, server_default="false")
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[Now]
    created_by: Mapped[UserRef]
    expires_at: Mapped[Moment]
    used_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
