"""The node is drained: what runs there comes back, and no attempt is counted for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hack.testbed.namespace import report
from hack.testbed.waiting import wait_for
from tests.e2e.conftest import kubectl
from tests.lifecycle import release
from tests.lifecycle.release import CHART, RELEASE, SECONDS, TEAM, Images, helm, history

OPERATOR = "app.kubernetes.io/name=adaf-report-scheduler"
ROWS = 90  # joined five times with themselves: some seconds of work
BUSY = "SELECT sum(a.n * b.n + c.n * d.n - e.n) AS s FROM " + ", ".join(
    f"facts {alias}" for alias in "abcde"
)


@pytest.fixture
def node_name(node: Images) -> Iterator[str]:
    """The chart is installed with two replicas and a budget; the node takes pods in the end."""
    release.namespaces()
    helm(
        "install", RELEASE, str(CHART), "--set", f"teamNamespaces={{{TEAM}}}",
        "--set", "replicas=2", "--set", "podDisruptionBudget.enabled=true", *node.values(node.now),
    )  # fmt: skip
    (name,) = kubectl("get", "nodes", "-o", "name").split()
    try:
        release.rolled_out()
        yield name.removeprefix("node/")
    finally:
        kubectl("uncordon", name)
        helm("uninstall", RELEASE, "--wait")
        kubectl("delete", "namespace", RELEASE, TEAM, "--ignore-not-found", "--timeout=180s")


def pods(selector: str, namespace: str = RELEASE) -> list[dict[str, Any]]:
    text = kubectl("-n", namespace, "get", "pods", "-l", selector, "-o", "json")
    return [p for p in json.loads(text)["items"] if "deletionTimestamp" not in p["metadata"]]


def ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def evict(pod: str) -> str:
    """What the API server answers; '' where it does as it is asked."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": RELEASE},
    }
    path = f"/api/v1/namespaces/{RELEASE}/pods/{pod}/eviction"
    told = kubectl("create", "--raw", path, "-f", "-", text=json.dumps(body), check=False)
    return "" if '"status":"Success"' in told.replace(" ", "") else told


def leader() -> str:
    """The pod that holds the Lease; '' where nobody does."""
    text = kubectl("-n", RELEASE, "get", "lease", release.NAME, "-o", "json")
    return str(json.loads(text)["spec"].get("holderIdentity", "")).rpartition("_")[0]


@pytest.mark.timeout(1800)
def test_a_drained_node(node_name: str) -> None:
    team = release.team()
    facts = {"name": "facts", "inline": {"rows": [{"n": n} for n in range(ROWS)]}}
    busy = report(sources=[facts, {"name": "busy", "query": {"sql": BUSY}}])
    team.apply("busy", report=busy, retry={"limit": 0})
    team.start("busy", "run-1")
    label = "batch.kubernetes.io/job-name=run-1"
    wait_for("it runs", lambda: any(map(ready, pods(label, TEAM))), SECONDS, lambda: kubectl(
        "-n", TEAM, "get", "pods,events"))  # fmt: skip
    (first,) = pods(label, TEAM)

    kubectl("cordon", node_name)
    kubectl(
        "drain", node_name, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=180s",
        "--pod-selector=app.kubernetes.io/name!=adaf-report-scheduler",
    )  # fmt: skip
    held = wait_for(
        "its next pod waits for a node",
        lambda: [p for p in pods(label, TEAM) if p["metadata"]["uid"] != first["metadata"]["uid"]],
        SECONDS,
        lambda: kubectl("-n", TEAM, "get", "pods,events"),
    )
    assert held
    assert team.status("busy").get("recentRuns", []) == []  # it has not failed

    # One operator at a time: the budget keeps the other one until there is a successor.
    leading = wait_for("somebody leads", leader, SECONDS)
    (other,) = (p["metadata"]["name"] for p in pods(OPERATOR) if p["metadata"]["name"] != leading)
    assert evict(str(leading)) == ""
    wait_for("the other one leads", lambda: leader() == other, SECONDS, leader)
    wait_for("the budget is used up", lambda: "disruption budget" in evict(other), SECONDS)
    kubectl("uncordon", node_name)
    release.rolled_out()
    wait_for("two are ready", lambda: sum(map(ready, pods(OPERATOR))) == 2, SECONDS)
    wait_for("and the other one may go", lambda: evict(other) == "", SECONDS)

    run = team.outcome("busy", "run-1", 900)
    assert run["outcome"] == "Succeeded", run
    assert team.status("busy")["runCounts"] == {"Succeeded": 1}
    release.rolled_out()
    rows = wait_for(
        "it is recorded once",
        lambda: history("SELECT attempt, outcome FROM report_scheduler.runs"),
        SECONDS,
    )
    assert rows == [["1", "Succeeded"]]
    job = json.loads(team.kubectl("get", "job", "run-1", "-o", "json"))
    assert job["status"].get("failed", 0) <= 1  # the pod that was evicted; retry.limit is 0
    assert job["spec"]["backoffLimit"] == 0
    assert len([name for name in team.files() if name.endswith(".csv")]) == 1
