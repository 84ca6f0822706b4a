"""What values change about the pods of the release and of runs, as the chart renders it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.chart import (
    API,
    NAME,
    RELEASE,
    Object,
    Values,
    config_of,
    everything,
    helm_template,
    named,
    of_kind,
    operators,
    render,
    with_namespace,
)  # fmt: skip

DIGEST = f"sha256:{'a' * 64}"
OPENSHIFT = {"runAsUser": 1000730000, "runAsGroup": 0, "fsGroup": 1000730000}
# A value of its own for each component, beside one for all.
PLACED: Values = {
    "teamNamespaces": ["reports"],
    "nameOverride": "rs",
    "fullnameOverride": "scheduler",
    "global": {"imageRegistry": "mirror.test:5000", "imagePullSecrets": [{"name": "global"}]},
    "imagePullSecrets": [{"name": "own"}],
    "image": {"repository": "team/reports", "digest": DIGEST},
    "commonLabels": {"cost-centre": "7"},
    "replicas": 2,
    "priorityClassName": "all",
    "nodeSelector": {"pool": "all"},
    "tolerations": [{"operator": "Exists"}],
    "podLabels": {"shared": "1", "of": "operator"},
    "podAnnotations": {"shared": "1"},
    "revisionHistoryLimit": 2,
    "strategy": {"type": "Recreate"},
    "livenessProbe": {"failureThreshold": 9},
    "extraArgs": ["--config=/other"],
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
    "extraEnvFrom": [{"configMapRef": {"name": "more"}}],
    "extraVolumes": [{"name": "ca", "configMap": {"name": "ca"}}],
    "extraVolumeMounts": [{"name": "ca", "mountPath": "/ca", "readOnly": True}],
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "podSecurityContext": {"supplementalGroups": [7]},
    "podDisruptionBudget": {"enabled": True, "maxUnavailable": "50%"},
    "serviceAccount": {"create": False, "name": "of-the-platform"},
    "adminApi": {
        "network": True,
        "priorityClassName": "api",
        "nodeSelector": {},
        "podLabels": {"of": "api"},
        "podSecurityContext": {"runAsUser": 7},
        "containerSecurityContext": {"runAsGroup": 7},
        "extraEnv": [{"name": "SSL_CERT_FILE", "value": "/ca/all.pem"}],
    },
    "postgres": {"tolerations": [], "podAnnotations": {"backup": "yes"}},
    "output": {"fileServer": {"enabled": True, "podLabels": {"of": "files"}}},
    "config": {"runner": {"podSecurityContext": {**OPENSHIFT, "supplementalGroups": [9]}}},
}


@pytest.fixture(scope="module")
def placed() -> list[Object]:
    return everything(PLACED)


def pods(objects: list[Object]) -> dict[str, Any]:
    """Pod templates by the name of their object; a Pod is one itself."""
    return {
        o["metadata"]["name"]: o if o["kind"] == "Pod" else o["spec"]["template"]
        for o in of_kind(objects, "Deployment", "StatefulSet", "Pod")
    }


def test_names_registry_digest_and_common_labels(placed: list[Object], tmp_path: Path) -> None:
    found = pods(placed)
    assert set(found) == {
        "scheduler", "scheduler-api", "scheduler-test", "postgres", "redis", "adaf-reports-files"
    }  # fmt: skip
    image = f"mirror.test:5000/team/reports@{DIGEST}"
    for name, pod in found.items():
        (container,) = pod["spec"]["containers"]
        bundled = name in ("postgres", "redis")
        expected = "mirror.test:5000/adaf-services:0.1.0" if bundled else image
        assert container["image"] == expected
        pulled = [{"name": "global"}, {"name": "own"}]
        assert pod["spec"]["imagePullSecrets"] == pulled
        assert pod["metadata"]["labels"]["cost-centre"] == "7"
    assert all(o["metadata"]["labels"]["cost-centre"] == "7" for o in placed)
    config = named(placed, "ConfigMap", "scheduler")["data"]["config.yaml"]
    (tmp_path / "config.yaml").write_text(config)
    assert f"image: {json.dumps(image)}" in config
    jobs = str(named(placed, "ValidatingAdmissionPolicy", "scheduler-own-jobs"))
    # The policy holds the operator to the image that it is given, wherever it comes from.
    assert "mirror\\\\.test:5000/team/reports(" in jobs
    assert "'system:serviceaccount:report-scheduler:of-the-platform'" in jobs
    assert "'system:serviceaccount:report-scheduler:scheduler-api'" in jobs


def test_placement_is_of_all_pods_unless_one_has_its_own(placed: list[Object]) -> None:
    specs = {name: pod["spec"] for name, pod in pods(placed).items()}
    classes = {name: spec["priorityClassName"] for name, spec in specs.items()}
    assert classes == {**dict.fromkeys(specs, "all"), "scheduler-api": "api"}
    assert [n for n, spec in specs.items() if "nodeSelector" not in spec] == ["scheduler-api"]
    assert [n for n, spec in specs.items() if "tolerations" not in spec] == ["postgres"]
    (spread,) = specs["scheduler"]["topologySpreadConstraints"]
    selector = spread["labelSelector"]["matchLabels"]
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(placed).items()}
    assert [n for n, has in labels.items() if selector.items() <= has.items()] == ["scheduler"]
    # Two replicas keep apart; one has nothing to keep apart from.
    assert [name for name, spec in specs.items() if "affinity" in spec] == ["scheduler"]
    assert {n: has["of"] for n, has in labels.items() if "of" in has} == {
        "scheduler": "operator", "scheduler-api": "api", "adaf-reports-files": "files"
    }  # fmt: skip
    annotations = {n: pod["metadata"].get("annotations", {}) for n, pod in pods(placed).items()}
    assert [n for n, has in annotations.items() if "shared" in has] == [
        "scheduler-api", "scheduler"
    ]  # fmt: skip
    assert annotations["postgres"]["backup"] == "yes"


def test_process_settings(placed: list[Object]) -> None:
    deployment = named(placed, "Deployment", "scheduler")["spec"]
    assert deployment["strategy"] == {"type": "Recreate"}
    assert deployment["revisionHistoryLimit"] == 2
    assert deployment["template"]["spec"]["serviceAccountName"] == "of-the-platform"
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["command"][3:] == ["--config=/other"]
    assert container["livenessProbe"]["failureThreshold"] == 9
    assert container["livenessProbe"]["periodSeconds"] == 15
    assert {"name": "HTTPS_PROXY", "value": "http://proxy:3128"} in container["env"]
    assert container["envFrom"] == [{"configMapRef": {"name": "more"}}]
    assert container["volumeMounts"][-1]["mountPath"] == "/ca"
    assert deployment["template"]["spec"]["volumes"][-1]["name"] == "ca"
    (api,) = named(placed, "Deployment", "scheduler-api")["spec"]["template"]["spec"]["containers"]
    assert [item["name"] for item in api["env"]] == ["POD_NAMESPACE", "SSL_CERT_FILE"]
    accounts = {o["metadata"]["name"] for o in of_kind(placed, "ServiceAccount")}
    assert accounts == {"scheduler-test", "scheduler-api"}
    budgets = {o["spec"]["maxUnavailable"] for o in of_kind(placed, "PodDisruptionBudget")}
    assert budgets == {"50%"}
    subjects = {
        subject["name"]
        for o in of_kind(placed, "RoleBinding", "ClusterRoleBinding")
        for subject in o["subjects"]
    }
    assert subjects == {"of-the-platform", "scheduler-api", "scheduler-test"}


def test_users_of_the_release_and_of_runs(placed: list[Object], tmp_path: Path) -> None:
    users = {n: pod["spec"]["securityContext"].get("runAsUser") for n, pod in pods(placed).items()}
    assert users == {
        **dict.fromkeys(users, 65532), "scheduler-api": 7, "adaf-reports-files": 1000730000
    }  # fmt: skip
    for name, pod in pods(placed).items():
        context = pod["spec"]["securityContext"]
        groups = [9] if name == "adaf-reports-files" else [7]
        assert context["supplementalGroups"] == groups
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    text = named(placed, "ConfigMap", "scheduler")["data"]["config.yaml"]
    renamed = [{"kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"config.yaml": text}}]
    settings = config_of(renamed, tmp_path).runner.pod_settings()
    assert settings.security_context == {**OPENSHIFT, "supplementalGroups": [9]}
    for policy in ("jobs", "cronjobs"):
        rules = str(named(placed, "ValidatingAdmissionPolicy", f"scheduler-own-{policy}"))
        assert "supplementalGroups.all(g, g in [9])" in rules


@pytest.mark.parametrize(
    ("values", "flags"),
    [({"arbitraryUser": True}, []), ({}, ["--api-versions=security.openshift.io/v1"])],
    ids=["by-value", "on-openshift"],
)
def test_where_the_platform_assigns_users_no_pod_names_one(
    values: Values, flags: list[str], tmp_path: Path
) -> None:
    values = {**with_namespace(values), "output": {"fileServer": {"enabled": True}}}
    objects = everything(values, flags=flags)
    found = pods(objects)
    assert len(found) == 6
    for pod in found.values():
        assert not {"runAsUser", "runAsGroup", "fsGroup"} & set(pod["spec"]["securityContext"])
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    assert config_of(objects, tmp_path).runner.pod_settings().arbitrary_user is True


def test_rights_and_accounts_of_somebody_else() -> None:
    objects = render({"rbac": {"create": False}, "serviceAccount": {"name": "op"}})
    assert not of_kind(objects, "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
    assert operators(objects)["spec"]["template"]["spec"]["serviceAccountName"] == "op"
    assert {o["metadata"]["name"] for o in of_kind(objects, "ServiceAccount")} == {"op", API}


def test_a_null_takes_a_key_out_of_a_security_context() -> None:
    objects = render({"podSecurityContext": {"fsGroup": None}, "resources": {"limits": None}})
    pod = operators(objects)["spec"]["template"]["spec"]
    assert "fsGroup" not in pod["securityContext"]
    assert pod["securityContext"]["runAsUser"] == 65532
    assert "limits" not in pod["containers"][0]["resources"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"serviceAccount": {"name": "one"}, "adminApi": {"serviceAccount": {"name": "one"}}},
            "the network reaches would have the operator's rights",
        ),
        ({"serviceAccount": {"create": False}}, "name the account that is there"),
        ({"serviceAccount": {"name": "default"}}, "which every pod of the namespace has"),
        (
            {"commonLabels": {"app.kubernetes.io/name": "x"}},
            "/commonLabels/app.kubernetes.io~1name",
        ),
        ({"podLabels": {"app.kubernetes.io/instance": "x"}}, "/podLabels/app.kubernetes.io~1"),
        ({"fullnameOverride": "true"}, "/fullnameOverride"),
        ({"nameOverride": "1e3"}, "/nameOverride"),
        ({"image": {"digest": "sha256:short"}}, "/image/digest"),
        ({"config": {"runner": {"podSecurityContext": {"runAsUser": 0}}}}, "runAsUser"),
        ({"config": {"runner": {"podSecurityContext": {"runAsNonRoot": False}}}}, "runAsNonRoot"),
        ({"config": {"runner": {"podSecurityContext": {"sysctls": []}}}}, "sysctls"),
        ({"extraEnv": [{"name": "POD_NAMESPACE", "value": "x"}]}, "/extraEnv/0/name"),
        ({"extraVolumes": [{"name": "config"}]}, "/extraVolumes/0/name"),
        ({"containerSecurityContext": {"privileged": True}}, "privileged"),
        ({"livenessProbe": {"httpGet": {"path": "/"}}}, "httpGet"),
        ({"config": {"logging": {"level": "loud"}}}, "/config/logging/level"),
        ({"helmTest": {"namespace": "elsewhere"}}, "elsewhere is not watched"),
        ({"imagePullSecrets": ["pull"]}, "/imagePullSecrets/0"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_values_that_would_hurt_are_refused(values: Values, words: str) -> None:
    done = helm_template(with_namespace(values))
    assert done.code != 0
    assert words in done.err


def test_the_test_of_the_release_has_one_right_where_it_works_and_only_while_it_runs() -> None:
    hooks = [o for o in everything({}) if "helm.sh/hook" in o["metadata"].get("annotations", {})]
    kinds = sorted(o["kind"] for o in hooks)
    assert kinds == ["ConfigMap", "Pod", "Role", "RoleBinding", "ServiceAccount"]
    assert {o["metadata"]["annotations"]["helm.sh/hook"] for o in hooks} == {"test"}
    for o in hooks:
        policy = o["metadata"]["annotations"]["helm.sh/hook-delete-policy"].split(",")
        assert set(policy) == {"before-hook-creation", "hook-succeeded"}
    (role,) = of_kind(hooks, "Role")
    assert role["metadata"]["namespace"] == "reports"
    assert role["rules"] == [
        {
            "apiGroups": ["reports.adaf.io"],
            "resources": ["reportschedules"],
            "verbs": ["create"],
        },
        {
            "apiGroups": ["reports.adaf.io"],
            "resources": ["reportschedules"],
            "resourceNames": [f"{RELEASE}-helm-test"],
            "verbs": ["get", "delete"],
        },
    ]
    cluster = everything({"config": {"watchAllNamespaces": True}})
    assert not [o for o in cluster if "helm.sh/hook" in o["metadata"].get("annotations", {})]


def test_closed_egress_leaves_what_each_needs() -> None:
    values: Values = {
        "teamNamespaces": ["reports"],
        "output": {"fileServer": {"enabled": True}},
        "networkPolicy": {
            "metricsFrom": [{"namespaceSelector": {}}],
            "egress": {
                "enabled": True,
                "apiServer": [{"cidr": "10.0.0.1/32", "ports": [6443]}],
                "to": [{"cidr": "10.9.0.0/16", "ports": [5432]}],
            },
        },
    }
    objects = render(values)

    def goes(name: str) -> list[tuple[Any, list[int]]]:
        return [
            (
                peer.get("ipBlock", {}).get("cidr")
                or peer["podSelector"]["matchLabels"].get("app.kubernetes.io/name", "dns"),
                [port["port"] for port in rule["ports"]],
            )
            for rule in named(objects, "NetworkPolicy", name)["spec"]["egress"]
            for peer in rule["to"]
        ]

    shared = [("dns", [53, 53]), ("10.0.0.1/32", [6443]), ("postgres", [5432]), ("redis", [6379])]
    own = ("10.9.0.0/16", [5432])
    assert goes(f"{NAME}-egress") == [*shared, own]
    more = [("adaf-report-scheduler", [9090]), ("adaf-reports-files", [8000])]
    assert goes(f"{API}-egress") == [*shared, *more, own]
    files = named(objects, "NetworkPolicy", "adaf-reports-files-egress")["spec"]
    assert files["policyTypes"] == ["Egress"]
    assert "egress" not in files
    health, metrics = named(objects, "NetworkPolicy", NAME)["spec"]["ingress"]
    assert "from" not in health
    # The admin API passes the metrics on, whoever else may scrape them.
    assert metrics["from"][0]["podSelector"]["matchLabels"]["app.kubernetes.io/name"].endswith(
        "-api"
    )
    refused = helm_template(
        {**values, "networkPolicy": {"enabled": False, "egress": {"enabled": True}}}
    )
    assert "networkPolicy.egress.enabled needs networkPolicy.enabled" in refused.err
