"""Sites: names, units, schedule, and people's roles."""

from __future__ import annotations

import zoneinfo
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint
from pydantic import AfterValidator, Field

from app.api.contract import Page, PageQuery, Shape, check_version, contract, next_page
from app.auth import policy
from app.auth.actor import require_actor
from app.models import Role, Site
from app.queries import people
from app.queries import sites as queries
from app.services import sites

blueprint = Blueprint("sites", __name__, url_prefix="/api/v1")


@cache
def _zones() -> set[str]:
    """Names of time zones, whose files are all opened to list them."""
    return zoneinfo.available_timezones()


def _timezone(name: str) -> str:
    if name not in _zones():
        raise ValueError(f"{name!r} is no time zone; take one like Europe/Berlin")
    return name


class SiteFields(Shape):
    """What a site is; `survey_weekday` is 0 for Monday, null without a schedule.

    Units are those that people read, in pages, mails and files for people; who counts yd3 reads
    heights and distances in feet, too. Numbers of this API are in SI.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    volume_unit: Literal["m3", "yd3"] = "m3"
    mass_unit: Literal["t", "short_ton"] = "t"
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] = "EUR"
    timezone: Annotated[str, AfterValidator(_timezone)] = "UTC"
    survey_weekday: Annotated[int, Field(ge=0, le=6)] | None = None


class SiteShape(SiteFields):
    """A site; `epsg` is that of its first survey that was processed, 0 before."""

    id: UUID
    epsg: int


RoleName = Literal["viewer", "surveyor", "manager"]
ROLES: dict[int, RoleName] = {1: "viewer", 2: "surveyor", 3: "manager"}


class Member(Shape):
    """The role of a person on a site; null is none."""

    role: RoleName | None


class MemberShape(Member):
    """A person of the organisation with the role on a site."""

    user_id: UUID
    name: str
    email: str


@blueprint.get("/sites")
@policy.signed_in
@contract(query=PageQuery, answer=Page[SiteShape])
def index(query: PageQuery) -> dict[str, Any]:
    """List the sites that you may see, by name."""
    items = queries.page(require_actor(), query.after, query.limit)
    return {"items": items, "next": next_page(items, query)}


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
    site = policy.current_site()
    check_version(SiteShape, site)
    return sites.update(site, body.model_dump())


@blueprint.get("/sites/<uuid:site_id>/members")
@policy.role(Role.MANAGER)
@contract(answer=list[MemberShape])
def index_members(site_id: UUID) -> list[MemberShape]:
    """List everybody of the organisation with their role on a site."""
    return [
        MemberShape(
            user_id=found.user.id,
            name=found.user.name,
            email=found.user.email,
            role=ROLES.get(found.role),
        )
        for found in people.roles_on(policy.current_site())
    ]


@blueprint.put("/sites/<uuid:site_id>/members/<uuid:user_id>")
@policy.role(Role.MANAGER)
@contract(body=Member, status=204)
def set_role(site_id: UUID, user_id: UUID, body: Member) -> None:
    """Give a person a role on a site, or take it away."""
    role = None if body.role is None else Role[body.role.upper()]
    sites.set_role(policy.current_site(), user_id, role)
