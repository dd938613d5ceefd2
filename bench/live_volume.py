"""The volume while somebody drags a pile of 50 m in a browser: how long until it stands there.

python -m bench.live_volume [SURVEY]     # a survey folder; the demo's is made where none is given
"""

from __future__ import annotations

import math
import sys
from datetime import date
from pathlib import Path
from typing import Any

import flask_migrate
import numpy as np
from flask import g
from playwright.sync_api import Page, sync_playwright

from app import create_app, rasters
from app.auth.actor import Actor
from app.config import Config
from app.models import SurveyState
from app.outline import Base, Outline
from app.services import accounts, sites, surveys, toes
from bench.browser import launch, sign_in
from bench.installation import installation, server
from bench.programs import FLIGHTS, ROOT, run

_EMAIL, _PASSWORD = "bench@example.org", "gravel by the tonne"
_RADIUS_M, _VERTICES = 25.0, 64
_STEPS, _STEP_MS, _STEP_PX = 400, 30, 1.5
# What the form says of each answer, and when that has been drawn.
_WATCH = """() => {
  window.shown = [];
  new MutationObserver(() => {
    const answered = performance.now();
    const form = document.querySelector(".draft");
    const waited = Number(form.dataset.volumeMs);
    requestAnimationFrame(() => setTimeout(() => {
      window.shown.push([waited, waited + performance.now() - answered]);
    }));
  }).observe(document.querySelector(".draft"), { attributeFilter: ["data-volume-ms"] });
}"""


def measure_live_volume(survey: Path) -> None:
    """Print rows of a table: until the answer is there, and until the browser has drawn it."""
    with installation() as environment:
        address, vertex = _fill(environment, survey)
        with server(environment, "wsgi:application", ROOT) as port, sync_playwright() as playwright:
            chromium = launch(playwright)
            context = chromium.new_context(
                base_url=f"http://127.0.0.1:{port}", viewport={"width": 1280, "height": 860}
            )
            page = context.new_page()
            sign_in(page, _EMAIL, _PASSWORD)
            shown = _drag(page, address, vertex)
            chromium.close()
    for what, values in zip(("answered", "drawn"), np.array(shown).T, strict=True):
        median, high = np.percentile(values, [50.0, 95.0])
        measured = f"{high:.0f} ms (median {median:.0f} ms, {len(values)} volumes)"
        print(f"| volume while dragging a pile of 50 m, {what} (95 %) | 300 ms | {measured} |")


def demo_survey(folder: Path = ROOT / "build" / "demo") -> Path:
    """The demo's survey folder, which `make demo` leaves or this makes alike."""
    flight, survey = FLIGHTS / "week0", folder / "survey"
    run("reconstruction.synthetic", flight, is_quiet=True)
    run("reconstruction", flight / "images", survey, is_quiet=True)
    return survey


def _fill(environment: dict[str, str], survey: Path) -> tuple[str, list[float]]:
    """A site with the survey and a pile in it; the address of its model, and the first vertex."""
    app = create_app(Config.from_environment(environment))
    with app.app_context():
        flask_migrate.upgrade()
        actor = g.actor = Actor(accounts.create_organisation("Bench", _EMAIL, "Ben", _PASSWORD))
        site = sites.create(actor, {"name": "Demo quarry"})
        row = surveys.create(site, "Demo flight", date.today())
        row.state = SurveyState.READY
        # The folder of its products is a link: this one is it now.
        products = app.extensions["cairn_storage"].products(row.id)
        products.unlink()
        products.symlink_to(survey.resolve())
        ring = _circle(survey / "dsm.tif")
        toes.save(row, toes.Draft("Pile", None, None, Outline([[*ring, ring[0]]]), Base()))
        return f"/surveys/{row.id}/view", ring[0]


def _circle(dsm: Path) -> list[list[float]]:
    """A circle around the middle of a surface, laid onto it."""
    _, (west, south, east, north) = rasters.overview_with_place(str(dsm))
    turns = np.linspace(0.0, 2.0 * math.pi, _VERTICES, endpoint=False)
    x = 0.5 * (west + east) + _RADIUS_M * np.cos(turns)
    y = 0.5 * (south + north) + _RADIUS_M * np.sin(turns)
    z = rasters.elevations(dsm, np.column_stack([x, y]))
    return np.column_stack([x, y, np.where(np.isfinite(z), z, np.nanmean(z))]).tolist()


def _drag(page: Page, address: str, vertex: list[float]) -> Any:
    """Drag a vertex to and fro; milliseconds of each volume until answered and until drawn."""
    page.goto(address)
    page.wait_for_selector("#viewer[data-state=ready]", timeout=180_000)
    page.locator(".stage > canvas").focus()
    page.keyboard.press("t")
    page.wait_for_timeout(3000)
    page.get_by_role("button", name="Edit Pile").click()
    page.wait_for_selector(".draft[data-net-m3]", timeout=30_000)
    page.wait_for_timeout(3000)
    box = page.locator(".stage > canvas").bounding_box()
    x, y = page.evaluate("place => document.querySelector('#viewer').project(place)", vertex)
    page.evaluate(_WATCH)
    page.mouse.move(box["x"] + x, box["y"] + y)
    page.mouse.down()
    for step in range(_STEPS):
        out = _STEP_PX * abs((step + 20) % 40 - 20)
        page.mouse.move(box["x"] + x + out, box["y"] + y)
        page.wait_for_timeout(_STEP_MS)
    page.mouse.up()
    page.wait_for_timeout(2000)
    return page.evaluate("window.shown")


if __name__ == "__main__":
    print("\n| what | aim | measured |\n|---|---|---|")
    measure_live_volume(Path(sys.argv[1]) if len(sys.argv) > 1 else demo_survey())
