"""Surveys of a site: the list, a survey with its upload and its run, its model and its map."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from flask import Blueprint, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from app.api.contract import Shape, parsed
from app.api.runs import RunChoice
from app.api.surveys import NewSurvey
from app.auth import policy
from app.errors import AppError, InvalidInput
from app.models import Role, SurveyKind
from app.pages.forms import filled
from app.queries import deliveries, photos, surveys, toes
from app.queries import runs as run_queries
from app.services import aligning, runs
from app.services import surveys as survey_service
from app.units import Units

blueprint = Blueprint("surveys_pages", __name__)


class NoiseForm(Shape):
    """What a surveyor states of a finished surface, in the site's unit of length."""

    noise_sigma: float | None = None
    noise_range: float | None = None
    vertical_sigma: float | None = None


# Products as people call them.
_FILES = (
    ("report.html", "Accuracy report"),
    ("dsm.tif", "Surface (DSM), GeoTIFF"),
    ("orthomosaic.tif", "Orthomosaic, GeoTIFF"),
    ("point_cloud.copc.laz", "Point cloud, COPC LAZ"),
    ("model/tileset.json", "3D model, 3D Tiles"),
    ("cameras.geojson", "Camera positions, GeoJSON"),
    ("accuracy.json", "Accuracy, JSON"),
    ("survey.json", "Survey, JSON"),
)


@blueprint.get("/sites/<uuid:site_id>/surveys")
@policy.role(Role.VIEWER)
def index(site_id: UUID) -> ResponseReturnValue:
    """List the surveys of a site."""
    return render_template(
        "surveys/list.html",
        surveys=surveys.with_totals(site_id),
        arriving=deliveries.arriving(site_id),
    )


@blueprint.get("/sites/<uuid:site_id>/surveys/new")
@policy.role(Role.SURVEYOR)
def new(site_id: UUID) -> ResponseReturnValue:
    """Show the form of a new survey."""
    values = {"flown_on": date.today().isoformat(), "name": ""}
    return render_template("surveys/new.html", values=values, error=None)


@blueprint.post("/sites/<uuid:site_id>/surveys/new")
@policy.role(Role.SURVEYOR)
def create(site_id: UUID) -> ResponseReturnValue:
    """Make a survey, then upload to it."""
    try:
        chosen = filled(NewSurvey)
        survey = survey_service.create(
            policy.current_site(), chosen.name, chosen.flown_on, SurveyKind(chosen.kind)
        )
    except InvalidInput as error:
        page = render_template("surveys/new.html", values=request.form, error=error)
        return page, error.status
    return redirect(url_for("surveys_pages.show", survey_id=survey.id))


@blueprint.get("/surveys/<uuid:survey_id>")
@policy.role(Role.VIEWER)
def show(survey_id: UUID) -> ResponseReturnValue:
    """Show a survey: its upload, its run, or what came of it."""
    return _page(survey_id, None)


@blueprint.post("/surveys/<uuid:survey_id>/start")
@policy.role(Role.SURVEYOR)
def start(survey_id: UUID) -> ResponseReturnValue:
    """Process a survey."""
    try:
        runs.start(surveys.get(survey_id), _chosen().choice())
    except AppError as error:
        return _page(survey_id, error), error.status
    return redirect(url_for("surveys_pages.show", survey_id=survey_id))


@blueprint.post("/runs/<uuid:run_id>/stop")
@policy.role(Role.SURVEYOR)
def cancel(run_id: UUID) -> ResponseReturnValue:
    """Ask a run to stop."""
    run = runs.get(run_id)
    runs.cancel(run)
    return redirect(url_for("surveys_pages.show", survey_id=run.survey_id))


@blueprint.post("/surveys/<uuid:survey_id>/remove")
@policy.role(Role.MANAGER)
def remove(survey_id: UUID) -> ResponseReturnValue:
    """Delete a survey."""
    survey = surveys.get(survey_id)
    site_id = survey.site_id
    survey_service.remove(survey)
    return redirect(url_for("surveys_pages.index", site_id=site_id))


@blueprint.get("/surveys/<uuid:survey_id>/view")
@policy.role(Role.VIEWER)
def view(survey_id: UUID) -> ResponseReturnValue:
    """Show the 3D model with its piles."""
    return render_template(
        "surveys/view.html",
        survey=surveys.get(survey_id),
        map_href=url_for("surveys_pages.plan", survey_id=survey_id),
    )


@blueprint.get("/surveys/<uuid:survey_id>/map")
@policy.role(Role.VIEWER)
def plan(survey_id: UUID) -> ResponseReturnValue:
    """Show the map with its piles."""
    return render_template(
        "surveys/map.html",
        survey=surveys.get(survey_id),
        model_href=url_for("surveys_pages.view", survey_id=survey_id),
        map_style_href="",
    )


@blueprint.get("/surveys/<uuid:survey_id>/picture.webp")
@policy.role(Role.VIEWER)
def picture(survey_id: UUID) -> ResponseReturnValue:
    """Send a small picture of the survey."""
    return survey_service.picture(survey_id)


def _chosen() -> RunChoice:
    per_m = Units.of(policy.current_site()).per_m
    stated = filled(NoiseForm).model_dump(exclude_none=True)
    in_m = {f"{name}_m": value / per_m for name, value in stated.items()}
    return parsed(RunChoice, filled(RunChoice).model_dump(exclude_none=True) | in_m, "")


def _page(survey_id: UUID, error: AppError | None) -> str:
    survey = surveys.get(survey_id)
    names = current_app.extensions["cairn_storage"].names(survey_id)
    history = [run_queries.document(run) for run in run_queries.of_survey(survey_id)]
    return render_template(
        "surveys/show.html",
        survey=survey,
        units=Units.of(policy.current_site()),
        error=error,
        photos=photos.of_survey(survey_id),
        runs=history,
        toes=toes.of_survey(survey_id),
        files=[(name, text) for name, text in _FILES if name in names],
        previous=surveys.previous(survey),
        offsets=aligning.offsets(survey.alignment),
    )
