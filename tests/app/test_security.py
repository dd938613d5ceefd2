"""Doors that must stay shut: forged requests, cookies, scripts, spoofed addresses, floods."""

import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import Photo, Survey, Upload
from tests.app import world
from tests.app.conftest import PASSWORD
from tests.app.test_isolation import routes
from tests.app.test_uploads import begin, jpeg, patch

ROOT = Path(__file__).parents[2]


@pytest.fixture
def filled(app, people, client_of):
    """The identifiers of a site with one of everything."""
    return world.fill(app, people, client_of("manager")).__getitem__


def test_a_page_elsewhere_cannot_send_the_cookie_of_a_person(app, client_of, filled):
    client = client_of("admin")
    app.config["WTF_CSRF_ENABLED"] = True
    tried = 0
    for _, method, address in routes(app, filled):
        if method != "GET":
            answer = client.open(address, method=method)
            assert answer.status_code == 400, f"{method} {address} answered {answer.status_code}"
            # Programs are told what is missing, people what to do.
            words = "CSRF" if address.startswith("/api/") else "Load it again"
            assert words in answer.text
            tried += 1
    assert tried > 50


def test_a_program_that_proves_itself_otherwise_needs_no_form(app, people):
    report = {"data": {}}
    answer = app.test_client().post("/api/v1/flighthub", json=report)
    assert "CSRF" not in answer.text
    # Whoever is nobody is told so, not that a form lacks its token.
    assert app.test_client().post("/api/v1/sites", json={}).status_code == 401


def test_a_token_needs_no_form(app, client_of):
    made = client_of("admin").post(
        "/api/v1/account/tokens", json={"name": "a", "actions": ["read", "administer"]}
    )
    app.config["WTF_CSRF_ENABLED"] = True
    headers = {"Authorization": f"Bearer {made.json['token']}"}
    answer = app.test_client().post("/api/v1/sites", json={"name": "Pit 2"}, headers=headers)
    assert answer.status_code == 201


def test_nothing_but_what_is_ours_may_run_in_a_page(app, client_of, filled):
    client = client_of("admin")
    for rule, method, address in routes(app, filled):
        if method == "GET" and not rule.endpoint.startswith("runs.events"):
            headers = client.get(address).headers
            policy = headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "unsafe-inline" not in policy
            assert "'unsafe-eval'" not in policy
            assert "frame-ancestors 'none'" in policy
            assert headers["X-Content-Type-Options"] == "nosniff"
            if rule.endpoint != "static":
                assert (
                    "private" in headers["Cache-Control"] or "no-store" in headers["Cache-Control"]
                ), address


def test_templates_have_neither_scripts_nor_styles_inside():
    for path in (ROOT / "app" / "templates").rglob("*.html"):
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), path
        assert not re.search(r"\s(style|on[a-z]+)=\"", text), path
        assert "|safe" not in text.replace(" ", ""), path


def test_cookies_go_over_tls_only_and_scripts_do_not_see_them(make_app, people):
    app = make_app(PUBLIC_URL="https://cairn.example.org")
    app.config["WTF_CSRF_ENABLED"] = False
    form = {"email": people["viewer"].email, "password": PASSWORD}
    answer = app.test_client().post("/sign-in", data=form, base_url="https://cairn.example.org")
    for word in ("Secure", "HttpOnly", "SameSite=Lax"):
        assert word in answer.headers["Set-Cookie"]
    assert "max-age" in answer.headers["Strict-Transport-Security"]


def test_a_session_that_somebody_planted_is_not_taken_over(app, client_of):
    client = client_of(None)
    with client.session_transaction() as session:
        session["planted"] = "yes"
    client.post("/sign-in", data={"email": "viewer@example.org", "password": PASSWORD})
    with client.session_transaction() as session:
        assert "planted" not in session


@pytest.mark.parametrize(
    ("path", "form", "allowed"),
    [
        ("/password", {"email": "viewer@example.org"}, 5),
        ("/welcome/none", {"name": "A", "password": PASSWORD}, 20),
    ],
)
def test_links_and_mails_are_not_flooded(client_of, path, form, allowed):
    client = client_of(None)
    statuses = [client.post(path, data=form).status_code for _ in range(allowed + 1)]
    assert 429 not in statuses[:-1]
    assert statuses[-1] == 429


def test_nobody_gets_around_the_limits_by_naming_other_addresses(client_of):
    client, form = client_of(None), {"email": "viewer@example.org"}
    statuses = [
        client.post(
            "/password", data=form, headers={"X-Forwarded-For": f"10.0.0.{number}"}
        ).status_code
        for number in range(6)
    ]
    assert statuses[-1] == 429


def test_the_answer_to_a_forgotten_password_tells_nobody_who_has_an_account(client_of):
    answers = [
        client_of(None).post("/password", data={"email": email})
        for email in ("viewer@example.org", "nobody@example.org")
    ]
    texts = [re.sub(r'value="[^"]+"', "", answer.text) for answer in answers]
    assert answers[0].status_code == answers[1].status_code == 200
    assert texts[0] == texts[1]


@pytest.fixture
def few(make_app, people):
    """An application that takes three files a survey, and a browser of a surveyor on it."""
    app = make_app(MAX_SURVEY_PHOTOS="3")
    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    client.post("/sign-in", data={"email": people["surveyor"].email, "password": PASSWORD})
    survey = Survey(site_id=people["site"].id, name="Week 47", flown_on=world.DAY)
    db.session.add(survey)
    db.session.commit()
    return client, survey


def test_a_survey_takes_so_many_files_and_no_more(few):
    client, survey = few
    # Begun and not ended counts, too.
    begun = [begin(client, survey, f"{number}.jpg", jpeg(number)) for number in range(4)]
    assert [answer.status_code for answer in begun] == [201, 201, 201, 413]
    assert "3 photos" in begun[3].json["detail"]
    assert (
        client.delete(begun[0].headers["Location"], headers={"Tus-Resumable": "1.0.0"}).status_code
        == 204
    )
    assert begin(client, survey, "4.jpg", jpeg(4)).status_code == 201


def test_an_upload_takes_so_many_bytes_and_no_more(app, client_of, few):
    client, survey = few
    content = jpeg(9)
    address = begin(client, survey, "a.jpg", content).headers["Location"]
    done = patch(client, address, content + bytes(1 << 20), 0)
    assert done.headers["Upload-Offset"] == str(len(content))
    assert db.session.scalar(sa.select(Photo.size)) == len(content)
    assert db.session.scalar(sa.select(sa.func.count(Upload.id))) == 0


def test_queries_read_and_never_write():
    for path in (ROOT / "app" / "queries").glob("*.py"):
        text = path.read_text()
        assert not re.search(r"session\.(commit|add|add_all|delete|flush)\(", text), path
        assert not re.search(r"^from sqlalchemy import .*\b(update|insert|delete)\b", text, re.M), (
            path
        )
