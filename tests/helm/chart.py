"""The chart, rendered by the real Helm."""

import copy
import functools
import json
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from scripts.chart_docs import CHART
from scripts.chart_tools import TOOLS

EXAMPLES = sorted((CHART / "ci").glob("*.yaml"))
HELMS = ("helm3", "helm4")


def tool(name):
    """A program, or the reason why there is none."""
    if not (TOOLS / name).exists():
        pytest.skip(f"{name} is not there: make chart-tools")
    return str(TOOLS / name)


class RefusedError(Exception):
    """Helm rendered nothing; the text says why."""


@functools.cache
def _render(helm, values, release, namespace):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(values)
        file.flush()
        command = [
            helm,
            "template",
            release,
            CHART,
            "--namespace",
            namespace,
            "--values",
            file.name,
        ]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RefusedError(done.stderr)
    return done.stdout


def render(values, helm="helm4", release="cairn", namespace="quarry"):
    """The objects of a release."""
    text = _render(tool(helm), json.dumps(values), release, namespace)
    return [found for found in yaml.safe_load_all(text) if found]


def example(name):
    """Values of `ci/`."""
    return yaml.safe_load((CHART / "ci" / f"{name}.yaml").read_text())


def changed(values, path, value):
    """The values with another one at a dotted path."""
    made = copy.deepcopy(values)
    *parents, last = path.split(".")
    inner = made
    for name in parents:
        inner = inner.setdefault(name, {})
    inner[last] = value
    return made


def one(objects, kind, end=""):
    """The only object of a kind whose name ends so."""
    (found,) = [
        item for item in objects if item["kind"] == kind and item["metadata"]["name"].endswith(end)
    ]
    return found


def pods(objects):
    """Specs of the pods of all workloads, by name."""
    found = {}
    for item in objects:
        template = item.get("spec", {}).get("template", {})
        if item["kind"] in ("Deployment", "StatefulSet", "Job"):
            found[item["metadata"]["name"]] = template["spec"]
    return found


def run(*command: str | Path, text=None):
    """Run a program; returns what it did."""
    return subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, input=text
    )
