"""Materials: made, renamed, given new densities."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.auth.actor import require_actor
from app.errors import InvalidInput
from app.extensions import db
from app.models import Material, MaterialValue, Site
from app.queries import periods
from app.services import audit


def create(site: Site, name: str, colour: str) -> Material:
    """Make a material.

    Raises
    ------
    InvalidInput
        When the name is missing or taken.
    """
    material = Material(site_id=site.id)
    _name(material, name, colour)
    db.session.add(material)
    _record("material.create", material, site)
    db.session.commit()
    return material


def update(material: Material, name: str, colour: str) -> Material:
    """Rename or recolour a material.

    Raises
    ------
    InvalidInput
        When the name is missing or taken.
    """
    _name(material, name, colour)
    _record("material.update", material, db.session.get_one(Site, material.site_id))
    db.session.commit()
    return material


def state(material: Material, values: dict[str, Any]) -> Material:
    """State density, moisture and price from a day on.

    Raises
    ------
    InvalidInput
        When the day lies in a closed period.
    """
    day = values["valid_from"]
    closed = periods.closing(material.site_id, day)
    if closed is not None:
        raise InvalidInput(
            f"{day} lies in the closed period {closed.name!r}.",
            f"State the values from a day after {closed.ends_on}, or amend the period.",
            field="valid_from",
        )
    # The same day stated again corrects it: no survey can tell the two apart.
    row = next((value for value in material.values if value.valid_from == day), None)
    if row is None:
        row = MaterialValue(material_id=material.id)
        material.values.append(row)
    for name, value in values.items():
        setattr(row, name, value)
    row.created_by = require_actor().user.id
    site = db.session.get_one(Site, material.site_id)
    said = {name: str(value) for name, value in values.items()}
    _record("material.state", material, site, **said)
    db.session.commit()
    db.session.refresh(material)
    return material


def _name(material: Material, name: str, colour: str) -> None:
    name = name.strip()
    if not name:
        raise InvalidInput("The material has no name.", "Give it one.", field="name")
    query = select(Material).where(Material.site_id == material.site_id, Material.name == name)
    with db.session.no_autoflush:
        other = db.session.scalar(query)
    if other is not None and other is not material:
        raise InvalidInput(f"There is a material {name!r}.", "Take another name.", field="name")
    material.name, material.colour = name[:200], colour


def _record(action: str, material: Material, site: Site, **details: Any) -> None:
    audit.record(
        action,
        material.name,
        organisation_id=site.organisation_id,
        site_id=site.id,
        **details,
    )
