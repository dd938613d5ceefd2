"""People: signing in and out, joining, new passwords."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select

from app.auth import sessions
from app.auth.actor import Actor
from app.auth.passwords import hash_password, is_password
from app.auth.secrets import hash_secret, new_secret
from app.errors import InvalidInput, NotFound
from app.extensions import db
from app.locales import LOCALES
from app.models import Invitation, Organisation, Role, SignIn, SiteMember, User
from app.models.account import InvitationKind
from app.queries import sites
from app.services import audit, mail

_JOIN_WITHIN = timedelta(days=14)
_RESET_WITHIN = timedelta(hours=2)
_LONGEST_EMAIL = 254


def with_email(email: str) -> User | None:
    """The person with an address, whatever its case."""
    query = select(User).where(func.lower(User.email) == email.strip().lower())
    return db.session.scalar(query)


def sign_in(email: str, password: str) -> User:
    """Sign a person in on the browser of this request.

    Raises
    ------
    InvalidInput
        When address and password do not fit; it does not tell which.
    """
    user = with_email(email)
    if not is_password(None if user is None else user.password_hash, password) or (
        user is None or not user.is_active
    ):
        raise InvalidInput(
            "This address and password do not fit.",
            "Check both, or ask for a new password.",
            field="password",
        )
    sessions.begin(user)
    audit.record(
        "person.sign-in", user.email, organisation_id=user.organisation_id, user_id=user.id
    )
    db.session.commit()
    return user


def sign_out() -> None:
    """Sign out on the browser of this request."""
    sessions.end()
    db.session.commit()


def create_organisation(name: str, email: str, person: str, password: str) -> User:
    """Make an organisation with its first administrator.

    Raises
    ------
    InvalidInput
        When the address is taken or the password weak.
    """
    if with_email(email) is not None:
        raise InvalidInput(f"There is an account for {email}.", "Sign in with it.", field="email")
    organisation = Organisation(name=name)
    db.session.add(organisation)
    db.session.flush()
    user = User(
        organisation_id=organisation.id,
        email=email.strip(),
        name=person,
        password_hash=hash_password(password, email),
        is_admin=True,
    )
    db.session.add(user)
    db.session.flush()
    audit.record("organisation.create", name, organisation_id=organisation.id, user_id=user.id)
    db.session.commit()
    return user


def open_organisation(name: str, email: str) -> str:
    """Make an organisation and mail its first administrator a link; returns it.

    Raises
    ------
    InvalidInput
        When the name is missing, or the address is none or taken.
    """
    if not name.strip():
        raise InvalidInput("There is no name.", "Say what the organisation is called.")
    organisation = Organisation(name=name.strip()[:200])
    db.session.add(organisation)
    db.session.flush()
    audit.record("organisation.create", organisation.name, organisation_id=organisation.id)
    return _invite_by_mail(
        Invitation(organisation_id=organisation.id, email=_checked(email), is_admin=True)
    )


def ask_for_password(email: str) -> tuple[User, str] | None:
    """Make a link's secret for a new password; None where nobody has the address."""
    user = with_email(email)
    if user is None or not user.is_active:
        return None
    secret = new_secret()
    db.session.add(
        Invitation(
            kind=InvitationKind.PASSWORD,
            organisation_id=user.organisation_id,
            user_id=user.id,
            email=user.email,
            secret_hash=hash_secret(secret),
            expires_at=datetime.now(UTC) + _RESET_WITHIN,
        )
    )
    db.session.commit()
    return user, secret


def invite(invitation: Invitation) -> str:
    """Save an invitation to join and return the secret of its link.

    Raises
    ------
    InvalidInput
        When there is an account for the address.
    """
    if with_email(invitation.email) is not None:
        raise InvalidInput(
            f"There is an account for {invitation.email}.",
            "Give it a role on the site instead.",
            field="email",
        )
    secret = new_secret()
    invitation.kind = InvitationKind.JOIN
    invitation.secret_hash = hash_secret(secret)
    invitation.expires_at = datetime.now(UTC) + _JOIN_WITHIN
    db.session.add(invitation)
    audit.record(
        "person.invite",
        invitation.email,
        organisation_id=invitation.organisation_id,
        site_id=invitation.site_id,
    )
    db.session.commit()
    return secret


def invite_by_mail(
    actor: Actor, email: str, site_id: UUID | None, role: str, *, is_admin: bool
) -> str:
    """Invite somebody and mail the link; returns it, for where there is no mail server.

    Raises
    ------
    InvalidInput
        When the address is none or taken, or neither role on a site nor administrator is chosen.
    """
    email = _checked(email)
    roles = {known.name.lower(): int(known) for known in Role}
    is_seen = site_id in {site.id for site in sites.visible(actor)}
    if not is_admin and (role not in roles or not is_seen):
        raise InvalidInput("There is no role.", "Choose a site and a role.", field="role")
    invitation = Invitation(
        organisation_id=actor.organisation_id,
        email=email,
        is_admin=is_admin,
        site_id=None if is_admin else site_id,
        role=None if is_admin else roles[role],
        created_by=actor.user.id,
    )
    return _invite_by_mail(invitation)


def find_invitation(secret: str) -> Invitation:
    """The invitation of a link.

    Raises
    ------
    NotFound
        When it was used, is over, or never was.
    """
    query = select(Invitation).where(Invitation.secret_hash == hash_secret(secret))
    found = db.session.scalar(query.with_for_update())
    if found is None or found.used_at is not None or found.expires_at < datetime.now(UTC):
        raise NotFound("This link was used, or is over.", "Ask for a new one.")
    return found


def accept(secret: str, name: str, password: str) -> User:
    """Use a link: join with a name and a password, or take a new password; then sign in.

    Raises
    ------
    NotFound
        When the link is used or over.
    InvalidInput
        When the password is weak or the name missing.
    """
    invitation = find_invitation(secret)
    password_hash = hash_password(password, invitation.email)
    if invitation.kind == InvitationKind.PASSWORD:
        user = db.session.get_one(User, invitation.user_id)
        user.password_hash = password_hash
        sessions.end_all(user)
    else:
        user = join(invitation, name, password_hash)
    invitation.used_at = datetime.now(UTC)
    sessions.begin(user)
    audit.record(
        f"person.{invitation.kind}",
        user.email,
        organisation_id=user.organisation_id,
        user_id=user.id,
    )
    db.session.commit()
    return user


def update_profile(user: User, name: str, locale: str) -> None:
    """Change how a person is called, and how numbers and dates are written for them.

    Raises
    ------
    InvalidInput
        When the name is missing, or nobody here writes like that.
    """
    if not name.strip():
        raise InvalidInput("There is no name.", "Say how you are called.", field="name")
    if locale and locale not in LOCALES:
        raise InvalidInput(
            f"There is no locale {locale!r} here.", f"Take {', '.join(LOCALES)}.", field="locale"
        )
    user.name, user.locale = name.strip()[:200], locale
    audit.record(
        "person.update", user.email, organisation_id=user.organisation_id, name=user.name,
        locale=locale,
    )  # fmt: skip
    db.session.commit()


def change_password(actor: Actor, old: str, new: str) -> None:
    """Take a new password; all sessions but the actor's end.

    Raises
    ------
    InvalidInput
        When the old one does not fit, or the new one is weak.
    """
    user = actor.user
    if not is_password(user.password_hash, old):
        raise InvalidInput(
            "This is not the current password.", "Ask for a link if it is lost.", field="old"
        )
    user.password_hash = hash_password(new, user.email)
    sessions.end_all(user, but=actor.sign_in)
    audit.record("person.password", user.email, organisation_id=user.organisation_id)
    db.session.commit()


def end_session(user: User, sign_in_id: UUID) -> None:
    """End a session of a person.

    Raises
    ------
    NotFound
        When it is over, or somebody else's.
    """
    row = db.session.get(SignIn, sign_in_id)
    if row is None or row.user_id != user.id:
        raise NotFound("There is no such session.", "Load the page again.")
    db.session.delete(row)
    audit.record("session.end", user.email, organisation_id=user.organisation_id)
    db.session.commit()


def set_state(user: User, *, is_active: bool, is_admin: bool) -> User:
    """Shut a colleague out at once, or let them in; make them an administrator or no longer."""
    if user.is_admin != is_admin:
        user.is_admin = is_admin
        audit.record(
            "person.admin", user.email, organisation_id=user.organisation_id, is_admin=is_admin
        )
    if user.is_active != is_active:
        user.is_active = is_active
        if not is_active:
            sessions.end_all(user)
        action = "person.activate" if is_active else "person.deactivate"
        audit.record(action, user.email, organisation_id=user.organisation_id)
    db.session.commit()
    return user


def withdraw(actor: Actor, invitation_id: UUID) -> None:
    """Make the link of an invitation useless.

    Raises
    ------
    NotFound
        When it was used, or is of another organisation.
    """
    row = db.session.get(Invitation, invitation_id)
    if row is None or row.organisation_id != actor.organisation_id or row.used_at is not None:
        raise NotFound("There is no such invitation.", "Load the list again.")
    audit.record("person.withdraw", row.email, organisation_id=row.organisation_id)
    db.session.delete(row)
    db.session.commit()


def colleague(actor: Actor, user_id: UUID) -> User:
    """Another person of the actor's organisation.

    Raises
    ------
    NotFound
        When the person is of another one.
    InvalidInput
        When it is the actor: somebody must be left to undo what is changed.
    """
    user = db.session.get(User, user_id)
    if user is None or user.organisation_id != actor.organisation_id:
        raise NotFound("There is no such person here.", "Load the page again.")
    if user.id == actor.user.id:
        raise InvalidInput("This is yourself.", "Ask another administrator.")
    return user


def _checked(email: str) -> str:
    email = email.strip()
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", email) or len(email) > _LONGEST_EMAIL:
        raise InvalidInput(f"{email!r} is no e-mail address.", "Check it.", field="email")
    return email


def _invite_by_mail(invitation: Invitation) -> str:
    link = mail.public_link("sign_in.welcome", secret=invite(invitation))
    mail.send_link(invitation.email, "You are invited to Cairn", link)
    return link


def join(invitation: Invitation, name: str, password_hash: str | None) -> User:
    """Make the account of somebody who is invited, within the caller's transaction.

    Raises
    ------
    InvalidInput
        When the name is missing or the address taken.
    """
    if not name.strip():
        raise InvalidInput("There is no name.", "Say how you are called.", field="name")
    if with_email(invitation.email) is not None:
        raise InvalidInput(f"There is an account for {invitation.email}.", "Sign in with it.")
    user = User(
        organisation_id=invitation.organisation_id,
        email=invitation.email,
        name=name.strip()[:200],
        password_hash=password_hash,
        is_admin=invitation.is_admin,
    )
    db.session.add(user)
    db.session.flush()
    if invitation.site_id is not None and invitation.role is not None:
        db.session.add(
            SiteMember(site_id=invitation.site_id, user_id=user.id, role=invitation.role)
        )
    return user
