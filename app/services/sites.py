"""Sites: made, changed, and who may do what on them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.auth.actor import Actor
from app.errors import InvalidInput, NotFound
from app.extensions import db
from app.models import Role, Site, SiteMember, User
from app.services import audit


def create(actor: Actor, values: dict[str, Any]) -> Site:
    """Make a site of the actor's organisation.

    Raises
    ------
    InvalidInput
        When the name is taken.
    """
    site = Site(organisation_id=actor.organisation_id)
    _fill(site, values)
    db.session.add(site)
    db.session.flush()
    audit.record("site.create", site.name, organisation_id=site.organisation_id, site_id=site.id)
    db.session.commit()
    return site


def update(site: Site, values: dict[str, Any]) -> Site:
    """Change what a site is.

    Raises
    ------
    InvalidInput
        When the name is taken.
    """
    _fill(site, values)
    audit.record(
        "site.update",
        site.name,
        organisation_id=site.organisation_id,
        site_id=site.id,
        **{name: str(value) for name, value in values.items()},
    )
    db.session.commit()
    return site


def set_role(site: Site, user_id: UUID, role: Role | None) -> None:
    """Give a person of the organisation a role on a site; None takes it away.

    Raises
    ------
    NotFound
        When the person is of another organisation.
    """
    user = db.session.get(User, user_id)
    if user is None or user.organisation_id != site.organisation_id:
        raise NotFound("There is no such person here.", "Invite them first.")
    row = db.session.get(SiteMember, (site.id, user_id))
    if row is not None and role is None:
        db.session.delete(row)
    elif row is not None and role is not None:
        row.role = role
    elif role is not None:
        db.session.add(SiteMember(site_id=site.id, user_id=user_id, role=role))
    audit.record(
        "site.role",
        user.email,
        organisation_id=site.organisation_id,
        site_id=site.id,
        role="none" if role is None else role.name.lower(),
    )
    db.session.commit()


def _fill(site: Site, values: dict[str, Any]) -> None:
    query = select(Site.id).where(
        Site.organisation_id == site.organisation_id, Site.name == values["name"]
    )
    with db.session.no_autoflush:
        other = db.session.scalar(query)
    if other is not None and other != site.id:
        raise InvalidInput(
            f"There is a site {values['name']!r}.", "Take another name.", field="name"
        )
    for name, value in values.items():
        setattr(site, name, value)
