"""What the pods may do, where they are, and what becomes of work when they go."""

import json

import pytest

from app import clock
from tests.helm.chart import changed, example, one, pods, render


def containers(objects):
    """All containers with their pod."""
    return [
        (spec, container)
        for spec in pods(objects).values()
        for container in spec["containers"] + spec.get("initContainers", [])
    ]


def test_nobody_is_root_or_can_become_it(objects):
    for spec, container in containers(objects):
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not spec.get("hostNetwork")
        assert not spec.get("hostPID")


def test_no_pod_holds_a_token_of_the_cluster(objects):
    for spec in pods(objects).values():
        assert spec["automountServiceAccountToken"] is False
    assert one(objects, "ServiceAccount")["automountServiceAccountToken"] is False


def test_every_container_says_what_it_needs(objects):
    for _, container in containers(objects):
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_whoever_writes_has_a_place_to(objects):
    for spec, container in containers(objects):
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        volumes |= {"data"} if "valkey" in container["name"] else set()
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
        if container["name"] != "valkey":
            assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]


def test_secrets_come_by_reference_only(objects):
    assert not [item for item in objects if item["kind"] == "Secret"]
    for _, container in containers(objects):
        for variable in container.get("env", []):
            if any(word in variable["name"] for word in ("KEY", "PASSWORD", "MAIL")):
                assert "secretKeyRef" in variable["valueFrom"]


def test_secrets_come_before_the_addresses_made_of_them(objects):
    for _, container in containers(objects):
        seen = set()
        for variable in container.get("env", []):
            for part in ("DATABASE_USER", "DATABASE_PASSWORD", "VALKEY_PASSWORD"):
                assert f"$({part})" not in variable.get("value", "") or part in seen
            seen.add(variable["name"])


def test_a_release_stays_in_its_namespace():
    ours = render(example("whole"), release="cairn", namespace="customer-a")
    theirs = render(example("whole"), release="cairn", namespace="customer-b")
    for item in ours:
        assert item["metadata"].get("namespace", "customer-a") == "customer-a"
        assert not item["kind"].startswith("Cluster") or item["kind"] == "Cluster"
        assert item["kind"] not in ("Namespace", "PersistentVolume", "PriorityClass")
    assert "customer-a" not in json.dumps(theirs)


def test_the_namespace_can_be_bounded():
    objects = render(example("external-s3"))
    assert one(objects, "ResourceQuota")["spec"]["hard"]["requests.cpu"] == "200"
    # Where CPU and memory are bounded, containers without requests are not admitted.
    (limit,) = one(objects, "LimitRange")["spec"]["limits"]
    assert set(limit["defaultRequest"]) == {"cpu", "memory"}
    assert not [item for item in render(example("whole")) if item["kind"] == "ResourceQuota"]


def test_workers_are_on_arm64_unless_told_otherwise():
    specs = pods(render(example("whole")))
    for name, spec in specs.items():
        expected = {"kubernetes.io/arch": "arm64"} if "-worker-" in name else None
        assert spec.get("nodeSelector") == expected
    site = pods(render(example("site")))
    assert all("nodeSelector" not in spec for spec in site.values())


def test_a_busy_worker_is_left_to_finish():
    objects = render(example("whole"))
    values = {"short": 3600, "survey": 43200, "large": 86400}
    for pool, grace in values.items():
        deployment = one(objects, "Deployment", f"-worker-{pool}")
        spec = deployment["spec"]["template"]["spec"]
        assert spec["terminationGracePeriodSeconds"] == grace
        # Nothing between the pod's end and the worker: rq itself hears the signal.
        assert spec["containers"][0]["args"][0] == "python"
        assert "lifecycle" not in spec["containers"][0]
        assert "replicas" not in deployment["spec"], "KEDA counts them"
        annotations = deployment["spec"]["template"]["metadata"]["annotations"]
        assert annotations["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_a_job_in_work_counts_as_work():
    scaled = one(render(example("whole")), "ScaledObject", "-worker-large")["spec"]
    formula = scaled["advanced"]["scalingModifiers"]["formula"]
    triggers = {found["name"]: found["metadata"]["listName"] for found in scaled["triggers"]}
    assert triggers == {
        "waiting_survey_large": "rq:queue:survey-large",
        "running_survey_large": "rq:wip:survey-large",
    }
    assert formula == "waiting_survey_large + running_survey_large"
    assert scaled["advanced"]["scalingModifiers"]["target"] == "1"
    assert scaled["minReplicaCount"] == 0
    assert scaled["scaleTargetRef"]["name"] == "cairn-worker-large"


def test_a_worker_uses_the_cores_that_it_requests_and_no_more():
    for pool in ("short", "survey", "large"):
        (worker,) = pods(render(example("whole")))[f"cairn-worker-{pool}"]["containers"]
        (cores,) = [variable for variable in worker["env"] if variable["name"] == "CORES"]
        assert cores["valueFrom"] == {"resourceFieldRef": {"resource": "requests.cpu"}}


def test_what_the_clock_does_each_minute_makes_no_workers():
    scaled = one(render(example("whole")), "ScaledObject", "-worker-short")["spec"]
    each_minute = sum(seconds == 60 for seconds in clock.EVERY.values())
    assert int(scaled["advanced"]["scalingModifiers"]["target"]) >= each_minute > 1


def test_without_keda_the_number_of_workers_is_fixed():
    objects = render(example("site"))
    assert not [item for item in objects if item["apiVersion"].startswith("keda")]
    assert one(objects, "Deployment", "-worker-survey")["spec"]["replicas"] == 1


def test_web_pods_leave_after_the_last_request():
    values = changed(example("whole"), "web.drainSeconds", 7)
    spec = pods(render(values))["cairn-web"]
    web = spec["containers"][0]
    assert web["lifecycle"]["preStop"]["exec"]["command"] == ["sleep", "7"]
    assert "--graceful-timeout=60" in web["env"][-1]["value"]
    assert spec["terminationGracePeriodSeconds"] > 7 + 60
    ready = web["readinessProbe"]
    assert ready["httpGet"]["path"] == "/readyz"
    assert ready["failureThreshold"] * ready["periodSeconds"] == 30
    rolling = one(render(values), "Deployment", "-web")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}


def test_the_load_makes_web_pods_and_nothing_else_counts_them():
    objects = render(example("whole"))
    scaler = one(objects, "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 10)
    assert "replicas" not in one(objects, "Deployment", "-web")["spec"]
    assert one(render(example("site")), "Deployment", "-web")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("name", "hook"),
    [("external-s3", "pre-install,pre-upgrade"), ("whole", "post-install,pre-upgrade")],
)
def test_migrations_come_before_the_pods_that_need_them(name, hook):
    job = one(render(example(name)), "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == hook
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][-2:] == ["db", "upgrade"]
    # Pods that failed stay, with the logs that say why.
    assert job["spec"]["template"]["spec"]["restartPolicy"] == "Never"
    # Nothing of the release is there yet that it could refer to.
    assert "envFrom" not in container
    assert "serviceAccountName" not in job["spec"]["template"]["spec"]


def test_migrations_pass_the_pooler_by():
    objects = render(example("whole"))
    addresses = {
        name: next(v["value"] for v in spec["containers"][0]["env"] if v["name"] == "DATABASE_URL")
        for name, spec in pods(objects).items()
        if name != "cairn-valkey"
    }
    assert "@cairn-database-rw:5432/" in addresses.pop("cairn-migrations")
    assert all("@cairn-pooler:5432/" in address for address in addresses.values())
    assert one(objects, "Pooler")["metadata"]["name"] == "cairn-pooler"


def test_the_database_has_replicas_and_backups():
    objects = render(example("whole"))
    cluster = one(objects, "Cluster")
    assert cluster["spec"]["instances"] == 3
    store = one(objects, "ObjectStore")
    assert store["spec"]["configuration"]["destinationPath"] == "s3://cairn-backups/database"
    (plugin,) = cluster["spec"]["plugins"]
    assert plugin["isWALArchiver"]
    assert plugin["parameters"]["barmanObjectName"] == store["metadata"]["name"]
    scheduled = one(objects, "ScheduledBackup")["spec"]
    assert scheduled["cluster"] == {"name": "cairn-database"}
    assert scheduled["pluginConfiguration"]["name"] == plugin["name"]
    # What holds the books outlives a release that was removed by mistake.
    for kept in (cluster, store):
        assert kept["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    alone = one(render(example("volume")), "Cluster")["spec"]
    assert "plugins" not in alone
    assert "synchronous" not in alone.get("postgresql", {})


def test_a_new_database_begins_with_the_backups_of_a_lost_one():
    values = changed(example("whole"), "database.cluster.restore.serverName", "cairn-database")
    values = changed(values, "database.cluster.restore.targetTime", "2026-11-25T06:00:00Z")
    values = changed(values, "database.cluster.backup.serverName", "after-the-fire")
    spec = one(render(values), "Cluster")["spec"]
    assert spec["bootstrap"] == {
        "recovery": {
            "source": "lost",
            "database": "cairn",
            "owner": "cairn",
            "recoveryTarget": {"targetTime": "2026-11-25T06:00:00Z"},
        }
    }
    (source,) = spec["externalClusters"]
    assert source["name"] == "lost"
    assert source["plugin"]["parameters"]["serverName"] == "cairn-database"
    # Its own backups do not mix with those that it came from.
    assert spec["plugins"][0]["parameters"]["serverName"] == "after-the-fire"


def test_changed_settings_make_new_pods():
    def checksums(values):
        return [
            item["spec"]["template"]["metadata"]["annotations"]["checksum/settings"]
            for item in render(values)
            if item["kind"] == "Deployment"
        ]

    before = checksums(example("whole"))
    after = checksums(changed(example("whole"), "settings.maxPhotoMb", 300))
    assert len(before) == 5
    assert not set(before) & set(after)


def test_photos_on_a_volume_are_where_everybody_looks():
    objects = render(example("volume"))
    settings = one(objects, "ConfigMap", "-settings")["data"]
    assert settings["STORAGE_URL"] == "file:///data"
    claim = one(objects, "PersistentVolumeClaim")
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    for name, spec in pods(objects).items():
        if name.startswith(("cairn-web", "cairn-worker", "cairn-scheduler")):
            claims = [volume.get("persistentVolumeClaim") for volume in spec["volumes"]]
            assert {"claimName": "cairn-data"} in claims


def test_the_way_in_is_encrypted():
    ingress = one(render(example("external-s3")), "Ingress")["spec"]
    assert ingress["tls"] == [{"hosts": ["volumes.example.org"], "secretName": "cairn-tls"}]
    gateway = one(render(example("whole")), "Gateway")["spec"]["listeners"]
    assert [(found["protocol"], found["port"]) for found in gateway] == [("HTTPS", 443)]
    route = one(render(example("volume")), "HTTPRoute")["spec"]
    assert route["parentRefs"] == [{"name": "public", "namespace": "gateways"}]
    assert route["rules"][0]["backendRefs"] == [{"name": "cairn-web", "port": 80}]


def test_services_have_both_families_of_addresses():
    for item in render(example("external-s3")):
        if item["kind"] == "Service":
            assert item["spec"]["ipFamilyPolicy"] == "PreferDualStack"


def test_pods_spread_and_are_not_taken_all_at_once(objects):
    for name, spec in pods(objects).items():
        if "-web" in name or "-worker-" in name:
            keys = [found["topologyKey"] for found in spec["topologySpreadConstraints"]]
            assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
            assert one(objects, "PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1


def test_pods_talk_to_whom_they_must_only():
    objects = render(example("whole"))
    policies = {
        item["metadata"]["name"]: item["spec"]
        for item in objects
        if item["kind"] == "NetworkPolicy"
    }
    everybody = policies["cairn"]
    assert everybody["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everybody, "nobody gets in, but where another policy says so"
    labels = everybody["podSelector"]["matchLabels"]
    for item in objects:
        if item["kind"] in ("Deployment", "StatefulSet", "Job"):
            found = item["spec"]["template"]["metadata"]["labels"]
            assert labels.items() <= found.items()
    assert set(policies) == {"cairn", "cairn-web", "cairn-valkey", "cairn-database"}
    assert not [item for item in render(example("volume")) if item["kind"] == "NetworkPolicy"]
