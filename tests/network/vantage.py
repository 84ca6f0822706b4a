"""Who tries to connect to what, on a node whose network enforces NetworkPolicies."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hack.localcluster.network import API_PORT, METADATA_IP, NODE_IP
from hack.steps import RELEASE
from tests.e2e.conftest import kubectl

OPERATOR = f"{RELEASE}-adaf-report-scheduler"
API = f"{OPERATOR}-api"
TEAM, NEIGHBOUR = "reports", "neighbour-reports"  # both in teamNamespaces
MONITORING, INGRESS, STRANGER = "monitoring", "ingress", "stranger"
LISTENS = 8080  # every pod of ours
SECONDS = 4.0  # that a connection may take
PROBE = (Path(__file__).parent / "probe.py").read_text()

Addresses = Mapping[str, tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Vantage:
    """A container from which connections are tried."""

    name: str
    namespace: str
    pod: str  # what `kubectl exec` takes
    own: frozenset[str] = frozenset()  # addresses that are its own: no policy is about them
    python: bool = True

    def tries(self, addresses: Addresses) -> dict[str, str]:
        """What came of a connection to each address but its own: see probe.py."""
        addresses = {name: to for name, to in addresses.items() if name not in self.own}
        if self.python:
            arguments = ["python3", "-c", PROBE, json.dumps(addresses), str(SECONDS)]
        else:
            arguments = ["bash", "-c", _in_bash(addresses)]
        text = kubectl("-n", self.namespace, "exec", self.pod, "--", *arguments)
        found: dict[str, str] = json.loads(text)
        return found


def _in_bash(addresses: Addresses) -> str:
    """The same where there is no Python; GNU timeout ends with 124 when the time is over."""
    tries = [
        f"(timeout {SECONDS} bash -c {shlex.quote(f': </dev/tcp/{host}/{port}')} 2>/dev/null; "
        f"case $? in 0) r=open;; 124) r=silent;; *) r=refused;; esac; echo {name} $r) &"
        for name, (host, port) in addresses.items()
    ]
    lines = " ".join([*tries, "wait"])
    return (
        f"({lines}) | "
        """awk '{a = a s "\\"" $1 "\\": \\"" $2 "\\""; s = ", "} END {print "{" a "}"}'"""
    )


def pod(name: str, namespace: str, image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """A restricted pod that listens and is there to be tried from."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "listens",
                    "image": image,
                    "command": ["python3", "-m", "http.server", str(LISTENS), "-d", "/tmp"],
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                    "readinessProbe": {
                        "tcpSocket": {"port": LISTENS},
                        "periodSeconds": 1,
                        "timeoutSeconds": 10,
                    },
                }
            ],
        },
    }


VANTAGES = {
    found.name: found
    for found in (
        Vantage("operator", RELEASE, f"deploy/{OPERATOR}", frozenset({"metrics", "health"})),
        Vantage("admin API", RELEASE, f"deploy/{API}", frozenset({"admin-API"})),
        Vantage("postgres", RELEASE, "postgres-0", frozenset({"postgres"}), python=False),
        Vantage("redis", RELEASE, "redis-0", frozenset({"redis"}), python=False),
        Vantage("file server", TEAM, "deploy/adaf-reports-files", frozenset({"files"})),
        Vantage("run", TEAM, "run", frozenset({"run"})),
        Vantage("run of a neighbour", NEIGHBOUR, "run", frozenset({"run-of-neighbour"})),
        Vantage("Prometheus", MONITORING, "prometheus"),
        Vantage("ingress", INGRESS, "ingress"),
        Vantage("stranger", STRANGER, "stranger"),
    )
}
# What each may reach by the values of conftest.py. All else is closed to it.
ALLOWED: Mapping[str, frozenset[str]] = {
    "operator": frozenset({"API-server", "DNS", "postgres", "redis"}),
    "admin API": frozenset({"API-server", "DNS", "postgres", "redis", "metrics", "files"}),
    "postgres": frozenset(),
    "redis": frozenset(),
    "file server": frozenset(),
    "run": frozenset({"DNS", "source", "mail", "objects"}),
    "run of a neighbour": frozenset({"DNS", "neighbour"}),
}
# Nothing closes the ways out of these: policies at the other end do.
OUTSIDERS: Mapping[str, frozenset[str]] = {
    "Prometheus": frozenset({"metrics"}),
    "ingress": frozenset({"admin-API"}),
    "stranger": frozenset(),
}
# What policies of the release are to keep from outsiders. Health checks answer to everybody.
INNER = frozenset({"postgres", "redis", "metrics", "admin-API", "files", "run", "run-of-neighbour"})


def expected(vantage: str, addresses: Addresses) -> dict[str, str]:
    """What comes of each connection while the policies count."""
    if vantage in OUTSIDERS:
        closed = INNER - OUTSIDERS[vantage]
    else:
        closed = frozenset(addresses) - ALLOWED[vantage]
    own = VANTAGES[vantage].own
    return {name: "silent" if name in closed else "open" for name in addresses if name not in own}


def _address(namespace: str, kind: str, name: str) -> str:
    path = "{.spec.clusterIP}" if kind == "service" else "{.status.podIP}"
    return kubectl("-n", namespace, "get", kind, name, "-o", f"jsonpath={path}")


def _pod_ip(namespace: str, selector: str) -> str:
    listed = json.loads(kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json"))
    (ip,) = (
        item["status"]["podIP"]
        for item in listed["items"]
        if "deletionTimestamp" not in item["metadata"]
    )
    return str(ip)


def addresses() -> dict[str, tuple[str, int]]:
    """Every address that is tried, by name; Services by their own, so that DNS is no part of it."""
    operator = _pod_ip(RELEASE, "app.kubernetes.io/name=adaf-report-scheduler")
    return {
        "API-server": (_address("default", "service", "kubernetes"), 443),
        "node": (NODE_IP, 10250),  # the kubelet
        "metadata": (METADATA_IP, 80),
        "DNS": (_address("kube-system", "service", "kube-dns"), 53),
        "postgres": (_address(RELEASE, "service", "postgres"), 5432),
        "redis": (_address(RELEASE, "service", "redis"), 6379),
        "metrics": (operator, 9090),
        "health": (operator, 8080),
        "admin-API": (_address(RELEASE, "service", API), 3000),
        "files": (_address(TEAM, "service", "adaf-reports-files"), 8000),
        "source": (_address("demo", "service", "postgres"), 5432),
        "mail": (_address("demo", "service", "mail"), 2525),
        "objects": (_address("demo", "service", "s3"), 8080),
        "neighbour": (_address(NEIGHBOUR, "pod", "ledger"), LISTENS),
        "run": (_address(TEAM, "pod", "run"), LISTENS),
        "run-of-neighbour": (_address(NEIGHBOUR, "pod", "run"), LISTENS),
    }


assert API_PORT == 6443  # as conftest.py's values have it
