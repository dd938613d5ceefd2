"""Materials of a site with their dated densities, moistures and prices."""

from __future__ import annotations

from datetime import date
from typing import Annotated
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from app.api.contract import Shape, check_version, contract
from app.auth import policy
from app.models import Material, Role
from app.queries import materials
from app.services import materials as material_service

blueprint = Blueprint("materials", __name__, url_prefix="/api/v1")

Share = Annotated[float, Field(ge=0, lt=1)]
Sigma = Annotated[float, Field(ge=0, le=1e6)]


class MaterialValueShape(Shape):
    """What holds for a material from a day on; each `_sigma` is one standard deviation."""

    valid_from: date
    density_t_m3: Annotated[float, Field(ge=0.05, le=6.0)]
    density_sigma_t_m3: Sigma = 0.0
    moisture_share: Share = 0.0
    moisture_sigma: Sigma = 0.0
    price_per_t: Annotated[float, Field(ge=0, le=1e6)] | None = None
    price_sigma_per_t: Sigma = 0.0


class MaterialShape(Shape):
    """A material; `values` in the order of their days."""

    id: UUID
    name: str
    colour: str
    values: list[MaterialValueShape]


class NewMaterial(Shape):
    """A material to be made or changed."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    colour: Annotated[str, Field(pattern="^#[0-9a-fA-F]{6}$")] = "#8a7f72"


@blueprint.get("/sites/<uuid:site_id>/materials")
@policy.role(Role.VIEWER)
@contract(answer=list[MaterialShape])
def index(site_id: UUID) -> list[Material]:
    """List the materials of a site."""
    return materials.of_site(site_id)


@blueprint.post("/sites/<uuid:site_id>/materials")
@policy.role(Role.MANAGER)
@contract(body=NewMaterial, answer=MaterialShape, status=201)
def create(site_id: UUID, body: NewMaterial) -> Material:
    """Make a material."""
    return material_service.create(policy.current_site(), body.name, body.colour)


@blueprint.get("/materials/<uuid:material_id>")
@policy.role(Role.VIEWER)
@contract(answer=MaterialShape)
def show(material_id: UUID) -> Material:
    """Show a material."""
    return materials.get(material_id)


@blueprint.put("/materials/<uuid:material_id>")
@policy.role(Role.MANAGER)
@contract(body=NewMaterial, answer=MaterialShape)
def update(material_id: UUID, body: NewMaterial) -> Material:
    """Rename or recolour a material."""
    material = materials.get(material_id)
    check_version(MaterialShape, material)
    return material_service.update(material, body.name, body.colour)


@blueprint.post("/materials/<uuid:material_id>/values")
@policy.role(Role.MANAGER)
@contract(body=MaterialValueShape, answer=MaterialShape, status=201)
def add_value(material_id: UUID, body: MaterialValueShape) -> Material:
    """State density, moisture and price from a day on; the same day again replaces them."""
    return material_service.state(materials.get(material_id), body.model_dump())
