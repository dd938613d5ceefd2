"""Sign in and out."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.auth import policy, single_sign_on
from app.auth.actor import current_actor
from app.errors import InvalidInput
from app.extensions import db, limiter
from app.services import accounts, mail

blueprint = Blueprint("sign_in", __name__)


def _account() -> str:
    return "account " + request.form.get("email", "").strip().lower()


@blueprint.get("/sign-in")
@policy.anybody
def form() -> ResponseReturnValue:
    """Show the form, or go on where somebody is signed in already."""
    if current_actor() is not None:
        return redirect(asked_for())
    return _page()


@blueprint.post("/sign-in")
@policy.anybody
@limiter.limit("20 per minute")
@limiter.limit("10 per 15 minutes", key_func=_account, deduct_when=lambda r: r.status_code != 302)
def submit() -> ResponseReturnValue:
    """Sign in, or say that address and password do not fit."""
    email, password = request.form.get("email", ""), request.form.get("password", "")
    try:
        accounts.sign_in(email, password)
    except InvalidInput as error:
        return _page(email, error), error.status
    return redirect(asked_for())


@blueprint.post("/sign-out")
@policy.signed_in
def end() -> ResponseReturnValue:
    """Sign out on this browser."""
    accounts.sign_out()
    return redirect(url_for("sign_in.form"))


@blueprint.get("/password")
@policy.anybody
def forgotten() -> ResponseReturnValue:
    """Show the form that asks for a new password."""
    return _forgotten(is_sent=False)


@blueprint.post("/password")
@policy.anybody
@limiter.limit("5 per 15 minutes")
def send() -> ResponseReturnValue:
    """Mail a link; the answer does not tell whether there is such an account."""
    asked = accounts.ask_for_password(request.form.get("email", ""))
    if asked is not None:
        user, secret = asked
        mail.send_link(
            user.email,
            "A new password for Cairn",
            mail.public_link("sign_in.welcome", secret=secret),
        )
    return _forgotten(is_sent=True)


@blueprint.get("/welcome/<secret>")
@policy.anybody
def welcome(secret: str) -> ResponseReturnValue:
    """Show the form behind a link: join, or take a new password."""
    invitation = accounts.find_invitation(secret)
    return render_template("account/welcome.html", invitation=invitation, error=None)


@blueprint.post("/welcome/<secret>")
@policy.anybody
@limiter.limit("20 per 15 minutes")
def accept(secret: str) -> ResponseReturnValue:
    """Use a link."""
    try:
        accounts.accept(secret, request.form.get("name", ""), request.form.get("password", ""))
    except InvalidInput as error:
        db.session.rollback()
        invitation = accounts.find_invitation(secret)
        page = render_template("account/welcome.html", invitation=invitation, error=error)
        return page, error.status
    return redirect(url_for("home.overview"))


def _forgotten(*, is_sent: bool) -> str:
    has_mail = mail.is_configured()
    return render_template("account/forgotten.html", is_sent=is_sent, has_mail=has_mail)


def _page(email: str = "", error: InvalidInput | None = None) -> str:
    return render_template(
        "account/sign_in.html",
        email=email,
        error=error,
        to=asked_for(),
        provider=single_sign_on.provider_name(),
    )


def asked_for() -> str:
    """Where somebody wanted to go when they were asked to sign in.

    Only a path of ours: a link must not lead elsewhere by way of the sign-in.
    """
    to = request.values.get("to", "")
    parts = urlsplit(to)
    is_ours = to.startswith("/") and not to.startswith(("//", "/\\")) and not parts.netloc
    return to if is_ours else url_for("home.overview")
