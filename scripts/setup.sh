#!/usr/bin/env bash
# Install the system packages that are missing, then .venv with exactly the locked Python packages.
set -euo pipefail
cd "$(dirname "$0")/.."

# Open3D's wheel links the graphics and USB libraries even where nothing is shown, Numba's OpenMP
# layer libgomp1, Rasterio's GDAL libexpat1. PostGIS holds the application's rows.
packages=(libegl1 libexpat1 libgl1 libgomp1 libidn2-0 libudev1 libusb-1.0-0 libx11-6
    postgresql-15 postgresql-15-postgis-3)

python=$(command -v python3.11 || true)
if [ -z "$python" ] || ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    packages+=(python3.11 python3.11-venv)
fi
bash scripts/packages.sh "${packages[@]}"

echo "Installing Python packages into .venv"
"${python:-python3.11}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --require-hashes --only-binary :all: --requirement requirements.lock
.venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --no-deps --no-build-isolation --editable .
