"""What all of the API does alike: pages, versions, requests that are done once, problems."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy as sa

from app.api.openapi import describe
from app.extensions import db
from app.models import AuditEvent, BookEntry, IdempotencyKey, Material, Photo, Site, Survey
from tests.app import world

SITE = {"name": "Pit 2"}


def count(row):
    return db.session.scalar(sa.select(sa.func.count()).select_from(row))


def fill_lists(site, people):
    """Seven of everything that comes in pages; three of them of the same moment."""
    material = Material(site_id=site.id, name="Gravel")
    db.session.add(material)
    survey = Survey(site_id=site.id, name="first", flown_on=world.DAY)
    db.session.add(survey)
    db.session.flush()
    now = datetime.now(UTC)
    for number in range(6):
        day = world.DAY - timedelta(days=max(number - 2, 0))
        moment = now - timedelta(minutes=max(number - 2, 0))
        db.session.add(
            Survey(site_id=site.id, name=f"{number}", flown_on=day, created_at=survey.created_at)
        )
        db.session.add(Site(organisation_id=site.organisation_id, name=f"Pit {number + 2}"))
    for number in range(7):
        moment = now - timedelta(minutes=max(number - 2, 0))
        digest = number.to_bytes(32, "big")
        entry = {"material_id": material.id, "on": world.DAY, "kind": "sale", "mass_t": number}
        db.session.add_all(
            [
                Photo(survey_id=survey.id, name=f"{number}.jpg", sha256=digest, size=1),
                BookEntry(site_id=site.id, created_at=moment, **entry),
                AuditEvent(
                    organisation_id=site.organisation_id, action="a.b", subject="c", at=moment
                ),
            ]
        )
    db.session.execute(sa.delete(AuditEvent).where(AuditEvent.action != "a.b"))
    db.session.commit()
    return survey


def test_pages_hold_everything_once(people, client_of):
    client, site = client_of("admin"), people["site"]
    survey = fill_lists(site, people)
    for path in (
        "/api/v1/sites",
        f"/api/v1/sites/{site.id}/surveys",
        f"/api/v1/sites/{site.id}/book",
        f"/api/v1/surveys/{survey.id}/photos",
        "/api/v1/organisation/audit",
    ):
        whole = [item["id"] for item in client.get(path).json["items"]]
        seen, address = [], f"{path}?limit=2"
        while address:
            page = client.get(address).json
            seen += [item["id"] for item in page["items"]]
            address = page["next"]
        assert len(set(seen)) == 7, path
        assert seen == whole
        assert client.get(f"{path}?limit=0").status_code == 422
        assert client.get(f"{path}?after={uuid4()}").json["items"] == []


def test_an_answer_that_is_known_is_not_sent_again(people, client_of):
    client = client_of("viewer")
    first = client.get("/api/v1/sites")
    again = client.get("/api/v1/sites", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_nothing_that_can_be_replaced_is_overwritten_unseen(app, people, client_of):
    ids = world.fill(app, people, client_of("manager"))
    client = client_of("admin")
    bodies = {
        "/api/v1/account": {"name": "Ada"},
        f"/api/v1/sites/{ids['site_id']}": SITE,
        f"/api/v1/materials/{ids['material_id']}": {"name": "Sand"},
        f"/api/v1/organisation/people/{ids['user_id']}": {"is_active": True, "is_admin": True},
        f"/api/v1/sites/{ids['site_id']}/monthly-report": {"is_wanted": False},
    }
    described = {
        path
        for path, methods in describe(app)["paths"].items()
        if "200" in methods.get("put", {}).get("responses", {})
    }
    # Toes and inboxes have tests of their own.
    others = {"/api/v1/toes/{toe_id}", "/api/v1/sites/{site_id}/inbox"}
    assert len(bodies) == len(described - others)
    for path, body in bodies.items():
        stale = client.put(path, json=body, headers={"If-Match": '"another"'})
        assert (stale.status_code, stale.json["title"]) == (412, "Changed meanwhile")
        done = client.put(path, json=body)
        assert done.status_code == 200, done.text
        again = client.put(path, json=body, headers={"If-Match": done.headers["ETag"]})
        assert again.status_code == 200
    version = client.get(f"/api/v1/sites/{ids['site_id']}").headers["ETag"]
    fresh = client.put(f"/api/v1/sites/{ids['site_id']}", json=SITE, headers={"If-Match": version})
    assert fresh.status_code == 200


def test_a_request_with_a_key_is_done_once(people, client_of):
    client, key = client_of("admin"), {"Idempotency-Key": "a1"}
    first = client.post("/api/v1/sites", json=SITE, headers=key)
    again = client.post("/api/v1/sites", json=SITE, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json == again.json
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count(Site) == 2
    other = client.post("/api/v1/sites", json={"name": "Pit 3"}, headers=key)
    assert other.status_code == 422
    assert "another request" in other.json["detail"]
    # A key belongs to whoever sent it.
    theirs = client_of("stranger").post("/api/v1/sites", json=SITE, headers=key)
    assert theirs.status_code == 201


def test_a_key_of_a_request_that_was_refused_may_be_used_again(people, client_of):
    client, key = client_of("admin"), {"Idempotency-Key": "a1"}
    taken = client.post("/api/v1/sites", json={"name": "Pit 1"}, headers=key)
    assert taken.status_code == 422
    assert client.post("/api/v1/sites", json=SITE, headers=key).status_code == 201


def test_what_is_shown_once_is_neither_stored_nor_shown_again(people, client_of):
    client, key = client_of("viewer"), {"Idempotency-Key": "a1"}
    body = {"name": "scales", "actions": ["read"]}
    made = client.post("/api/v1/account/tokens", json=body, headers=key)
    assert made.status_code == 201
    row = db.session.scalar(sa.select(IdempotencyKey))
    assert made.json["token"] not in str(row.body)
    again = client.post("/api/v1/account/tokens", json=body, headers=key)
    assert (again.status_code, len(client.get("/api/v1/account/tokens").json)) == (409, 1)


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "words"),
    [
        ("GET", "/api/v1/nowhere", {}, 404, "not found"),
        ("PATCH", "/api/v1/sites", {}, 405, "not allowed"),
        ("POST", "/api/v1/sites", {"data": "{"}, 422, "no JSON"),
        ("POST", "/api/v1/sites", {"json": {"nmae": "Pit"}}, 422, "name: Field required"),
        ("POST", "/api/v1/sites", {"json": SITE | {"colour": 1}}, 422, "colour: Extra inputs"),
        ("POST", "/api/v1/sites", {"json": SITE | {"volume_unit": "ft3"}}, 422, "'m3' or 'yd3'"),
        ("POST", "/api/v1/sites", {"json": SITE | {"timezone": "Mars"}}, 422, "like Europe/Berlin"),
        ("POST", "/api/v1/sites", {"json": {"name": "a\x00b"}}, 422, "no text"),
        ("POST", "/api/v1/sites", {"json": {"name": "a\ud800"}}, 422, "no text"),
        ("GET", "/api/v1/sites?after=%00", {}, 422, "no text"),
    ],
)
def test_a_problem_says_what_is_wrong(client_of, method, path, options, status, words):
    answer = client_of("admin").open(path, method=method, **options)
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert words in answer.json["detail"]


def test_a_body_beyond_all_bounds_is_refused(client_of):
    answer = client_of("admin").post("/api/v1/sites", json={"name": "a" * (17 << 20)})
    assert (answer.status_code, answer.content_type) == (413, "application/problem+json")
