"""Sites: names, units, schedule, and people's roles."""

from __future__ import annotations

import zoneinfo
from typing import Annotated, Literal
from uuid import UUID

from flask import Blueprint
from pydantic import AfterValidator, Field

from app.api.contract import Shape, contract
from app.auth import policy
from app.auth.actor import require_actor
from app.models import Role, Site
from app.queries import sites as queries
from app.services import sites

blueprint = Blueprint("sites", __name__, url_prefix="/api/v1")


def _timezone(name: str) -> str:
    if name not in zoneinfo.available_timezones():
        raise ValueError(f"{name!r} is no time zone; take one like Europe/Berlin")
    return name


class SiteFields(Shape):
    """What a site is; `survey_weekday` is 0 for Monday, null without a schedule."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    volume_unit: Literal["m3", "yd3"] = "m3"
    mass_unit: Literal["t", "short_ton"] = "t"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    survey_weekday: Annotated[int, Field(ge=0, le=6)] | None = None


class SiteShape(SiteFields):
    """A site."""

    id: UUID
    epsg: int


class Member(Shape):
    """The role of a person on a site."""

    role: Literal["viewer", "surveyor", "manager"] | None


@blueprint.get("/sites")
@policy.signed_in
@contract(answer=list[SiteShape])
def index() -> list[Site]:
    """List the sites that you may see."""
    return queries.visible(require_actor())


@blueprint.post("/sites")
@policy.admin
@contract(body=SiteFields, answer=SiteShape, status=201)
def create(body: SiteFields) -> Site:
    """Make a site."""
    return sites.create(require_actor(), body.model_dump())


@blueprint.get("/sites/<uuid:site_id>")
@policy.role(Role.VIEWER)
@contract(answer=SiteShape)
def show(site_id: UUID) -> Site:
    """Show a site."""
    return policy.current_site()


@blueprint.put("/sites/<uuid:site_id>")
@policy.role(Role.MANAGER)
@contract(body=SiteFields, answer=SiteShape)
def update(site_id: UUID, body: SiteFields) -> Site:
    """Change what a site is."""
    return sites.update(policy.current_site(), body.model_dump())


@blueprint.put("/sites/<uuid:site_id>/members/<uuid:user_id>")
@policy.role(Role.MANAGER)
@contract(body=Member, status=204)
def set_role(site_id: UUID, user_id: UUID, body: Member) -> None:
    """Give a person a role on a site, or take it away."""
    role = None if body.role is None else Role[body.role.upper()]
    sites.set_role(policy.current_site(), user_id, role)
