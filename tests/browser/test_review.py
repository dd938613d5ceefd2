"""Reviewing what was carried over and proposed, by keyboard alone; nothing counts before."""

import pytest

from tests.app.surveys import CONE_M3


def focus_model(page):
    page.wait_for_selector("#viewer[data-state=ready]", timeout=60_000)
    page.focus(".stage > canvas")


def test_a_carried_pile_counts_once_somebody_looked_at_it(page, quarry):
    page.goto(quarry["inventory"])
    assert "for somebody to confirm" in page.inner_text(".note.warn")
    page.click("text=Review them")
    page.wait_for_selector(".review:not([hidden])", timeout=60_000)
    assert "Gravel 16-32" in page.inner_text(".review h3")
    assert "In the survey before" in page.inner_text(".review .facts")
    page.keyboard.press("Escape")
    assert page.is_hidden(".review")

    # Left out, it is found again when somebody asks.
    focus_model(page)
    page.keyboard.press("r")
    page.keyboard.press("Delete")
    page.wait_for_selector("text=No piles yet")
    page.click("text=Find piles")
    page.wait_for_selector("text=To review (1)", timeout=60_000)
    page.focus(".stage > canvas")
    page.keyboard.press("r")
    page.wait_for_selector(".review .facts dd")

    # Edited first, discarded, and then taken as it is.
    page.keyboard.press("e")
    page.wait_for_selector(".draft[data-net-m3]")
    page.keyboard.press("Escape")
    page.wait_for_selector(".review:not([hidden])")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=1 pile")
    assert page.is_hidden(".review")
    page.goto(quarry["inventory"])
    assert page.locator(".note.warn").count() == 0
    survey = quarry["model"].split("/")[2]
    (toe,) = page.request.get(f"/api/v1/surveys/{survey}/toes").json()
    assert toe["is_confirmed"]
    assert toe["volume"]["net_m3"] == pytest.approx(1.4 * CONE_M3, rel=0.03)
    assert page.complaints == []


def vertices(page):
    return int(page.inner_text(".guide").split()[0])


def test_a_toe_is_changed_by_keyboard_and_not_lost_by_one_key(page, quarry):
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    page.goto(quarry["model"].replace("view", "view?draw"))
    focus_model(page)
    for step in ("ArrowLeft", "ArrowUp", "ArrowUp", "ArrowRight"):
        page.keyboard.press("Space")
        for _ in range(3):
            page.keyboard.press(step)
    page.keyboard.press("Enter")
    page.wait_for_selector(".draft[data-net-m3]")
    count = vertices(page)
    page.keyboard.press("n")
    page.keyboard.press("i")
    assert vertices(page) == count + 1
    page.keyboard.press("w")
    assert "along a wall" in page.inner_text(".guide")
    page.keyboard.press("Delete")
    assert vertices(page) == count
    page.keyboard.press("Control+z")
    assert vertices(page) == count + 1
    page.keyboard.press("Control+y")
    assert vertices(page) == count
    page.keyboard.press("Escape")
    assert page.is_visible(".draft")
    assert asked == ["Discard what you have drawn?"]


def test_a_pile_that_another_page_names_fills_the_view(page, quarry):
    survey = quarry["survey"].split("/")[2]
    (toe,) = page.request.get(f"/api/v1/surveys/{survey}/toes").json()
    page.goto(f"{quarry['survey']}/view?pile={toe['pile_id']}")
    page.wait_for_selector(".row[aria-current=true]", timeout=60_000)
    page.wait_for_timeout(1500)
    # Its survey lies in a sealed period: it is shown, and cannot be changed.
    assert "Sealed in “The first week”" in page.inner_text(".pile-list")
    assert page.locator(".pile-list .panel-footer").count() == 0
    box = page.locator(".stage > canvas").bounding_box()
    ring = toe["toe"]["coordinates"][0]
    places = [
        page.evaluate("q => document.querySelector('#viewer').project(q)", q) for q in ring[::8]
    ]
    assert all(0 < x < box["width"] and 0 < y < box["height"] for x, y in places)
    x = [place[0] for place in places]
    assert max(x) - min(x) > 0.3 * box["width"]
