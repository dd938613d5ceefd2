"""Who makes a request: a person in a browser, or a token that acts as its owner."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import g
from sqlalchemy import select

from app.errors import NotSignedIn
from app.extensions import db
from app.models import ApiToken, Role, SignIn, Site, SiteMember, User

# What a token must name to do what a role may do.
ACTION = {Role.VIEWER: "read", Role.SURVEYOR: "write", Role.MANAGER: "manage"}
ADMINISTER = "administer"
ACTIONS = (*ACTION.values(), ADMINISTER)


@dataclass(frozen=True)
class Actor:
    """A signed-in person.

    Parameters
    ----------
    user : User
    sign_in : SignIn or None
        The browser's session.
    token : ApiToken or None
        The token that was shown instead; it limits what the person may.
    """

    user: User
    sign_in: SignIn | None = None
    token: ApiToken | None = None

    @property
    def organisation_id(self) -> UUID:
        """The one organisation whose things this person may see."""
        return self.user.organisation_id

    def may(self, action: str) -> bool:
        """Whether the token, if there is one, names an action."""
        return self.token is None or action in self.token.actions

    def is_admin(self) -> bool:
        """Whether the actor administers the organisation."""
        # A token of some sites must not reach the others through its owner's rank.
        return self.user.is_admin and (
            self.token is None or (not self.token.sites and self.may(ADMINISTER))
        )

    def role_on(self, site: Site) -> Role | None:
        """Role on a site, or None where the site must look as if it did not exist."""
        if site.organisation_id != self.organisation_id:
            return None
        if self.token is not None and self.token.sites and str(site.id) not in self.token.sites:
            return None
        if self.user.is_admin:
            return Role.MANAGER
        role = db.session.scalar(
            select(SiteMember.role).where(
                SiteMember.site_id == site.id, SiteMember.user_id == self.user.id
            )
        )
        return None if role is None else Role(role)


def current_actor() -> Actor | None:
    """Who makes this request, or None for a stranger."""
    actor: Actor | None = g.get("actor")
    return actor


def actor_id() -> UUID | None:
    """The person who makes this request; None where the clock does it."""
    actor = current_actor()
    return None if actor is None else actor.user.id


def require_actor() -> Actor:
    """Who makes this request.

    Raises
    ------
    NotSignedIn
        For a stranger.
    """
    actor = current_actor()
    if actor is None:
        raise NotSignedIn("Nobody is signed in.", "Sign in, or send an API token.")
    return actor
