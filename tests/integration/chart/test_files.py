"""The file server that the chart puts into team namespaces, as `helm` renders it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.chart import API, RELEASE, Object, config_of, of_kind, render, the

FILES = "adaf-reports-files"
LABEL = "app.kubernetes.io/name"


def files_of(namespace: str, objects: list[Object]) -> list[Object]:
    return [
        found for found in objects
        if found["metadata"]["name"] == FILES and found["metadata"]["namespace"] == namespace
    ]  # fmt: skip


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    values = {"teamNamespaces": ["reports", "2024"], "output": {"fileServer": {"enabled": True}}}
    return render(values)


def test_there_is_none_unless_asked_for(tmp_path: Path) -> None:
    objects = render({"teamNamespaces": ["reports"]})
    assert files_of("reports", objects) == []
    assert config_of(objects, tmp_path).file_server_url is None


@pytest.mark.parametrize("namespace", ["reports", "2024"])
def test_it_reads_the_claim_and_may_do_nothing_else(objects: list[Object], namespace: str) -> None:
    found = files_of(namespace, objects)
    assert sorted(o["kind"] for o in found) == ["Deployment", "NetworkPolicy", "Service"]
    pod = the(found, "Deployment")["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [mount["readOnly"] for mount in container["volumeMounts"]] == [True]
    assert pod["volumes"] == [
        {"name": "output", "persistentVolumeClaim": {"claimName": "adaf-reports"}}
    ]


def test_only_the_admin_api_reaches_it(objects: list[Object], tmp_path: Path) -> None:
    found = files_of("reports", objects)
    labels = the(found, "Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        the(found, "Deployment")["spec"]["selector"]["matchLabels"],
        the(found, "Service")["spec"]["selector"],
        the(found, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
    ]
    assert selectors == [{LABEL: FILES}] * 3
    assert labels[LABEL] == FILES
    (rule,) = the(found, "NetworkPolicy")["spec"]["ingress"]
    (source,) = rule["from"]
    assert source["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": RELEASE}}
    (api,) = (o for o in of_kind(objects, "Deployment") if o["metadata"]["name"] == API)
    own = api["spec"]["template"]["metadata"]["labels"]
    assert source["podSelector"]["matchLabels"].items() <= own.items()
    (port,) = the(found, "Service")["spec"]["ports"]
    url = f"http://{FILES}.{{namespace}}.svc:{port['port']}"
    assert config_of(objects, tmp_path).file_server_url == url


def test_the_operator_is_not_taken_for_it(objects: list[Object]) -> None:
    pods = [
        o["spec"]["template"]["metadata"]["labels"]
        for o in of_kind(objects, "Deployment", "StatefulSet")
    ]
    for service in of_kind(objects, "Service"):
        selector = service["spec"]["selector"].items()
        kinds = {labels[LABEL] for labels in pods if selector <= labels.items()}
        assert len(kinds) == 1, service
