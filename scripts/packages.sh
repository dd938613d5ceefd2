#!/usr/bin/env bash
# Install those of the named Debian packages that are missing: packages.sh NAME...
set -euo pipefail

if ! command -v dpkg-query >/dev/null; then
    echo "This is no Debian: these must be there under their own names: $*"
    exit 0
fi
missing=()
for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
        missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

echo "Installing system packages: ${missing[*]}"
root=()
[ "$(id -u)" = 0 ] || root=(sudo)
"${root[@]}" apt-get update -qq
"${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
