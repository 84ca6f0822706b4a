"""What the chart says about the pods of runs: their settings, and where they may connect to."""

from __future__ import annotations

import ipaddress
import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.controlplane import ControlPlane
from report_operator.config import OperatorConfig
from report_runner.contract.egress import METADATA
from tests.support.chart import (
    FULL,
    NAME,
    Object,
    Values,
    config_of,
    helm_template,
    of_kind,
    render,
    with_namespace,
)

TEAMS: Values = {"teamNamespaces": ["team-a", "2024"]}
DNS = {
    "to": [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
            "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
        }
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}


def egress(**changes: Any) -> Values:
    return {**TEAMS, "networkPolicy": {"runEgress": {"enabled": True, **changes}}}


def policies(values: Values) -> dict[str, Object]:
    """The policies of runs, by team namespace."""
    return {
        found["metadata"]["namespace"]: found
        for found in of_kind(render(values), "NetworkPolicy")
        if found["metadata"]["name"] == f"{NAME}-runs"
    }


def test_settings_of_runs_reach_the_operator(tmp_path: Path) -> None:
    runner = {
        "imagePullSecrets": ["own"],
        "podLabels": {"cost-centre": "7"},
        "podAnnotations": {"example.com/a": "true"},
        "priorityClassName": "reports",
        "nodeSelector": {"pool": "2024"},
        "tolerations": [{"key": "reports", "operator": "Exists"}],
        "arbitraryUser": True,
        "egress": {"allow": ["10.1.0.0/16", "api.data.svc:8080"]},
    }
    settings = config_of(render({"config": {"runner": runner}}), tmp_path).runner.pod_settings()
    assert settings.image_pull_secrets == ["own"]
    assert settings.labels == {"cost-centre": "7"}
    assert settings.annotations == {"example.com/a": "true"}
    assert settings.priority_class_name == "reports"
    assert settings.node_selector == {"pool": "2024"}
    assert settings.tolerations == [{"key": "reports", "operator": "Exists"}]
    assert settings.arbitrary_user is True
    assert settings.egress_allow == ("10.1.0.0/16", "api.data.svc:8080")


def test_a_thief_of_the_token_opens_no_address() -> None:
    """The policies of what operator and admin API write have the very value."""
    values = {"config": {"runner": {"egress": {"allow": ["10.1.0.0/16", "*.data.svc:8080"]}}}}
    allowed = "e.value == '10.1.0.0/16,*.data.svc:8080'"
    for expected, given in ((allowed, values), ("in ['REPORT_DEFINITION_SHA256'", {})):
        texts = [str(found) for found in of_kind(render(given), "ValidatingAdmissionPolicy")]
        with_environment = [text for text in texts if "REPORT_POD_NAME" in text]
        assert len(with_environment) >= 2
        assert all(expected in text for text in with_environment)
        assert all(("REPORT_EGRESS_ALLOW" in text) is bool(given) for text in with_environment)


def test_traces_go_from_runs_as_well_and_lineage_from_the_operator_alone(tmp_path: Path) -> None:
    collector, receiver = "http://collector.otel.svc:4318", "https://marquez.svc/api/v1/lineage"
    given: Values = {
        "config": {
            "tracing": {"endpoint": collector},
            "lineage": {"url": receiver, "namespace": "reporting"},
        }
    }
    objects = render(given)
    config = config_of(objects, tmp_path)
    assert config.pod_settings().otlp_endpoint == config.tracing.endpoint == collector
    assert (config.lineage.url, config.lineage.namespace) == (receiver, "reporting")
    knowing = {
        where: {
            (found["kind"], found["metadata"]["name"]) for found in objects if where in str(found)
        }
        for where in (collector, receiver)
    }
    assert knowing[receiver] == {("ConfigMap", NAME)}
    policies = {("ValidatingAdmissionPolicy", f"{NAME}-own-{of}") for of in ("jobs", "cronjobs")}
    assert knowing[collector] == {("ConfigMap", NAME), *policies}
    plain = config_of(render({}), tmp_path)
    assert (plain.tracing.endpoint, plain.lineage.url) == ("", "")
    assert plain.lineage == type(plain.lineage)()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "collector:4318", "http://a b", "http://u:p@a/", "http://a/?k=v"]
)
def test_where_telemetry_goes_is_a_plain_url(url: str) -> None:
    given = {"tracing": {"endpoint": url}, "lineage": {"url": url}}
    done = helm_template(with_namespace({"config": given}))
    assert done.code != 0
    for name, section in given.items():
        (field,) = section
        assert f"/config/{name}/{field}" in done.err
        with pytest.raises(ValueError, match=field):
            OperatorConfig.model_validate({"runner": {"image": "x"}, name: section})


def test_runs_pull_with_the_secrets_of_the_release_unless_they_have_their_own(
    tmp_path: Path,
) -> None:
    assert config_of(render(FULL), tmp_path).runner.image_pull_secrets == ["pull"]
    assert config_of(render({}), tmp_path).runner.image_pull_secrets == []


def test_every_run_has_limits_by_default(tmp_path: Path) -> None:
    runner = config_of(render({}), tmp_path).runner
    assert set(runner.default_resources["limits"]) == {"memory", "ephemeral-storage"}
    assert runner.default_resources == type(runner)(image="x").default_resources


def test_the_file_server_is_of_the_user_of_the_runs() -> None:
    values: Values = {**TEAMS, "output": {"fileServer": {"enabled": True}}}
    users = {"runAsUser", "runAsGroup", "fsGroup"}

    def contexts(values: Values) -> list[Any]:
        return [
            found["spec"]["template"]["spec"]["securityContext"]
            for found in of_kind(render(values), "Deployment")
            if found["metadata"]["name"] == "adaf-reports-files"
        ]

    assert [users <= set(context) for context in contexts(values)] == [True, True]
    free = {**values, "config": {"runner": {"arbitraryUser": True}}}
    assert [users & set(context) for context in contexts(free)] == [set(), set()]
    assert all(context["runAsNonRoot"] is True for context in contexts(free))


def test_egress_is_open_unless_it_is_switched_on() -> None:
    for found in policies(TEAMS).values():
        assert found["spec"]["policyTypes"] == ["Ingress"]
        assert "egress" not in found["spec"]


def test_switched_on_only_dns_is_left() -> None:
    found = policies(egress())
    assert set(found) == {"team-a", "2024"}
    for policy in found.values():
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert policy["spec"]["egress"] == [DNS]
        assert policy["spec"]["podSelector"] == {
            "matchExpressions": [{"key": "reports.adaf.io/schedule-uid", "operator": "Exists"}]
        }
    (policy, _) = policies(egress(dns={"namespace": ""})).values()
    assert not policy["spec"]["egress"]
    dns = {"namespace": "openshift-dns", "podLabels": {"dns": "default"}, "port": 5353}
    (policy, _) = policies(egress(dns=dns)).values()
    (rule,) = policy["spec"]["egress"]
    assert rule["to"][0]["podSelector"] == {"matchLabels": {"dns": "default"}}
    assert [port["port"] for port in rule["ports"]] == [5353, 5353]


def test_destinations_of_all_teams_and_of_one() -> None:
    found = policies(
        egress(
            to=[
                {"cidr": "10.1.2.0/24", "except": ["10.1.2.9/32"], "ports": [5432, 6432]},
                {"namespace": "databases", "podLabels": {"app": "postgres"}, "ports": [5432]},
                {"namespace": "7", "ports": [53], "protocol": "UDP"},
            ],
            toByNamespace={"2024": [{"cidr": "fd12::/16", "ports": [587]}]},
        )
    )
    shared = [
        DNS,
        {
            "to": [{"ipBlock": {"cidr": "10.1.2.0/24", "except": ["10.1.2.9/32"]}}],
            "ports": [{"protocol": "TCP", "port": 5432}, {"protocol": "TCP", "port": 6432}],
        },
        {
            "to": [
                {
                    "namespaceSelector": {
                        "matchLabels": {"kubernetes.io/metadata.name": "databases"}
                    },
                    "podSelector": {"matchLabels": {"app": "postgres"}},
                }
            ],
            "ports": [{"protocol": "TCP", "port": 5432}],
        },
        {
            "to": [
                {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "7"}}}
            ],
            "ports": [{"protocol": "UDP", "port": 53}],
        },
    ]  # fmt: skip
    mine = {
        "to": [{"ipBlock": {"cidr": "fd12::/16"}}],
        "ports": [{"protocol": "TCP", "port": 587}],
    }
    assert found["team-a"]["spec"]["egress"] == shared
    assert found["2024"]["spec"]["egress"] == [*shared, mine]


def test_a_wide_network_opens_no_metadata() -> None:
    """As `config.runner.egress.allow`, whose list it is."""
    wide = ["0.0.0.0/0", "160.0.0.0/4", "100.64.0.0/10", "::/0", "FD00::/8"]
    for cidr in wide:
        (policy, _) = policies(egress(to=[{"cidr": cidr, "ports": [443]}])).values()
        block = policy["spec"]["egress"][-1]["to"][0]["ipBlock"]
        network = ipaddress.ip_network(cidr)
        holes = [ipaddress.ip_network(hole) for hole in block["except"]]
        assert all(hole.version == network.version and hole.subnet_of(network) for hole in holes)
        for address in METADATA:
            if address in network:
                assert any(address in hole for hole in holes), f"{cidr} opens {address}"
    for cidr in ("169.254.169.254/32", "169.254.0.0/16", "10.0.0.0/8", "128.0.0.0/3", "fd12::/16"):
        (policy, _) = policies(egress(to=[{"cidr": cidr, "ports": [80]}])).values()
        assert policy["spec"]["egress"][-1]["to"] == [{"ipBlock": {"cidr": cidr}}]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (
            {"networkPolicy": {"enabled": False, "runEgress": {"enabled": True}}},
            "networkPolicy.runEgress.enabled needs networkPolicy.enabled",
        ),
        (egress(toByNamespace={"team-c": []}), "team-c is not in teamNamespaces"),
        (egress(to=[{"cidr": "10.0.0.0/8"}]), "ports"),
        (egress(to=[{"cidr": "10.0.0.0/8", "ports": []}]), "/ports"),
        (egress(to=[{"ports": [5432]}]), "oneOf"),
        (egress(to=[{"cidr": "10.0.0.0/8", "namespace": "a", "ports": [1]}]), "oneOf"),
        (egress(to=[{"cidr": "db.example.com", "ports": [5432]}]), "/cidr"),
        (egress(to=[{"cidr": "10.0.0.0/8", "ports": ["5432"]}]), "/ports/0"),
        ({"config": {"runner": {"podLabels": {"reports.adaf.io/tier": "x"}}}}, "podLabels"),
        ({"config": {"runner": {"podAnnotations": {"reports.adaf.io/slot": "x"}}}}, "podAnn"),
        ({"config": {"runner": {"defaultResources": {"limits": {"cpu": "1e3"}}}}}, "limits/cpu"),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_what_would_silently_do_nothing_is_refused(values: Values, words: str) -> None:
    done = helm_template(with_namespace(values))
    assert done.code != 0
    assert words in done.err


def test_the_api_server_takes_the_policies(plane: ControlPlane) -> None:
    namespace = f"egress-{uuid.uuid4().hex[:8]}"
    plane.api.call("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    values: Values = {
        "teamNamespaces": [namespace],
        "networkPolicy": {
            "runEgress": {
                "enabled": True,
                "to": [
                    {"cidr": "10.1.2.0/24", "except": ["10.1.2.9/32"], "ports": [5432]},
                    {"namespace": "databases", "ports": [53], "protocol": "UDP"},
                ],
            }
        },
    }
    (policy,) = policies(values).values()
    path = f"/apis/networking.k8s.io/v1/namespaces/{namespace}/networkpolicies?dryRun=All"
    answer = plane.api.call("POST", path, policy)
    assert answer.code == 201, answer.message
    assert answer.body["spec"]["egress"] == policy["spec"]["egress"]
