"""Surveys: made, told where they lie, removed."""

from __future__ import annotations

import json
import warnings
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from flask import Response, current_app, request
from sqlalchemy import func, update

from app import rasters
from app.auth.actor import actor_id
from app.errors import InvalidInput
from app.extensions import db
from app.models import Delivery, Site, Survey, SurveyKind, SurveyState
from app.services import audit, measuring
from app.services.toes import refuse_if_closed
from app.storage import Product, Storage

if TYPE_CHECKING:
    import pyproj

_NOWHERE: dict[str, Any] = {
    "epsg": 0,
    "crs_proj4": "",
    "vertical_datum": "",
    "bounds": None,
    "corners_lonlat": None,
    "origin_elevation_m": None,
    "gsd_m": None,
    "cell_size_m": None,
}


def create(site: Site, name: str, flown_on: date, kind: SurveyKind = SurveyKind.PHOTOS) -> Survey:
    """Make an empty survey.

    Raises
    ------
    InvalidInput
        When it has no name.
    """
    survey = add(site, name, flown_on, kind)
    db.session.commit()
    return survey


def add(site: Site, name: str, flown_on: date, kind: SurveyKind = SurveyKind.PHOTOS) -> Survey:
    """Make an empty survey within the caller's transaction.

    Raises
    ------
    InvalidInput
        When it has no name.
    """
    if not name.strip():
        raise InvalidInput("The survey has no name.", "Give it one.", field="name")
    survey = Survey(
        site_id=site.id,
        name=name.strip()[:200],
        flown_on=flown_on,
        kind=kind,
        state=SurveyState.COLLECTING,
        created_by=actor_id(),
    )
    db.session.add(survey)
    db.session.flush()
    _record("survey.create", survey, site)
    return survey


def remove(survey: Survey) -> None:
    """Delete a survey with its files.

    Raises
    ------
    Conflict
        When it lies in a closed period.
    """
    refuse_if_closed(survey)
    site = db.session.get_one(Site, survey.site_id)
    _record("survey.remove", survey, site)
    survey_id = survey.id
    # What was deleted does not come back with the next upload of the same folder.
    ended = update(Delivery).where(Delivery.survey_id == survey_id)
    db.session.execute(
        ended.values(completed_at=func.coalesce(Delivery.completed_at, func.now()), problem="")
    )
    db.session.delete(survey)
    db.session.commit()
    # Rows first: files without a row do no harm, a row without files would.
    current_app.extensions["cairn_storage"].remove_survey(survey_id)


def picture(survey_id: UUID) -> Response:
    """A small picture of a survey, the orthomosaic where there is one, else its relief.

    Raises
    ------
    NotFound
        When there is no product yet.
    """
    storage: Storage = current_app.extensions["cairn_storage"]
    names = storage.names(survey_id)
    name = "orthomosaic.tif" if "orthomosaic.tif" in names else "dsm.tif"
    product = storage.product(survey_id, name)
    answer = Response(rasters.overview(product), mimetype="image/webp")
    answer.cache_control.private = True
    answer.cache_control.max_age = 300
    answer.set_etag(product.version)
    return answer.make_conditional(request)


def place(survey: Survey) -> dict[str, Any]:
    """Where a survey lies: CRS, bounds, sizes; nothing is known before it has a surface."""
    storage: Storage = current_app.extensions["cairn_storage"]
    if "dsm.tif" not in storage.names(survey.id):
        return dict(_NOWHERE)
    return dict(_place(storage.product(survey.id, "dsm.tif"), survey.id))


@lru_cache(maxsize=256)
def _place(_product: Product, survey_id: UUID) -> dict[str, Any]:
    import pyproj

    surface = measuring.surface(survey_id)
    west, south, east, north = surface.bounds_m
    to_globe = pyproj.Transformer.from_crs(surface.crs, "EPSG:4326", always_xy=True)
    corners = [(west, south), (east, south), (east, north), (west, north)]
    flat = surface.crs.sub_crs_list[0] if surface.crs.is_compound else surface.crs
    return {
        "epsg": flat.to_epsg() or surface.facts.get("epsg") or 0,
        "crs_proj4": _proj4(flat),
        "vertical_datum": str(surface.facts.get("vertical_datum") or "not stated"),
        "bounds": list(surface.bounds_m),
        "corners_lonlat": [list(to_globe.transform(*corner)) for corner in corners],
        "origin_elevation_m": _origin_elevation_m(surface.facts),
        "gsd_m": surface.facts.get("gsd_m"),
        "cell_size_m": surface.cell_size_m,
    }


def _proj4(crs: pyproj.CRS) -> str:
    with warnings.catch_warnings():
        # A PROJ string has no name and no axes; the browser needs neither.
        warnings.simplefilter("ignore", UserWarning)
        return str(crs.to_proj4())


def _origin_elevation_m(facts: dict[str, Any]) -> float | None:
    if "local_frame" not in facts:
        return None
    from reconstruction.frame import LocalFrame

    return float(LocalFrame.from_json(facts["local_frame"]).map_origin[2])


def read_facts(folder: Path) -> dict[str, Any]:
    """``survey.json`` of a survey folder; empty where there is none."""
    path = folder / "survey.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def _record(action: str, survey: Survey, site: Site) -> None:
    audit.record(
        action,
        f"{survey.name} of {survey.flown_on}",
        organisation_id=site.organisation_id,
        site_id=site.id,
        survey=str(survey.id),
    )
