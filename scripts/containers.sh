# Sourced: lets buildah and podman run as root where neither systemd nor a daemon is.
if [ ! -d /run/systemd/system ] && [ -z "${CONTAINERS_CONF:-}" ]; then
    mkdir -p build/containers
    cat > build/containers/containers.conf <<'END'
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=16384:16384"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
END
    export CONTAINERS_CONF=$PWD/build/containers/containers.conf
fi
case $(uname -m) in x86_64) native=amd64 ;; aarch64) native=arm64 ;; esac
version=$(sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml | head -1)
# Images of the other architecture have it in their tag.
tag() { [ "$1" = "$native" ] && echo "$version" || echo "$version-$1"; }
