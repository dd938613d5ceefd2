"""The inventory and the products to take away."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, current_app
from flask.typing import ResponseReturnValue

from app.auth import policy
from app.errors import NotFound
from app.models import Role
from app.pages.inventory import day_asked
from app.queries import inventory as queries
from app.services import archives, exports, inventory_pdf

blueprint = Blueprint("exports_pages", __name__)

_FORMATS = {
    "csv": (exports.to_csv, "text/csv; charset=utf-8"),
    "xlsx": (
        exports.to_xlsx,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    "pdf": (inventory_pdf.to_pdf, "application/pdf"),
    "geojson": (exports.to_geojson, "application/geo+json"),
    "dxf": (exports.to_dxf, "image/vnd.dxf"),
    "kml": (exports.to_kml, "application/vnd.google-earth.kml+xml"),
}


@blueprint.get("/sites/<uuid:site_id>/inventory.<format>")
@policy.role(Role.VIEWER)
def inventory(site_id: UUID, format: str) -> ResponseReturnValue:
    """Send the inventory of a day as a file."""
    if format not in _FORMATS:
        raise NotFound(f"There is no format {format!r}.", f"Take {', '.join(_FORMATS)}.")
    site, (write, media_type) = policy.current_site(), _FORMATS[format]
    found = queries.on(site, day_asked())
    answer = Response(write(site, found), content_type=media_type)
    answer.headers.set(
        "Content-Disposition", "attachment", filename=f"inventory-{found.day}.{format}"
    )
    return answer


@blueprint.get("/surveys/<uuid:survey_id>/products.zip")
@policy.role(Role.VIEWER)
def products(survey_id: UUID) -> ResponseReturnValue:
    """Send all products of a survey as one ZIP, made while it is sent."""
    storage = current_app.extensions["cairn_storage"]
    answer = Response(archives.stream(storage, survey_id), mimetype="application/zip")
    answer.headers.set("Content-Disposition", "attachment", filename=f"survey-{survey_id}.zip")
    return answer
