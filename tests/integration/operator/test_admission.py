"""One team's runs do not keep another team's from starting, whatever they are."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hack.testbed.admin_api import SCHEDULER, ApiProcess
from hack.testbed.controlplane import ControlPlane, free_port
from hack.testbed.namespace import BATCH, CORE, MERGE, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for

FLOOD = 24  # runs of the first team; no node takes their pods


@pytest.fixture
def neighbour(plane: ControlPlane) -> Iterator[Namespace]:
    """A second team."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    plane.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": name}})
    yield Namespace(plane, name)
    plane.api.call("DELETE", f"{CORE}/namespaces/{name}")


@pytest.fixture
def operate(
    make_operator: Callable[..., OperatorProcess], namespace: Namespace, neighbour: Namespace
) -> Callable[..., OperatorProcess]:
    """An operator of both teams, with this section `admission`."""

    def start(**admission: Any) -> OperatorProcess:
        operator = make_operator(
            watchNamespaces=[namespace.name, neighbour.name],
            admission={"startGraceSeconds": 5, **admission},
            metricsPort=free_port(),
        )
        operator.start(same_lease=True)
        operator.wait_until_leading()
        return operator

    return start


def active(team: Namespace) -> int:
    return sum(not job["spec"].get("suspend") for job in team.jobs())


def flood(team: Namespace, count: int = FLOOD) -> None:
    team.apply("flood", concurrencyPolicy="Allow", priority="high", tier="critical")
    team.wait_until_observed("flood")
    for number in range(count):
        team.start("flood", f"flood-{number}")


def wait_for_the_run_of(neighbour: Namespace, seconds: float = 120) -> None:
    neighbour.apply("calm", priority="low", tier="bulk")
    neighbour.wait_until_observed("calm")
    neighbour.start("calm", "calm-1")
    wait_for("the neighbour's run is admitted", lambda: active(neighbour) == 1, seconds)


def test_a_flood_takes_half_of_the_places(
    namespace: Namespace, neighbour: Namespace, operate: Callable[..., OperatorProcess]
) -> None:
    operator = operate()
    flood(namespace)
    wait_for("its places are taken", lambda: active(namespace) == 10, 120, operator.log)
    wait_for_the_run_of(neighbour)
    operator.wait_for_resyncs(3)  # while its runs have long been late in starting
    assert active(namespace) == 10


def test_runs_that_do_not_start_give_their_places_back(
    namespace: Namespace,
    neighbour: Namespace,
    operate: Callable[..., OperatorProcess],
    plane: ControlPlane,
    tmp_path: Path,
) -> None:
    """Even where the first team may have all places."""
    operator = operate(maxActivePerNamespace=20)
    flood(namespace)
    wait_for("all places are taken", lambda: active(namespace) == 20, 120, operator.log)
    wait_for_the_run_of(neighbour)
    process = ApiProcess(plane.kubeconfig, namespace.name, operator.config_file, tmp_path / "log")
    process.start()
    try:
        status = wait_for(
            "the gate's trouble is told",
            lambda: (
                (body := process.api.get(f"{SCHEDULER}/status").body)
                and any(f"{namespace.name} 20" in line for line in body["degraded"])
                and body
            ),
        )
        assert status
        assert status["status"] == "degraded"
        assert "admitted runs do not start" in str(status["degraded"])
        queue = process.api.get(f"{SCHEDULER}/queue").body
        assert (queue["total"], queue["places"]) == (FLOOD - 20, 20)
        assert queue["not_starting"][namespace.name] == 20
        assert {entry["waits_for"] for entry in queue["queue"]} == {"20 of 20 places are taken"}
    finally:
        process.end()


def test_jobs_that_are_made_without_the_gate_take_no_more(
    namespace: Namespace, neighbour: Namespace, operate: Callable[..., OperatorProcess]
) -> None:
    """Who may create Jobs may create them with our labels, and let them start."""
    operator = operate(maxActive=2, startGraceSeconds=3600)
    flood(namespace, 6)
    wait_for("its place is taken", lambda: active(namespace) == 1, 120, operator.log)
    for job in namespace.jobs():
        path = namespace.path(BATCH, "jobs", job["metadata"]["name"])
        namespace.call("PATCH", path, {"spec": {"suspend": False}}, MERGE)
    assert active(namespace) == 6
    wait_for_the_run_of(neighbour)


def test_a_job_that_may_not_be_changed_does_not_stop_the_others(
    namespace: Namespace, neighbour: Namespace, operate: Callable[..., OperatorProcess]
) -> None:
    """Its team has a policy that refuses whatever lets it start."""
    operator = operate(maxActive=1)
    name = f"refuses-{namespace.name}"
    rules = [{"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["UPDATE"],
              "resources": ["jobs"]}]  # fmt: skip
    only = {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}
    policies = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
    bindings = f"{policies[: -len('policies')]}policybindings"
    namespace.call("POST", policies, {
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": rules, "namespaceSelector": only},
            "validations": [{"expression": "object.spec.suspend == true", "message": "stay"}],
        },
    })  # fmt: skip
    namespace.call("POST", bindings, {
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    })  # fmt: skip
    container = {"name": "none", "image": "localhost/none"}
    namespace.call("POST", namespace.path(BATCH, "jobs"), {
        "metadata": {"name": "probe"},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [container]}},
        },
    })  # fmt: skip
    probe = f"{namespace.path(BATCH, 'jobs', 'probe')}?dryRun=All"
    starting = {"spec": {"suspend": False}}
    try:
        wait_for(
            "the policy is in force",
            lambda: namespace.plane.api.call("PATCH", probe, starting, MERGE).code >= 400,
        )
        flood(namespace, 1)
        wait_for(
            "it is refused", lambda: "could not be admitted" in operator.log_file.read_text(), 120
        )
        wait_for_the_run_of(neighbour)
        assert active(namespace) == 0
    finally:
        namespace.plane.api.call("DELETE", f"{bindings}/{name}")
        namespace.plane.api.call("DELETE", f"{policies}/{name}")


def test_priority_is_what_the_namespace_may_have(
    namespace: Namespace, neighbour: Namespace, operate: Callable[..., OperatorProcess]
) -> None:
    """What a ReportSchedule declares beyond that is refused; what ran goes on."""
    operate(
        maxActive=1,
        highestPriority="normal",
        highestTier="standard",
        namespaces={neighbour.name: {"highestPriority": "high", "highestTier": "critical"}},
    )
    for team in (namespace, neighbour):
        team.apply("mine", tier="standard", priority="normal", concurrencyPolicy="Allow")
        team.wait_until_observed("mine")
        assert team.condition("mine", "Ready")["status"] == "True"
    namespace.apply("mine", tier="standard", priority="high", concurrencyPolicy="Allow")
    refused = namespace.wait_for_ready("mine", "PriorityNotAllowed")
    assert "spec.priority" in refused["message"]
    cronjob = namespace.cronjob("mine")
    assert cronjob is not None  # the last good one goes on
    neighbour.apply("mine", tier="critical", priority="high", concurrencyPolicy="Allow")
    neighbour.wait_for_ready("mine", "Ready")
    namespace.apply("mine", tier="critical", concurrencyPolicy="Allow")
    namespace.wait_for_ready("mine", "TierNotAllowed")
