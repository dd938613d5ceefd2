"""One's own account: name, locale, password, sessions and tokens."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.auth import policy
from app.auth.actor import ACTIONS, Actor, require_actor
from app.errors import AppError, InvalidInput, NotAllowed
from app.extensions import limiter
from app.locales import LOCALES
from app.models import Role
from app.queries import people, sites
from app.services import accounts, tokens

blueprint = Blueprint("account_pages", __name__)


@blueprint.get("/account")
@policy.signed_in
def show() -> ResponseReturnValue:
    """Show the account."""
    return _page()


@blueprint.post("/account")
@policy.signed_in
def update() -> ResponseReturnValue:
    """Change name and locale."""
    form = request.form
    try:
        accounts.update_profile(_person().user, form.get("name", ""), form.get("locale", ""))
    except InvalidInput as error:
        return _page(error), error.status
    return redirect(url_for("account_pages.show"))


@blueprint.post("/account/password")
@policy.signed_in
@limiter.limit("10 per 15 minutes")
def password() -> ResponseReturnValue:
    """Take a new password; other sessions end."""
    form = request.form
    try:
        accounts.change_password(_person(), form.get("old", ""), form.get("password", ""))
    except InvalidInput as error:
        return _page(error), error.status
    return redirect(url_for("account_pages.show"))


@blueprint.post("/account/sessions/<uuid:sign_in_id>/end")
@policy.signed_in
def end_session(sign_in_id: UUID) -> ResponseReturnValue:
    """End a session."""
    accounts.end_session(_person().user, sign_in_id)
    return redirect(url_for("account_pages.show"))


@blueprint.post("/account/tokens")
@policy.signed_in
def create_token() -> ResponseReturnValue:
    """Make a token and show it, once."""
    form = request.form
    try:
        days = form.get("days", "")
        token = tokens.create(
            _person(),
            form.get("name", ""),
            form.getlist("sites"),
            form.getlist("actions"),
            int(days) if days.isdigit() else None,
        )
    except AppError as error:
        return _page(error), error.status
    return _page(token=token)


@blueprint.post("/account/tokens/<uuid:token_id>/revoke")
@policy.signed_in
def revoke_token(token_id: UUID) -> ResponseReturnValue:
    """Make a token useless."""
    tokens.revoke(_person(), token_id)
    return redirect(url_for("account_pages.show"))


def _person() -> Actor:
    """The actor, in a browser: a token must not make tokens or change passwords."""
    actor = require_actor()
    if actor.token is not None:
        raise NotAllowed("A token cannot do this.", "Sign in with a browser.")
    return actor


def _page(error: AppError | None = None, token: str = "") -> str:
    actor = _person()
    return render_template(
        "account/show.html",
        error=error,
        token=token,
        tokens=tokens.of_actor(actor),
        sessions=people.sessions(actor.user.id),
        sites=sites.visible(actor),
        actions=ACTIONS,
        locales=[(name, name.replace("_", "-")) for name in LOCALES],
        roles=Role,
    )
