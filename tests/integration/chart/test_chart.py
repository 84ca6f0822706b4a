"""The chart as `helm` renders it; needs no cluster."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.chart import (
    API,
    CHART,
    CRDS,
    FULL,
    NAME,
    RELEASE,
    VALUES,
    Object,
    Values,
    config_of,
    helm_template,
    named,
    of_kind,
    operators,
    render,
    run,
    with_namespace,
)  # fmt: skip

EVERYWHERE = Counter(
    {
        "ServiceAccount": 2, "ConfigMap": 1, "Deployment": 2, "Service": 1, "ClusterRole": 2,
        "Role": 2, "RoleBinding": 2, "ValidatingAdmissionPolicy": 7,
        "ValidatingAdmissionPolicyBinding": 7,
    }
)  # fmt: skip
NOT_SMALL = Counter(
    {
        "CustomResourceDefinition": 2, "ValidatingAdmissionPolicy": 4, "NetworkPolicy": 2,
        "ValidatingAdmissionPolicyBinding": 4,
    }
)  # fmt: skip
CLUSTER = Counter({"ClusterRole": 2, "ClusterRoleBinding": 2})
WARNING = Counter(["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"])
EACH_WATCHED = Counter({"Role": 2, "RoleBinding": 2})
STORE = Counter(["StatefulSet", "Service", "ConfigMap", "Secret", "NetworkPolicy"])
EACH_TEAM = EACH_WATCHED + Counter({"PersistentVolumeClaim": 1, "NetworkPolicy": 1})
KINDS = {
    "cluster": EVERYWHERE + NOT_SMALL + CLUSTER + STORE + STORE,
    "team": EVERYWHERE + NOT_SMALL + WARNING + STORE + STORE + EACH_TEAM,
    "full": (
        EVERYWHERE + NOT_SMALL + WARNING + STORE + EACH_TEAM + EACH_TEAM
        + Counter({"PodDisruptionBudget": 2})
    ),
    "small": EVERYWHERE + WARNING + EACH_WATCHED + EACH_WATCHED,
}  # fmt: skip


@pytest.fixture(scope="module", params=VALUES)
def rendered(request: pytest.FixtureRequest) -> tuple[str, list[Object]]:
    return request.param, render(VALUES[request.param])


@pytest.fixture
def objects(rendered: tuple[str, list[Object]]) -> list[Object]:
    return rendered[1]


def includes(labels: dict[str, str], selector: dict[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from leaves(child)
    else:
        yield value


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_lint_passes(values: Values, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(json.dumps(values))
    done = run("helm", "lint", "--strict", str(CHART), "--values", str(tmp_path / "values.yaml"))
    assert done.code == 0, done.out + done.err
    assert "[ERROR]" not in done.out + done.err
    assert "[WARNING]" not in done.out + done.err


def test_the_objects_are_those_expected(rendered: tuple[str, list[Object]]) -> None:
    name, objects = rendered
    assert Counter(found["kind"] for found in objects) == KINDS[name]
    keys = [(o["kind"], o["metadata"].get("namespace"), o["metadata"]["name"]) for o in objects]
    assert len(set(keys)) == len(keys)


def test_text_values_are_quoted(objects: list[Object]) -> None:
    for found in [*objects, *render({}, release="2024", namespace="7")]:
        meta = found["metadata"]
        names = [meta["name"], meta.get("namespace", ""), *leaves(meta.get("labels", {}))]
        names += leaves(meta.get("annotations", {}))
        assert all(isinstance(name, str) for name in names), found


@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_the_same_values_give_the_same_text(values: Values) -> None:
    """Except passwords, which are generated where no cluster has them."""
    texts = [helm_template(with_namespace(values)) for _ in range(2)]
    assert [text.code for text in texts] == [0, 0]
    first, second = (re.sub(r"(\n  password: ).*", r"\1", text.out) for text in texts)
    assert first == second


def test_containers_are_locked_down(objects: list[Object]) -> None:
    pods = [o["spec"]["template"]["spec"] for o in of_kind(objects, "Deployment", "StatefulSet")]
    containers = [
        (pod, container)
        for pod in pods
        for container in [*pod["containers"], *pod.get("initContainers", ())]
    ]
    for pod, container in containers:
        own = container["securityContext"]
        both = {**pod["securityContext"], **own}
        assert own["readOnlyRootFilesystem"] is True
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert not own.get("privileged")
        assert both["runAsNonRoot"] is True
        assert both["runAsUser"] > 0
        assert both["seccompProfile"] == {"type": "RuntimeDefault"}
        assert set(container["resources"]["requests"]) >= {"cpu", "memory"}
        assert set(container["resources"]["limits"]) == {"cpu", "memory", "ephemeral-storage"}
    for pod in pods:
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        assert pod["enableServiceLinks"] is False
        assert all({"configMap", "emptyDir", "secret"} & set(volume) for volume in pod["volumes"])


def test_only_operator_and_admin_api_get_a_token_each_its_own(objects: list[Object]) -> None:
    for found in of_kind(objects, "StatefulSet"):
        assert found["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    for name in (NAME, API):
        assert named(objects, "ServiceAccount", name)["automountServiceAccountToken"] is False
        pod = named(objects, "Deployment", name)["spec"]["template"]["spec"]
        assert pod["automountServiceAccountToken"] is True
        assert pod["serviceAccountName"] == name


def test_no_role_grants_secrets_or_wildcards(objects: list[Object]) -> None:
    roles = of_kind(objects, "Role", "ClusterRole")
    rules = [rule for role in roles for rule in role["rules"]]
    assert len(rules) >= len(roles)
    for rule in rules:
        assert "*" not in set(leaves(rule)), rule
        assert not any(resource.startswith("secrets") for resource in rule["resources"]), rule
        assert not {"impersonate", "escalate", "bind"} & set(rule["verbs"]), rule
        assert "nonResourceURLs" not in rule


def test_rights_are_given_in_the_cluster_only_where_that_was_said(
    rendered: tuple[str, list[Object]],
) -> None:
    name, objects = rendered
    assert bool(of_kind(objects, "ClusterRoleBinding")) is (name == "cluster")


def test_an_install_that_would_watch_nothing_is_refused() -> None:
    done = helm_template({})
    assert done.code != 0
    assert "teamNamespaces is empty: name the namespaces" in done.err
    both = {"watchAllNamespaces": True, "watchNamespaces": ["a"]}
    assert "one of them has to go" in helm_template({"config": both}).err
    left = helm_template({"teamNamespaces": ["a", "b"], "config": {"watchNamespaces": ["a"]}})
    assert "teamNamespaces has b, config.watchNamespaces has not" in left.err


def test_without_the_admin_api_nothing_of_it_is_there() -> None:
    objects = render({"adminApi": {"enabled": False}, "podDisruptionBudget": {"enabled": True}})
    assert [o for o in objects if API in str(o) and "own-" not in o["metadata"]["name"]] == []


def test_bindings_lead_from_the_operator_to_roles_that_are_there(objects: list[Object]) -> None:
    def key(kind: str, found: Object) -> tuple[str, str, str | None]:
        namespace = found["metadata"].get("namespace") if kind == "Role" else None
        return kind, found["metadata"]["name"], namespace

    roles = {key(role["kind"], role) for role in of_kind(objects, "Role", "ClusterRole")}
    bound = set()
    for binding in of_kind(objects, "RoleBinding", "ClusterRoleBinding"):
        ref = binding["roleRef"]
        bound.add(key(ref["kind"], {"metadata": {**binding["metadata"], "name": ref["name"]}}))
        account = API if ref["name"] in (API, f"{API}-lease") else NAME
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": account, "namespace": RELEASE}
        ]
    aggregated = {("ClusterRole", f"{NAME}-{what}", None) for what in ("edit", "view")}
    assert bound == roles - aggregated


def test_an_upgrade_hands_over(objects: list[Object], tmp_path: Path) -> None:
    """One pod leads at a time; the next one exists before the old one ends, cleanly."""
    spec = operators(objects)["spec"]
    config = config_of(objects, tmp_path)
    leases = [
        rule
        for role in of_kind(objects, "Role")
        for rule in role["rules"]
        if rule["resources"] == ["leases"] and "resourceNames" in rule
    ]
    assert len(leases) == 2
    for rule in leases:
        assert rule["resourceNames"] == [config.lease_name]
        assert set(rule["verbs"]) == {"get", "patch"}
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    pod = spec["template"]["spec"]
    assert pod["terminationGracePeriodSeconds"] > config.lease_seconds


@pytest.mark.parametrize("name", [NAME, API])
def test_selectors_find_their_own_pods_and_nothing_else(objects: list[Object], name: str) -> None:
    deployment = named(objects, "Deployment", name)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selector = deployment["spec"]["selector"]["matchLabels"]
    # It cannot be changed later: nothing of a version may be in it.
    assert set(selector) == {"app.kubernetes.io/name", "app.kubernetes.io/instance"}
    services = (f"{NAME}-metrics",) if name == NAME else (API,)
    others = [
        o["spec"]["selector"]
        for o in of_kind(objects, "Service")
        if o["metadata"]["name"] in services
    ]
    others += [
        o["spec"]["selector"]["matchLabels"]
        for o in of_kind(objects, "PodDisruptionBudget")
        if o["metadata"]["name"] == name
    ]
    others += [
        o["spec"]["podSelector"]["matchLabels"]
        for o in of_kind(objects, "NetworkPolicy")
        if o["metadata"]["name"] == name
    ]
    assert all(includes(labels, found) for found in [selector, *others])
    foreign = [
        o["spec"]["template"]["metadata"]["labels"]
        for o in of_kind(objects, "StatefulSet", "Deployment")
        if o["metadata"]["name"] != name
    ]
    assert foreign
    assert not any(includes(pod, found) for pod in foreign for found in [selector, *others])
    second = named(render({}, release="second"), "Deployment", name.replace(RELEASE, "second", 1))
    pod = second["spec"]["template"]["metadata"]["labels"]
    assert not any(includes(pod, found) for found in [selector, *others])


def test_ports_agree(objects: list[Object], tmp_path: Path) -> None:
    config = config_of(objects, tmp_path)
    containers = [
        container
        for name in (NAME, API)
        for container in named(objects, "Deployment", name)["spec"]["template"]["spec"][
            "containers"
        ]
    ]
    operator, api = (
        {port["name"]: port["containerPort"] for port in container["ports"]}
        for container in containers
    )
    assert operator == {"health": config.health_port, "metrics": config.metrics_port}
    assert api == {"api": 3000, "api-health": 8081}
    for container, port in zip(containers, ("health", "api-health"), strict=True):
        probes = [container[name]["httpGet"] for name in sorted(container) if "Probe" in name]
        assert len(probes) == 3
        assert {probe["port"] for probe in probes} == {port}
        assert [probe["path"] for probe in probes] == ["/healthz", "/readyz", "/healthz"]
    metrics = named(objects, "Service", f"{NAME}-metrics")
    (port,) = metrics["spec"]["ports"]
    assert port["targetPort"] == "metrics"
    url = f"http://{NAME}-metrics.{RELEASE}.svc:{port['port']}/metrics"
    assert config.metrics_url == url
    opened = {
        policy["metadata"]["name"]: [
            port["port"] for rule in policy["spec"].get("ingress", ()) for port in rule["ports"]
        ]
        for policy in of_kind(objects, "NetworkPolicy")
    }
    assert opened.pop(NAME, ports := ["health", "metrics"]) == ports
    assert opened.pop(API, ports := ["api-health"]) == ports
    assert opened.pop(f"{NAME}-runs", []) == []
    assert all(ports == [store] for store, ports in opened.items())


def test_callers_from_the_network_reach_the_admin_api_and_its_account_asks_for_them() -> None:
    objects = render({"adminApi": {"network": True}})
    service = named(objects, "Service", API)["spec"]
    pod = named(objects, "Deployment", API)["spec"]["template"]
    assert includes(pod["metadata"]["labels"], service["selector"])
    assert "--network" in pod["spec"]["containers"][0]["command"]
    health, calls = named(objects, "NetworkPolicy", API)["spec"]["ingress"]
    assert (health["ports"], calls["ports"]) == ([{"port": "api-health"}], [{"port": "api"}])
    (binding,) = of_kind(objects, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == "system:auth-delegator"
    assert [subject["name"] for subject in binding["subjects"]] == [API]


def test_the_crds_are_those_of_crds_and_stay(tmp_path: Path) -> None:
    generated = [yaml.safe_load(path.read_text()) for path in CRDS]
    assert sorted(p.name for p in (CHART / "files" / "crds").iterdir()) == [p.name for p in CRDS]
    found = of_kind(render({}), "CustomResourceDefinition")
    for definition in found:
        assert definition["metadata"].pop("annotations") == {"helm.sh/resource-policy": "keep"}
        del definition["metadata"]["labels"]
    assert sorted(found, key=lambda crd: str(crd["metadata"]["name"])) == generated
    done = run("helm", "package", str(CHART), "--destination", str(tmp_path))
    assert done.code == 0, done.err
    (package,) = tmp_path.glob("*.tgz")
    with tarfile.open(package) as archive:
        for path in CRDS:
            packed = archive.extractfile(f"{CHART.name}/files/crds/{path.name}")
            assert packed is not None
            assert packed.read() == path.read_bytes()
    outside = {"postgres": {"enabled": False}, "redis": {"enabled": False}}
    assert render(outside, chart=package) == render(outside)
    files = {
        name: named(render({}, chart=package), "ConfigMap", name) for name in ("postgres", "redis")
    }
    assert all("start" in found["data"] for found in files.values())


def test_finished_reports_stay() -> None:
    claims = of_kind(render(FULL), "PersistentVolumeClaim")
    assert [claim["metadata"]["namespace"] for claim in claims] == ["team-a", "2024"]
    for claim in claims:
        assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_what_reports_say_is_a_role_of_its_own() -> None:
    objects = render({"adminApi": {"network": True}})
    rules = {role["metadata"]["name"]: role["rules"] for role in of_kind(objects, "ClusterRole")}
    files = {"apiGroups": ["reports.adaf.io"], "resources": ["reportschedules/files"]}
    assert rules[f"{NAME}-files-read"] == [{**files, "verbs": ["get"]}]
    others = [rule for name in rules if not name.endswith("-files-read") for rule in rules[name]]
    assert not any("reportschedules/files" in rule.get("resources", ()) for rule in others)
    roles = of_kind(render({}), "ClusterRole")
    assert not any(role["metadata"]["name"].endswith("-files-read") for role in roles)
