"""API tokens: made, shown once, revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import select

from app.auth.actor import ACTIONS, ADMINISTER, Actor
from app.auth.tokens import new_token
from app.errors import InvalidInput, NotAllowed, NotFound
from app.extensions import db
from app.models import ApiToken
from app.queries import sites
from app.services import audit


def create(
    actor: Actor, name: str, site_ids: list[str], actions: list[str], days: int | None
) -> str:
    """Make a token of the actor; its text is not stored and cannot be shown again.

    Parameters
    ----------
    site_ids : list of str
        The sites that it may reach; empty for all of the owner's.
    actions : list of str
        Of `app.auth.actor.ACTIONS`.
    days : int or None
        How long it is valid; None has no end.

    Raises
    ------
    InvalidInput
        When it names no action, or a site that the actor does not see.
    NotAllowed
        When a token asks: one that leaks must not make others.
    """
    if actor.token is not None:
        raise NotAllowed("A token cannot make tokens.", "Sign in and make it on your account page.")
    wanted = [action for action in ACTIONS if action in actions]
    if not wanted or len(wanted) != len(set(actions)):
        raise InvalidInput(
            "The token may do nothing.", f"Choose some of {', '.join(ACTIONS)}.", field="actions"
        )
    if ADMINISTER in wanted and (site_ids or not actor.is_admin()):
        raise InvalidInput(
            "Only an administrator's token of all sites may administer.",
            "Leave the sites open, or the action out.",
            field="actions",
        )
    if not set(site_ids) <= {str(site.id) for site in sites.visible(actor)}:
        raise InvalidInput("There is no such site.", "Choose one of yours.", field="sites")
    if not name.strip():
        raise InvalidInput("The token has no name.", "Say what will use it.", field="token_name")
    text, prefix, secret_hash = new_token()
    row = ApiToken(
        organisation_id=actor.organisation_id,
        user_id=actor.user.id,
        name=name.strip()[:200],
        prefix=prefix,
        secret_hash=secret_hash,
        sites=sorted(set(site_ids)),
        actions=wanted,
        expires_at=None if days is None else datetime.now(UTC) + timedelta(days=days),
    )
    db.session.add(row)
    audit.record(
        "token.create", row.name, organisation_id=row.organisation_id, actions=wanted,
        sites=row.sites,
    )  # fmt: skip
    db.session.commit()
    return text


def of_actor(actor: Actor) -> list[ApiToken]:
    """The actor's tokens that are not revoked, the newest first."""
    query = select(ApiToken).where(ApiToken.user_id == actor.user.id, ApiToken.revoked_at.is_(None))
    return list(db.session.scalars(query.order_by(ApiToken.created_at.desc())))


def revoke(actor: Actor, token_id: UUID) -> None:
    """End a token at once: one's own, or as an administrator anybody's of the organisation.

    Raises
    ------
    NotFound
        When there is no such token, or it is somebody else's.
    """
    row = db.session.get(ApiToken, token_id)
    is_ours = row is not None and row.organisation_id == actor.organisation_id
    if row is None or not is_ours or (row.user_id != actor.user.id and not actor.is_admin()):
        raise NotFound("There is no such token.", "Look at the list on your account page.")
    if row.revoked_at is None:
        row.revoked_at = datetime.now(UTC)
        audit.record("token.revoke", row.name, organisation_id=row.organisation_id)
        db.session.commit()
