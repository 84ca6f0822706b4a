"""A node whose network enforces NetworkPolicies, and the chart with all of them on."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from hack import examples, up
from hack.localcluster.cluster import Cluster, this_cluster
from hack.localcluster.network import API_PORT, NODE_IP
from hack.localcluster.node import running
from hack.steps import RELEASE, use_cluster
from hack.testbed.policy_engine import policy_engine
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import Team, kubectl
from tests.network.metadata import metadata_service
from tests.network.vantage import (
    API,
    INGRESS,
    LISTENS,
    MONITORING,
    NEIGHBOUR,
    OPERATOR,
    STRANGER,
    TEAM,
    VANTAGES,
    addresses,
    pod,
)

Found = Mapping[str, Mapping[str, str]]


def _namespace(name: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def _pods(namespace: str, app: str, port: int) -> dict[str, Any]:
    return {"namespace": namespace, "podLabels": {"app": app}, "ports": [port]}


VALUES: dict[str, Any] = {
    "teamNamespaces": [TEAM, NEIGHBOUR],
    "adminApi": {"network": True},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [_namespace(MONITORING)],
        "apiFrom": [_namespace(INGRESS)],
        "egress": {
            "enabled": True,
            "apiServer": [{"cidr": f"{NODE_IP}/32", "ports": [API_PORT]}],
        },
        "runEgress": {
            "enabled": True,
            "toByNamespace": {
                TEAM: [
                    _pods("demo", "postgres", 5432),
                    _pods("demo", "mail", 2525),
                    _pods("demo", "s3", 8080),
                    {"cidr": "0.0.0.0/0", "ports": [80]},  # opens no metadata
                ],
                NEIGHBOUR: [_pods(NEIGHBOUR, "ledger", LISTENS)],
            },
        },
    },
}


def upgrade(values: Mapping[str, Any]) -> None:
    """The release with these values beside those that it has."""
    up.run(
        "helm", "upgrade", RELEASE, "charts/adaf-report-scheduler", "--namespace", RELEASE,
        "--reuse-values", "--force-conflicts", "--values", "-",
        text=json.dumps(values),
    )  # fmt: skip
    up.rolled_out(RELEASE, f"deployment/{OPERATOR}", f"deployment/{API}")


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The node of `make test-network`, with the demo's servers and a pod for whoever tries."""
    use_cluster()
    found = this_cluster(os.environ)
    program = running(found).programs.node  # of a cluster that is no node of ours it has none
    image = json.loads(kubectl("-n", RELEASE, "get", "deploy", OPERATOR, "-o", "json"))
    image = image["spec"]["template"]["spec"]["containers"][0]["image"]
    _dns(image, program)
    _object_store()
    up.apply(*(_labelled(name) for name in (NEIGHBOUR, MONITORING, INGRESS, STRANGER)))
    upgrade(VALUES)
    _pods_of_ours(image)
    return found


def _labelled(namespace: str) -> dict[str, Any]:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": namespace, "labels": labels},
    }


def _dns(image: str, program: Path) -> None:
    """DNS by a pod of kube-system, in place of the node's process: the values select pods."""
    text = (Path(__file__).parent / "cluster.yaml").read_text()
    text = text.replace("IMAGE", image).replace("NODE-PROGRAM", str(program))
    kubectl("apply", "--server-side", "-f", "-", text=text)
    up.rolled_out("kube-system", "deployment/coredns")
    selector = {"spec": {"selector": {"k8s-app": "kube-dns"}}}
    kubectl("-n", "kube-system", "patch", "service", "kube-dns", "-p", json.dumps(selector))
    kubectl("-n", "kube-system", "delete", "endpointslice", "kube-dns", "--ignore-not-found")


def _object_store() -> None:
    """The S3 store of `make examples`."""
    build = (sys.executable, "-m", "hack.image", "build", examples.IMAGE)
    image, archive = up.run(*build, quiet=False).split()
    up.load([archive])
    examples.deploy(image)


def _pods_of_ours(image: str) -> None:
    kubectl("-n", TEAM, "apply", "--server-side", "-f", str(up.DEMO / "schedules.yaml"))
    team = Team(TEAM)
    cronjob = wait_for("a CronJob", lambda: team.status("market-dashboard").get("cronJob"))
    found = json.loads(team.kubectl("get", "cronjob", cronjob, "-o", "json"))
    template = found["spec"]["jobTemplate"]["spec"]["template"]
    run = template["metadata"]["labels"]  # the labels by which policies know a run
    up.apply(
        pod("run", TEAM, image, run),
        pod("run", NEIGHBOUR, image, run),
        pod("ledger", NEIGHBOUR, image, {"app": "ledger"}),
        pod("prometheus", MONITORING, image, {"app": "prometheus"}),
        pod("ingress", INGRESS, image, {"app": "ingress"}),
        pod("stranger", STRANGER, image, {"app": "stranger"}),
    )
    for namespace, name in (
        (TEAM, "run"), (NEIGHBOUR, "run"), (NEIGHBOUR, "ledger"), (MONITORING, "prometheus"),
        (INGRESS, "ingress"), (STRANGER, "stranger"),
    ):  # fmt: skip
        kubectl("-n", namespace, "wait", f"pod/{name}", "--for=condition=Ready", "--timeout=180s")


@pytest.fixture(scope="session")
def metadata(cluster: Cluster) -> Iterator[None]:
    """Something answers where a cloud has the metadata of its machines."""
    with metadata_service(cluster):
        yield


def all_tries() -> dict[str, dict[str, str]]:
    """What came of every connection, by who tried it."""
    found = addresses()
    return {name: vantage.tries(found) for name, vantage in VANTAGES.items()}


@pytest.fixture(scope="session")
def unenforced(cluster: Cluster, metadata: None) -> Found:
    """The policies are in the API server, and nothing enforces them."""
    assert OPERATOR in kubectl("get", "networkpolicies", "-n", RELEASE, "-o", "name")
    return all_tries()


@pytest.fixture(scope="session")
def enforced(cluster: Cluster, unenforced: Found) -> Iterator[Path]:
    """From here on policies count; the engine's log."""
    with policy_engine(cluster) as log:
        yield log


@pytest.fixture
def no_policies(enforced: Path) -> Iterator[None]:
    """The engine runs, and the chart has no policy."""
    off = {"enabled": False, "egress": {"enabled": False}, "runEgress": {"enabled": False}}
    upgrade({"networkPolicy": off})
    yield
    upgrade(VALUES)
