"""What cannot work is refused, each with its reason and remedy."""

import pytest

from tests.helm.chart import CHART, HELMS, RefusedError, changed, example, render

# Example, changes of it, and what the refusal must say.
REFUSALS = [
    ("whole", {"publicUrl": ""}, "publicUrl is empty"),
    ("whole", {"secrets.application.name": ""}, "secrets.application.name is empty"),
    ("external-s3", {"settings.signOn.issuer": ""}, "needs settings.signOn.issuer and"),
    ("external-s3", {"secrets.signOn.name": ""}, "needs secrets.signOn.name"),
    ("external-s3", {"database.external.name": ""}, "database.external.name is empty"),
    ("whole", {"database.cluster.image": ""}, "database.cluster.image is empty"),
    ("whole", {"database.cluster.backup.destination": ""}, "needs database.cluster.backup.dest"),
    ("whole", {"database.cluster.backup.credentials.name": ""}, "backup.credentials.name"),
    ("whole", {"database.cluster.pooler.poolSize": 50}, "instances x poolSize is 100"),
    ("volume", {"web.processes": 4}, "the web may open 128 of"),
    (
        "volume",
        {"database.cluster.restore.serverName": "lost"},
        "restore.serverName needs database.cluster.backup",
    ),
    ("whole", {"database.cluster.restore.serverName": "cairn-database"}, "another name"),
    ("whole", {"database.cluster.restore.targetTime": "2026-11-25"}, "targetTime needs"),
    ("whole", {"queue.internal.name": ""}, "queue.internal.name is empty"),
    ("external-s3", {"queue.external.name": ""}, "queue.external.name is empty"),
    ("external-s3", {"queue.external.address": ""}, "needs queue.external.address"),
    ("whole", {"storage.s3.url": ""}, "storage.s3.url is empty"),
    ("volume", {"storage.volume.storageClass": ""}, "neither storage.volume.existingClaim nor"),
    ("volume", {"storage.volume.accessMode": "ReadWriteOnce"}, "all pods must be on one node"),
    ("whole", {"ingress.enabled": True}, "exclude each other: choose one way"),
    ("external-s3", {"ingress.tlsSecret": ""}, "ingress.tlsSecret is empty"),
    ("external-s3", {"publicUrl": "http://a.example"}, "tlsSecret is set but publicUrl is http"),
    ("whole", {"gateway.className": ""}, "gateway.name of an existing Gateway or"),
    ("whole", {"gateway.name": "public"}, "gateway.name and gateway.className exclude"),
    ("whole", {"gateway.tlsSecret": ""}, "gateway.tlsSecret is empty"),
    ("whole", {"monitoring.serviceMonitor": False}, "monitoring.alerts needs"),
    ("whole", {"storage.s3.endpoint": "http://seaweed.data.svc:8333"}, "egressPorts lacks 8333"),
    ("whole", {"web.autoscaling.min": 11}, "web.autoscaling.min (11) is more than"),
    ("whole", {"web.resources.requests.cpu": None}, "needs web.resources.requests.cpu"),
    ("whole", {"workers.pools.survey.queues": []}, "workers.pools.survey.queues is empty"),
    ("whole", {"workers.pools.survey.min": 21}, "workers.pools.survey: min (21) is more"),
    ("site", {"workers.pools.survey.min": 0}, "nobody would ever do its work"),
    ("whole", {"workers.pools.large.resources.requests.cpu": None}, "requests of cpu and"),
    ("whole", {"workers.pools.survey.queues": ["short"]}, "is in two pools"),
]  # fmt: skip

# What the schema refuses before any rule of the chart.
TYPOS = [
    ({"web.replica": 3}, "replica"),
    ({"database.kind": "sqlite"}, "kind"),
    ({"publicUrl": "volumes.example.org"}, "publicUrl"),
    ({"web.autoscaling.min": 0}, "min"),
    ({"workers.pools.survey.queue": ["survey"]}, "queue"),
    ({"settings.maxSurveyPhotos": "many"}, "maxSurveyPhotos"),
    ({"storage.s3.url": "https://bucket"}, "url"),
]


@pytest.mark.parametrize("helm", HELMS)
@pytest.mark.parametrize(("name", "changes", "reason"), REFUSALS, ids=[r[2] for r in REFUSALS])
def test_refused_with_its_reason(helm, name, changes, reason):
    values = example(name)
    for path, value in changes.items():
        values = changed(values, path, value)
    with pytest.raises(RefusedError) as refused:
        render(values, helm)
    assert reason in str(refused.value)


def test_every_rule_has_a_refusal_here():
    rules = (CHART / "templates" / "_checks.tpl").read_text().count("{{ fail ")
    assert rules == len(REFUSALS)


@pytest.mark.parametrize(("changes", "named"), TYPOS, ids=[t[1] for t in TYPOS])
def test_the_schema_refuses_what_is_misspelt(changes, named):
    values = example("whole")
    for path, value in changes.items():
        values = changed(values, path, value)
    with pytest.raises(RefusedError, match=named):
        render(values)
