"""Proposed toes of a survey, and piles carried over from the survey before."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint

from app import queues
from app.api.contract import Shape, contract
from app.api.toes import SavedToe, ToeShape, in_site_units, saved
from app.auth import policy
from app.models import Role
from app.queries import surveys, toes
from app.services import carrying, proposing
from app.services.proposing import Proposal

blueprint = Blueprint("proposals", __name__, url_prefix="/api/v1")


class ProposalShape(Shape):
    """A toe that a program found; save it as a toe to accept it.

    `pile_id` and `name` are those of the pile in the survey before, where it is the same one, and
    `change` what became of it; `was` names the earlier piles that it is made of; `confidence` is
    from 0 to 1.
    """

    number: int
    toe: ToeShape
    confidence: float
    reasons: list[str]
    pile_id: UUID | None
    name: str
    material_id: UUID | None
    change: str
    was: list[str]


@blueprint.get("/surveys/<uuid:survey_id>/proposals")
@policy.role(Role.VIEWER)
@contract(answer=list[ProposalShape])
def index(survey_id: UUID) -> list[ProposalShape]:
    """List the piles that a program found and nobody drew, the surest first."""
    return [_shape(found) for found in proposing.of_survey(surveys.get(survey_id))]


@blueprint.delete("/surveys/<uuid:survey_id>/proposals/<int:number>")
@policy.role(Role.SURVEYOR)
@contract(status=204)
def leave_out(survey_id: UUID, number: int) -> None:
    """Leave out a proposal; it is shown no more until piles are looked for again."""
    proposing.leave_out(surveys.get(survey_id), number)


@blueprint.post("/surveys/<uuid:survey_id>/proposals")
@policy.role(Role.SURVEYOR)
@contract(status=202)
def search(survey_id: UUID) -> None:
    """Have a program look for piles, and carry over those of the survey before."""
    queues.enqueue(queues.SHORT, "app.jobs.propose", str(survey_id), job_id=f"propose-{survey_id}")


@blueprint.post("/toes/<uuid:toe_id>/confirm")
@policy.role(Role.SURVEYOR)
@contract(answer=SavedToe)
def confirm(toe_id: UUID) -> SavedToe:
    """Confirm a toe that was carried over from the survey before; from now on it counts."""
    return saved(carrying.confirm(toes.get(toe_id)))


def _shape(found: Proposal) -> ProposalShape:
    return ProposalShape(
        number=found.number,
        toe=ToeShape.of(found.outline),
        confidence=found.confidence,
        reasons=in_site_units(found.reasons),
        pile_id=None if found.pile is None else found.pile.pile_id,
        name="" if found.pile is None else found.pile.pile.name,
        material_id=None if found.pile is None else found.pile.pile.material_id,
        change=found.change,
        was=list(found.was),
    )
