"""Renew the pictures of the application: that of the README, and those of the help.

make run         # in another terminal, until the demo quarry is there
make pictures
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from bench.browser import launch, sign_in
from bench.programs import FLIGHTS, ROOT
from scripts.fill_demo import EMAIL, PASSWORD

_HELP = ROOT / "app" / "static" / "help"
_PHOTO = FLIGHTS / "week0" / "images" / "DEMO_0020.JPG"
# Until the finest tiles are there, on a machine without a graphics card.
_STREAMING_MS = 8000
_PILE = "Sand 0-4"


def main() -> int:
    """Take all pictures; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.app_pictures", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    url = parser.parse_args().url
    _HELP.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page(base_url=url, locale="en-GB")
        page.set_viewport_size({"width": 1440, "height": 900})
        sign_in(page, EMAIL, PASSWORD)
        _open_model(page)
        _draw(page)
        _save(page, ROOT / "docs" / "app.jpg", 1440)
        page.set_viewport_size({"width": 1120, "height": 700})
        page.wait_for_timeout(500)
        _save(page, _HELP / "draw.webp", 960)
        page.focus(".stage > canvas")
        for _ in range(4):
            page.keyboard.press("Shift+ArrowDown")
        page.check("text=Show the base")
        page.uncheck("text=Colour heights above the base")
        page.wait_for_timeout(500)
        _save(page, _HELP / "base.webp", 960)
        page.set_viewport_size({"width": 1120, "height": 1100})
        page.check("text=Colour heights above the base")
        page.uncheck("text=Show the base")
        page.click("text=Where the ± comes from")
        page.locator(".draft .panel-body").evaluate("body => (body.scrollTop = body.scrollHeight)")
        page.wait_for_timeout(500)
        _save(page, _HELP / "plus-minus.webp", 960)
        browser.close()
    with Image.open(_PHOTO) as photo:
        photo.resize((960, 640), Image.Resampling.LANCZOS).save(_HELP / "flight.webp", quality=78)
    return 0


def _open_model(page: Page) -> None:
    """The newest survey, a little nearer than all of it."""
    page.click("a.card >> nth=0")
    page.click("form.day a")
    page.click("text=Open the 3D model")
    page.wait_for_selector("#viewer[data-state=ready]", timeout=60_000)
    page.focus(".stage > canvas")
    for key in ("+", "Shift+ArrowUp"):
        page.keyboard.press(key)
    page.locator(".stage > canvas").blur()
    page.wait_for_timeout(_STREAMING_MS)


def _draw(page: Page) -> None:
    """A pile of the demo in the editor, its toe as the program snaps it."""
    page.click(f"[aria-label='Edit {_PILE}']")
    page.wait_for_selector(".draft[data-net-m3]", timeout=60_000)
    page.locator(".stage > canvas").blur()
    page.wait_for_timeout(_STREAMING_MS)


def _save(page: Page, path: Path, width: int) -> None:
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        height = round(shot.height * width / shot.width)
        picture = shot.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
    picture.save(path, quality=84)


if __name__ == "__main__":
    sys.exit(main())
