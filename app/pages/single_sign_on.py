"""Sign in by the provider of the installation."""

from __future__ import annotations

from flask import Blueprint, redirect, session, url_for
from flask.typing import ResponseReturnValue

from app.auth import policy, single_sign_on
from app.extensions import limiter
from app.pages.sign_in import asked_for
from app.services import mail
from app.services import single_sign_on as service

blueprint = Blueprint("single_sign_on", __name__, url_prefix="/sign-in/single")

_TO = "sign_in_to"


@blueprint.get("")
@policy.anybody
@limiter.limit("60 per minute")
def begin() -> ResponseReturnValue:
    """Go to the provider."""
    session[_TO] = asked_for()
    return single_sign_on.redirect_to_provider(mail.public_link("single_sign_on.end"))


@blueprint.get("/done")
@policy.anybody
@limiter.limit("60 per minute")
def end() -> ResponseReturnValue:
    """Come back from the provider, and be signed in where one is known or invited."""
    to = session.get(_TO) or url_for("home.overview")
    service.sign_in(single_sign_on.identity())
    return redirect(to)
