"""Toes of a survey with what was measured."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from geoalchemy2.shape import to_shape
from sqlalchemy import select
from sqlalchemy.orm import joinedload

from app.errors import NotFound
from app.extensions import db
from app.models import Material, MaterialValue, Pile, Survey, Toe, User
from app.outline import Outline


def get(toe_id: UUID) -> Toe:
    """The current toe with an identifier.

    Raises
    ------
    NotFound
        When it was drawn again or removed meanwhile.
    """
    toe = db.session.get(Toe, toe_id)
    if toe is None or toe.superseded_at is not None:
        raise NotFound("This toe was drawn again or removed.", "Load the survey again.")
    return toe


def of_survey(survey_id: UUID) -> list[Toe]:
    """The current toes of a survey, by the names of their piles."""
    query = (
        select(Toe)
        .join(Pile)
        .where(Toe.survey_id == survey_id, Toe.superseded_at.is_(None))
        .options(joinedload(Toe.pile), joinedload(Toe.measurement))
        .order_by(Pile.name)
    )
    return list(db.session.scalars(query))


def taken_out(survey_id: UUID, since: datetime) -> set[UUID]:
    """Piles whose toe somebody took out of a survey after a moment and did not draw again."""
    rows = db.session.execute(
        select(Toe.pile_id, Toe.superseded_at).where(Toe.survey_id == survey_id)
    )
    toes = [(pile_id, ended) for pile_id, ended in rows]
    current = {pile_id for pile_id, ended in toes if ended is None}
    return {pile_id for pile_id, ended in toes if ended is not None and ended > since} - current


def outline(toe: Toe) -> Outline:
    """The toe as it was drawn."""
    polygon = to_shape(toe.polygon)
    rings = [polygon.exterior, *polygon.interiors]
    return Outline([list(ring.coords) for ring in rings], tuple(toe.options.get("walls", ())))


def drawn_by(toes: list[Toe]) -> dict[UUID, str]:
    """Names of the people who drew toes."""
    query = select(User.id, User.name).where(User.id.in_({toe.created_by for toe in toes}))
    return {user_id: name for user_id, name in db.session.execute(query)}


def material_value(material_id: UUID | None, survey: Survey) -> MaterialValue | None:
    """Density, moisture and price of a material on the day of a survey.

    Raises
    ------
    NotFound
        When the site has no such material.
    """
    if material_id is None:
        return None
    material = db.session.get(Material, material_id)
    if material is None or material.site_id != survey.site_id:
        raise NotFound("The site has no such material.", "Choose one of its list.")
    valid = [value for value in material.values if value.valid_from <= survey.flown_on]
    return valid[-1] if valid else None
