"""Materials of a site."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import selectinload

from app.errors import NotFound
from app.extensions import db
from app.models import Material


def of_site(site_id: UUID) -> list[Material]:
    """All materials with their values, by name."""
    query = select(Material).where(Material.site_id == site_id).order_by(Material.name)
    return list(db.session.scalars(query.options(selectinload(Material.values))))


def get(material_id: UUID) -> Material:
    """A material that the request was let in to.

    Raises
    ------
    NotFound
        When it was deleted meanwhile.
    """
    material = db.session.get(Material, material_id)
    if material is None:
        raise NotFound("There is no such material.", "Check the address.")
    return material
