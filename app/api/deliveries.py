"""Deliveries: a flight announced by its files, asked for what is missing, processed when whole."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from flask import Blueprint, url_for
from pydantic import Field

from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.auth import policy
from app.models import Role
from app.queries import deliveries as queries
from app.queries.deliveries import Standing
from app.services import deliveries

blueprint = Blueprint("deliveries", __name__, url_prefix="/api/v1")

_MOST_FILES = 20_000


class ExpectedFile(Shape):
    """A file of a flight; `captured_on` is the day its camera wrote into it."""

    name: Annotated[str, Field(min_length=1, max_length=300)]
    size: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    captured_on: date | None = None


class Manifest(Shape):
    """All files of a flight. Without `flown_on`, the photos tell; without `name`, the day does."""

    files: Annotated[list[ExpectedFile], Field(min_length=1, max_length=_MOST_FILES)]
    name: Annotated[str, Field(max_length=200)] = ""
    flown_on: date | None = None
    quality: Literal["preview", "standard", "high"] = "standard"


class MissingFile(Shape):
    """A file that is not here yet; `upload_url` goes on with what came of it, from `offset`."""

    name: str
    sha256: str
    upload_url: str | None
    offset: int


class DeliveryShape(Shape):
    """How far a flight has come.

    `state` is waiting, complete (it is being processed, or was), or removed (somebody deleted its
    survey; it is not taken again). `expected` is null for a folder without a list of its files.
    `left_out` counts photos that earlier surveys have.
    """

    id: UUID
    survey_id: UUID | None
    source: str
    state: Literal["waiting", "complete", "removed"]
    expected: int | None
    arrived: int
    left_out: int
    problem: str
    created_at: datetime
    changed_at: datetime
    completed_at: datetime | None


class DeliveryDetail(DeliveryShape):
    """How far a flight has come, what is missing, and what is not taken.

    `left_out_files` are those that earlier surveys have, `repeated_files` those whose bytes the
    flight has under another name, too.
    """

    uploads_url: str | None
    missing: list[MissingFile]
    left_out_files: list[str]
    repeated_files: list[str]


@blueprint.get("/sites/<uuid:site_id>/deliveries")
@policy.role(Role.VIEWER)
@contract(query=PageQuery, answer=Page[DeliveryShape])
def index(site_id: UUID, query: PageQuery) -> dict[str, Any]:
    """List the flights that were delivered to a site or are on their way, the newest first."""
    found = queries.page(site_id, query.after, query.limit)
    items = [DeliveryShape.model_validate(_facts(standing)) for standing in found]
    return {"items": items, "next": next_page(items, query)}


@blueprint.post("/sites/<uuid:site_id>/deliveries")
@policy.role(Role.SURVEYOR)
@contract(body=Manifest, answer=DeliveryDetail)
def announce(site_id: UUID, body: Manifest) -> DeliveryDetail:
    """Announce a flight by all its files, or ask again what of it is missing.

    The same files are the same flight, however often they are announced. Once nothing is missing,
    it is processed.
    """
    files = [file.model_dump(mode="json") for file in body.files]
    manifest = deliveries.Manifest(files, body.name, body.flown_on, body.quality)
    delivery = deliveries.announce(policy.current_site(), manifest)
    deliveries.settle(delivery)
    standing = queries.standing(delivery)
    missing = [
        MissingFile(
            name=file.name,
            sha256=file.sha256,
            upload_url=_url("uploads.where", upload_id=file.upload_id),
            offset=file.offset,
        )
        for file in standing.missing
    ]
    left_out, repeated = deliveries.not_taken(delivery, manifest)
    return DeliveryDetail.model_validate(
        _facts(standing)
        | {
            "missing": missing,
            "left_out_files": left_out,
            "repeated_files": repeated,
            "uploads_url": _url("uploads.create", survey_id=delivery.survey_id),
        }
    )


def _url(endpoint: str, **values: UUID | None) -> str | None:
    return None if None in values.values() else url_for(endpoint, **values)


def _facts(standing: Standing) -> dict[str, object]:
    delivery = standing.delivery
    columns = (
        "id", "survey_id", "source", "problem", "created_at", "changed_at", "completed_at",
    )  # fmt: skip
    return {name: getattr(delivery, name) for name in columns} | {
        "state": standing.state,
        "expected": standing.expected,
        "arrived": standing.arrived,
        "left_out": int(delivery.options.get("left_out", 0)),
    }
