"""Fingers instead of a mouse: draw, drag, insert, delete; pinch and turn while drawing."""

import math
from contextlib import contextmanager

import pytest

from tests.app.surveys import CENTRE, GROUND_M, RADIUS_M
from tests.browser.conftest import shoot

CORNERS = 6
# A hexagon around the cone: what it holds of level ground is nothing.
TOE = [
    (
        CENTRE[0] + 1.25 * RADIUS_M * math.cos(2 * math.pi * i / CORNERS),
        CENTRE[1] + 1.25 * RADIUS_M * math.sin(2 * math.pi * i / CORNERS),
    )
    for i in range(CORNERS)
]


class Fingers:
    """Touches as a screen sends them."""

    def __init__(self, page):
        self.page = page
        self._session = page.context.new_cdp_session(page)

    def _send(self, kind, places):
        points = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        self.page.wait_for_timeout(30)

    @contextmanager
    def down(self, *places):
        """Fingers on the screen, one after the other; what the answer is called with moves them."""
        for count in range(1, len(places) + 1):
            self._send("touchStart", places[:count])
        yield lambda *moved: self._send("touchMove", moved)
        self._send("touchEnd", [])

    def tap(self, place):
        with self.down(place):
            pass

    def drag(self, start, end, steps=6):
        with self.down(start) as move:
            for step in range(1, steps + 1):
                move(between(start, end, step / steps))


def between(a, b, share):
    return a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])


def at(page, place):
    """Where a place of the map is on the screen."""
    box = page.locator(".stage > canvas").bounding_box()
    x, y = page.evaluate(
        "q => document.querySelector('#viewer').project(q)", [*place[:2], GROUND_M + 0.3]
    )
    return box["x"] + x, box["y"] + y


def vertices(page):
    return int(page.inner_text(".guide").split()[0])


def net_m3(page):
    page.wait_for_selector(".draft .amount[data-state=ready]")
    return float(page.get_attribute(".draft", "data-net-m3"))


def across(page):
    """From the western to the eastern corner of the hexagon, on the screen."""
    (x0, y0), (x1, y1) = at(page, TOE[3]), at(page, TOE[0])
    return x1 - x0, y1 - y0


@pytest.fixture
def tablet(browser, stack, session):
    context = browser.new_context(
        base_url=stack.address,
        viewport={"width": 1024, "height": 768},
        has_touch=True,
        storage_state=session,
    )
    yield context.new_page()
    context.close()


def test_a_toe_is_drawn_and_changed_with_fingers(tablet, quarry):
    fingers = Fingers(tablet)
    tablet.goto(quarry["model"].replace("view", "view?draw"))
    tablet.wait_for_selector("#viewer[data-state=ready]", timeout=60_000)
    tablet.tap("button[aria-label^='From above']")
    tablet.wait_for_timeout(1500)
    for place in [*TOE, TOE[0]]:
        fingers.tap(at(tablet, place))
    drawn_m3 = net_m3(tablet)
    assert vertices(tablet) == CORNERS

    # A corner dragged to the middle of the pile takes a part of it away, and back it returns.
    corner, middle = at(tablet, TOE[1]), at(tablet, CENTRE)
    fingers.drag(corner, middle)
    tablet.wait_for_timeout(800)
    assert net_m3(tablet) < 0.9 * drawn_m3
    tablet.tap("button[aria-label^='Undo']")
    tablet.wait_for_timeout(800)
    assert net_m3(tablet) == pytest.approx(drawn_m3)

    # A press on an edge makes a vertex, which the button deletes.
    fingers.tap(between(at(tablet, TOE[4]), at(tablet, TOE[5]), 0.5))
    assert vertices(tablet) == CORNERS + 1
    shoot(tablet, "touch-drawing")
    tablet.tap("button[aria-label^='Delete vertex']")
    assert vertices(tablet) == CORNERS

    # Two fingers move the view, even where the first of them lies on a vertex.
    before = across(tablet)
    start, far = at(tablet, TOE[0]), at(tablet, CENTRE)
    with fingers.down(start, far) as move:
        for step in range(1, 9):
            move(start, between(far, start, -0.1 * step))
    tablet.wait_for_timeout(300)
    with fingers.down((300, 300), (400, 300)) as move:
        for step in range(1, 9):
            move((300 - 8 * step, 300), (400 + 8 * step, 300))
    tablet.wait_for_timeout(300)
    nearer = across(tablet)
    assert math.hypot(*nearer) > 1.5 * math.hypot(*before)
    with fingers.down((300, 300), (400, 300)) as move:
        for step in range(1, 9):
            move((300 + 10 * step, 300), (400 + 10 * step, 300))
    tablet.wait_for_timeout(300)
    turned = across(tablet)
    assert abs(math.atan2(*turned) - math.atan2(*nearer)) > 0.2
    where = at(tablet, CENTRE)
    fingers.drag((200, 600), (290, 560))
    tablet.wait_for_timeout(300)
    assert math.dist(at(tablet, CENTRE), where) > 40
    assert vertices(tablet) == CORNERS
    assert net_m3(tablet) == pytest.approx(drawn_m3)
    shoot(tablet, "touch-turned")
