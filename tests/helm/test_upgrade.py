"""What an upgrade changes: Kubernetes would refuse the rest, and the release be stuck half way."""

import shutil

import pytest
import yaml

from tests.helm.chart import CHART, EXAMPLES, HELMS, changed, example, run, tool

# Of these kinds Kubernetes lets nobody change the named fields.
FIXED = {
    "Deployment": ("selector",),
    "StatefulSet": ("selector", "serviceName", "volumeClaimTemplates", "podManagementPolicy"),
    "PersistentVolumeClaim": ("accessModes", "storageClassName", "volumeName"),
    "Service": ("clusterIP",),
    # Of CloudNativePG: the operator refuses it.
    "Pooler": ("cluster",),
    "ScheduledBackup": ("cluster",),
}
# What people change in the life of an installation.
CHANGES = {
    "images.tag": "0.2.0",
    "publicUrl": "https://piles.example.org",
    "settings.maxPhotoMb": 300,
    "web.threads": 4,
    "web.resources": {"requests": {"cpu": "1", "memory": "2Gi"}},
    "workers.idleSeconds": 60,
    "workers.pools.survey.max": 40,
    "workers.pools.survey.graceSeconds": 7200,
    "queue.internal.resources": {"requests": {"cpu": "1", "memory": "1Gi"}},
    "network.policies.enabled": True,
    "monitoring.serviceMonitor": True,
}


@pytest.fixture
def next_chart(tmp_path):
    """The chart of the next version."""
    made = tmp_path / "cairn"
    shutil.copytree(CHART, made)
    facts = yaml.safe_load((made / "Chart.yaml").read_text())
    (made / "Chart.yaml").write_text(
        yaml.safe_dump(facts | {"version": "9.9.9", "appVersion": "9.9.9"})
    )
    return made


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES])
def test_an_upgrade_asks_for_nothing_that_kubernetes_refuses(tmp_path, next_chart, helm, name):
    values = example(name)
    before = fixed(upgraded(tmp_path, CHART, helm, values))
    for path, value in CHANGES.items():
        if not (path == "publicUrl" and example(name)["publicUrl"].startswith("http:")):
            values = changed(values, path, value)
    objects = upgraded(tmp_path, next_chart, helm, values)
    assert before
    assert {key: found for key, found in fixed(objects).items() if key in before} == before
    jobs = [item for item in objects if item["kind"] == "Job"]
    # A Job cannot be changed at all: the one before is taken away.
    for job in jobs:
        policy = job["metadata"]["annotations"]["helm.sh/hook-delete-policy"]
        assert "before-hook-creation" in policy


def upgraded(folder, chart, helm, values):
    """The objects that an upgrade with these values applies."""
    path = folder / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    done = run(
        tool(helm), "template", "cairn", chart, "--namespace", "quarry", "--is-upgrade",
        "--values", path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def fixed(objects):
    """Fields that stay as they are, by object."""
    return {
        (item["kind"], item["metadata"]["name"], field): item["spec"].get(field)
        for item in objects
        for field in FIXED.get(item["kind"], ())
    }
