"""What whoever runs an installation does at its command line."""

import re

import pytest


@pytest.fixture(scope="module")
def app(make_app):
    return make_app()


def test_a_new_installation_gets_its_first_administrator(app):
    told = app.test_cli_runner().invoke(args=["open-organisation", "Pits Ltd", "boss@pits.example"])
    assert told.exit_code == 0, told.output
    link = re.search(r"http://localhost(/\S+)", told.output)[1]
    browser = app.test_client()
    page = browser.get(link)
    assert page.status_code == 200
    assert "Pits Ltd" in page.text or "boss@pits.example" in page.text


@pytest.mark.parametrize(
    ("name", "email", "reason"),
    [("", "a@b.example", "no name"), ("Pits", "nobody", "no e-mail address")],
)
def test_what_makes_no_organisation_is_refused(app, name, email, reason):
    told = app.test_cli_runner().invoke(args=["open-organisation", name, email])
    assert told.exit_code == 1
    assert reason in told.output
