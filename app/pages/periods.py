"""Closed periods of a site."""

from __future__ import annotations

from datetime import date
from typing import Any
from uuid import UUID

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.amount import Amount
from app.api.periods import Closing
from app.auth import policy
from app.auth.actor import require_actor
from app.errors import AppError
from app.models import Role
from app.pages.forms import filled
from app.queries import periods
from app.services import mail, reports, seals
from app.services import periods as period_service

blueprint = Blueprint("periods_pages", __name__)


@blueprint.get("/sites/<uuid:site_id>/periods")
@policy.role(Role.VIEWER)
def index(site_id: UUID) -> ResponseReturnValue:
    """List the closed periods."""
    return _page(site_id)


@blueprint.post("/sites/<uuid:site_id>/periods")
@policy.role(Role.MANAGER)
def close(site_id: UUID) -> ResponseReturnValue:
    """Close a period."""
    try:
        chosen = filled(Closing)
        period = period_service.close(policy.current_site(), chosen.name, chosen.ends_on)
    except AppError as error:
        return _page(site_id, error), error.status
    return redirect(url_for("periods_pages.show", period_id=period.id))


@blueprint.post("/sites/<uuid:site_id>/periods/report")
@policy.role(Role.VIEWER)
def subscribe(site_id: UUID) -> ResponseReturnValue:
    """Get the monthly report by mail, or no longer."""
    is_wanted = request.form.get("wanted") == "yes"
    try:
        reports.set_reader(policy.current_site(), require_actor().user, is_wanted=is_wanted)
    except AppError as error:
        return _page(site_id, error), error.status
    return redirect(url_for("periods_pages.index", site_id=site_id))


@blueprint.get("/periods/<uuid:period_id>")
@policy.role(Role.VIEWER)
def show(period_id: UUID) -> ResponseReturnValue:
    """Show a closed period as it was sealed, and whether all still fits."""
    return _one(period_id)


@blueprint.post("/periods/<uuid:period_id>/reopen")
@policy.role(Role.MANAGER)
def reopen(period_id: UUID) -> ResponseReturnValue:
    """Open a period to amend it."""
    try:
        period_service.reopen(period_service.get(period_id), request.form.get("reason", ""))
    except AppError as error:
        return _one(period_id, error), error.status
    return redirect(url_for("periods_pages.show", period_id=period_id))


def _page(site_id: UUID, error: AppError | None = None) -> str:
    return render_template(
        "inventory/periods.html",
        periods=periods.of_site(site_id),
        error=error,
        values=request.form,
        today=date.today().isoformat(),
        is_reader=reports.is_reader(policy.current_site(), require_actor().user),
        has_mail=mail.is_configured(),
    )


def _sealed_table(document: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """Headings and cells of what was sealed, each number beside its ±."""
    keys = seals.keys(document)
    shown = seals.leading(keys)
    headings = dict(zip(keys, document["columns"], strict=True))
    return [headings[key] for key in shown], [
        [_cell(row, key) for key in shown] for row in seals.rows(document)
    ]


def _cell(row: dict[str, Any], key: str) -> Any:
    """A cell as the page shows it: days as days, numbers with their ±."""
    cell = row[key]
    if cell is not None and key in ("survey", "change_since"):
        return date.fromisoformat(cell)
    half_width = row.get(f"{key}_u95")
    return cell if half_width is None else Amount(cell, half_width)


def _one(period_id: UUID, error: AppError | None = None) -> str:
    period = period_service.get(period_id)
    columns, lines = _sealed_table(period.document)
    return render_template(
        "inventory/period.html",
        period=period,
        columns=columns,
        lines=lines,
        differences=seals.differences(period),
        is_amended=periods.is_amended(period_id),
        error=error,
    )
