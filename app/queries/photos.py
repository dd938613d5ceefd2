"""Photos and other files of a survey."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from app.errors import NotFound
from app.extensions import db
from app.models import Photo, Survey
from app.queries import paging

# Of drones' cameras, where a photo does not say.
_USUAL_PX = 20_000_000


def of_survey(survey_id: UUID) -> list[dict[str, Any]]:
    """All files that arrived in full, by name, with their positions."""
    return page(survey_id, None, None)


def page(survey_id: UUID, last: UUID | None, limit: int | None) -> list[dict[str, Any]]:
    """Files after one that is known."""
    query = select(
        Photo.id,
        Photo.name,
        Photo.kind,
        Photo.size,
        Photo.sha256,
        Photo.facts,
        func.ST_X(Photo.position).label("longitude"),
        func.ST_Y(Photo.position).label("latitude"),
    )
    query = query.where(Photo.survey_id == survey_id)
    rows = db.session.execute(paging.page(query, (Photo.name,), Photo.id, last, limit))
    return [
        {
            "id": row.id,
            "name": row.name,
            "kind": row.kind,
            "size": row.size,
            "sha256": row.sha256.hex(),
            "facts": row.facts,
            "position": None if row.longitude is None else [row.longitude, row.latitude],
        }
        for row in rows
    ]


def get(survey_id: UUID, name: str) -> Photo:
    """A file of a survey that arrived in full.

    Raises
    ------
    NotFound
        When there is none of that name.
    """
    query = select(Photo).where(Photo.survey_id == survey_id, Photo.name == name)
    found = db.session.scalar(query)
    if found is None:
        raise NotFound(f"The survey has no photo {name!r}.", "Look at the list of its photos.")
    return found


def names(survey_id: UUID, kind: str) -> list[str]:
    """Names of the files of a kind."""
    query = select(Photo.name).where(Photo.survey_id == survey_id, Photo.kind == kind)
    return list(db.session.scalars(query.order_by(Photo.name)))


def of_earlier_surveys(survey: Survey) -> dict[str, str]:
    """Photos that an earlier survey of the site has, too: their names, and that survey's."""
    same = aliased(Photo)
    query = (
        select(Photo.name, Survey.name)
        .join(same, same.sha256 == Photo.sha256)
        .join(Survey, Survey.id == same.survey_id)
        .where(
            Photo.survey_id == survey.id,
            Photo.kind == "photo",
            Survey.site_id == survey.site_id,
            Survey.created_at < survey.created_at,
        )
        .order_by(Photo.name, Survey.created_at)
    )
    return {name: earlier for name, earlier in db.session.execute(query)}


def largest(survey_id: UUID) -> tuple[int, int]:
    """How many photos a survey has, and the pixels of the largest."""
    width, height = (Photo.facts[side].as_integer() for side in ("width_px", "height_px"))
    query = select(func.count(), func.max(width * height))
    count, pixels = db.session.execute(
        query.where(Photo.survey_id == survey_id, Photo.kind == "photo")
    ).one()
    return count, pixels or _USUAL_PX
