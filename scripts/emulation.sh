#!/usr/bin/env bash
# Let the kernel run programs of another architecture: emulation.sh ARCHITECTURE
set -euo pipefail
cd "$(dirname "$0")/.."
case $1 in amd64) name=x86_64 ;; arm64) name=aarch64 ;; esac
rules=/proc/sys/fs/binfmt_misc

bash scripts/packages.sh qemu-user-static
[ -e "$rules/register" ] || mount -t binfmt_misc binfmt_misc "$rules"
[ -e "$rules/qemu-$name" ] || cat "/usr/lib/binfmt.d/qemu-$name.conf" > "$rules/register"
