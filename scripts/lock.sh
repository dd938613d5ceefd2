#!/usr/bin/env bash
# Renew requirements.lock: the newest releases that pyproject.toml allows, for Python 3.11 on
# Linux x86-64 with the C library of Debian 12.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=build/lock
python3.11 -m venv --clear "$tools"
"$tools/bin/pip" install --quiet --disable-pip-version-check uv
"$tools/bin/uv" pip compile pyproject.toml --extra dev --upgrade --generate-hashes \
    --python-version 3.11 --python-platform x86_64-manylinux_2_36 \
    --no-config --native-tls --no-header --no-annotate --no-emit-index-url --quiet \
    --output-file requirements.lock
