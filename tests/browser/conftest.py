"""A real browser on the real application: server, worker, PostGIS and Valkey, each a process."""

from dataclasses import dataclass
from pathlib import Path

import flask_migrate
import pytest
from flask import Flask

from app import create_app
from app.config import Config
from tests.app import live
from tests.app.conftest import services  # noqa: F401  (a fixture)
from tests.browser.quarry import fill

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
AXE = Path(__file__).parents[2] / "app/frontend/node_modules/axe-core/axe.min.js"
EMAIL, PASSWORD = "ann@example.org", "gravel by the tonne"


@pytest.fixture(scope="session")
def flight():
    """A small rendered flight."""
    return live.small_flight()


@dataclass(frozen=True)
class Stack:
    """The running application: its address, and itself to fill rows in."""

    address: str
    app: Flask


@pytest.fixture(scope="session")
def stack(services, tmp_path_factory):  # noqa: F811
    """The running application with one administrator."""
    from app.services import accounts

    port = live.free_port()
    folder = tmp_path_factory.mktemp("stack")
    environment = live.environment(*services, folder / "storage", port)
    app = create_app(Config.from_environment(environment))
    with app.app_context():
        flask_migrate.upgrade()
        accounts.create_organisation("North Quarries", EMAIL, "Ann", PASSWORD)
    with (
        live.running(live.web(environment, port, folder / "web.log")),
        live.running(live.worker(environment, folder / "worker.log")),
    ):
        yield Stack(f"http://127.0.0.1:{port}", app)


@pytest.fixture(scope="session")
def quarry(stack):
    """Addresses of a site with three weeks, of which the newest waits for a review."""
    with stack.app.app_context():
        return fill(stack.app, EMAIL)


@pytest.fixture(scope="session")
def browser():
    """Debian's Chromium, without a screen."""
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=flags)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def session(browser, stack):
    """Cookies of somebody who signed in: once, for an address may do so 20 times a minute."""
    context = browser.new_context(base_url=stack.address)
    tab = context.new_page()
    tab.goto("/sign-in")
    tab.fill("input[name=email]", EMAIL)
    tab.fill("input[name=password]", PASSWORD)
    tab.click("button.primary")
    tab.wait_for_url("**/sites")
    cookies = context.storage_state()
    context.close()
    return cookies


@pytest.fixture
def sign_in(browser, stack, session):
    """Make a page that is signed in, in a browser of somebody's language."""
    contexts = []

    def make(locale="en-US"):
        context = browser.new_context(
            base_url=stack.address,
            viewport={"width": 1280, "height": 860},
            accept_downloads=True,
            locale=locale,
            storage_state=session,
        )
        contexts.append(context)
        return _first_page(context.new_page())

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(sign_in):
    """A page that is signed in; it keeps what its console complains of."""
    return sign_in()


def _first_page(tab):
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    tab.goto("/sites")
    tab.complaints = errors
    return tab


def shoot(tab, name):
    """Keep a screenshot to look at."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=str(SHOTS / f"{name}.png"))


def check_access(tab, within="document"):
    """Fail on what axe-core finds serious."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in app/frontend")
    tab.evaluate(AXE.read_text())
    found = tab.evaluate("within => axe.run(within === 'document' ? document : within)", within)
    serious = [
        f"{item['id']}: {item['nodes'][0]['html'][:150]}"
        for item in found["violations"]
        if item["impact"] in ("serious", "critical")
    ]
    assert serious == []
