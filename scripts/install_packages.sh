#!/bin/sh
# Inside the images' builder: the packages of a lock file, and this project's metadata, in /opt/cairn.
set -eu
# A network with certificates of its own hands them in.
[ ! -f /run/secrets/certificates ] || export PIP_CERT=/run/secrets/certificates
python3 -m venv /opt/cairn
pip() { /opt/cairn/bin/python -m pip --disable-pip-version-check "$@"; }
pip install --quiet --no-cache-dir --no-deps --require-hashes --only-binary :all: \
    --no-compile --requirement "$1"
packages=$(/opt/cairn/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Found from any folder, and by its name and version.
echo /srv/cairn > "$packages/cairn.pth"
mkdir "$packages/cairn-$VERSION.dist-info"
printf 'Metadata-Version: 2.1\nName: cairn\nVersion: %s\n' "$VERSION" \
    > "$packages/cairn-$VERSION.dist-info/METADATA"
# The queue's server has an image of its own.
server=$(find "$packages" -name valkey-server)
[ -z "$server" ] || cp "$server" /opt/cairn/bin/
pip uninstall --quiet --yes setuptools pip
# Compiled once here, for the images are read-only.
/opt/cairn/bin/python -m compileall -q -x "/tests?/" "$packages" || true
