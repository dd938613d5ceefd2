"""Toes of piles: measured while they are drawn, saved, drawn again, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from app.api.contract import Shape, check_etag, contract, etag
from app.auth import policy
from app.models import Role, Toe
from app.outline import MAX_VERTICES, Base, Outline
from app.queries import surveys, toes
from app.services import measuring, snapping
from app.services import toes as toe_service
from app.services.measuring import Measured
from app.units import Units

blueprint = Blueprint("toes", __name__, url_prefix="/api/v1")

Coordinate = Annotated[float, Field(ge=-1e8, le=1e8)]
Edge = Annotated[int, Field(ge=0)]
Position = Annotated[list[Coordinate], Field(min_length=3, max_length=3)]
Ring = Annotated[list[Position], Field(min_length=4, max_length=MAX_VERTICES + 1)]


class ToeShape(Shape):
    """A toe polygon in the survey's CRS; `walls` are edges of the outer ring, from 0."""

    coordinates: Annotated[list[Ring], Field(min_length=1, max_length=50)]
    walls: Annotated[list[Edge], Field(max_length=MAX_VERTICES)] = Field(default_factory=list)

    def outline(self) -> Outline:
        """As the services take it."""
        return Outline(self.coordinates, tuple(self.walls))

    @classmethod
    def of(cls, outline: Outline) -> ToeShape:
        """As the API answers it."""
        rings = [[list(position) for position in ring] for ring in outline.coordinates]
        return cls(coordinates=rings, walls=list(outline.walls))


class BaseShape(Shape):
    """What a pile is measured against."""

    method: Literal[
        "plane",
        "triangulated",
        "smooth",
        "lowest",
        "highest",
        "average",
        "fixed",
        "survey",
        "design",
    ] = "plane"
    elevation_m: Coordinate | None = None
    survey_id: UUID | None = None

    def base(self) -> Base:
        """As the services take it."""
        return Base(self.method, self.elevation_m, self.survey_id)


class VolumeQuestion(Shape):
    """A toe that is being drawn.

    Without `compares_bases` the answer comes sooner, and its warnings do not tell where other bases
    would find another volume; the volume itself is the same.
    """

    toe: ToeShape
    base: BaseShape = BaseShape()
    material_id: UUID | None = None
    compares_bases: bool = True


class BasePlane(Shape):
    """A base that is a plane: elevation `z0` at `e0`, `n0`, and its slopes."""

    e0: float
    n0: float
    z0: float
    dz_de: float
    dz_dn: float


class BudgetTerm(Shape):
    """One source of uncertainty of the net volume, 1 sigma."""

    name: str
    sigma_m3: float


class TonnesShape(Shape):
    """Mass as it lies, and without its water, with 95 % half-widths."""

    wet_t: float
    wet_u95_t: float
    dry_t: float
    dry_u95_t: float


class VolumeShape(Shape):
    """A measured volume; `…_u95_…` is the half-width of the 95 % interval.

    `ground_u95_m3` is what uneven ground may hide under the pile; no other interval holds it.
    `warnings` are for people, in the units of the site.
    """

    area_m2: float
    area_u95_m2: float
    fill_m3: float
    fill_u95_m3: float
    cut_m3: float
    cut_u95_m3: float
    net_m3: float
    net_u95_m3: float
    ground_u95_m3: float
    height_max_m: float
    height_max_u95_m: float
    coverage: float
    tonnes: TonnesShape | None
    base_plane: BasePlane | None
    budget: list[BudgetTerm]
    warnings: list[str]


class ToeDraft(Shape):
    """A pile to be saved.

    Without `pile_id` it is the pile of the toe that is drawn again, else the one of this name.
    """

    name: Annotated[str, Field(min_length=1, max_length=200)]
    pile_id: UUID | None = None
    material_id: UUID | None = None
    toe: ToeShape
    base: BaseShape = BaseShape()

    def draft(self) -> toe_service.Draft:
        """As the services take it."""
        return toe_service.Draft(
            self.name, self.pile_id, self.material_id, self.toe.outline(), self.base.base()
        )


class CarriedShape(Shape):
    """How a toe came over from the survey before: what became of the pile, how sure, and why."""

    change: str
    confidence: float
    reasons: list[str]
    from_survey_id: UUID


class SavedToe(Shape):
    """A pile in a survey; one that was carried over does not count until it is confirmed."""

    id: UUID
    pile_id: UUID
    name: str
    material_id: UUID | None
    toe: ToeShape
    base: BaseShape
    volume: VolumeShape | None
    drawn_by: str
    drawn_at: datetime
    is_confirmed: bool
    carried: CarriedShape | None
    etag: str


class SnapQuestion(Shape):
    """A rough toe."""

    toe: ToeShape


class Snapped(Shape):
    """The toe where the ground bends up into the pile."""

    toe: ToeShape
    confidence: float
    reasons: list[str]


@blueprint.post("/surveys/<uuid:survey_id>/volume")
@policy.role(Role.VIEWER)
@contract(body=VolumeQuestion, answer=VolumeShape)
def volume(survey_id: UUID, body: VolumeQuestion) -> VolumeShape:
    """Measure a toe without saving it."""
    survey = surveys.get(survey_id)
    material = toes.material_value(body.material_id, survey)
    base = toe_service.checked_base(survey, body.base.base())
    outline = body.toe.outline()
    return _volume(
        measuring.measure(
            survey_id, "pile", outline, base, material, compares_bases=body.compares_bases
        )
    )


@blueprint.post("/surveys/<uuid:survey_id>/snap")
@policy.role(Role.VIEWER)
@contract(body=SnapQuestion, answer=Snapped)
def snap(survey_id: UUID, body: SnapQuestion) -> Snapped:
    """Move a rough toe to where the ground bends up into the pile."""
    found = snapping.snap(survey_id, body.toe.outline())
    return Snapped(
        toe=ToeShape.of(found.outline),
        confidence=found.confidence,
        reasons=in_site_units(found.reasons),
    )


@blueprint.get("/surveys/<uuid:survey_id>/toes")
@policy.role(Role.VIEWER)
@contract(answer=list[SavedToe])
def index(survey_id: UUID) -> list[SavedToe]:
    """List the piles of a survey."""
    found = toes.of_survey(survey_id)
    names = toes.drawn_by(found)
    return [_saved(toe, names) for toe in found]


@blueprint.post("/surveys/<uuid:survey_id>/toes")
@policy.role(Role.SURVEYOR)
@contract(body=ToeDraft, answer=SavedToe, status=201)
def create(survey_id: UUID, body: ToeDraft) -> tuple[SavedToe, dict[str, str]]:
    """Save a drawn pile with its volume."""
    return _with_etag(toe_service.save(surveys.get(survey_id), body.draft()))


@blueprint.get("/toes/<uuid:toe_id>")
@policy.role(Role.VIEWER)
@contract(answer=SavedToe)
def show(toe_id: UUID) -> tuple[SavedToe, dict[str, str]]:
    """Show a pile in a survey."""
    return _with_etag(toes.get(toe_id))


@blueprint.put("/toes/<uuid:toe_id>")
@policy.role(Role.SURVEYOR)
@contract(body=ToeDraft, answer=SavedToe)
def replace(toe_id: UUID, body: ToeDraft) -> tuple[SavedToe, dict[str, str]]:
    """Draw a pile again; the answer has a new id, the earlier toe stays on record."""
    toe = toes.get(toe_id)
    check_etag(_version(toe))
    return _with_etag(toe_service.save(surveys.get(toe.survey_id), body.draft(), replaces=toe))


@blueprint.delete("/toes/<uuid:toe_id>")
@policy.role(Role.SURVEYOR)
@contract(status=204)
def remove(toe_id: UUID) -> None:
    """Take a pile out of a survey."""
    toe = toes.get(toe_id)
    check_etag(_version(toe))
    toe_service.remove(toe)


def _with_etag(toe: Toe) -> tuple[SavedToe, dict[str, str]]:
    return saved(toe), {"ETag": f'"{_version(toe)}"'}


def _version(toe: Toe) -> str:
    return etag(toe.id, toe.is_confirmed, toe.pile.name, toe.pile.material_id)


def saved(toe: Toe) -> SavedToe:
    """A toe as the API answers it."""
    return _saved(toe, toes.drawn_by([toe]))


def _saved(toe: Toe, names: dict[UUID, str]) -> SavedToe:
    row = toe.measurement
    measured = None if row is None else Measured(row.details, row.details.get("base_plane"))
    return SavedToe(
        id=toe.id,
        pile_id=toe.pile_id,
        name=toe.pile.name,
        material_id=toe.pile.material_id,
        toe=ToeShape.of(toes.outline(toe)),
        base=BaseShape(**toe.options.get("base", {})),
        volume=None if measured is None else _volume(measured),
        drawn_by="" if toe.created_by is None else names.get(toe.created_by, ""),
        drawn_at=toe.created_at,
        is_confirmed=toe.is_confirmed,
        carried=_carried(toe),
        etag=_version(toe),
    )


def _carried(toe: Toe) -> CarriedShape | None:
    facts = toe.options.get("carried")
    if facts is None:
        return None
    return CarriedShape(
        change=facts["change"],
        confidence=facts["confidence"],
        reasons=in_site_units(facts["reasons"]),
        from_survey_id=facts["from"],
    )


def in_site_units(sentences: Sequence[str]) -> list[str]:
    """Sentences of a library in the units that people of the site read."""
    units = Units.of(policy.current_site())
    return [units.sentence(words) for words in sentences]


def _volume(measured: Measured) -> VolumeShape:
    document = measured.document
    terms = document["budgets"]["net"]["terms"]
    names = set(VolumeShape.model_fields) - {"base_plane", "budget", "warnings"}
    return VolumeShape(
        **{name: document[name] for name in names},
        warnings=in_site_units(document["warnings"]),
        base_plane=None if measured.base_plane is None else BasePlane(**measured.base_plane),
        budget=[BudgetTerm(name=term["name"], sigma_m3=term["sigma_m3"]) for term in terms],
    )
