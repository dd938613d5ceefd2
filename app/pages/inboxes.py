"""The inbox of a site: opened, closed, and given a secret for FlightHub."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.api.inboxes import InboxFields
from app.auth import policy
from app.models import Role
from app.pages.forms import filled
from app.services import inboxes, notices
from app.services.inboxes import Settings

blueprint = Blueprint("inbox_pages", __name__)


@blueprint.post("/sites/<uuid:site_id>/settings/inbox")
@policy.role(Role.MANAGER)
def update(site_id: UUID) -> ResponseReturnValue:
    """Watch the folder of a site, or change how."""
    chosen = filled(InboxFields)
    inboxes.open_for(policy.current_site(), Settings(chosen.quality, chosen.quiet_minutes))
    return redirect(url_for("site_pages.settings", site_id=site_id))


@blueprint.post("/sites/<uuid:site_id>/settings/inbox/close")
@policy.role(Role.MANAGER)
def close(site_id: UUID) -> ResponseReturnValue:
    """Watch the folder of a site no longer."""
    inboxes.close(policy.current_site())
    return redirect(url_for("site_pages.settings", site_id=site_id))


@blueprint.post("/sites/<uuid:site_id>/settings/inbox/secret")
@policy.role(Role.MANAGER)
def renew_secret(site_id: UUID) -> ResponseReturnValue:
    """Make the secret for FlightHub, and show it this once."""
    secret = inboxes.renew_secret(policy.current_site())
    address = notices.link(url_for("inboxes.report", token=secret))
    return render_template("sites/inbox_secret.html", address=address)
