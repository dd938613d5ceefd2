"""Signing in and out, sessions that end, links that work once."""

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from app.auth.tokens import new_token
from app.extensions import db
from app.models import ApiToken, AuditEvent, SignIn
from tests.app.conftest import PASSWORD


def test_a_person_signs_in_and_out(app, people):
    client = app.test_client()
    assert client.get("/sites").headers["Location"].startswith("/sign-in?to=/sites")
    page = client.get("/sign-in").text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    answer = client.post(
        "/sign-in",
        data={
            "email": "VIEWER@example.org",
            "password": PASSWORD,
            "csrf_token": token,
            "to": "/sites",
        },
    )
    assert (answer.status_code, answer.headers["Location"]) == (302, "/sites")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    page = client.get("/sites")
    assert "Pit 1" in page.text
    token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
    assert client.post("/sign-out", data={"csrf_token": token}).status_code == 302
    assert client.get("/sites").status_code == 302
    assert db.session.scalar(sa.select(AuditEvent.action)) == "person.sign-in"


@pytest.mark.parametrize(
    ("email", "password"), [("viewer@example.org", "wrong"), ("nobody@example.org", PASSWORD)]
)
def test_a_wrong_password_and_an_unknown_address_look_alike(client_of, email, password):
    answer = client_of(None).post("/sign-in", data={"email": email, "password": password})
    assert answer.status_code == 422
    assert "This address and password do not fit." in answer.text


def test_a_form_without_its_token_is_refused(app, people):
    answer = app.test_client().post("/sign-in", data={"email": "a", "password": "b"})
    assert answer.status_code == 400
    assert "This page was open for too long" in answer.text


def test_a_session_ends_when_its_time_is_over(client_of):
    client = client_of("viewer")
    assert client.get("/sites").status_code == 200
    db.session.execute(sa.update(SignIn).values(seen_at=datetime.now(UTC) - timedelta(days=8)))
    db.session.commit()
    assert client.get("/sites").status_code == 302


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/\\evil.example"])
def test_a_sign_in_leads_nowhere_else(client_of, to):
    answer = client_of(None).post(
        "/sign-in", data={"email": "viewer@example.org", "password": PASSWORD, "to": to}
    )
    assert answer.headers["Location"] == "/sites"


def test_guessing_a_password_is_slowed_down(client_of):
    client = client_of(None)
    form = {"email": "viewer@example.org", "password": "guess"}
    statuses = [client.post("/sign-in", data=form).status_code for _ in range(12)]
    assert statuses[0] == 422
    assert statuses[-1] == 429


def test_a_token_acts_as_its_owner_until_it_is_revoked(app, people):
    token, prefix, token_hash = new_token()
    row = ApiToken(
        organisation_id=people["viewer"].organisation_id,
        user_id=people["viewer"].id,
        name="scale house",
        prefix=prefix,
        secret_hash=token_hash,
        actions=["read"],
    )
    db.session.add(row)
    db.session.commit()
    headers = {"Authorization": f"Bearer {token}"}
    client = app.test_client()
    assert client.get("/sites", headers=headers).status_code == 200
    row.revoked_at = datetime.now(UTC)
    db.session.commit()
    assert client.get("/sites", headers=headers).status_code == 302
