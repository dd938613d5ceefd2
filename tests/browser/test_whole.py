"""From the memory card to the signed inventory, in a browser."""

import csv
import io
import math
import re
import subprocess

import pytest
import rasterio

from app.services.measuring import TOE_SIGMA_M
from tests.browser.conftest import check_access, shoot
from volumetrics.base_surface import Plane
from volumetrics.cutter import cutter
from volumetrics.polygons import read_toes
from volumetrics.site import measure_site
from volumetrics.survey import open_survey

PILE = "Gravel 16-32"
# Pixels a metre: near enough for neighbouring vertices to be apart, and the pile fits.
NEAR_PX = 30.0


def draped(flight):
    """Toe of the pile as somebody would click it: few vertices, with elevations."""
    polygon = true_toe(flight).polygon.buffer(0.2).simplify(0.3)
    places = list(polygon.exterior.coords)[:-1]
    with rasterio.open(flight / "truth" / "dsm.tif") as surface:
        return [[e, n, float(next(surface.sample([(e, n)]))[0])] for e, n in places]


def true_toe(flight):
    toes, _ = read_toes(flight / "piles.geojson", open_survey(flight / "truth" / "dsm.tif"))
    return next(toe for toe in toes if toe.name == PILE)


def true_volume_m3(flight):
    """What stands on the plane through the pile's own toe, on the surface that was photographed.

    The simulation also knows the uneven ground under the pile, 3 % of its volume away from that
    plane; no photo shows it.
    """
    truth = open_survey(flight / "truth" / "dsm.tif")
    toes = [true_toe(flight)]
    cut = cutter(truth, toes, TOE_SIGMA_M)
    return measure_site(cut, toes, Plane()).volumes[0].net_m3


def upload(page, flight):
    """Drop the whole flight, with a connection that breaks now and then."""
    broken = []

    def unreliable(route):
        if route.request.method == "PATCH" and len(broken) < 3:
            broken.append(route.request.url)
            route.abort("connectionreset")
        else:
            route.continue_()

    # Requests of a page that is still coming are not caught for sure.
    page.wait_for_selector("input[type=file]", state="attached")
    page.wait_for_load_state("networkidle")
    page.route("**/api/v1/uploads/*", unreliable)
    files = sorted((flight / "images").glob("*.JPG"))
    page.set_input_files("input[type=file]", [str(path) for path in files])
    page.wait_for_selector(".verdict .note.good", timeout=90_000)
    assert len(broken) == 3
    page.unroute("**/api/v1/uploads/*")
    return len(files)


def draw(page, places):
    """Click the toe vertex by vertex on the model, seen from above."""
    page.wait_for_selector("#viewer[data-state=ready]", timeout=90_000)
    canvas = page.locator(".stage > canvas")
    box = canvas.bounding_box()

    def at(place):
        x, y = page.evaluate("q => document.querySelector('#viewer').project(q)", place)
        return box["x"] + x, box["y"] + y

    canvas.focus()
    page.keyboard.press("t")
    page.wait_for_timeout(1500)
    middle = [sum(values) / len(places) for values in zip(*places, strict=True)]
    page.mouse.move(*at(middle))
    for _ in range(40):
        if math.dist(at(places[0]), at(places[1])) > NEAR_PX * math.dist(places[0], places[1]):
            break
        page.mouse.wheel(0, -120)
        page.wait_for_timeout(150)
    else:
        pytest.fail("The wheel does not zoom.")
    page.wait_for_timeout(3000)
    page.keyboard.press("d")
    for place in [*places, places[0]]:
        page.mouse.move(*at(place))
        page.mouse.down()
        page.mouse.up()
        page.wait_for_timeout(60)
    page.wait_for_selector(".draft[data-net-m3]", timeout=30_000)
    page.wait_for_timeout(500)


def saved_vertices(page):
    """Vertices of the only pile of the survey that is open, as the API tells them."""
    survey = page.get_attribute("#viewer", "data-survey")
    toes = page.request.get(f"/api/v1/surveys/{survey}/toes").json()
    return toes[0]["toe"]["coordinates"][0]


def farthest_m(clicked, saved):
    """The largest distance in plan from a clicked place to the nearest saved vertex."""
    assert len(saved) == len(clicked) + 1
    return max(min(math.dist(place[:2], vertex[:2]) for vertex in saved) for place in clicked)


def test_from_the_photos_to_the_inventory(page, flight):
    page.click('a[href$="/sites/new"]')
    page.fill("input[name=name]", "Pit <b>1</b> & co")
    check_access(page)
    page.click("button.primary")
    page.click("text=Upload the first survey")
    page.fill("input[name=name]", "Week 47")
    page.click("text=Go on to the upload")
    count = upload(page, flight)
    assert f"{count} photos" in page.inner_text(".photo-count")
    assert page.locator(".photo-map circle").count() == count
    shoot(page, "uploaded")
    check_access(page)
    page.check("input[value=preview]")
    page.click("#start")
    page.wait_for_selector("#run")
    shoot(page, "running")
    check_access(page)
    page.wait_for_selector("text=Open the 3D model", timeout=240_000)
    shoot(page, "ready")
    check_access(page)

    page.click("text=Open the 3D model")
    clicked = draped(flight)
    draw(page, clicked)
    drawn = page.locator(".draft")
    net_m3 = float(drawn.get_attribute("data-net-m3"))
    assert net_m3 == pytest.approx(true_volume_m3(flight), rel=0.02)
    assert float(drawn.get_attribute("data-volume-ms")) > 0.0
    shoot(page, "drawn")
    check_access(page)
    page.fill("#pile-name", "Gravel <i>16/32</i>")
    page.click("text=Save pile")
    page.wait_for_selector("text=1 pile")
    assert farthest_m(clicked, saved_vertices(page)) < 0.15

    page.goto("/sites")
    page.click("a.card:has-text('Pit <b>1</b>')")
    page.wait_for_selector("text=Gravel <i>16/32</i>")
    shoot(page, "inventory")
    check_access(page)
    with page.expect_download() as download:
        page.click("text=CSV")
    text = download.value.path().read_text("utf-8-sig")
    row = next(csv.DictReader(io.StringIO(text)))
    assert row["pile"] == "Gravel <i>16/32</i>"
    assert float(row["volume [m³]"]) == pytest.approx(net_m3, abs=0.5)
    with page.expect_download() as download:
        page.click("text=PDF")
    command = ["pdftotext", "-layout", str(download.value.path()), "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Gravel <i>16/32</i>" in said
    total = re.search(r"Total +([\d.]+) ±", said)
    assert float(total[1]) == pytest.approx(net_m3, abs=0.5)
    # A connection that broke on purpose is the only thing that a console may complain of.
    assert [c for c in page.complaints if "ERR_CONNECTION_RESET" not in c] == []
