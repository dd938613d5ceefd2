"""Materials of a site, and what holds for them from a day on."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from pydantic import Field

from app.amount import NORMAL_95
from app.api.contract import Shape, parsed
from app.api.materials import MaterialValueShape, NewMaterial
from app.auth import policy
from app.errors import InvalidInput
from app.extensions import db
from app.models import MaterialValue, Role
from app.pages.forms import filled
from app.queries import materials
from app.services import materials as service
from app.units import Units

blueprint = Blueprint("materials_pages", __name__)

Typed = Annotated[float, Field(ge=0, le=1e6)]


class ValueForm(Shape):
    """What a manager types: the site's units, per cent, and 95 % intervals."""

    valid_from: date
    density: Annotated[float, Field(gt=0, le=20)]
    density_u95: Typed = 0.0
    moisture: Annotated[float, Field(ge=0, lt=100)] = 0.0
    moisture_u95: Annotated[float, Field(ge=0, le=100)] = 0.0
    price: Typed | None = None
    price_u95: Typed = 0.0


@blueprint.get("/sites/<uuid:site_id>/materials")
@policy.role(Role.VIEWER)
def index(site_id: UUID) -> ResponseReturnValue:
    """List the materials with their values."""
    return _page()


@blueprint.post("/sites/<uuid:site_id>/materials")
@policy.role(Role.MANAGER)
def create(site_id: UUID) -> ResponseReturnValue:
    """Make a material."""
    try:
        chosen = filled(NewMaterial)
        material = service.create(policy.current_site(), chosen.name, chosen.colour)
    except InvalidInput as error:
        return _page(error, "new"), error.status
    flash(f"{material.name} is made. State its density next.")
    return redirect(url_for("materials_pages.index", site_id=site_id))


@blueprint.post("/materials/<uuid:material_id>")
@policy.role(Role.MANAGER)
def update(material_id: UUID) -> ResponseReturnValue:
    """Rename or recolour a material."""
    try:
        chosen = filled(NewMaterial)
        material = service.update(materials.get(material_id), chosen.name, chosen.colour)
    except InvalidInput as error:
        return _page(error, f"name-{material_id}"), error.status
    flash(f"{material.name} is saved.")
    return redirect(url_for("materials_pages.index", site_id=material.site_id))


@blueprint.post("/materials/<uuid:material_id>/values")
@policy.role(Role.MANAGER)
def state(material_id: UUID) -> ResponseReturnValue:
    """State density, moisture and price from a day on."""
    try:
        values = _stored(filled(ValueForm), Units.of(policy.current_site()))
        material = service.state(materials.get(material_id), values)
    except InvalidInput as error:
        return _page(error, f"value-{material_id}"), error.status
    flash(f"The values of {material.name} are saved.")
    return redirect(url_for("materials_pages.index", site_id=material.site_id))


def _page(error: InvalidInput | None = None, form: str = "") -> str:
    db.session.rollback()
    site = policy.current_site()
    units = Units.of(site)
    found = [
        (material, [_shown(value, units) for value in reversed(material.values)])
        for material in materials.of_site(site.id)
    ]
    return render_template(
        "materials/index.html",
        materials=found,
        units=units,
        today=date.today().isoformat(),
        error=error,
        form=form,
        typed=request.form,
    )


def _stored(typed: ValueForm, units: Units) -> dict[str, Any]:
    per_density = units.per_t / units.per_m3
    price = None if typed.price is None else typed.price * units.per_t
    values = {
        "valid_from": typed.valid_from,
        "density_t_m3": typed.density / per_density,
        "density_sigma_t_m3": typed.density_u95 / per_density / NORMAL_95,
        "moisture_share": typed.moisture / 100.0,
        "moisture_sigma": typed.moisture_u95 / 100.0 / NORMAL_95,
        "price_per_t": price,
        "price_sigma_per_t": typed.price_u95 * units.per_t / NORMAL_95,
    }
    return parsed(MaterialValueShape, values).model_dump()


def _shown(value: MaterialValue, units: Units) -> dict[str, Any]:
    per_density = units.per_t / units.per_m3
    return {
        "valid_from": value.valid_from,
        "density": value.density_t_m3 * per_density,
        "density_u95": value.density_sigma_t_m3 * per_density * NORMAL_95,
        "moisture": value.moisture_share * 100.0,
        "moisture_u95": value.moisture_sigma * 100.0 * NORMAL_95,
        "price": None if value.price_per_t is None else value.price_per_t / units.per_t,
        "price_u95": value.price_sigma_per_t / units.per_t * NORMAL_95,
    }
