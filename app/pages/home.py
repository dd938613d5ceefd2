"""The first page: the sites that a person may see."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.auth import policy
from app.auth.actor import current_actor, require_actor
from app.queries import sites

blueprint = Blueprint("home", __name__)


@blueprint.get("/")
@policy.anybody
def index() -> ResponseReturnValue:
    """Send people to their sites and strangers to the sign-in."""
    return redirect(url_for("home.overview" if current_actor() else "sign_in.form"))


@blueprint.get("/sites")
@policy.signed_in
def overview() -> ResponseReturnValue:
    """Show the sites with what lies on them."""
    return render_template("sites/list.html", cards=sites.cards(require_actor()))
