"""People whom the provider of single sign-on vouches for."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import func, select

from app.auth import sessions
from app.auth.single_sign_on import Identity
from app.errors import NotAllowed
from app.extensions import db
from app.models import Invitation, User
from app.models.account import InvitationKind
from app.services import accounts, audit


def sign_in(identity: Identity) -> User:
    """Sign a person in whom the provider of single sign-on vouches for.

    Known is who signed in so before, has an account with the verified address, or is invited by it.

    Raises
    ------
    NotAllowed
        When nobody here knows them, or they are shut out.
    """
    query = select(User).where(User.single_sign_on_subject == identity.subject)
    user = db.session.scalar(query) or _by_address(identity)
    if user is None or not user.is_active:
        who = identity.email or identity.name or "You"
        raise NotAllowed(f"{who} has no account here.", "Ask an administrator for an invitation.")
    user.single_sign_on_subject = identity.subject
    sessions.begin(user)
    audit.record(
        "person.single-sign-on", user.email, organisation_id=user.organisation_id, user_id=user.id
    )
    db.session.commit()
    return user


def _by_address(identity: Identity) -> User | None:
    """Who has the verified address, or is invited by it; nobody whom the provider knows else."""
    if not identity.email:
        return None
    user = accounts.with_email(identity.email)
    if user is None:
        return _join_by_address(identity)
    return user if user.single_sign_on_subject is None else None


def _join_by_address(identity: Identity) -> User | None:
    """Use the newest open invitation to an address."""
    query = select(Invitation).where(
        func.lower(Invitation.email) == identity.email.lower(),
        Invitation.kind == InvitationKind.JOIN,
        Invitation.used_at.is_(None),
        Invitation.expires_at > datetime.now(UTC),
    )
    newest = query.order_by(Invitation.created_at.desc()).limit(1).with_for_update()
    invitation = db.session.scalar(newest)
    if invitation is None:
        return None
    invitation.used_at = datetime.now(UTC)
    return accounts.join(invitation, identity.name or identity.email, None)
