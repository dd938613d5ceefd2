#!/usr/bin/env bash
# Try the images as they will run: images_check.sh [amd64|arm64]...
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/containers.sh

bash scripts/packages.sh podman runc podman-compose netavark aardvark-dns iptables catatonit
for architecture in "$@"; do
    [ "$architecture" = "$native" ] || bash scripts/emulation.sh "$architecture"
done
exec .venv/bin/python -m scripts.images_check "$@"
