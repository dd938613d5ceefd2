"""The inventory of a site on any day, its piles through time, and files of both."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, current_app

from app.api.contract import Shape, contract
from app.auth import policy
from app.models import Pile, Role
from app.queries import inventory, piles
from app.services import archives
from app.services.inventory_files import FORMATS

blueprint = Blueprint("inventories", __name__, url_prefix="/api/v1")


class DayQuery(Shape):
    """A day; today where none is given."""

    on: date | None = None

    @property
    def day(self) -> date:
        """The day that is asked for."""
        return self.on or date.today()


class AmountShape(Shape):
    """A number with the half-width of its 95 % interval, in the same unit."""

    value: float
    u95: float


class MaterialRef(Shape):
    """A material of a pile."""

    id: UUID
    name: str


class SurveyRef(Shape):
    """The survey that an inventory is by."""

    id: UUID
    name: str
    flown_on: date


class LineShape(Shape):
    """A pile; `change_m3` since the survey of the day `since`, null for a new pile.

    Mass and value are null where density or price are not stated. `ground_u95_m3` is what uneven
    ground may hide under the pile, which no ± holds. `coverage` is the share of the pile that was
    seen, from 0 to 1; `confidence` is good, fair or low.
    """

    pile_id: UUID
    toe_id: UUID
    name: str
    material: MaterialRef | None
    volume_m3: AmountShape
    mass_t: AmountShape | None
    value: AmountShape | None
    change_m3: AmountShape | None
    since: date | None
    ground_u95_m3: float
    height_m: AmountShape
    area_m2: AmountShape
    coverage: float
    base: str
    confidence: str


class MaterialTotalShape(Shape):
    """All piles of a material, or of none."""

    material: MaterialRef | None
    piles: int
    volume_m3: AmountShape
    mass_t: AmountShape | None
    value: AmountShape | None


class InventoryShape(Shape):
    """What lay on a site by the newest survey up to a day; values in the currency of the site.

    `missing` are piles of the survey before that this one does not have; `unconfirmed` toes are not
    counted.
    """

    day: date
    currency: str
    survey: SurveyRef | None
    lines: list[LineShape]
    materials: list[MaterialTotalShape]
    volume_m3: AmountShape
    mass_t: AmountShape | None
    value: AmountShape | None
    missing: list[str]
    unconfirmed: int


class TrendPoint(Shape):
    """What all piles held on the day of a survey."""

    day: date
    volume_m3: AmountShape


class PileShape(Shape):
    """A pile of a site."""

    id: UUID
    name: str
    material_id: UUID | None


class MomentShape(Shape):
    """A pile at one survey."""

    day: date
    survey_id: UUID
    survey: str
    volume_m3: AmountShape
    height_m: AmountShape
    area_m2: AmountShape
    base: str
    coverage: float
    drawn_by: str


class PileHistory(PileShape):
    """A pile at each finished survey, the newest first."""

    history: list[MomentShape]


@blueprint.get("/sites/<uuid:site_id>/inventory")
@policy.role(Role.VIEWER)
@contract(query=DayQuery, answer=InventoryShape)
def show(site_id: UUID, query: DayQuery) -> dict[str, Any]:
    """Show what lies on a site, or lay there on a day."""
    site = policy.current_site()
    found = inventory.on(site, query.day)
    names = InventoryShape.model_fields.keys() - {"currency"}
    return {name: getattr(found, name) for name in names} | {"currency": site.currency}


@blueprint.get(f"/sites/<uuid:site_id>/inventory.<any({','.join(FORMATS)}):format>")
@policy.role(Role.VIEWER)
@contract(query=DayQuery, media_type="*/*")
def file(site_id: UUID, format: str, query: DayQuery) -> Response:
    """Send the inventory of a day as a file."""
    site, chosen = policy.current_site(), FORMATS[format]
    content = chosen.write(site, inventory.on(site, query.day))
    return _attached(
        Response(content, content_type=chosen.media_type), f"inventory-{query.day}.{format}"
    )


@blueprint.get("/sites/<uuid:site_id>/trend")
@policy.role(Role.VIEWER)
@contract(answer=list[TrendPoint])
def trend(site_id: UUID) -> list[dict[str, Any]]:
    """List what all piles held at each finished survey, the oldest first."""
    return [{"day": day, "volume_m3": amount} for day, amount in inventory.trend(site_id)]


@blueprint.get("/sites/<uuid:site_id>/piles")
@policy.role(Role.VIEWER)
@contract(answer=list[PileShape])
def index_piles(site_id: UUID) -> list[Pile]:
    """List the piles of a site, by name."""
    return piles.of_site(site_id)


@blueprint.get("/piles/<uuid:pile_id>")
@policy.role(Role.VIEWER)
@contract(answer=PileHistory)
def show_pile(pile_id: UUID) -> PileHistory:
    """Show a pile through time."""
    pile = piles.get(pile_id)
    moments = [
        MomentShape(**{name: getattr(moment, name) for name in MomentShape.model_fields})
        for moment in piles.history(pile_id)
    ]
    return PileHistory(id=pile.id, name=pile.name, material_id=pile.material_id, history=moments)


@blueprint.get("/surveys/<uuid:survey_id>/products.zip")
@policy.role(Role.VIEWER)
@contract(media_type="application/zip")
def products(survey_id: UUID) -> Response:
    """Send all products of a survey as one ZIP, made while it is sent."""
    content = archives.stream(current_app.extensions["cairn_storage"], survey_id)
    return _attached(Response(content, mimetype="application/zip"), f"survey-{survey_id}.zip")


def _attached(answer: Response, name: str) -> Response:
    answer.headers.set("Content-Disposition", "attachment", filename=name)
    return answer
