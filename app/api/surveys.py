"""Surveys: what they are, their files, map tiles, grids and profiles."""

from __future__ import annotations

import json
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import numpy as np
from flask import Blueprint, Response, current_app, url_for
from pydantic import Field

from app import files, rasters
from app.api.contract import Page, PageQuery, Shape, contract, next_page
from app.auth import policy
from app.errors import InvalidInput, NotFound
from app.models import Role, Survey, SurveyKind
from app.queries import periods, surveys
from app.services import surveys as survey_service
from app.storage import Product, Storage
from app.units import Units

blueprint = Blueprint("surveys", __name__, url_prefix="/api/v1")

_LAYER = "<any(orthomosaic,hillshade,height):layer>"
_MAX_GRID_CELLS = 2048
_PROFILE_POINTS = 400
# Products of a finished run are replaced as a whole; the browser asks again after this time.
_TILE_AGE_S = 300


class SurveySummary(Shape):
    """A survey in a list."""

    id: UUID
    name: str
    flown_on: date
    kind: str
    state: str


class UnitsShape(Shape):
    """How people read numbers of the site: symbols, and how many of them make a unit of SI.

    All numbers of this API are in SI, whatever the site reads; sentences for people (`warnings`,
    `reasons`) are in the units of the site. `small` is for the length of a pixel, `land` for areas
    that are larger than a pile.
    """

    volume: str
    mass: str
    length: str
    area: str
    small: str
    land: str
    per_m3: float
    per_t: float
    per_m: float
    per_m2: float
    small_per_m: float
    land_per_m2: float


class SurveyShape(SurveySummary):
    """A survey with where it lies, what it has, and the sum of its confirmed piles.

    `closed_in` is the period that is sealed with it: its piles stay as they are until a manager
    reopens that.
    """

    site_id: UUID
    epsg: int
    crs_proj4: str
    vertical_datum: str
    bounds: list[float] | None
    corners_lonlat: list[list[float]] | None
    origin_elevation_m: float | None
    gsd_m: float | None
    cell_size_m: float | None
    model_url: str | None
    orthomosaic_url: str | None
    point_cloud_url: str | None
    cameras_url: str | None
    tiles_url: str | None
    can_edit: bool
    closed_in: str | None
    proposals_found_at: datetime | None
    previous_id: UUID | None
    volume_unit: str
    mass_unit: str
    units: UnitsShape
    pile_count: int
    net_m3: float | None
    net_u95_m3: float | None


class NewSurvey(Shape):
    """A survey that is about to be uploaded: photos, or a surface that another program finished."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    flown_on: date
    kind: Literal["photos", "surface"] = "photos"


class GridQuery(Shape):
    """Which part of a surface: `bounds` west,south,east,north in the survey's CRS."""

    bounds: str
    cells: Annotated[int, Field(ge=2, le=_MAX_GRID_CELLS)] = 512
    against: str = "none"


Coordinate = Annotated[float, Field(ge=-1e8, le=1e8)]
Place = Annotated[list[Coordinate], Field(min_length=2, max_length=2)]


class ProfileQuestion(Shape):
    """A line on the map."""

    line: Annotated[list[Place], Field(min_length=2, max_length=500)]


class Profile(Shape):
    """Elevations along a line; null in holes."""

    distance_m: list[float]
    elevation_m: list[float | None]


@blueprint.get("/sites/<uuid:site_id>/surveys")
@policy.role(Role.VIEWER)
@contract(query=PageQuery, answer=Page[SurveySummary])
def index(site_id: UUID, query: PageQuery) -> dict[str, Any]:
    """List the surveys of a site, the newest first."""
    items = surveys.page(site_id, query.after, query.limit)
    return {"items": items, "next": next_page(items, query)}


@blueprint.post("/sites/<uuid:site_id>/surveys")
@policy.role(Role.SURVEYOR)
@contract(body=NewSurvey, answer=SurveySummary, status=201)
def create(site_id: UUID, body: NewSurvey) -> Survey:
    """Make a survey to upload photos or a surface to, by tus 1.0 at its `uploads`."""
    kind = SurveyKind(body.kind)
    return survey_service.create(policy.current_site(), body.name, body.flown_on, kind)


@blueprint.get("/surveys/<uuid:survey_id>")
@policy.role(Role.VIEWER)
@contract(answer=SurveyShape)
def show(survey_id: UUID) -> SurveyShape:
    """Show a survey with where it lies and what it has."""
    survey, site = surveys.get(survey_id), policy.current_site()
    place = survey_service.place(survey)
    names = current_app.extensions["cairn_storage"].names(survey_id)

    def file_url(name: str) -> str | None:
        return url_for("surveys.file", survey_id=survey_id, name=name) if name in names else None

    before, held = surveys.previous(survey), surveys.with_total(survey_id)
    closed = periods.closing(site.id, survey.flown_on)
    tiles = url_for(
        "surveys.tile", survey_id=survey_id, layer="height", z=0, x=0, y=0, _external=False
    ).replace("height/0/0/0", "{layer}/{z}/{x}/{y}")
    return SurveyShape(
        id=survey.id,
        name=survey.name,
        flown_on=survey.flown_on,
        kind=survey.kind,
        state=survey.state,
        site_id=site.id,
        can_edit=closed is None and policy.current_role() >= Role.SURVEYOR,
        closed_in=None if closed is None else closed.name,
        proposals_found_at=survey.proposals.get("found_at"),
        previous_id=None if before is None else before.id,
        volume_unit=site.volume_unit,
        mass_unit=site.mass_unit,
        units=UnitsShape.model_validate(Units.of(site), from_attributes=True),
        pile_count=held.piles,
        net_m3=None if held.volume_m3 is None else held.volume_m3.value,
        net_u95_m3=None if held.volume_m3 is None else held.volume_m3.u95,
        model_url=file_url("model/tileset.json"),
        orthomosaic_url=file_url("orthomosaic.tif"),
        point_cloud_url=file_url("point_cloud.copc.laz"),
        cameras_url=file_url("cameras.geojson"),
        tiles_url=None if place["bounds"] is None else tiles,
        **place,
    )


@blueprint.delete("/surveys/<uuid:survey_id>")
@policy.role(Role.MANAGER)
@contract(status=204)
def remove(survey_id: UUID) -> None:
    """Delete a survey with its photos, products and piles' measurements."""
    survey_service.remove(surveys.get(survey_id))


@blueprint.get("/surveys/<uuid:survey_id>/files/<path:name>")
@policy.role(Role.VIEWER)
@contract(media_type="*/*")
def file(survey_id: UUID, name: str) -> Response:
    """Send a product of a survey, or a range of it."""
    storage: Storage = current_app.extensions["cairn_storage"]
    return files.send(storage, storage.product(survey_id, name))


@blueprint.get(f"/surveys/<uuid:survey_id>/tiles/{_LAYER}/<int:z>/<int:x>/<int:y>.webp")
@policy.role(Role.VIEWER)
@contract(media_type="image/webp", may_be_empty=True)
def tile(survey_id: UUID, layer: str, z: int, x: int, y: int) -> Response:
    """Send a map tile; 204 where it is empty."""
    bounds = rasters.tile_bounds(z, x, y)
    if bounds is None:
        raise NotFound(f"There is no tile {z}/{x}/{y}.", f"Zoom goes to {rasters.MAX_ZOOM}.")
    picture = _draw(survey_id, layer, bounds)
    answer = Response(picture or b"", status=200 if picture else 204, mimetype="image/webp")
    answer.cache_control.private = True
    answer.cache_control.max_age = _TILE_AGE_S
    return answer


@blueprint.get("/surveys/<uuid:survey_id>/grid")
@policy.role(Role.VIEWER)
@contract(query=GridQuery, media_type="application/octet-stream")
def grid(survey_id: UUID, query: GridQuery) -> Response:
    """Send elevations, or differences to another survey, as float32 rows from north."""
    bounds = _bounds(query.bounds)
    found = rasters.field(_surface(survey_id).path, bounds, query.cells)
    values = found.values
    if query.against != "none":
        values = (
            values
            - rasters.field(_other(survey_id, query.against).path, bounds, query.cells).values
        )
    rows, cols = values.shape
    facts = {
        "rows": rows,
        "cols": cols,
        "west_m": found.west_m,
        "north_m": found.north_m,
        "cell_size_m": found.cell_size_m,
    }
    answer = Response(values.astype("<f4").tobytes(), mimetype="application/octet-stream")
    answer.headers["X-Grid"] = json.dumps(facts)
    return answer


@blueprint.post("/surveys/<uuid:survey_id>/profile")
@policy.role(Role.VIEWER)
@contract(body=ProfileQuestion, answer=Profile)
def profile(survey_id: UUID, body: ProfileQuestion) -> Profile:
    """Cut a section through the surface along a line."""
    line = np.array(body.line)
    legs = np.hypot(*np.diff(line, axis=0).T)
    if not 0.0 < legs.sum() < 1e5:
        raise InvalidInput("The line has no length, or is longer than 100 km.", "Draw it again.")
    ends = np.concatenate([[0.0], np.cumsum(legs)])
    distance = np.linspace(0.0, ends[-1], _PROFILE_POINTS)
    points = np.column_stack([np.interp(distance, ends, line[:, axis]) for axis in (0, 1)])
    found = rasters.elevations(_surface(survey_id).path, points)
    return Profile(
        distance_m=distance.tolist(),
        elevation_m=[float(value) if np.isfinite(value) else None for value in found],
    )


def _draw(survey_id: UUID, layer: str, bounds: tuple[float, ...]) -> bytes | None:
    storage = current_app.extensions["cairn_storage"]
    corners = (bounds[0], bounds[1], bounds[2], bounds[3])
    if layer == "orthomosaic":
        return rasters.picture_tile(storage.product(survey_id, "orthomosaic.tif"), corners)
    surface = _surface(survey_id)
    if layer == "hillshade":
        return rasters.hillshade_tile(surface, corners)
    return rasters.height_tile(surface, corners, rasters.elevation_span(surface))


def _surface(survey_id: UUID) -> Product:
    storage: Storage = current_app.extensions["cairn_storage"]
    return storage.product(survey_id, "dsm.tif")


def _other(survey_id: UUID, text: str) -> Product:
    try:
        other = surveys.get(UUID(text))
    except ValueError as error:
        raise InvalidInput(f"{text!r} is no survey.", "Give its id.", field="against") from error
    if other.site_id != surveys.get(survey_id).site_id:
        raise NotFound("The site has no such survey.", "Choose one of its list.")
    return _surface(other.id)


def _bounds(text: str) -> tuple[float, float, float, float]:
    try:
        west, south, east, north = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InvalidInput(
            f"The bounds {text!r} are no four numbers.", "Give west,south,east,north.", "bounds"
        ) from error
    side = max(east - west, north - south)
    if not (np.isfinite(side) and east > west and north > south and side < 1e5):
        raise InvalidInput(
            f"The bounds {text!r} span nothing, or more than 100 km.",
            "Give west,south,east,north.",
            "bounds",
        )
    return west, south, east, north
