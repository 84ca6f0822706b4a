"""Runs of a LocalQueue: the operator stamps them, a real Kueue lets them start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hack.testbed.controlplane import ControlPlane
from hack.testbed.kueue import KUEUE, kueue
from hack.testbed.namespace import BATCH, CORE, MERGE, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for

QUEUE = "reports"
ONE_RUN = {"requests": {"cpu": "1", "memory": "100Mi"}, "limits": {"memory": "100Mi"}}


@pytest.fixture(scope="module", autouse=True)
def _kueue(plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with kueue(plane, tmp_path_factory.mktemp("kueue")):
        yield


@pytest.fixture
def quota(plane: ControlPlane, namespace: Namespace) -> Iterator[str]:
    """A LocalQueue of the namespace with place for one run; the name of its ClusterQueue."""
    name = namespace.name
    create(
        plane, f"{KUEUE}/resourceflavors", {"kind": "ResourceFlavor", "metadata": {"name": name}}
    )
    resources = [{"name": "cpu", "nominalQuota": "1"}, {"name": "memory", "nominalQuota": "10Gi"}]
    resources.append({"name": "ephemeral-storage", "nominalQuota": "100Gi"})
    groups = [
        {
            "coveredResources": [resource["name"] for resource in resources],
            "flavors": [{"name": name, "resources": resources}],
        }
    ]
    create(
        plane,
        f"{KUEUE}/clusterqueues",
        {
            "kind": "ClusterQueue",
            "metadata": {"name": name},
            "spec": {"namespaceSelector": {}, "resourceGroups": groups},
        },
    )
    create(
        plane,
        namespace.path(KUEUE, "localqueues"),
        {"kind": "LocalQueue", "metadata": {"name": QUEUE}, "spec": {"clusterQueue": name}},
    )
    yield name
    plane.api.call("DELETE", f"{KUEUE}/clusterqueues/{name}")
    plane.api.call("DELETE", f"{KUEUE}/resourceflavors/{name}")


@pytest.fixture
def operator(make_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """Its own limits let a single run through."""
    made = make_operator(kueue={"enabled": True}, admission={"maxActive": 1})
    made.start()
    made.wait_until_leading()
    return made


def create(plane: ControlPlane, path: str, body: dict[str, Any]) -> None:
    answer = plane.api.call("POST", path, {"apiVersion": "kueue.x-k8s.io/v1beta2", **body})
    assert answer.code == 201, answer.message


def begin(namespace: Namespace, name: str, **spec: Any) -> str:
    """Start a run of a new schedule; the name of its Job."""
    namespace.apply(name, resources=ONE_RUN, **spec)
    namespace.wait_for_ready(name, "Ready")
    namespace.start(name, f"{name}-1")
    return f"{name}-1"


def job(namespace: Namespace, name: str) -> dict[str, Any]:
    found = namespace.find(BATCH, "jobs", name)
    assert found is not None
    return found


def resumed(namespace: Namespace, name: str) -> bool:
    return not job(namespace, name)["spec"]["suspend"]


def handed_over(namespace: Namespace, name: str) -> bool:
    labels = job(namespace, name)["metadata"]["labels"]
    return labels.get("kueue.x-k8s.io/queue-name") == QUEUE


@pytest.mark.usefixtures("quota", "operator")
def test_quota_of_kueue_decides_and_the_operators_own_limits_do_not(namespace: Namespace) -> None:
    first = begin(namespace, "first", queueName=QUEUE)
    wait_for("Kueue lets it start", lambda: resumed(namespace, first), 60, namespace.jobs)
    second = begin(namespace, "second", queueName=QUEUE)
    wait_for("it is handed over", lambda: handed_over(namespace, second), 60, namespace.jobs)
    # The gate's only place is free: a run of Kueue takes none.
    own = begin(namespace, "own")
    wait_for("our gate lets it start", lambda: resumed(namespace, own), 60, namespace.jobs)
    assert not resumed(namespace, second)
    assert namespace.status("second")["queued"] == 1

    pod = namespace.pod_of(first)
    assert pod["metadata"]["annotations"]["reports.adaf.io/run-id"].startswith("first.")
    namespace.end_pod(pod)
    wait_for("the quota is free", lambda: resumed(namespace, second), 60, namespace.jobs)
    namespace.end_pod(namespace.pod_of(second))

    def outcomes() -> list[str]:
        runs = [namespace.status(name).get("recentRuns", []) for name in ("first", "second")]
        return [run["outcome"] for found in runs for run in found]

    wait_for("both are recorded", lambda: len(outcomes()) == 2, 60, namespace.jobs)
    assert outcomes() == ["Succeeded", "Succeeded"]


@pytest.mark.usefixtures("operator")
def test_run_that_kueue_takes_back_is_queued_and_runs_once_more(
    plane: ControlPlane, namespace: Namespace, quota: str
) -> None:
    name = begin(namespace, "evicted", queueName=QUEUE)
    pod = namespace.pod_of(name)
    path = f"{KUEUE}/clusterqueues/{quota}"
    plane.api.call("PATCH", path, {"spec": {"stopPolicy": "HoldAndDrain"}}, MERGE)
    wait_for("it is suspended", lambda: not resumed(namespace, name), 60, namespace.jobs)
    wait_for("it is queued", lambda: namespace.status("evicted").get("queued") == 1, 60)
    assert namespace.status("evicted").get("recentRuns", []) == []
    # A pod that was on a node would be ended by its kubelet.
    plane.api.call("DELETE", namespace.path(CORE, "pods", pod["metadata"]["name"]))

    plane.api.call("PATCH", path, {"spec": {"stopPolicy": "None"}}, MERGE)
    wait_for("it runs again", lambda: resumed(namespace, name), 60, namespace.jobs)
    wait_for(
        "another pod",
        lambda: namespace.pod_of(name)["metadata"]["uid"] != pod["metadata"]["uid"],
        60,
        namespace.pods,
    )
    namespace.end_pod(namespace.pod_of(name))
    wait_for(
        "one outcome",
        lambda: (
            [run["outcome"] for run in namespace.status("evicted").get("recentRuns", [])]
            == ["Succeeded"]
        ),
        60,
        lambda: namespace.status("evicted"),
    )
    assert len(namespace.jobs()) == 1


@pytest.mark.usefixtures("operator")
def test_run_of_a_queue_that_is_not_there_says_so(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    name = begin(namespace, "lost", queueName="nowhere", lateAfter="1m")
    wait_for(
        "it is handed over",
        lambda: "kueue.x-k8s.io/queue-name" in job(namespace, name)["metadata"]["labels"],
        60,
        operator.log,
    )
    assert not resumed(namespace, name)
    assert namespace.status("lost")["queued"] == 1
