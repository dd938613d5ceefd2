"""Fill an empty installation with the demo quarry: two flights a week apart, piles, materials.

The photos are simulated and processed like anybody's; the toes are those of the simulation, as a
surveyor would draw them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

from flask import g
from sqlalchemy import select

from app import create_app
from app.auth.actor import Actor
from app.config import Config
from app.errors import AppError
from app.extensions import db
from app.models import Photo, Run, RunState, Site, Survey, User
from app.outline import Base
from app.queries import materials as material_queries
from app.queries import surveys as survey_queries
from app.queries import toes as toe_queries
from app.services import (
    accounts,
    materials,
    measuring,
    runs,
    sites,
    snapping,
    surveys,
    toes,
    uploads,
)
from app.services.runs import Choice
from bench.programs import FLIGHTS, ROOT

EMAIL, PASSWORD = "demo@cairn.example", "gravel by the tonne"
_WEEKS = 2
_CARRY_S = 120.0
# Nobody clicks a vertex that is nearer than this to the line between its neighbours.
_STEADY_HAND_M = 0.3
# Colour, bulk density as it lies in t/m³, its 1 sigma at a site that weighs now and then, EUR/t.
_MATERIALS = {
    "Gravel": ("#7d8a96", 1.65, 0.04, 14.0),
    "Sand": ("#c9a35b", 1.55, 0.04, 11.0),
    "Limestone": ("#a7a294", 1.50, 0.04, 12.5),
    "Topsoil": ("#5a4632", 1.25, 0.06, 9.0),
    "Recycled": ("#8c5a4a", 1.45, 0.06, 7.5),
}
_MADE_OF = {
    "Gravel": "Gravel", "Sand": "Sand", "Fill": "Sand", "Limestone": "Limestone",
    "Topsoil": "Topsoil", "Crushed": "Recycled", "Asphalt": "Recycled",
}  # fmt: skip


def main() -> int:
    """Fill in what is missing; returns the exit code."""
    app = create_app(Config.from_environment(os.environ))
    with app.app_context():
        user = accounts.with_email(EMAIL) or accounts.create_organisation(
            "Demo Quarries", EMAIL, "Dana Demo", PASSWORD
        )
        print(f"  Sign in as {EMAIL} with the password: {PASSWORD}", flush=True)
        g.actor = Actor(user)
        site = _site(user)
        last_monday = date.today() - timedelta(days=date.today().weekday())
        for week in range(_WEEKS):
            _week(site, week, last_monday - timedelta(weeks=_WEEKS - 1 - week))
    return 0


def _site(user: User) -> Site:
    query = select(Site).where(Site.organisation_id == user.organisation_id)
    site = db.session.scalar(query)
    if site is not None:
        return site
    site = sites.create(Actor(user), {"name": "Demo quarry", "survey_weekday": 0})
    for name, (colour, density, sigma, price) in _MATERIALS.items():
        material = materials.create(site, name, colour)
        values = {
            "valid_from": date.today() - timedelta(days=365),
            "density_t_m3": density,
            "density_sigma_t_m3": sigma,
            "moisture_share": 0.04,
            "moisture_sigma": 0.01,
            "price_per_t": price,
            "price_sigma_per_t": 0.0,
        }
        materials.state(material, values)
    return site


def _week(site: Site, week: int, day: date) -> None:
    name = f"Demo flight, week {week + 1}"
    survey = db.session.scalar(select(Survey).where(Survey.site_id == site.id, Survey.name == name))
    if survey is None:
        flight = _flight(week)
        survey = surveys.create(site, name, day)
        _take_photos(survey, flight)
        runs.start(survey, Choice("standard"))
    if _wait(survey.id, name) == RunState.DONE:
        _wait_for_carried(survey)
        _draw(survey, _flight(week) / "piles.geojson")


def _flight(week: int) -> Path:
    """The simulated flight, rendered once."""
    folder = FLIGHTS / f"week{week}"
    command = [sys.executable, "-m", "reconstruction.synthetic", folder, "--week", week]
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT)
    return folder


def _take_photos(survey: Survey, flight: Path) -> None:
    """Take photos that lie on this machine already, as an upload would."""
    folder = uploads.storage().photos(survey.id)
    for path in sorted((flight / "images").iterdir()):
        shutil.copy(path, folder / path.name)
        facts, position = uploads.inspect(folder / path.name, path.name)
        digest = hashlib.sha256(path.read_bytes()).digest()
        row = Photo(survey_id=survey.id, name=path.name, sha256=digest, size=path.stat().st_size)
        row.facts, row.position = facts, position
        db.session.add(row)
    db.session.commit()


def _wait(survey_id: UUID, name: str) -> str:
    """Follow the run of a survey to its end; returns how it ended."""
    query = select(Run).where(Run.survey_id == survey_id).order_by(Run.created_at.desc()).limit(1)
    while True:
        db.session.rollback()
        run = db.session.scalar(query)
        if run is None or run.state in (RunState.DONE, RunState.FAILED, RunState.CANCELLED):
            print(f"\r\033[K  {name}: {'no run' if run is None else run.state}", flush=True)
            return RunState.DONE if run is None else run.state
        print(f"\r\033[K  {name}: {run.fraction:4.0%} {run.message[:60]}", end="", flush=True)
        time.sleep(1.0)


def _wait_for_carried(survey: Survey) -> None:
    """Let the worker carry over the piles of the survey before, which it does by itself."""
    until = time.monotonic() + _CARRY_S
    while survey_queries.previous(survey) and not toe_queries.of_survey(survey.id):
        db.session.rollback()
        if time.monotonic() > until:
            break
        time.sleep(1.0)


def _draw(survey: Survey, piles: Path) -> None:
    """Draw the piles of the simulation that are not drawn yet."""
    from volumetrics.polygons import read_toes

    drawn = {toe.pile.name: toe for toe in toe_queries.of_survey(survey.id)}
    known = {material.name: material.id for material in material_queries.of_site(survey.site_id)}
    found, _ = read_toes(piles, measuring.surface(survey.id))
    for toe in found:
        carried = drawn.get(toe.name)
        if carried is not None and carried.is_confirmed:
            continue
        material = known.get(_MADE_OF.get(toe.name.split()[0], ""))
        polygon = toe.polygon.simplify(_STEADY_HAND_M)
        outline = snapping.drape(survey.id, polygon, toe.walls)
        try:
            toes.save(survey, toes.Draft(toe.name, None, material, outline, Base()), carried)
        except AppError as error:
            print(f"  {toe.name}: {error}")


if __name__ == "__main__":
    sys.exit(main())
