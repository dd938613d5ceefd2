"""An organisation by the API: people, invitations, roles on sites, webhooks, audit log."""

import contextlib
import hashlib
import hmac
import json
import socket
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import sqlalchemy as sa

from app.extensions import db
from app.models import WebhookDelivery
from app.services import webhooks
from tests.app.conftest import PASSWORD


def test_people_are_shut_out_at_once_and_let_in_again(app, people, client_of):
    admin, viewer = client_of("admin"), client_of("viewer")
    listed = {row["email"]: row for row in admin.get("/api/v1/organisation/people").json}
    assert "stranger@example.org" not in listed
    path = f"/api/v1/organisation/people/{people['viewer'].id}"
    done = admin.put(path, json={"is_active": False, "is_admin": False})
    assert (done.status_code, done.json["is_active"]) == (200, False)
    assert viewer.get("/api/v1/account").status_code == 401
    form = {"email": "viewer@example.org", "password": PASSWORD}
    assert app.test_client().post("/sign-in", data=form).status_code == 422
    assert admin.put(path, json={"is_active": True, "is_admin": True}).status_code == 200
    assert client_of("viewer").get("/api/v1/organisation/people").status_code == 200
    actions = [row["action"] for row in admin.get("/api/v1/organisation/audit").json["items"]]
    assert {"person.deactivate", "person.activate", "person.admin"} <= set(actions)


def test_an_administrator_cannot_shut_themselves_out(people, client_of):
    path = f"/api/v1/organisation/people/{people['admin'].id}"
    answer = client_of("admin").put(path, json={"is_active": False, "is_admin": False})
    assert answer.status_code == 422
    assert "yourself" in answer.json["detail"]


def test_an_invitation_works_once_and_can_be_withdrawn(app, people, client_of):
    admin, site = client_of("admin"), people["site"]
    body = {"email": "new@example.org", "site_id": str(site.id), "role": "surveyor"}
    links = []
    for email in ("new@example.org", "other@example.org"):
        made = admin.post("/api/v1/organisation/invitations", json=body | {"email": email})
        assert made.status_code == 201, made.text
        links.append(made.json["link"].removeprefix("http://localhost"))
    listed = admin.get("/api/v1/organisation/invitations").json
    assert {(row["email"], row["role"]) for row in listed} == {
        ("new@example.org", "surveyor"),
        ("other@example.org", "surveyor"),
    }
    assert links[0].split("/")[-1] not in json.dumps(listed)
    other = next(row for row in listed if row["email"] == "other@example.org")
    assert admin.delete(f"/api/v1/organisation/invitations/{other['id']}").status_code == 204
    form = {"name": "Nora", "password": "basalt by the lorry load"}
    assert app.test_client().post(links[1], data=form).status_code == 404
    client = app.test_client()
    assert client.post(links[0], data=form).status_code == 302
    assert client.get(f"/api/v1/sites/{site.id}").status_code == 200
    assert app.test_client().post(links[0], data=form).status_code == 404
    assert admin.get("/api/v1/organisation/invitations").json == []


@pytest.mark.parametrize(
    "body",
    [
        {"email": "no address"},
        {"email": "new@example.org"},
        {"email": "new@example.org", "role": "surveyor"},
        {"email": "viewer@example.org", "is_admin": True},
        {"email": "a@b.c", "role": "viewer", "site_id": "6f1c2c1e-0000-4000-8000-000000000000"},
    ],
)
def test_an_invitation_that_leads_nowhere_is_not_made(client_of, body):
    admin = client_of("admin")
    assert admin.post("/api/v1/organisation/invitations", json=body).status_code == 422
    assert admin.get("/api/v1/organisation/invitations").json == []


def test_a_manager_gives_roles_to_colleagues_only(people, client_of):
    manager, site = client_of("manager"), people["site"]
    members = f"/api/v1/sites/{site.id}/members"
    roles = {row["email"]: row["role"] for row in manager.get(members).json}
    assert roles["viewer@example.org"] == "viewer"
    assert roles["outsider@example.org"] is None
    path = f"{members}/{people['outsider'].id}"
    assert manager.put(path, json={"role": "surveyor"}).status_code == 204
    assert client_of("outsider").get(f"/api/v1/sites/{site.id}").status_code == 200
    assert manager.put(path, json={"role": None}).status_code == 204
    assert client_of("outsider").get(f"/api/v1/sites/{site.id}").status_code == 404
    assert manager.put(path, json={"role": "king"}).status_code == 422
    theirs = f"{members}/{people['stranger'].id}"
    assert manager.put(theirs, json={"role": "viewer"}).status_code == 404


@pytest.fixture
def receiver():
    """A server that keeps what it is sent and answers as it is told."""
    got, statuses = [], []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            length = int(self.headers["Content-Length"])
            got.append((dict(self.headers), self.rfile.read(length)))
            self.send_response(statuses.pop(0) if statuses else 204)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got, statuses
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def calls_private(app):
    """An installation whose webhooks may go to this machine."""
    from dataclasses import replace

    config = app.extensions["cairn_config"]
    app.extensions["cairn_config"] = replace(config, may_call_private=True)
    yield
    app.extensions["cairn_config"] = config


def due_now():
    """Let the time until the next try pass."""
    db.session.execute(
        sa.update(WebhookDelivery)
        .where(WebhookDelivery.next_try_at.is_not(None))
        .values(next_try_at=datetime.now(UTC) - timedelta(seconds=1))
    )
    db.session.commit()


@pytest.mark.usefixtures("calls_private")
def test_a_webhook_is_signed_and_tried_until_it_is_taken(client_of, receiver):
    url, got, statuses = receiver
    admin, root = client_of("admin"), "/api/v1/organisation/webhooks"
    made = admin.post(root, json={"url": url, "events": ["period.closed"]})
    assert made.status_code == 201
    assert made.json["secret"] not in admin.get(root).text
    hook = f"{root}/{made.json['id']}"
    assert admin.post(f"{hook}/test").json["attempts"] == 0
    statuses += [500, 204]
    assert webhooks.deliver_due() == 0
    assert webhooks.deliver_due() == 0
    due_now()
    assert webhooks.deliver_due() == 1
    assert len(got) == 2
    headers, body = got[1]
    moment, _, found = headers["Cairn-Signature"].partition(",")
    signed = moment.removeprefix("t=").encode() + b"." + body
    expected = hmac.new(made.json["secret"].encode(), signed, hashlib.sha256).hexdigest()
    assert found == f"v1={expected}"
    assert json.loads(body)["event"] == "ping"
    # The same id both times: whoever takes it twice can tell.
    assert json.loads(got[0][1])["id"] == json.loads(body)["id"]
    (message,) = admin.get(f"{hook}/deliveries").json["items"]
    assert (message["attempts"], message["status"], message["next_try_at"]) == (2, 204, None)
    assert admin.delete(hook).status_code == 204
    assert admin.get(f"{hook}/deliveries").status_code == 404


@pytest.mark.usefixtures("calls_private")
def test_a_webhook_that_answers_a_byte_at_a_time_is_hung_up_on(client_of, monkeypatch):
    monkeypatch.setattr(webhooks, "_TIMEOUT_S", 1.0)
    was_hung_up = threading.Event()

    def drip(listening):
        line, _ = listening.accept()
        with line, contextlib.suppress(OSError):
            for _ in range(300):
                line.send(b"H")
                if was_hung_up.wait(0.1):
                    break
                line.setblocking(False)
                # Nothing, not even later, comes from a side that has closed.
                with contextlib.suppress(BlockingIOError):
                    while line.recv(65536):
                        pass
                    was_hung_up.set()

    admin, root = client_of("admin"), "/api/v1/organisation/webhooks"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=drip, args=[listening])
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/"
        made = admin.post(root, json={"url": url, "events": ["period.closed"]}).json
        admin.post(f"{root}/{made['id']}/test")
        assert webhooks.deliver_due() == 0
        thread.join()
    assert was_hung_up.is_set()
    (message,) = admin.get(f"{root}/{made['id']}/deliveries").json["items"]
    assert (message["attempts"], message["status"]) == (1, None)


def test_a_webhook_calls_nobody_behind_our_walls(client_of, receiver):
    url, got, _ = receiver
    admin, root = client_of("admin"), "/api/v1/organisation/webhooks"
    made = admin.post(root, json={"url": url, "events": ["period.closed"]}).json
    admin.post(f"{root}/{made['id']}/test")
    assert webhooks.deliver_due() == 0
    assert got == []


@pytest.mark.parametrize(
    "body",
    [
        {"url": "ftp://example.org", "events": ["survey.ready"]},
        {"url": "https://user:pw@example.org", "events": ["survey.ready"]},
        {"url": "https://example.org:99999", "events": ["survey.ready"]},
        {"url": "https://example.org", "events": []},
        {"url": "https://example.org", "events": ["coffee"]},
    ],
)
def test_a_webhook_that_cannot_be_is_refused(client_of, body):
    assert client_of("admin").post("/api/v1/organisation/webhooks", json=body).status_code == 422
