"""The page of a made-up survey says what its files say, and nothing else."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reconstruction.errors import InputError
from reconstruction.report import write_report
from reconstruction.report.facts import read_facts
from reconstruction.report.summary import headline, notices

from . import made_up

VOID = {"meta", "link", "img", "br", "hr", "input", "col"}
# Attributes by which a page fetches something.
FETCHING = {"src", "href", "xlink:href", "action", "srcset", "data", "poster"}


class Page(HTMLParser):
    """Checks that tags balance while it gathers words and addresses."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)

    def _look(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for key, value in attrs if key in FETCHING]
        self.ids += [value or "" for key, value in attrs if key == "id"]

    @property
    def text(self) -> str:
        return re.sub(r"[\s ]+", " ", " ".join(self.words))


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(made_up.whole_survey(tmp_path_factory.mktemp("survey")))


def test_page_states_the_planted_facts(whole: Page) -> None:
    for fact in (
        "Survey of 4 May 2026",
        "WGS 84 / UTM zone 32N (EPSG:32632)",
        "heights above the WGS 84 ellipsoid",
        "4 of 5 photos are placed.",
        "2 independent check points it is accurate to 5.0 cm in plan and 6.0 cm in height",
        "differ by up to about ± 14 cm",  # 1.96 · √2 · 5 cm
        "good to about ± 1.2 m³",  # 1.96 · 3 · 2e-4 · 1000 m³, and a little noise
        "The measured altitudes contradict the geometry: 53 m.",
        "5.0 mm in plan, 1.2 cm in height",  # control points: 3, 4 and 12 mm
        "3.4 cm in plan, 3.0 cm in height",
        "0.21 px",
        "3.0 mm up to 1.0 m.",
        "0.10 mm up to 19 m",
        "1,100 m²",
        "5 min 16 s",
        "1.1 MB",
        "PDAL 2.8.4: 571,577 points, 121 outliers left out",
        "ab" * 32,
        "cd" * 32,
    ):
        assert fact in whole.text


def test_names_and_messages_are_text_and_never_tags(whole: Page) -> None:
    for text in (
        made_up.NASTY,
        "<b>torn</b>.JPG",
        "truncated <after> 3 kB",
        "A gap <here>.",
        "Fly it again & again.",
        "gcp <1>",
        made_up.CAMERA.name,
    ):
        assert text in whole.text
    assert not {"script", "b1", "here", "after"} & set(whole.tags)


def test_page_needs_nothing_from_anywhere(whole: Page) -> None:
    assert len(whole.addresses) >= 6
    assert all(address.startswith("data:image/") for address in whole.addresses)
    assert len(whole.ids) == len(set(whole.ids))


def test_pictures_decode(whole: Page) -> None:
    for address in whole.addresses:
        encoded = address.split(";base64,", 1)[1]
        with Image.open(io.BytesIO(base64.b64decode(encoded, validate=True))) as picture:
            picture.load()
            assert min(picture.size) > 10


def test_drawings_show_photos_and_points(whole: Page) -> None:
    drawn = whole.tags.count("circle")
    # Four photos measured and adjusted, four with a residual, four points, and the legends.
    assert drawn >= 4 + 4 + 4 + 4
    for title in ("Cameras", "Overlap", "Residuals of control and check points", "Lens"):
        assert title in whole.text


def test_coverage_counts_the_hole(whole: Page) -> None:
    # The photos stand at the corners of 16 m by 16 m; the hole is 2 m by 2 m: 1 - 4/256, the
    # cells at the edges counted in full.
    found = re.search(r"Coverage of the flown area (\d+\.\d) %", whole.text)
    assert found
    assert 98.3 <= float(found[1]) <= 98.7


def test_missing_facts_are_not_known(tmp_path: Path) -> None:
    survey = {"epsg": 32632, "bounds": [0.0, 0.0, 10.0, 10.0]}
    page = page_of(made_up.write(tmp_path, survey))
    assert "Survey of an unknown day" in page.text
    assert "It is not known how many photos are placed." in page.text
    assert "How good a volume is cannot be told" in page.text
    assert "heights above an unknown datum" in page.text
    assert page.text.count("not known") >= 15
    assert not re.search(r"\bNone\b|\bnan\b", page.text)


def test_photos_without_positions(tmp_path: Path) -> None:
    cameras = made_up.camera_facts()
    for feature in cameras["features"]:
        feature["properties"].pop("measured", None)
    accuracy = made_up.accuracy_facts()
    accuracy["position_rmse_m"] = None
    for image in accuracy["images"]:
        image["position_residual_m"] = None
    page = page_of(made_up.write(tmp_path, made_up.survey_facts(), accuracy, cameras))
    assert "Not known: no placed photo has a measured position." in page.text
    assert "No placed photo has a measured position." in page.text
    assert "Cameras" in page.text


def test_only_check_points_are_called_accuracy(tmp_path: Path) -> None:
    accuracy = made_up.accuracy_facts()
    accuracy["check_points"], accuracy["check_point_rmse_m"] = [], None
    folder = made_up.write(tmp_path, made_up.survey_facts(), accuracy, made_up.camera_facts())
    facts = read_facts(folder)
    assert not any("is accurate to" in sentence for sentence in headline(facts))
    assert any("there are no check points" in sentence for sentence in headline(facts))
    assert any("no check points" in notice.message for notice in notices(facts))


def test_gravest_notices_come_first(tmp_path: Path) -> None:
    survey = made_up.survey_facts()
    info = {"level": "info", "code": "x", "message": "Fine.", "remedy": "", "photos": []}
    survey["verdict"]["findings"].insert(0, info)
    folder = made_up.write(tmp_path, survey, made_up.accuracy_facts(), made_up.camera_facts())
    levels = [notice.level for notice in notices(read_facts(folder))]
    assert levels == sorted(levels, key=["refuse", "warn", "note", "info"].index)
    assert levels[-1] == "info"


def test_a_wild_position_does_not_shrink_the_map(tmp_path: Path) -> None:
    cameras = made_up.camera_facts()
    cameras["features"][0]["properties"]["measured"]["latitude_deg"] += 1.0
    folder = made_up.write(tmp_path, made_up.survey_facts(), made_up.accuracy_facts(), cameras)
    html = write_report(folder).read_text(encoding="utf-8")
    drawing = re.search(r"<svg[^>]*><title>Where the photos were taken.*?</svg>", html, re.S)
    assert drawing
    dots = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="3.2"', drawing[0])
    across = np.ptp(np.array(dots, dtype=float), axis=0)
    assert len(dots) == 4
    assert across.min() > 200.0


def test_heights_without_reference_are_not_given_a_number(tmp_path: Path) -> None:
    accuracy = {**made_up.accuracy_facts(), "vertical_sigma_m": 1961.0}
    folder = made_up.write(tmp_path, made_up.survey_facts(), accuracy, made_up.camera_facts())
    assert any("do not compare them" in sentence for sentence in headline(read_facts(folder)))


@pytest.mark.parametrize("damage", ["", "[1, 2]", "{", '{"epsg": 32632}'])
def test_a_damaged_folder_is_refused(tmp_path: Path, damage: str) -> None:
    if damage:
        (tmp_path / "survey.json").write_text(damage)
    with pytest.raises(InputError, match=r"survey\.json"):
        write_report(tmp_path)


def test_a_large_flight_stays_small(tmp_path: Path) -> None:
    folder = made_up.whole_survey(tmp_path)
    survey, accuracy, cameras = (
        made_up.survey_facts(),
        made_up.accuracy_facts(),
        made_up.camera_facts(),
    )
    feature, image = cameras["features"][0], accuracy["images"][0]
    for index in range(500):
        name = f"a/long/folder/DJI_20260504104207_{index:04d}_V.JPG"
        properties = {**feature["properties"], "name": name}
        cameras["features"].append({**feature, "properties": properties})
        accuracy["images"].append({**image, "name": name})
    made_up.write(folder, survey, accuracy, cameras)
    assert write_report(folder).stat().st_size < 700_000
