"""Books against measured."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.auth import policy
from app.errors import InvalidInput
from app.models import Role
from app.queries import book
from app.services import book as book_service
from app.units import Units

blueprint = Blueprint("book_pages", __name__)


@blueprint.get("/sites/<uuid:site_id>/book")
@policy.role(Role.VIEWER)
def index(site_id: UUID) -> ResponseReturnValue:
    """Hold what was measured against what the books say."""
    return _page(site_id)


@blueprint.post("/sites/<uuid:site_id>/book")
@policy.role(Role.MANAGER)
def add(site_id: UUID) -> ResponseReturnValue:
    """Import production and sales from a CSV file."""
    file = request.files.get("file")
    try:
        if file is None or not file.filename:
            raise InvalidInput("There is no file.", "Choose a CSV file.", field="file")
        done = book_service.import_csv(policy.current_site(), file.read())
    except InvalidInput as error:
        return _page(site_id, error), error.status
    return redirect(
        url_for("book_pages.index", site_id=site_id, added=done.added, known=done.known)
    )


@blueprint.post("/book/<uuid:entry_id>/remove")
@policy.role(Role.MANAGER)
def remove(entry_id: UUID) -> ResponseReturnValue:
    """Take a movement out."""
    site = policy.current_site()
    book_service.remove(book.get(entry_id), site)
    return redirect(url_for("book_pages.index", site_id=site.id))


def _page(site_id: UUID, error: InvalidInput | None = None) -> str:
    site = policy.current_site()
    days = book.survey_days(site_id)
    end = _day("end", days, 0)
    start = _day("start", days, 1)
    checks = book.checks(site, start, end) if start and end and start < end else []
    return render_template(
        "inventory/book.html",
        units=Units.of(site),
        days=days,
        start=start,
        end=end,
        checks=checks,
        entries=book.entries(site_id),
        error=error,
        added=request.args.get("added", type=int),
        known=request.args.get("known", type=int),
    )


def _day(name: str, days: list[date], default: int) -> date | None:
    asked = request.args.get(name, "")
    chosen = next((day for day in days if day.isoformat() == asked), None)
    return chosen or (days[default] if len(days) > default else None)
