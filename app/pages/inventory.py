"""The inventory of a site on any day, and a pile through time."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from app import charts
from app.auth import policy
from app.errors import InvalidInput
from app.models import Role
from app.queries import inventory, piles, toes
from app.units import Units

blueprint = Blueprint("inventory", __name__)


@blueprint.get("/sites/<uuid:site_id>/inventory")
@policy.role(Role.VIEWER)
def show(site_id: UUID) -> ResponseReturnValue:
    """Show what lies on the site, or lay there on a day."""
    site = policy.current_site()
    found = inventory.on(site, day_asked())
    units = Units.of(site)
    points = [(day, amount * units.per_m3) for day, amount in inventory.trend(site_id)]
    return render_template(
        "inventory/show.html",
        inventory=found,
        units=units,
        trend=charts.trend([p for p in points if p[0] <= found.day], units.volume),
        plan=_plan(found, units),
        sparks={
            pile_id: charts.sparkline(values)
            for pile_id, values in piles.volumes(site_id, found.day)
            if len(values) > 1
        },
    )


@blueprint.get("/piles/<uuid:pile_id>")
@policy.role(Role.VIEWER)
def pile(pile_id: UUID) -> ResponseReturnValue:
    """Show a pile through time."""
    site = policy.current_site()
    units = Units.of(site)
    history = piles.history(pile_id)
    warnings = history[0].details.get("warnings", ()) if history else ()
    points = [(line.day, line.volume_m3 * units.per_m3) for line in reversed(history)]
    return render_template(
        "inventory/pile.html",
        pile=piles.get(pile_id),
        history=history,
        warnings=[units.sentence(words) for words in warnings],
        units=units,
        trend=charts.trend(points, units.volume),
    )


def day_asked() -> date:
    """The day behind the question mark, else today.

    Raises
    ------
    InvalidInput
        When it is no day.
    """
    text = request.args.get("on", "")
    if not text:
        return date.today()
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no day.", "Write it like 2026-11-20.", "on") from error


def _plan(found: inventory.Inventory, units: Units) -> str:
    if found.survey is None:
        return ""
    colours = {line.toe_id: line.material.colour if line.material else "" for line in found.lines}
    shapes = [
        charts.Shape(toes.outline(toe).coordinates[0], colours[toe.id] or "#9a958a", toe.pile.name)
        for toe in toes.of_survey(found.survey.id)
        if toe.id in colours
    ]
    bar = 20 if units.length == "m" else 50
    return charts.plan(shapes, bar / units.per_m, f"{bar} {units.length}")
