#!/usr/bin/env bash
# Build the images with buildah, as root and without a daemon: images.sh [amd64|arm64]...
# The base is made by debootstrap of Debian's archive, so no image registry is asked.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/containers.sh
architectures=${*:-$native}

bash scripts/packages.sh buildah debootstrap podman runc
for architecture in $architectures; do
    [ "$architecture" = "$native" ] || bash scripts/emulation.sh "$architecture"
done

# The root file system of Debian 12, tagged as the official base.
base() {
    local root=build/containers/root-$1 from
    rm -rf "$root"
    debootstrap --variant=minbase --arch="$1" bookworm "$root" > "build/containers/debootstrap-$1.log"
    rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,man,locale}/*
    from=$(buildah from --arch "$1" scratch)
    buildah copy --quiet "$from" "$root" /
    buildah config --cmd bash "$from"
    buildah commit --quiet --rm "$from" "debian:12-slim-$1"
    rm -rf "$root"
}

certificates=/etc/ssl/certs/ca-certificates.crt
mkdir -p build/containers
for architecture in $architectures; do
    buildah inspect --type image "debian:12-slim-$architecture" > /dev/null 2>&1 || base "$architecture"
    for target in web worker valkey postgis proxy; do
        echo "Building $target for linux/$architecture"
        buildah build --platform "linux/$architecture" --isolation chroot --network host --layers \
            --pull=never --build-arg BASE="debian:12-slim-$architecture" \
            --build-arg VERSION="$version" --secret "id=certificates,src=$certificates" \
            --target "$target" --tag "cairn-$target:$(tag "$architecture")" \
            --file Containerfile . > "build/containers/$target-$architecture.log" 2>&1 || {
            tail -20 "build/containers/$target-$architecture.log"
            exit 1
        }
    done
done
buildah images --filter reference=cairn-*
