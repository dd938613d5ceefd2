"""The books of a site: production and sales, and how they fit what was measured."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, request

from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.api.inventory import AmountShape, MaterialRef
from app.auth import policy
from app.errors import InvalidInput
from app.models import BookEntry, Role
from app.queries import book as queries
from app.services import book

blueprint = Blueprint("book", __name__, url_prefix="/api/v1")


class EntryShape(Shape):
    """A movement of material on a day; `kind` is production or sale."""

    id: UUID
    material_id: UUID
    on: date
    kind: str
    mass_t: float
    reference: str


class ImportedShape(Shape):
    """How many movements of a file were new, and how many were known by their reference."""

    added: int
    known: int


class SpanQuery(Shape):
    """From one survey's day to a later one's."""

    start: date
    end: date


class CheckShape(Shape):
    """A material between two surveys.

    `expected_t` is what was measured first, plus production, minus sales; `difference_t` is what is
    measured now minus that, and `is_beyond` whether it is more than chance explains.
    """

    material: MaterialRef
    opening_t: AmountShape
    produced_t: float
    sold_t: float
    expected_t: AmountShape
    measured_t: AmountShape
    difference_t: AmountShape
    is_beyond: bool


@blueprint.get("/sites/<uuid:site_id>/book")
@policy.role(Role.VIEWER)
@contract(query=PageQuery, answer=Page[EntryShape])
def index(site_id: UUID, query: PageQuery) -> dict[str, Any]:
    """List the movements, the newest first."""
    items: list[BookEntry] = queries.page(site_id, query.after, query.limit)
    return {"items": items, "next": next_page(items, query)}


@blueprint.post("/sites/<uuid:site_id>/book")
@policy.role(Role.MANAGER)
@contract(takes="text/csv", answer=ImportedShape, status=201)
def add(site_id: UUID) -> book.Imported:
    """Import production and sales from CSV: all of it or nothing.

    The first line is `date, material, kind, mass`, and `reference` where movements have numbers, by
    which they are taken once. Masses are in the unit of the site unless the header says `mass [t]`.
    """
    return book.import_csv(policy.current_site(), request.get_data())


@blueprint.get("/sites/<uuid:site_id>/book/check")
@policy.role(Role.VIEWER)
@contract(query=SpanQuery, answer=list[CheckShape])
def check(site_id: UUID, query: SpanQuery) -> list[CheckShape]:
    """Hold what was measured against what the books say."""
    if query.start >= query.end:
        raise InvalidInput(
            f"{query.end} is not after {query.start}.", "Give the days of two surveys.", "end"
        )
    names = CheckShape.model_fields.keys() - {"is_beyond"}
    return [
        CheckShape(
            is_beyond=found.difference_t.is_beyond, **{name: getattr(found, name) for name in names}
        )
        for found in queries.checks(policy.current_site(), query.start, query.end)
    ]


@blueprint.delete("/book/<uuid:entry_id>")
@policy.role(Role.MANAGER)
@contract(status=204)
def remove(entry_id: UUID) -> None:
    """Take a movement out of the books."""
    book.remove(queries.get(entry_id), policy.current_site())
