"""The chart says the same as the application, and its papers the same as its values."""

import re
from collections.abc import Mapping

import yaml

from app import CONNECTIONS, clock, queues
from app.config import Config
from scripts import chart_docs
from tests.helm.chart import CHART, EXAMPLES, pods

# Read by libraries, not by the application itself.
LIBRARIES = {
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL_S3",
    "GUNICORN_CMD_ARGS",
}  # fmt: skip
# Parts of an address that the next variable is put together from.
PARTS = {"DATABASE_USER", "DATABASE_PASSWORD", "VALKEY_PASSWORD"}


class Asked(Mapping):
    """An environment that notes what is looked up in it."""

    def __init__(self, given):
        self.given, self.names = given, set()

    def __getitem__(self, name):
        self.names.add(name)
        return self.given[name]

    def __iter__(self):
        return iter(self.given)

    def __len__(self):
        return len(self.given)


def known_variables():
    """Every variable that the configuration looks up."""
    asked = Asked(
        {
            "DATABASE_URL": "postgresql://localhost/cairn",
            "REDIS_URL": "redis://localhost",
            "STORAGE_URL": "file:///data",
            "SECRET_KEY": "a key of the tests, known to everybody 0123456789",
            "PUBLIC_URL": "http://localhost",
        }
    )
    Config.from_environment(asked)
    return asked.names


def worker_queues(objects):
    """Queues of the workers, in the words of their command."""
    found = []
    for name, spec in pods(objects).items():
        if "-worker-" in name:
            arguments = spec["containers"][0]["args"]
            assert arguments[:4] == ["python", "-m", "app.worker", "--queues"]
            found += arguments[4:]
    return found


def test_workers_serve_exactly_the_queues_of_the_application(objects):
    assert sorted(worker_queues(objects)) == sorted(queues.ALL)


def test_usual_workers_have_what_their_queue_sends_them():
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    pool = next(p for p in values["workers"]["pools"].values() if queues.SURVEY in p["queues"])
    gigabytes = pool["resources"]["limits"]["memory"], pool["scratch"]
    memory, disk = (int(quantity.removesuffix("Gi")) << 30 for quantity in gigabytes)
    assert memory > queues.USUAL_MEMORY
    # The photos lie there, too: 10 MB for each of those that need 68 MB at `standard`.
    assert disk > 1.2 * queues.USUAL_DISK


def test_the_scheduler_is_the_clock(objects):
    for name, spec in pods(objects).items():
        if name.endswith("-scheduler"):
            assert spec["containers"][0]["args"] == ["python", "-m", clock.__spec__.name]


def test_keda_watches_the_queues_of_the_workers(objects):
    watched = [
        trigger["metadata"]["listName"]
        for item in objects
        if item["kind"] == "ScaledObject"
        for trigger in item["spec"]["triggers"]
    ]
    if watched:
        keys = [f"rq:{kind}:{name}" for name in queues.ALL for kind in ("queue", "wip")]
        assert sorted(watched) == sorted(keys)


def test_the_keys_that_keda_watches_are_those_of_rq():
    from rq import Queue
    from rq.registry import StartedJobRegistry

    assert Queue("survey", connection=object()).key == "rq:queue:survey"
    assert StartedJobRegistry("survey", connection=object()).key == "rq:wip:survey"


def test_variables_are_those_that_the_application_reads(objects):
    given = set()
    for item in objects:
        if item["kind"] == "ConfigMap" and item["metadata"]["name"].endswith("-settings"):
            given |= set(item["data"])
    for spec in pods(objects).values():
        for container in spec["containers"]:
            given |= {variable["name"] for variable in container.get("env", [])}
    known = known_variables()
    assert given - LIBRARIES - PARTS <= known
    # Mail and single sign-on are optional, and examples go without.
    sign_on = {"OIDC_ISSUER", "OIDC_CLIENT_ID", "OIDC_CLIENT_SECRET", "OIDC_NAME"}
    assert known - given <= sign_on | {"MAIL_URL"}


def test_papers_are_current():
    readme = (CHART / "README.md").read_text()
    made = chart_docs.outputs(chart_docs.read(CHART / "values.yaml"), readme)
    for name, text in made.items():
        assert (CHART / name).read_text() == text, f"run python -m scripts.chart_docs: {name}"


def test_every_value_is_in_the_schema():
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    for path in _paths(yaml.safe_load((CHART / "values.yaml").read_text())):
        assert _finds(schema, path), ".".join(path)


def test_every_value_is_used():
    templates = "".join(path.read_text() for path in (CHART / "templates").rglob("*.*"))
    for path in _paths(yaml.safe_load((CHART / "values.yaml").read_text())):
        assert re.search(rf"[.\s(]{re.escape(path[-1])}\b", templates) or _is_entry(path), path


def test_the_version_is_that_of_the_package():
    from importlib.metadata import version

    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == version("cairn")


def test_examples_tell_what_they_are():
    for path in EXAMPLES:
        assert path.read_text().startswith("# "), path


def _paths(values, before=()):
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _paths(value, (*before, name))
        else:
            yield (*before, name)


def _finds(schema, path):
    for name in path:
        inner = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
        if inner in (None, False):
            # A free object has no schema below itself.
            return schema.get("type") == "object" and "properties" not in schema
        schema = inner
    return True


def _is_entry(path):
    """Whether it lies inside an object that is passed on as a whole."""
    return {"resources", "nodeSelector", "hard"} & set(path[:-1]) or path[-2].endswith("Namespace")


def test_the_chart_counts_as_many_connections_as_a_process_opens():
    checks = (CHART / "templates" / "_checks.tpl").read_text(encoding="utf-8")
    assert f"$web.processes {CONNECTIONS} -}}" in checks
    assert f"web.processes x {CONNECTIONS})" in checks
