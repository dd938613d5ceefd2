"""``cairn sync``: a box in the field and the main installation, here two tenants of one server."""

import os
import re
import subprocess
import sys
from datetime import date

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import Pile, Site, Survey, SurveyState, Toe
from tests.app import live
from tests.app.photos import write_photo
from tests.app.surveys import CONE_M3, HEIGHT_M, circle, write_survey
from tests.app.test_cli_upload import make_token, upload

DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def port(whole_app, services, tmp_path_factory):
    """Of a server."""
    port = live.free_port()
    environment = live.environment(*services, whole_app.extensions["cairn_storage"].root, port)
    log = tmp_path_factory.mktemp("server") / "web.log"
    with live.running(live.web(environment, port, log)):
        yield port


@pytest.fixture
def main_site(people):
    """The site of the main installation."""
    site = Site(organisation_id=people["stranger"].organisation_id, name="Pit 1 (main)", epsg=25832)
    db.session.add(site)
    db.session.commit()
    return site


@pytest.fixture
def box(app, people, port, tmp_path, client_of):
    """A site of a box with a survey and a pile on it."""
    for number in range(4):
        write_photo(tmp_path / "card" / f"DJI {number}.JPG", number)
    token = make_token(people["surveyor"])
    assert upload(port, token, tmp_path / "card")[0] == 0
    survey = finish(app, people["site"])
    draft = {"name": "Gravel", "toe": circle(), "base": {"method": "triangulated"}}
    made = client_of("surveyor").post(f"/api/v1/surveys/{survey.id}/toes", json=draft)
    assert made.status_code == 201, made.text
    return token


def finish(app, site, **options):
    """Let a survey of a site be processed."""
    db.session.rollback()
    survey = db.session.scalars(sa.select(Survey).where(Survey.site_id == site.id)).one()
    write_survey(app.extensions["cairn_storage"].products(survey.id), **options)
    survey.state, survey.facts = SurveyState.READY, {"epsg": 25832}
    db.session.commit()
    return survey


@pytest.fixture
def sync(port, people, box, tmp_path):
    """Run the command: exit code, and what it said."""
    (tmp_path / "box.token").write_text(box)
    (tmp_path / "main.token").write_text(make_token(people["stranger"]))
    command = [
        sys.executable, "-m", "app.cli", "sync", "--from", f"http://127.0.0.1:{port}",
        "--from-token-file", tmp_path / "box.token", "--site", "Pit 1",
        "--to-site", "Pit 1 (main)", "--token-file", tmp_path / "main.token",
    ]  # fmt: skip

    def run():
        done = subprocess.run(
            [str(word) for word in command],
            env=os.environ | {"CAIRN_URL": f"http://127.0.0.1:{port}"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def rows(row, site):
    db.session.rollback()
    return db.session.scalars(sa.select(row).where(row.site_id == site.id)).all()


def test_surveys_and_piles_of_a_box_arrive_once(app, people, main_site, sync):
    code, said = sync()
    assert code == 75, said
    assert "4 files are there and being processed" in said
    (survey,) = rows(Survey, main_site)
    assert (survey.flown_on, survey.state) == (DAY, SurveyState.PROCESSING)
    assert sync()[0] == 75
    # The better surface here is a tenth higher.
    finish(app, main_site, height_m=1.1 * HEIGHT_M)
    code, said = sync()
    assert code == 0, said
    assert re.search(r"Gravel: 3\d\d m³ ± \d+ m³ on the box, 3\d\d m³ ± \d+ m³ here", said)
    (pile,) = rows(Pile, main_site)
    toe = db.session.scalars(sa.select(Toe).where(Toe.pile_id == pile.id)).one()
    assert toe.is_confirmed
    assert toe.measurement.net_m3 == pytest.approx(1.1 * CONE_M3, rel=0.03)
    code, said = sync()
    assert (code, "Gravel" in said) == (0, False)
    assert len(rows(Pile, main_site)) == len(rows(Survey, main_site)) == 1
    assert db.session.scalar(sa.select(sa.func.count()).select_from(Toe)) == 2


def test_what_is_in_another_system_is_said_and_not_brought(app, main_site, sync):
    assert sync()[0] == 75
    finish(app, main_site, epsg=25833)
    code, said = sync()
    assert code == 1
    assert "EPSG:25832" in said
    assert "EPSG:25833" in said
    assert rows(Pile, main_site) == []
