"""A site's settings, and new sites."""

from __future__ import annotations

import zoneinfo
from collections.abc import Mapping
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.api.sites import SiteFields
from app.auth import policy
from app.auth.actor import require_actor
from app.errors import InvalidInput
from app.models import Role, Site
from app.pages.forms import filled
from app.queries import people
from app.services import inboxes, sites

blueprint = Blueprint("site_pages", __name__)


def _form(**values: object) -> str:
    zones = sorted(zoneinfo.available_timezones())
    return render_template("sites/form.html", zones=zones, **values)


def _settings(site: Site, values: Mapping[str, object], error: InvalidInput | None) -> str:
    return _form(
        values=values,
        error=error,
        members=people.roles_on(site),
        inbox=inboxes.find(site),
        inbox_address=inboxes.address(site),
    )


@blueprint.get("/sites/new")
@policy.admin
def new() -> ResponseReturnValue:
    """Show the form of a new site."""
    return _form(values={}, error=None, members=[])


@blueprint.post("/sites/new")
@policy.admin
def create() -> ResponseReturnValue:
    """Make a site."""
    try:
        site = sites.create(require_actor(), filled(SiteFields).model_dump())
    except InvalidInput as error:
        return _form(values=request.form, error=error, members=[]), error.status
    return redirect(url_for("surveys_pages.index", site_id=site.id))


@blueprint.get("/sites/<uuid:site_id>/settings")
@policy.role(Role.MANAGER)
def settings(site_id: UUID) -> ResponseReturnValue:
    """Show the settings of a site."""
    site = policy.current_site()
    values = {name: getattr(site, name) for name in SiteFields.model_fields}
    return _settings(site, values, None)


@blueprint.post("/sites/<uuid:site_id>/settings")
@policy.role(Role.MANAGER)
def update(site_id: UUID) -> ResponseReturnValue:
    """Change the settings of a site."""
    site = policy.current_site()
    try:
        sites.update(site, filled(SiteFields).model_dump())
    except InvalidInput as error:
        return _settings(site, request.form, error), error.status
    return redirect(url_for("site_pages.settings", site_id=site_id))


@blueprint.post("/sites/<uuid:site_id>/settings/members/<uuid:user_id>")
@policy.role(Role.MANAGER)
def set_role(site_id: UUID, user_id: UUID) -> ResponseReturnValue:
    """Give a person a role on the site, or take it away."""
    chosen = request.form.get("role", "0")
    known = {str(int(role)): role for role in Role}
    sites.set_role(policy.current_site(), user_id, known.get(chosen))
    return redirect(url_for("site_pages.settings", site_id=site_id))
