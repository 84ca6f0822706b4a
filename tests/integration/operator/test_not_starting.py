"""What keeps a run from starting is told by kubectl soon, with the field to change.

Quotas, LimitRanges, Pod Security, missing objects, webhooks and policies refuse for real; what
scheduler and kubelet say is written as they write it, since there is no node here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hack.testbed.namespace import BATCH, CORE, MERGE, SCHEDULES, Body, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from tests.support.refusals import dead_webhook, policy, restrict


def pending(namespace: Namespace, name: str = "daily") -> Body:
    """What the schedule says keeps a run from starting."""
    found = wait_for(
        "the reason",
        lambda: namespace.status(name).get("pending"),
        90,
        lambda: (namespace.status(name), namespace.list(CORE, "events")),
    )
    assert found is not None
    return found


def events(namespace: Namespace, reason: str) -> list[str]:
    return [e["message"] for e in namespace.list(CORE, "events") if e["reason"] == reason]


@pytest.fixture
def held(namespace: Namespace) -> Iterator[ExitStack]:
    """What is taken away again after the test."""
    with ExitStack() as stack:
        yield stack


def start_changed(namespace: Namespace, job: str, change: Callable[[Body], None]) -> None:
    """A run of `daily` by hand, whose pod somebody edited."""
    cronjob = namespace.cronjob("daily")
    assert cronjob is not None
    template = copy.deepcopy(cronjob["spec"]["jobTemplate"])
    change(template["spec"]["template"]["spec"])
    owner = {
        "apiVersion": "batch/v1", "kind": "CronJob", "name": "daily",
        "uid": cronjob["metadata"]["uid"], "controller": True,
    }  # fmt: skip
    meta = {**template["metadata"], "name": job, "ownerReferences": [owner]}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": template["spec"]}
    namespace.call("POST", namespace.path(BATCH, "jobs"), body)


@pytest.mark.parametrize(
    ("restriction", "reason", "words"),
    [
        (
            "limitrange-default",
            "LimitRangeViolated",
            ["must be less than or equal to cpu limit of 50m", "spec.resources.limits.cpu"],
        ),
        ("limitrange-max", "LimitRangeViolated", ["spec.resources.limits.memory to at most 512Mi"]),
        ("limitrange-ratio", "LimitRangeViolated", ["the limit at most 2 times the request"]),
        (
            "quota-must-specify",
            "QuotaExceeded",
            ["ResourceQuota sre-quota", "set spec.resources.limits.cpu"],
        ),
        ("quota-pods", "QuotaExceeded", ["exceeded quota: none", "spec.hard"]),
    ],
)
def test_namespace_refuses_the_pod(
    namespace: Namespace,
    operator: OperatorProcess,
    restriction: str,
    reason: str,
    words: list[str],
) -> None:
    restrict(namespace, restriction)
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    found = pending(namespace)
    assert (found["reason"], found["job"]) == (reason, "run-1")
    assert not [word for word in words if word not in found["message"]], found
    told = wait_for("an Event", lambda: events(namespace, "RunNotStarting"))
    assert f"Job run-1: {reason}: {found['message'][:200]}" in told[0]


EDITS: list[tuple[Callable[[Body], Any], str, list[str]]] = [
    (
        lambda pod: pod.update(priorityClassName="absent"),
        "ObjectNotFound",
        ["PriorityClass absent", "config.runner.priorityClassName"],
    ),
    (
        lambda pod: pod.update(runtimeClassName="absent"),
        "ObjectNotFound",
        ["create RuntimeClass absent"],
    ),
    (
        lambda pod: pod.update(serviceAccountName="absent"),
        "ObjectNotFound",
        ["create serviceaccount absent"],
    ),
    (
        lambda pod: pod["containers"][0].pop("securityContext"),
        "PodSecurityViolated",
        ["allowPrivilegeEscalation != false", "pod-security.kubernetes.io/enforce"],
    ),
]


@pytest.mark.parametrize(("edit", "reason", "words"), EDITS)
def test_the_pod_names_what_is_not_there_or_not_allowed(
    namespace: Namespace,
    operator: OperatorProcess,
    edit: Callable[[Body], None],
    reason: str,
    words: list[str],
) -> None:
    label = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    namespace.call("PATCH", f"{CORE}/namespaces/{namespace.name}", label, MERGE)
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    start_changed(namespace, "run-1", edit)
    found = pending(namespace)
    assert found["reason"] == reason, found
    assert not [word for word in words if word not in found["message"]], found


def test_webhook_that_does_not_answer(
    namespace: Namespace, operator: OperatorProcess, held: ExitStack
) -> None:
    name = held.enter_context(dead_webhook(namespace, "", "pods"))
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    found = pending(namespace)
    assert found["reason"] == "AdmissionDenied"
    assert f'failed calling webhook "{name}"' in found["message"]
    assert "the webhook's server does not answer" in found["message"]


def test_policy_that_refuses_the_pod_and_its_end(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    with policy(namespace, "", "pods") as name:
        # It takes the API server a moment to compile a policy.
        probe = {
            "metadata": {"generateName": "probe-"},
            "spec": {"containers": [{"name": "c", "image": "none"}]},
        }
        path = f"{namespace.path(CORE, 'pods')}?dryRun=All"
        wait_for("the policy", lambda: namespace.plane.api.call("POST", path, probe).code == 422
                 or namespace.plane.api.call("POST", path, probe).code == 403)  # fmt: skip
        namespace.start("daily", "run-1")
        found = pending(namespace)
        assert found["reason"] == "AdmissionDenied"
        assert "not on Sundays" in found["message"]
        assert f"ValidatingAdmissionPolicy {name} refuses it" in found["message"]
    namespace.pod_of("run-1")
    wait_for("it blocks no more", lambda: "pending" not in namespace.status("daily"), 90,
             lambda: namespace.status("daily"))  # fmt: skip


def test_what_scheduler_and_kubelet_say(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    path = namespace.path(CORE, "pods", pod["metadata"]["name"], "status")

    def says(condition: Body) -> None:
        status = {"phase": "Pending", "conditions": [{"type": "PodScheduled", **condition}]}
        namespace.call("PATCH", path, {"status": status}, MERGE)

    claim = '0/1 nodes are available: persistentvolumeclaim "sre-absent" not found. not found'
    says({"status": "False", "reason": "Unschedulable", "message": claim})
    found = pending(namespace)
    assert found["reason"] == "StorageUnavailable"
    assert "create PersistentVolumeClaim sre-absent in this namespace" in found["message"]
    says({"status": "True"})
    at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    namespace.call(
        "POST",
        namespace.path(CORE, "events"),
        {
            "metadata": {"name": "mount.1"},
            "involvedObject": {
                "kind": "Pod", "namespace": namespace.name, "name": pod["metadata"]["name"],
                "uid": pod["metadata"]["uid"], "apiVersion": "v1",
            },
            "type": "Warning",
            "reason": "FailedMount",
            "message": 'MountVolume.SetUp failed for volume "secret-0" : secret "x" not found',
            "firstTimestamp": at,
            "lastTimestamp": at,
            "count": 1,
            "source": {"component": "kubelet", "host": "node"},
        },
    )  # fmt: skip
    found = wait_for(
        "the Secret", lambda: (p := pending(namespace))["reason"] == "ConfigurationError" and p, 90
    )
    assert isinstance(found, dict)
    assert "Secret x does not exist in this namespace" in found["message"]
    assert namespace.condition("daily", "Ready")["reason"] == "SecretNotFound"


@pytest.mark.minutes
@pytest.mark.parametrize("policy_of_missed", ["RunLatest", "RunAll"])
def test_a_slot_whose_job_is_refused_says_so(
    namespace: Namespace, operator: OperatorProcess, policy_of_missed: str
) -> None:
    restrict(namespace, "quota-jobs")
    missed = {"policy": policy_of_missed, "startWithin": "1h"}
    namespace.apply("daily", schedule="* * * * *", lateAfter="1m", missedRuns=missed)
    if policy_of_missed == "RunAll":
        namespace.wait_until_observed("daily")
        since = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
        status = {"status": {"scheduleSince": f"{since:%Y-%m-%dT%H:%M:%SZ}"}}
        path = namespace.path(SCHEDULES, "reportschedules", "daily", "status")
        namespace.call("PATCH", path, status, MERGE)
        namespace.call("DELETE", namespace.path(BATCH, "cronjobs", "daily"))
    found = pending(namespace)
    assert "job" not in found
    assert found["reason"] == "QuotaExceeded"
    assert found["message"].startswith("its Job could not be made: exceeded quota: sre-quota-jobs")
    late = wait_for(
        "it is late",
        lambda: (c := namespace.condition("daily", "Delayed")).get("status") == "True" and c,
        150,
        lambda: namespace.status("daily"),
    )
    assert isinstance(late, dict)
    assert late["reason"] == "NotCreated"
    assert "has no Job: QuotaExceeded: its Job could not be made: exceeded quota" in late["message"]
