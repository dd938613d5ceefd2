"""Every page: for everybody, in both colours, on a phone, without jumps, in your numbers."""

import re

import pytest

from tests.browser.conftest import check_access, shoot

PAGES = (
    "sites", "sites/new", "inventory", "pile", "surveys", "surveys/new", "survey", "model", "map",
    "materials", "book", "periods", "period", "settings", "organisation", "workers", "account",
    "password", "nothing", "help/", "help/fly", "help/control", "help/send", "help/toe",
    "help/base", "help/plus-minus",
)  # fmt: skip
DRAWN = ("model", "map")
# Shifts of less than this are called good: web.dev/articles/cls.
LONGEST_JUMP = 0.1
JUMPS = """
window.jumped = 0;
new PerformanceObserver((list) => {
  for (const shift of list.getEntries()) if (!shift.hadRecentInput) window.jumped += shift.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def open_page(tab, quarry, name):
    tab.goto(quarry[name])
    if name in DRAWN:
        tab.wait_for_selector("main[data-state=ready]", timeout=60_000)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_for_everybody(page, quarry, name):
    page.add_init_script(JUMPS)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        open_page(page, quarry, name)
        shoot(page, f"{scheme}-{name.replace('/', '-')}")
        check_access(page)
        assert page.evaluate("window.jumped") < LONGEST_JUMP
    page.set_viewport_size({"width": 400, "height": 860})
    page.wait_for_timeout(100)
    shoot(page, f"phone-{name.replace('/', '-')}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [c for c in page.complaints if name != "nothing"] == []


def test_numbers_and_dates_are_written_in_the_readers_way(sign_in, quarry):
    page = sign_in("de-DE")
    page.goto(quarry["pile"])
    assert re.search(r"4\d\d,\d+ ± 0,\d", page.inner_text(".stat >> nth=0"))
    assert re.fullmatch(r"\d\d\.\d\d\.\d{4}", page.inner_text("main table a >> nth=0"))
    page.goto(f"{quarry['survey']}/view")
    page.wait_for_selector("main[data-state=ready]", timeout=60_000)
    assert re.search(r"\b3\d\d,\d+ ± 0,\d+ m³", page.inner_text(".total"))


@pytest.mark.parametrize("name", DRAWN)
def test_no_button_hides_the_survey_on_a_phone(page, quarry, name):
    open_page(page, quarry, name)
    for width, height in ((390, 844), (360, 740), (844, 390)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_timeout(300)
        shoot(page, f"phone-{name}-{width}")
        tools, stage, panel = (
            page.locator(place).bounding_box() for place in (".toolbar", ".stage", ".panel")
        )
        buttons = [button.bounding_box() for button in page.locator(".toolbar button").all()]
        assert tools["y"] + tools["height"] <= stage["y"] + 0.5
        for box in buttons:
            assert box["y"] >= tools["y"]
            assert box["y"] + box["height"] <= stage["y"]
            assert box["x"] + box["width"] <= tools["x"] + tools["width"]
        assert min(stage["width"], stage["height"]) >= 200
        assert panel["height"] >= 200
