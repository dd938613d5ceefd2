"""Every view has a rule, and the rules hold for strangers."""

from uuid import uuid4

import pytest

from app.auth import policy


def routes(app):
    """Each view with each of its methods and an address of things that are nobody's."""
    for rule in app.url_map.iter_rules():
        values = {name: str(uuid4()) for name in rule.arguments if name.endswith("_id")}
        values |= {name: 1 for name in rule.arguments - values.keys()}
        with app.test_request_context():
            address = app.url_map.bind("localhost").build(rule.endpoint, values)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            yield rule, method, address


def test_a_stranger_gets_nothing_but_what_is_for_anybody(app, client_of):
    client = client_of(None)
    for rule, method, address in routes(app):
        if policy.rule_of(app, rule.endpoint).who is not policy.Who.ANYBODY:
            status = client.open(address, method=method).status_code
            assert status in (302, 401), f"{method} {address} answered {status}"


def test_things_that_are_nobodys_are_not_found(app, client_of):
    client = client_of("admin")
    for rule, method, address in routes(app):
        if policy.rule_of(app, rule.endpoint).who is policy.Who.SITE:
            status = client.open(address, method=method).status_code
            assert status == 404, f"{method} {address} answered {status}"


def test_an_application_with_an_open_door_does_not_start(app):
    from flask import Flask

    bare = Flask("bare")
    bare.add_url_rule("/open", "open", lambda: "")
    with pytest.raises(RuntimeError, match=r"open \(/open\) has no rule"):
        policy.check_rules(bare)
