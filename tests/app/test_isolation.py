"""Every view has a rule, and the rules hold: for strangers, other organisations, and each role."""

from uuid import uuid4

import pytest
from flask import Flask

from app.auth import policy
from app.models import Role
from tests.app import world
from tests.app.conftest import PASSWORD

ROLES = {"viewer": Role.VIEWER, "surveyor": Role.SURVEYOR, "manager": Role.MANAGER}
# What must be well-formed before anybody asks whose the thing is.
BODIES = {"organisation.update_person": {"is_active": False, "is_admin": False}}
WORDS = {"layer": "height", "name": "dsm.tif", "format": "csv", "topic": "fly", "secret": "none"}


def address_of(app, rule, ids):
    """Address of a route; `ids` are its identifiers by name, or make up each of them."""
    # A new kind of identifier needs one in `tests.app.world`.
    values = {name: ids(name) for name in rule.arguments if name.endswith("_id")}
    values |= {name: WORDS.get(name, 1) for name in rule.arguments - values.keys()}
    if rule.endpoint == "static":
        values = {"filename": "icon.svg"}
    with app.test_request_context():
        return app.url_map.bind("localhost").build(rule.endpoint, values)


def routes(app, ids=lambda _name: uuid4()):
    """Each view with each of its methods and an address, of things that are nobody's."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods - {"HEAD", "OPTIONS"}):
            yield rule, method, address_of(app, rule, ids)


@pytest.fixture
def filled(app, people, client_of):
    """The identifiers of a site with one of everything."""
    ids = world.fill(app, people, client_of("manager"))
    return ids.__getitem__


def test_a_stranger_gets_nothing_but_what_is_for_anybody(app, client_of, filled):
    client = client_of(None)
    for rule, method, address in routes(app, filled):
        if policy.rule_of(app, rule.endpoint).who is not policy.Who.ANYBODY:
            status = client.open(address, method=method).status_code
            assert status in (302, 401), f"{method} {address} answered {status}"


def test_things_that_are_nobodys_are_not_found(app, client_of):
    client = client_of("admin")
    for rule, method, address in routes(app):
        if policy.rule_of(app, rule.endpoint).who is policy.Who.SITE:
            status = client.open(address, method=method).status_code
            assert status == 404, f"{method} {address} answered {status}"


@pytest.mark.parametrize("who", ["stranger", "outsider"])
def test_another_organisation_and_a_colleague_without_a_role_find_no_site(
    app, client_of, filled, who
):
    client = client_of(who)
    for rule, method, address in routes(app, filled):
        if policy.rule_of(app, rule.endpoint).who is policy.Who.SITE:
            status = client.open(address, method=method).status_code
            assert status == 404, f"{method} {address} answered {status}"


def test_another_organisation_sees_nothing_in_lists_and_changes_nothing(app, client_of, filled):
    client = client_of("stranger")
    for rule, method, address in routes(app, filled):
        is_ours = any(name.endswith("_id") for name in rule.arguments)
        answer = client.open(address, method=method, json=BODIES.get(rule.endpoint))
        # Signing out would end the test.
        if method == "GET" and not rule.endpoint.startswith("sign_in"):
            for word in world.SECRETS:
                assert word not in answer.text, f"{method} {address} tells {word}"
        if is_ours:
            assert answer.status_code == 404, f"{method} {address} answered {answer.status_code}"
        if rule.endpoint == "sign_in.end":
            client.post("/sign-in", data={"email": "stranger@example.org", "password": PASSWORD})


@pytest.mark.parametrize("who", ROLES)
def test_a_role_may_what_it_may_and_no_more(app, client_of, filled, who):
    client = client_of(who)
    for rule, method, address in routes(app, filled):
        found = policy.rule_of(app, rule.endpoint)
        if found.who is policy.Who.ADMIN or (
            found.who is policy.Who.SITE and found.role > ROLES[who]
        ):
            status = client.open(address, method=method).status_code
            assert status == 403, f"{method} {address} answered {status}"
        elif method == "GET" and found.who is policy.Who.SITE and "events" not in address:
            status = client.open(address, query_string=_query(rule)).status_code
            assert status in (200, 204, 404), f"{method} {address} answered {status}"


def _query(rule):
    """What a route wants behind the question mark."""
    return {
        "surveys.grid": {"bounds": "500000,5599980,500020,5600000"},
        "book.check": {"start": "2026-11-13", "end": "2026-11-20"},
    }.get(rule.endpoint, {})


def test_a_token_reaches_its_sites_and_actions_only(app, people, client_of, filled):
    made = client_of("manager").post(
        "/api/v1/account/tokens",
        json={"name": "reader", "actions": ["read"], "sites": [str(people["site"].id)]},
    )
    client, token = app.test_client(), {"Authorization": f"Bearer {made.json['token']}"}
    for rule, method, address in routes(app, filled):
        found = policy.rule_of(app, rule.endpoint)
        if found.who is policy.Who.SITE and found.role > Role.VIEWER:
            status = client.open(address, method=method, headers=token).status_code
            assert status == 403, f"{method} {address} answered {status}"
    # The same token of a site that its owner does not see.
    other = client_of("manager").post(
        "/api/v1/account/tokens",
        json={"name": "reader", "actions": ["read"], "sites": [str(uuid4())]},
    )
    assert (other.status_code, other.json["field"]) == (422, "sites")


def test_an_application_with_an_open_door_does_not_start(app):
    bare = Flask("bare")
    bare.add_url_rule("/open", "open", lambda: "")
    with pytest.raises(RuntimeError, match=r"open \(/open\) has no rule"):
        policy.check_rules(bare)
