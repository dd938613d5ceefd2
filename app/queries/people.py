"""People of an organisation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import and_, select

from app.extensions import db
from app.models import Invitation, SignIn, Site, SiteMember, User
from app.models.account import InvitationKind


@dataclass(frozen=True)
class Member:
    """A person and their role on a site; 0 is none."""

    user: User
    role: int


def of_organisation(organisation_id: UUID) -> list[User]:
    """Everybody, by name."""
    query = select(User).where(User.organisation_id == organisation_id).order_by(User.name)
    return list(db.session.scalars(query))


def roles_on(site: Site) -> list[Member]:
    """Everybody of the organisation with the role on a site."""
    joined = and_(SiteMember.user_id == User.id, SiteMember.site_id == site.id)
    query = (
        select(User, SiteMember.role)
        .outerjoin(SiteMember, joined)
        .where(User.organisation_id == site.organisation_id, User.is_active)
        .order_by(User.name)
    )
    return [Member(user, role or 0) for user, role in db.session.execute(query)]


def invitations(organisation_id: UUID) -> list[Invitation]:
    """Invitations to join that can still be used, the newest first."""
    query = select(Invitation).where(
        Invitation.organisation_id == organisation_id,
        Invitation.kind == InvitationKind.JOIN,
        Invitation.used_at.is_(None),
        Invitation.expires_at > datetime.now(UTC),
    )
    return list(db.session.scalars(query.order_by(Invitation.created_at.desc())))


def sessions(user_id: UUID) -> list[SignIn]:
    """Sessions of a person that have not ended, the last used first."""
    query = select(SignIn).where(SignIn.user_id == user_id, SignIn.expires_at > datetime.now(UTC))
    return list(db.session.scalars(query.order_by(SignIn.seen_at.desc())))
