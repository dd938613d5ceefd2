#!/usr/bin/env bash
# Renew requirements.lock: the newest releases that pyproject.toml allows, for every platform, with
# the hashes of all their wheels.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=build/lock
python3.11 -m venv --clear "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check uv
"$tools/bin/uv" pip compile pyproject.toml --extra dev --upgrade --generate-hashes \
    --python-version 3.11 --universal \
    --no-config --native-tls --no-header --no-annotate --no-emit-index-url --quiet \
    --output-file requirements.lock
