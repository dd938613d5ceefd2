"""An organisation: its people, invitations, webhooks and audit log."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.auth import policy
from app.auth.actor import require_actor
from app.errors import AppError
from app.models import Role
from app.pages.forms import uuid_or_none
from app.queries import audit, people, sites
from app.queries import webhooks as webhook_queries
from app.services import accounts, mail, webhooks

blueprint = Blueprint("organisation_pages", __name__)

_ROLES = {str(int(role)): role.name.lower() for role in Role}


@blueprint.get("/organisation")
@policy.admin
def show() -> ResponseReturnValue:
    """Show the organisation."""
    return _page()


@blueprint.post("/organisation/people")
@policy.admin
def invite() -> ResponseReturnValue:
    """Invite somebody by a link."""
    form = request.form
    try:
        link = accounts.invite_by_mail(
            require_actor(),
            form.get("email", ""),
            uuid_or_none(form.get("site", "")),
            _ROLES.get(form.get("role", ""), ""),
            is_admin=form.get("role") == "admin",
        )
    except AppError as error:
        return _page(error), error.status
    return _page(link=link)


@blueprint.post("/organisation/people/<uuid:user_id>")
@policy.admin
def set_active(user_id: UUID) -> ResponseReturnValue:
    """Shut a person out, or let them in again."""
    try:
        user = accounts.colleague(require_actor(), user_id)
        is_active = request.form.get("active") == "yes"
        accounts.set_state(user, is_active=is_active, is_admin=user.is_admin)
    except AppError as error:
        return _page(error), error.status
    return redirect(url_for("organisation_pages.show"))


@blueprint.post("/organisation/webhooks")
@policy.admin
def add_webhook() -> ResponseReturnValue:
    """Add an address that is told what happens."""
    form = request.form
    try:
        secret = webhooks.create(
            require_actor(), form.get("url", ""), form.getlist("events")
        ).secret
    except AppError as error:
        return _page(error), error.status
    return _page(secret=secret)


@blueprint.post("/organisation/webhooks/<uuid:webhook_id>/remove")
@policy.admin
def remove_webhook(webhook_id: UUID) -> ResponseReturnValue:
    """Remove an address."""
    webhooks.remove(require_actor(), webhook_id)
    return redirect(url_for("organisation_pages.show"))


def _page(error: AppError | None = None, link: str = "", secret: str = "") -> str:
    actor = require_actor()
    before = request.args.get("before", "")
    return render_template(
        "organisation/show.html",
        organisation=actor.user.organisation,
        people=people.of_organisation(actor.organisation_id),
        site_choices=[(site.id, site.name) for site in sites.visible(actor)],
        webhooks=webhook_queries.of_organisation(actor.organisation_id),
        events=webhooks.EVENTS,
        log=audit.page(actor.organisation_id, before),
        error=error,
        link=link,
        secret=secret,
        has_mail=mail.is_configured(),
        values=request.form,
    )
