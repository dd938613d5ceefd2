#!/usr/bin/env bash
# Look at what the chart renders with checkov, in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=build/checkov
[ -x "$tools/bin/checkov" ] || {
    python3.11 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check 'checkov>=3.2,<4'
}
# Not followed, and why:
# CKV_K8S_11 CPU limits: they slow a worker down where the node has cores to spare.
# CKV_K8S_43 digests: the tag is the version, of images of one's own.
# CKV_K8S_15 pull policy Always: a box at a quarry has no registry to ask.
# CKV_K8S_35 secrets as files: the application is configured by its environment, and Valkey gets its
#   password where no list of processes shows it.
# CKV_K8S_8 CKV_K8S_9 probes: worker, clock and migrations serve nobody; what ends is started again, and
#   rq's registry and the rows say whether a worker lives.
# CKV_K8S_21 default namespace: the release names it, and Helm puts it there.
not_followed=CKV_K8S_8,CKV_K8S_9,CKV_K8S_11,CKV_K8S_15,CKV_K8S_21,CKV_K8S_35,CKV_K8S_43
rendered=$(mktemp -d)
trap 'rm -rf "$rendered"' EXIT
for values in helm/cairn/ci/*.yaml; do
    build/chart-tools/helm4 template cairn helm/cairn --namespace quarry --values "$values" \
        > "$rendered/$(basename "$values")"
done
"$tools/bin/checkov" --directory "$rendered" --framework kubernetes --compact --quiet --skip-download \
    --skip-check "$not_followed"
