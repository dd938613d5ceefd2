"""One's own account: who one is, sessions and tokens."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from app.api.contract import Shape, check_version, contract
from app.auth import policy
from app.auth.actor import Actor, require_actor
from app.errors import NotAllowed
from app.extensions import limiter
from app.models import ApiToken, SignIn, User
from app.queries import people
from app.services import accounts, tokens

blueprint = Blueprint("account", __name__, url_prefix="/api/v1")


class OrganisationRef(Shape):
    """The organisation that somebody belongs to."""

    id: UUID
    name: str


class ProfileFields(Shape):
    """How a person is called, and how numbers and dates are written for them."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    locale: Annotated[str, Field(max_length=20)] = ""


class Account(ProfileFields):
    """A signed-in person."""

    id: UUID
    email: str
    is_admin: bool
    organisation: OrganisationRef


class NewPassword(Shape):
    """A change of the password."""

    old: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=200)]


class SessionShape(Shape):
    """A browser that somebody is signed in on."""

    id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    browser: str


class NewToken(Shape):
    """A token to be made; no sites are all of the owner's, no days have no end."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    actions: Annotated[list[str], Field(min_length=1, max_length=10)]
    sites: Annotated[list[UUID], Field(max_length=1000)] = Field(default_factory=list)
    days: Annotated[int, Field(ge=1, le=3650)] | None = None


class MadeToken(Shape):
    """A new token; it is told this once."""

    token: str


class TokenShape(Shape):
    """A token without its secret."""

    id: UUID
    name: str
    prefix: str
    actions: list[str]
    sites: list[UUID]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@blueprint.get("/account")
@policy.signed_in
@contract(answer=Account)
def show() -> User:
    """Tell who you are."""
    return require_actor().user


@blueprint.put("/account")
@policy.signed_in
@contract(body=ProfileFields, answer=Account)
def update(body: ProfileFields) -> User:
    """Change your name and locale."""
    user = _person().user
    check_version(Account, user)
    accounts.update_profile(user, body.name, body.locale)
    return user


@blueprint.post("/account/password")
@policy.signed_in
@limiter.limit("10 per 15 minutes")
@contract(body=NewPassword, status=204)
def password(body: NewPassword) -> None:
    """Take a new password; your other sessions end."""
    accounts.change_password(_person(), body.old, body.password)


@blueprint.get("/account/sessions")
@policy.signed_in
@contract(answer=list[SessionShape])
def sessions() -> list[SignIn]:
    """List the browsers that you are signed in on."""
    return people.sessions(_person().user.id)


@blueprint.delete("/account/sessions/<uuid:sign_in_id>")
@policy.signed_in
@contract(status=204)
def end_session(sign_in_id: UUID) -> None:
    """Sign out on a browser."""
    accounts.end_session(_person().user, sign_in_id)


@blueprint.get("/account/tokens")
@policy.signed_in
@contract(answer=list[TokenShape])
def index_tokens() -> list[ApiToken]:
    """List your tokens that are not revoked."""
    return tokens.of_actor(require_actor())


@blueprint.post("/account/tokens")
@policy.signed_in
@contract(body=NewToken, answer=MadeToken, status=201, is_secret=True)
def create_token(body: NewToken) -> MadeToken:
    """Make a token; a token cannot make others."""
    sites = [str(site) for site in body.sites]
    text = tokens.create(require_actor(), body.name, sites, body.actions, body.days)
    return MadeToken(token=text)


@blueprint.delete("/account/tokens/<uuid:token_id>")
@policy.signed_in
@contract(status=204)
def revoke_token(token_id: UUID) -> None:
    """End a token at once."""
    tokens.revoke(_person(), token_id)


def _person() -> Actor:
    """The actor, in a browser: a token that leaks must not change what lets people in."""
    actor = require_actor()
    if actor.token is not None:
        raise NotAllowed("A token cannot do this.", "Sign in with a browser.")
    return actor
