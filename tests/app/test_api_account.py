"""One's own account by the API: name, password, sessions, tokens."""

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import AuditEvent
from tests.app.conftest import PASSWORD

NEW = "basalt by the lorry load"


def token_of(client, **more):
    made = client.post(
        "/api/v1/account/tokens", json={"name": "scales", "actions": ["read"]} | more
    )
    assert made.status_code == 201, made.text
    return {"Authorization": f"Bearer {made.json['token']}"}


def test_a_person_is_told_and_changes_who_they_are(client_of):
    client = client_of("viewer")
    me = client.get("/api/v1/account").json
    assert (me["email"], me["is_admin"]) == ("viewer@example.org", False)
    assert me["organisation"]["name"] == "North Quarries"
    answer = client.put("/api/v1/account", json={"name": " Vera ", "locale": "de"})
    assert (answer.json["name"], answer.json["locale"]) == ("Vera", "de")
    refused = client.put("/api/v1/account", json={"name": "Vera", "locale": "xx"})
    assert (refused.status_code, refused.json["field"]) == (422, "locale")
    assert client.get("/api/v1/account").json["locale"] == "de"


def test_a_new_password_ends_the_other_sessions(app, client_of):
    here, there = client_of("viewer"), client_of("viewer")
    wrong = here.post("/api/v1/account/password", json={"old": "guess", "password": NEW})
    assert (wrong.status_code, wrong.json["field"]) == (422, "old")
    weak = here.post("/api/v1/account/password", json={"old": PASSWORD, "password": "short"})
    assert (weak.status_code, weak.json["field"]) == (422, "password")
    done = here.post("/api/v1/account/password", json={"old": PASSWORD, "password": NEW})
    assert done.status_code == 204
    assert here.get("/api/v1/account").status_code == 200
    assert there.get("/api/v1/account").status_code == 401
    form = {"email": "viewer@example.org", "password": NEW}
    assert app.test_client().post("/sign-in", data=form).status_code == 302


@pytest.mark.parametrize("path", ["/api/v1/account/password", "/account/password"])
def test_guessing_the_old_password_is_slowed_down(client_of, path):
    client, guess = client_of("viewer"), {"old": "guess", "password": NEW}
    sent = {"json": guess} if path.startswith("/api") else {"data": guess}
    statuses = [client.post(path, **sent).status_code for _ in range(11)]
    assert (statuses[0], statuses[-1]) == (422, 429)


def test_a_session_is_ended_from_another_browser(client_of):
    here, there = client_of("viewer"), client_of("viewer")
    listed = here.get("/api/v1/account/sessions").json
    assert len(listed) == 2
    # Each ends the other; the one that is left answers.
    for row in listed:
        here.delete(f"/api/v1/account/sessions/{row['id']}")
        if there.get("/api/v1/account").status_code == 401:
            break
    else:
        pytest.fail("no session ended")
    stranger = client_of("stranger")
    assert stranger.delete(f"/api/v1/account/sessions/{listed[0]['id']}").status_code == 404


def test_a_token_is_shown_once_and_ends_at_once(app, client_of):
    client, machine = client_of("viewer"), app.test_client()
    headers = token_of(client, days=30)
    (listed,) = client.get("/api/v1/account/tokens").json
    assert listed["prefix"] == headers["Authorization"][7:19]
    assert headers["Authorization"][7:] not in client.get("/api/v1/account/tokens").text
    assert machine.get("/api/v1/account", headers=headers).json["email"] == "viewer@example.org"
    assert client_of("stranger").delete(f"/api/v1/account/tokens/{listed['id']}").status_code == 404
    assert client.delete(f"/api/v1/account/tokens/{listed['id']}").status_code == 204
    answer = machine.get("/api/v1/account", headers=headers)
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    actions = db.session.scalars(sa.select(AuditEvent.action).order_by(AuditEvent.at)).all()
    assert actions[-2:] == ["token.create", "token.revoke"] or "token.revoke" in actions


def test_a_token_that_leaks_lets_nobody_in(app, client_of):
    client, machine = client_of("viewer"), app.test_client()
    headers = token_of(client, actions=["read", "write", "manage"])
    (listed,) = client.get("/api/v1/account/tokens").json
    change = {"old": PASSWORD, "password": NEW}
    for method, path, body in (
        ("POST", "/api/v1/account/tokens", {"name": "more", "actions": ["read"]}),
        ("POST", "/api/v1/account/password", change),
        ("PUT", "/api/v1/account", {"name": "Vera"}),
        ("DELETE", f"/api/v1/account/tokens/{listed['id']}", None),
        ("GET", "/api/v1/account/sessions", None),
    ):
        answer = machine.open(path, method=method, json=body, headers=headers)
        assert answer.status_code == 403, f"{method} {path} answered {answer.status_code}"


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"actions": ["fly"]}, "actions"),
        ({"actions": ["administer"]}, "actions"),
        ({"name": " "}, "token_name"),
        ({"sites": ["6f1c2c1e-0000-4000-8000-000000000000"]}, "sites"),
    ],
)
def test_a_token_for_too_much_is_not_made(client_of, more, field):
    body = {"name": "scales", "actions": ["read"]} | more
    answer = client_of("viewer").post("/api/v1/account/tokens", json=body)
    assert (answer.status_code, answer.json["field"]) == (422, field)
