"""Toes: drawn, drawn again, removed. A stored toe never changes; a new one supersedes it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from geoalchemy2.shape import from_shape
from shapely import Polygon
from sqlalchemy import select

from app.amount import NORMAL_95
from app.auth.actor import require_actor
from app.errors import Conflict, InvalidInput, NotFound
from app.extensions import db
from app.models import Measurement, Pile, Site, Survey, Toe
from app.outline import Base, Outline
from app.queries import periods, toes
from app.services import audit, measuring, webhooks
from app.services.measuring import Measured


@dataclass(frozen=True)
class Draft:
    """What somebody drew.

    Parameters
    ----------
    name : str
        Of the pile.
    pile_id : UUID or None
        A pile of the site that it is; None for a new one, or one that is found by its name.
    material_id : UUID or None
    outline : Outline
    base : Base
    """

    name: str
    pile_id: UUID | None
    material_id: UUID | None
    outline: Outline
    base: Base


def save(survey: Survey, draft: Draft, replaces: Toe | None = None) -> Toe:
    """Measure a drawn toe and store it, in place of an earlier one where there is one.

    Raises
    ------
    InvalidInput
        When it cannot be measured, with the place.
    Conflict
        When the pile has a toe in this survey already, or the day lies in a closed period.
    NotFound
        When pile or material are not of the site.
    """
    refuse_if_closed(survey)
    material = toes.material_value(draft.material_id, survey)
    base = checked_base(survey, draft.base)
    measured = measuring.measure(survey.id, draft.name, draft.outline, base, material)
    pile = _pile(survey, draft, replaces)
    now = datetime.now(UTC)
    if replaces is not None:
        replaces.superseded_at = now
        db.session.flush()
    if _current(pile.id, survey.id) is not None:
        raise Conflict(
            f"{pile.name} has a toe in this survey already.", "Change that one.", field="name"
        )
    toe = Toe(
        pile_id=pile.id,
        survey_id=survey.id,
        polygon=polygon_of(draft.outline),
        options={"walls": list(draft.outline.walls), "base": draft.base.document()},
        created_by=require_actor().user.id,
    )
    db.session.add(toe)
    db.session.flush()
    db.session.add(measurement_of(toe, measured))
    _record("toe.draw" if replaces is None else "toe.redraw", survey, pile.name, measured)
    db.session.commit()
    return toe


def remove(toe: Toe) -> None:
    """Take a toe out of its survey; the row stays, superseded by nothing.

    Raises
    ------
    Conflict
        When the day lies in a closed period.
    """
    survey = db.session.get_one(Survey, toe.survey_id)
    refuse_if_closed(survey)
    toe.superseded_at = datetime.now(UTC)
    site = db.session.get_one(Site, survey.site_id)
    audit.record(
        "toe.remove",
        f"{toe.pile.name} in {survey.name}",
        organisation_id=site.organisation_id,
        site_id=site.id,
    )
    db.session.commit()


def refuse_if_closed(survey: Survey) -> None:
    """Let nobody change what a closed period rests on.

    Raises
    ------
    Conflict
    """
    closed = periods.closing(survey.site_id, survey.flown_on)
    if closed is not None:
        raise Conflict(
            f"The survey of {survey.flown_on} lies in the closed period {closed.name!r}.",
            "Amend the period, with a reason, then change the pile.",
        )


def checked_base(survey: Survey, base: Base) -> Base:
    """A base that is of the survey's own site, or of no survey.

    Raises
    ------
    NotFound
    """
    if base.survey_id is not None:
        other = db.session.get(Survey, base.survey_id)
        if other is None or other.site_id != survey.site_id:
            raise NotFound("The site has no such survey.", "Choose one of its list.")
    return base


def polygon_of(outline: Outline) -> object:
    """The outline as PostGIS stores it.

    Raises
    ------
    InvalidInput
        When a vertex has no elevation or is not finite.
    """
    try:
        polygon = Polygon(outline.coordinates[0], outline.coordinates[1:])
    except (ValueError, IndexError) as error:
        raise InvalidInput(f"The toe cannot be read: {error}.", "Draw it again.", "toe") from error
    if not polygon.has_z:
        raise InvalidInput(
            "The toe has no elevations.", "Give each vertex as easting, northing, elevation.", "toe"
        )
    return from_shape(polygon, srid=0)


def measurement_of(toe: Toe, measured: Measured) -> Measurement:
    """The row of a measurement."""
    document = measured.document
    terms = document["budgets"]["net"]["terms"]
    scale = sum(term["effect_m3"] for term in terms if term["name"] == "scale")
    bias = sum(term["effect_m3"] for term in terms if term["name"] != "scale")
    sigma = document["net_u95_m3"] / NORMAL_95
    return Measurement(
        toe_id=toe.id,
        net_m3=document["net_m3"],
        own_sigma_m3=math.sqrt(max(sigma**2 - scale**2 - bias**2, 0.0)),
        scale_effect_m3=scale,
        bias_effect_m3=bias,
        net_u95_m3=document["net_u95_m3"],
        fill_m3=document["fill_m3"],
        cut_m3=document["cut_m3"],
        area_m2=document["area_m2"],
        height_max_m=document["height_max_m"],
        coverage=document["coverage"],
        base=document["base"],
        details=document | {"base_plane": measured.base_plane},
        measured_at=datetime.now(UTC),
    )


def _pile(survey: Survey, draft: Draft, replaces: Toe | None) -> Pile:
    """The pile that is named by its id, else that of the toe before, else by its name."""
    name = draft.name.strip()
    if not name:
        raise InvalidInput("The pile has no name.", "Give it one.", field="name")
    pile_id = draft.pile_id or (replaces and replaces.pile_id)
    if pile_id is not None:
        pile = db.session.get(Pile, pile_id)
        if pile is None or pile.site_id != survey.site_id:
            raise NotFound("The site has no such pile.", "Choose one of its list.")
    else:
        query = select(Pile).where(
            Pile.site_id == survey.site_id, Pile.name == name, Pile.retired_at.is_(None)
        )
        pile = db.session.scalar(query) or Pile(site_id=survey.site_id)
        db.session.add(pile)
    pile.name, pile.material_id = name, draft.material_id
    db.session.flush()
    return pile


def _current(pile_id: UUID, survey_id: UUID) -> Toe | None:
    query = select(Toe).where(
        Toe.pile_id == pile_id, Toe.survey_id == survey_id, Toe.superseded_at.is_(None)
    )
    return db.session.scalar(query)


def _record(action: str, survey: Survey, pile: str, measured: Measured) -> None:
    site = db.session.get_one(Site, survey.site_id)
    facts: dict[str, Any] = {
        "survey": str(survey.id),
        "net_m3": round(measured.document["net_m3"], 3),
        "net_u95_m3": round(measured.document["net_u95_m3"], 3),
    }
    audit.record(
        action,
        f"{pile} in {survey.name}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        **facts,
    )
    webhooks.announce(
        site.organisation_id, "measurement.changed", {"site": str(site.id), "pile": pile, **facts}
    )
