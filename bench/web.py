"""The web application: the inventory of five years, map tiles, uploads, and requests a second."""

from __future__ import annotations

import math
import re
import statistics
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import cv2
import flask_migrate
import numpy as np
from flask import Flask, g
from flask.testing import FlaskClient

from app import create_app
from app.auth.actor import Actor
from app.config import Config
from app.extensions import db
from app.models import (
    Material,
    MaterialValue,
    Measurement,
    Organisation,
    Pile,
    Site,
    Survey,
    Toe,
    User,
)
from app.models.survey import SurveyKind
from app.services import accounts, surveys, tokens
from bench.installation import installation, server, worker
from bench.live_volume import demo_survey, measure_live_volume
from bench.programs import FLIGHTS, ROOT
from bench.uploads import AT_ONCE, upload_gigabyte, upload_photos
from reconstruction.rasters import Grid, float_cog, rgba_cog

_WEEKS, _PILES = 260, 60
_LAST = date(2026, 11, 23)
_EMAIL, _PASSWORD = "bench@example.org", "gravel by the tonne"
_REPEATS = 20
_RASTER_CELLS, _CELL_M = 4096, 0.05
_ZOOM = 20
_LOAD_S = 5
_BARE = """
from flask import Flask
application = Flask("bare")
answer = {"items": [{"id": "1", "name": "Pit"}], "next": None}
application.add_url_rule("/api", "api", lambda: answer)
"""


def measure_web() -> None:
    """Print a table of what the server takes for pages, tiles, uploads and the API."""
    survey = demo_survey()
    print("\n| what | aim | measured |\n|---|---|---|")
    with installation() as environment:
        app = create_app(Config.from_environment(environment))
        with app.app_context():
            flask_migrate.upgrade()
            user = accounts.create_organisation("Bench", _EMAIL, "Ben", _PASSWORD)
            g.actor = Actor(user)
            site = _five_years(user)
            token = tokens.create(g.actor, "bench", [], ["read", "write"], None)
            uploaded = [
                surveys.create(site, f"Lidar {n}", _LAST, SurveyKind.SURFACE).id
                for n in range(1 + AT_ONCE)
            ]
            flown = surveys.create(site, "Flight", _LAST).id
            newest = db.session.scalar(
                db.select(Survey.id).where(Survey.flown_on == _LAST, Survey.kind == "photos")
            )
            _write_rasters(app.extensions["cairn_storage"].products(newest))
            site_id = site.id
            db.session.remove()
        _inventory(_signed_in(app), site_id)
        _tiles(_signed_in(app), newest)
        with server(environment, "wsgi:application", ROOT) as port:
            folder = Path(environment["STORAGE_URL"].removeprefix("file://"))
            upload_gigabyte(port, token, uploaded[:1], folder)
            upload_gigabyte(port, token, uploaded[1:], folder)
            with worker(environment):
                upload_photos(port, token, flown, FLIGHTS / "week0" / "images")
            _requests(port, token)
    measure_live_volume(survey)


def _five_years(user: User) -> Site:
    """A site with a survey a week and its piles, as rows only."""
    organisation = db.session.get_one(Organisation, user.organisation_id)
    site = Site(organisation_id=organisation.id, name="Pit", epsg=25832)
    db.session.add(site)
    db.session.flush()
    materials = [Material(site_id=site.id, name=f"Material {n}") for n in range(6)]
    for material in materials:
        values = {"density_t_m3": 1.6, "density_sigma_t_m3": 0.05, "price_per_t": 12.0}
        material.values.append(MaterialValue(valid_from=date(2020, 1, 1), **values))
    db.session.add_all(materials)
    db.session.flush()
    piles = [
        Pile(site_id=site.id, name=f"Pile {n:02}", material_id=materials[n % 6].id)
        for n in range(_PILES)
    ]
    weeks = [
        Survey(
            site_id=site.id, name=f"Week {n}", flown_on=_LAST - timedelta(weeks=n), state="ready"
        )
        for n in range(_WEEKS)
    ]
    db.session.add_all([*piles, *weeks])
    db.session.flush()
    toes = [_toe(survey.id, pile.id, n) for survey in weeks for n, pile in enumerate(piles)]
    db.session.execute(db.insert(Toe), toes)
    db.session.execute(db.insert(Measurement), [_measurement(toe["id"]) for toe in toes])
    db.session.commit()
    # What a server that has run for a while knows of its tables.
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(db.text("analyze"))
    return site


def _toe(survey_id: UUID, pile_id: UUID, number: int) -> dict[str, Any]:
    east, north = 500_000.0 + 30.0 * (number % 10), 5_600_000.0 + 30.0 * (number // 10)
    turns = np.linspace(0.0, 2.0 * np.pi, 33)
    ring = ", ".join(f"{east + 9 * math.cos(t):.3f} {north + 9 * math.sin(t):.3f} 1" for t in turns)
    polygon = f"POLYGON Z (({ring}))"
    options = {"base": {"method": "plane"}}
    return {"id": uuid4(), "survey_id": survey_id, "pile_id": pile_id, "polygon": polygon} | {
        "options": options
    }


def _measurement(toe_id: UUID) -> dict[str, Any]:
    numbers = ("net_m3", "net_u95_m3", "own_sigma_m3", "fill_m3", "area_m2", "height_max_m")
    sizes = dict(zip(numbers, (800.0, 12.0, 5.0, 800.0, 250.0, 6.0), strict=True))
    # As long as what volumetrics writes of a pile.
    details = {"budgets": {"net": {"terms": [{"name": f"term {n}"} for n in range(40)]}}}
    return sizes | {
        "id": uuid4(), "toe_id": toe_id, "cut_m3": 0.0, "coverage": 1.0, "base": "plane",
        "details": details, "measured_at": datetime.now(UTC),
    }  # fmt: skip


def _write_rasters(folder: Path) -> None:
    grid = Grid(25832, 500_000.0, 5_600_200.0, _CELL_M, _RASTER_CELLS, _RASTER_CELLS)
    rng = np.random.default_rng(0)
    # Gravel: stones of some decimetres on mounds of some metres.
    shape = (_RASTER_CELLS, _RASTER_CELLS)
    rough = 100.0 + sum(
        height_m * sigma_cells * cv2.GaussianBlur(rng.normal(size=shape), (0, 0), sigma_cells)
        for height_m, sigma_cells in ((0.05, 2.0), (1.0, 40.0))
    ).astype(np.float32)
    with float_cog(folder / "dsm.tif", grid, ["elevation_m"], 2) as raster:
        raster.write(0, 0, rough)
    shade = np.clip(128 + 60 * (rough - 100.0), 0, 255).astype(np.uint8)
    with rgba_cog(folder / "orthomosaic.tif", grid, 2) as raster:
        raster.write(0, 0, np.stack([shade, shade, shade, np.full_like(shade, 255)]))


def _signed_in(app: Flask) -> FlaskClient:
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    answer = client.post("/sign-in", data={"email": _EMAIL, "password": _PASSWORD})
    if answer.status_code != 302:
        raise RuntimeError(f"nobody was signed in: {answer.status_code}")
    return client


def _inventory(client: FlaskClient, site_id: UUID) -> None:
    address = f"/sites/{site_id}/inventory?on={_LAST}"
    cpu_ms, passed_ms = _timed(lambda: client.get(address), "Pile 59")
    what = f"inventory page, {_WEEKS} weekly surveys × {_PILES} piles"
    _row(what, "< 100 ms", f"{passed_ms:.0f} ms ({cpu_ms:.0f} ms of CPU in the server)")


def _timed(ask: Callable[[], Any], expected: str) -> tuple[float, float]:
    """Median milliseconds of CPU and of time; the first two requests fill caches."""
    cpu, passed = [], []
    for number in range(_REPEATS + 2):
        start_cpu, start = time.process_time(), time.perf_counter()
        answer = ask()
        if number > 1:
            cpu.append(1e3 * (time.process_time() - start_cpu))
            passed.append(1e3 * (time.perf_counter() - start))
        if answer.status_code != 200 or expected not in answer.text:
            raise RuntimeError(f"answered {answer.status_code}")
    return statistics.median(cpu), statistics.median(passed)


def _tiles(client: FlaskClient, survey_id: UUID) -> None:
    facts = client.get(f"/api/v1/surveys/{survey_id}").json
    (west, south), (east, north) = facts["corners_lonlat"][0], facts["corners_lonlat"][2]
    left, bottom = _tile_at(west, south)
    right, top = _tile_at(east, north)
    places = [(x, y) for x in range(left + 1, right) for y in range(top + 1, bottom)][:200]
    for layer in ("orthomosaic", "hillshade", "height"):
        root = f"/api/v1/surveys/{survey_id}/tiles/{layer}/{_ZOOM}"
        addresses = [f"{root}/{x}/{y}.webp" for x, y in places]
        # The first time the blocks of the raster are unpacked, which GDAL then keeps.
        first, again = (_tile_rate(client, addresses) for _ in range(2))
        measured = f"{again:.0f}; {first:.0f} the first time ({len(places)} tiles)"
        _row(f"map tiles, {layer}", "100 a second a core", measured)


def _tile_rate(client: FlaskClient, addresses: list[str]) -> float:
    """Tiles a CPU-second."""
    start = time.process_time()
    for address in addresses:
        answer = client.get(address)
        if answer.status_code != 200:
            raise RuntimeError(f"{address} answered {answer.status_code}")
    return len(addresses) / (time.process_time() - start)


def _tile_at(longitude: float, latitude: float) -> tuple[int, int]:
    x = (longitude + 180.0) / 360.0 * 2**_ZOOM
    y = (1.0 - math.asinh(math.tan(math.radians(latitude))) / math.pi) / 2.0 * 2**_ZOOM
    return int(x), int(y)


def _requests(port: int, token: str) -> None:
    """The API next to a route that does nothing, on the same server under the same load."""
    ours = _rate(f"http://127.0.0.1:{port}/api/v1/sites", token)
    with installation() as environment:
        folder = Path(environment["STORAGE_URL"].removeprefix("file://"))
        folder.mkdir()
        (folder / "bare.py").write_text(_BARE)
        with server(environment, "bare:application", folder) as bare_port:
            bare = _rate(f"http://127.0.0.1:{bare_port}/api", token)
    _row("API requests, list of sites", "–", f"{ours:.0f} a second, one process")
    _row("the same of a bare Flask route", "–", f"{bare:.0f} a second; ours is {ours / bare:.0%}")


def _rate(address: str, token: str) -> float:
    """Requests a second that were answered well."""
    header = f"Authorization: Bearer {token}"
    command = ["wrk", "-t1", "-c8", f"-d{_LOAD_S}s", "-H", header, address]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"Requests/sec:\s+([\d.]+)", text)
    if found is None or "Non-2xx" in text:
        raise RuntimeError(text)
    return float(found[1])


def _row(what: str, aim: str, measured: str) -> None:
    print(f"| {what} | {aim} | {measured} |", flush=True)


if __name__ == "__main__":
    measure_web()
