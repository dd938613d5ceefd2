"""Try the images as they will run.

    make images-check ARCHITECTURES="amd64 arm64"

For each architecture: nobody in them is root, the root is read-only, no compiler is there, every
package imports, and the worker reconstructs a small flight. For this machine's own also what
`scripts.images_stack` tries.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

from scripts import images_stack
from scripts.containers import FOLDER, podman, run, told

_NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
# As compose.yaml and the chart run them.
_BOUNDS = ("--read-only", "--tmpfs=/tmp", "--cap-drop=ALL", "--security-opt=no-new-privileges")
_IS_BOUND = """
test "$(id -u)" = 10001
! touch /srv/cairn/x 2>/dev/null
for name in cc gcc c++ g++ clang ld make; do ! command -v $name; done
"""
_IMPORT_ALL = """
import importlib, importlib.metadata, pkgutil, shutil, sys
sys.path.insert(0, ".")
names = {n for n in importlib.metadata.packages_distributions() if n.isidentifier()}
for package in ("app", "reconstruction", "volumetrics"):
    names |= {m.name for m in pkgutil.walk_packages([package], package + ".")}
failed = []
for name in sorted(n for n in names if n.split(".")[-1] != "__main__"):
    try:
        importlib.import_module(name)
    except ImportError as error:
        # Where the library has no wheel, COLMAP is a program.
        if error.name != "pycolmap" or not shutil.which("colmap"):
            failed.append(f"{name}: {error}")
sys.exit("\\n".join(failed)) if failed else print(len(names), "modules")
"""


def main() -> int:
    """Try all; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m scripts.images_check", description=__doc__)
    parser.add_argument("architectures", nargs="*", default=[_NATIVE])
    architectures = parser.parse_args().architectures
    for architecture in architectures:
        _check_images(architecture)
    if _NATIVE in architectures:
        images_stack.check(_flight(16))
    return 0


def _check_images(architecture: str) -> None:
    for target in ("web", "worker"):
        image = _image(target, architecture)
        podman("run", "--rm", "--network=none", *_BOUNDS, image, "sh", "-euc", _IS_BOUND)
        facts = json.loads(podman("image", "inspect", image))[0]
        assert facts["Architecture"] == architecture, facts["Architecture"]
        told(f"{architecture} {target}: {facts['Size'] / 1e6:.0f} MB, not root, read-only")
    told(f"{architecture} worker imports", _python(_image("worker", architecture), _IMPORT_ALL))
    survey = FOLDER / f"survey-{architecture}"
    run("rm", "-rf", str(survey))
    survey.mkdir()
    survey.chmod(0o777)
    began = time.monotonic()
    podman(
        "run", "--rm", "--network=none", *_BOUNDS, f"--volume={_flight(5)}:/flight:ro",
        f"--volume={survey}:/survey", _image("worker", architecture), "python", "-m",
        "reconstruction", "/flight", "/survey", "--quality", "preview",
    )  # fmt: skip
    told(f"{architecture} worker reconstructed a small flight in {time.monotonic() - began:.0f} s")
    facts = json.loads((survey / "survey.json").read_text())
    assert (survey / "dsm.tif").stat().st_size > 10_000
    told(f"{architecture} software", str(facts.get("software")))


def _flight(photos: int) -> Path:
    """A folder of so many simulated photos."""
    folder = FOLDER / f"flight-{photos}"
    run(
        sys.executable, "-m", "reconstruction.synthetic", str(folder), "--size", "small",
        "--photos", str(photos),
    )  # fmt: skip
    return folder / "images"


def _image(target: str, architecture: str) -> str:
    of_other = "" if architecture == _NATIVE else f"-{architecture}"
    return f"cairn-{target}:{metadata.version('cairn')}{of_other}"


def _python(image: str, code: str) -> str:
    return podman(
        "run", "--rm", "--network=none", *_BOUNDS, image, "python", "-W", "ignore", "-c", code
    )


if __name__ == "__main__":
    sys.exit(main())
