"""An organisation: its people, invitations and audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from app.api.contract import Page, PageQuery, Shape, check_version, contract, next_page
from app.api.sites import ROLES, RoleName
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
    role: RoleName | None = None
    is_admin: bool = False


class InvitationShape(NewInvitation):
    """An invitation that waits to be used."""

    id: UUID
    created_at: datetime
    expires_at: datetime


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
    user = accounts.colleague(require_actor(), user_id)
    check_version(PersonShape, user)
    return accounts.set_state(user, is_active=body.is_active, is_admin=body.is_admin)


@blueprint.get("/invitations")
@policy.admin
@contract(answer=list[InvitationShape])
def index_invitations() -> list[InvitationShape]:
    """List the invitations that nobody used yet, the newest first."""
    return [
        InvitationShape(
            id=row.id,
            email=row.email,
            site_id=row.site_id,
            role=None if row.role is None else ROLES[row.role],
            is_admin=row.is_admin,
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
        for row in people.invitations(require_actor().organisation_id)
    ]


@blueprint.post("/invitations")
@policy.admin
@contract(body=NewInvitation, answer=MadeInvitation, status=201, is_secret=True)
def invite(body: NewInvitation) -> MadeInvitation:
    """Invite somebody by a link that works once."""
    link = accounts.invite_by_mail(
        require_actor(), body.email, body.site_id, body.role or "", is_admin=body.is_admin
    )
    return MadeInvitation(link=link)


@blueprint.delete("/invitations/<uuid:invitation_id>")
@policy.admin
@contract(status=204)
def withdraw(invitation_id: UUID) -> None:
    """Withdraw an invitation: its link works no more."""
    accounts.withdraw(require_actor(), invitation_id)


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
