"""The chart under the real tools: both Helms, the schemas of Kubernetes and of the operators."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from tests.helm.chart import CHART, EXAMPLES, HELMS, example, render, run, tool

SCHEMAS = Path(__file__).parents[3] / "shared" / "schemas"
# The oldest version that the chart admits, and the newest that the validator knows.
VERSIONS = ("1.29", kubernetes_validate.latest_version())
NAMES = [path.stem for path in EXAMPLES]
# Schemas of these are not at hand anywhere near; their shape is looked at in test_pods.py.
UNCHECKED = {"Gateway", "HTTPRoute", "ObjectStore", "ServiceMonitor", "PrometheusRule"}


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", NAMES)
def test_lint_finds_nothing(helm, name):
    done = run(tool(helm), "lint", "--strict", CHART, "--values", CHART / "ci" / f"{name}.yaml")
    assert done.returncode == 0, done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize("name", NAMES)
def test_both_helms_render_the_same(name):
    assert render(example(name), "helm3") == render(example(name), "helm4")


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_knows_every_field(objects, version):
    for item in objects:
        if not is_custom(item):
            kubernetes_validate.validate(item, version, strict=True)


@pytest.mark.skipif(not SCHEMAS.exists(), reason="the schemas of the operators are not there")
def test_operators_know_every_field(objects):
    for item in filter(is_custom, objects):
        group, version = item["apiVersion"].split("/")
        path = SCHEMAS / group / f"{item['kind'].lower()}_{version}.json"
        if item["kind"] in UNCHECKED:
            assert not path.exists(), f"{path} is there now: take the kind out of UNCHECKED"
            continue
        jsonschema.validate(item, json.loads(path.read_text()))


def test_a_wrong_field_would_be_found(objects):
    web = next(item for item in objects if item["kind"] == "Deployment")
    wrong = json.loads(json.dumps(web))
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContxt"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[0], strict=True)


def test_kubectl_reads_what_kubernetes_has_itself(objects):
    known = [item for item in objects if not is_custom(item)]
    text = yaml.safe_dump_all(known)
    done = run(
        tool("kubectl"), "annotate", "--local", "-f", "-", "-o", "json", "seen=yes", text=text
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count('"seen": "yes"') == len(known)


def test_no_object_twice(objects):
    names = [(item["kind"], item["metadata"]["name"]) for item in objects]
    assert len(set(names)) == len(names)


def is_custom(item):
    """Whether an operator brings the kind."""
    group = item["apiVersion"].split("/")[0]
    return group.startswith("gateway.") or ("." in group and not group.endswith(".k8s.io"))
