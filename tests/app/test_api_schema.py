"""The API answers as its description says, to whatever schemathesis makes of that description."""

from collections import Counter
from contextvars import Context

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from tests.app import world

EXAMPLES = 8
# Who is let in is the matter of the isolation test; and what fits its shape may still be refused,
# like a second period of the same month.
NOT_HERE = [ignored_auth, positive_data_acceptance]
CHOICES = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer("application/offset+octet-stream")
def part_of_a_file(_context, value):
    return schemathesis.transport.serialization.serialize_binary(value)


@pytest.fixture
def ids(app, people, client_of):
    """Parts of addresses that lead to something."""
    names = {"name": "survey.json", "z": "0", "x": "0", "y": "0"}
    found = world.fill(app, people, client_of("manager"))
    return {name: str(key) for name, key in found.items()} | names


@pytest.fixture
def schema(app, client_of):
    """The API as an administrator in a browser reaches it."""
    cookie = f"cairn={client_of('admin').get_cookie('cairn').value}"

    def signed_in(environ, start):
        # A token that is made up would be refused before anything is tried.
        environ.pop("HTTP_AUTHORIZATION", None)
        return app(environ | {"HTTP_COOKIE": cookie}, start)

    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", signed_in)


# The foreign client leaves files open.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_described_is_what_is_answered(ids, schema):
    schema.validate()
    statuses, refused = Counter(), set()
    for result in schema.get_all_operations():
        operation = result.ok()

        @CHOICES
        @given(case=operation.as_strategy())
        def answers_as_described(case):
            # The same key for another request is refused, whatever it asks.
            case.headers.pop("Idempotency-Key", None)
            if case.method != "DELETE":
                known = {name: ids[name] for name in case.path_parameters if name in ids}
                case.path_parameters.update(known)
            answer = Context().run(case.call_and_validate, excluded_checks=NOT_HERE)
            statuses[answer.status_code] += 1
            if answer.status_code == 401:
                refused.add(case.operation.label)

        answers_as_described()
    # Most of it was let in and did something; else nothing was tried.
    assert statuses[200] + statuses[201] > statuses.total() / 3
    # FlightHub's reports have a secret of their own, which nobody guesses: all others let in.
    assert refused == {"POST /api/v1/flighthub"}
