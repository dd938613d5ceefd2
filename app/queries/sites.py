"""The sites that somebody may see."""

from __future__ import annotations

from sqlalchemy import select

from app.auth.actor import Actor
from app.extensions import db
from app.models import Site, SiteMember


def visible(actor: Actor) -> list[Site]:
    """Sites in the order of their names, without archived ones."""
    query = select(Site).where(
        Site.organisation_id == actor.organisation_id, Site.archived_at.is_(None)
    )
    if not actor.user.is_admin:
        query = query.join(SiteMember).where(SiteMember.user_id == actor.user.id)
    if actor.token is not None and actor.token.sites:
        query = query.where(Site.id.in_(actor.token.sites))
    return list(db.session.scalars(query.order_by(Site.name)))
