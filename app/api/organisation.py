"""An organisation: its people, invitations and audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.auth import policy
from app.auth.actor import require_actor
from app.models import User
from app.queries import audit, people
from app.services import accounts

blueprint = Blueprint("organisation", __name__, url_prefix="/api/v1/organisation")


class PersonShape(Shape):
    """A person of the organisation; one who is not active is shut out."""

    id: UUID
    name: str
    email: str
    is_admin: bool
    is_active: bool
    created_at: datetime


class PersonState(Shape):
    """What an administrator may change about a person."""

    is_active: bool
    is_admin: bool


class NewInvitation(Shape):
    """Somebody to invite: to a site with a role, or as an administrator without either."""

    email: Annotated[str, Field(min_length=3, max_length=254, pattern="^[^@ ]+@[^@ ]+$")]
    site_id: UUID | None = None
    role: Literal["viewer", "surveyor", "manager"] | None = None
    is_admin: bool = False


class MadeInvitation(Shape):
    """The link that works once; it is mailed, too, where there is a mail server."""

    link: str


class AuditShape(Shape):
    """A change that somebody made."""

    id: UUID
    at: datetime
    who: str
    user_id: UUID | None
    token_id: UUID | None
    site_id: UUID | None
    action: str
    subject: str
    details: dict[str, Any]
    address: str


@blueprint.get("/people")
@policy.admin
@contract(answer=list[PersonShape])
def index_people() -> list[User]:
    """List everybody, by name."""
    return people.of_organisation(require_actor().organisation_id)


@blueprint.put("/people/<uuid:user_id>")
@policy.admin
@contract(body=PersonState, answer=PersonShape)
def update_person(user_id: UUID, body: PersonState) -> User:
    """Shut a person out or let them in; make them an administrator or no longer."""
    return accounts.set_state(
        require_actor(), user_id, is_active=body.is_active, is_admin=body.is_admin
    )


@blueprint.post("/invitations")
@policy.admin
@contract(body=NewInvitation, answer=MadeInvitation, status=201, is_secret=True)
def invite(body: NewInvitation) -> MadeInvitation:
    """Invite somebody by a link that works once."""
    link = accounts.invite_by_mail(
        require_actor(), body.email, body.site_id, body.role or "", is_admin=body.is_admin
    )
    return MadeInvitation(link=link)


@blueprint.get("/audit")
@policy.admin
@contract(query=PageQuery, answer=Page[AuditShape])
def index_audit(query: PageQuery) -> dict[str, Any]:
    """List who changed what, the newest first."""
    found = audit.after(require_actor().organisation_id, query.after, query.limit)
    names = AuditShape.model_fields.keys() - {"who"}
    items = [
        AuditShape(who=entry.who, **{name: getattr(entry.event, name) for name in names})
        for entry in found
    ]
    return {"items": items, "next": next_page(items, query)}
