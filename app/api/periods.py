"""Closed periods: closed, verified, reopened to be amended."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from flask import Blueprint
from pydantic import BeforeValidator, Field

from app.api.contract import Shape, contract
from app.auth import policy
from app.models import Period, Role
from app.queries import periods as queries
from app.services import periods, seals

blueprint = Blueprint("periods", __name__, url_prefix="/api/v1")


def _hex(digest: bytes | str) -> str:
    return digest.hex() if isinstance(digest, bytes) else digest


class Closing(Shape):
    """A period to be closed with the inventory of its last day."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    ends_on: date


class Reopening(Shape):
    """Why a closed period must be amended."""

    reason: Annotated[str, Field(min_length=5, max_length=2000)]


class PeriodSummary(Shape):
    """A closed period; `seal` is SHA-256 of its document, `amends_id` the one that it replaces."""

    id: UUID
    name: str
    ends_on: date
    seal: Annotated[str, BeforeValidator(_hex)]
    amends_id: UUID | None
    reason: str
    reopened_at: datetime | None
    reopening_reason: str
    created_at: datetime


class PeriodShape(PeriodSummary):
    """A closed period with all that was sealed.

    The seal is that of `document` as JSON with sorted keys, no spaces and UTF-8.
    """

    document: dict[str, Any]


class Verification(Shape):
    """Whether all is still as it was sealed, and what is not."""

    is_intact: bool
    differences: list[str]


@blueprint.get("/sites/<uuid:site_id>/periods")
@policy.role(Role.VIEWER)
@contract(answer=list[PeriodSummary])
def index(site_id: UUID) -> list[Period]:
    """List the closed periods with their amendments, the newest first."""
    return queries.of_site(site_id)


@blueprint.post("/sites/<uuid:site_id>/periods")
@policy.role(Role.MANAGER)
@contract(body=Closing, answer=PeriodShape, status=201)
def close(site_id: UUID, body: Closing) -> Period:
    """Close a period; one that was reopened is closed as an amendment."""
    return periods.close(policy.current_site(), body.name, body.ends_on)


@blueprint.get("/periods/<uuid:period_id>")
@policy.role(Role.VIEWER)
@contract(answer=PeriodShape)
def show(period_id: UUID) -> Period:
    """Show a closed period as it was sealed."""
    return periods.get(period_id)


@blueprint.get("/periods/<uuid:period_id>/verification")
@policy.role(Role.VIEWER)
@contract(answer=Verification)
def verify(period_id: UUID) -> Verification:
    """Tell whether volumes, toes, photos and options are still those that were sealed."""
    found = seals.differences(periods.get(period_id))
    return Verification(is_intact=not found, differences=found)


@blueprint.post("/periods/<uuid:period_id>/reopening")
@policy.role(Role.MANAGER)
@contract(body=Reopening, answer=PeriodShape)
def reopen(period_id: UUID, body: Reopening) -> Period:
    """Open a period to amend it; what was sealed stays as it was."""
    period = periods.get(period_id)
    periods.reopen(period, body.reason)
    return period
