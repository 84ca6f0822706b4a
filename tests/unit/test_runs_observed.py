"""Jobs and pods as Kubernetes 1.36 writes them → runs."""

from datetime import timedelta
from typing import Any

import pytest
from factories import (
    MINUTE,
    SLOT,
    at,
    container_state,
    job_body,
    job_condition,
    pod_body,
    pod_condition,
)

from report_operator.domain.runs.pod import observe_pod
from report_operator.domain.runs.run import Stage, observe_job

DONE = SLOT + 5 * MINUTE
STARTED = {"startTime": "2026-11-24T05:00:07Z"}
ADMITTED = {"suspend": False}
RESUMED = job_condition("Suspended", "JobResumed", "Job resumed", status="False")


def job(status: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    return job_body({"status": status or {}, **changes})


def test_waiting_job() -> None:
    run = observe_job(job())
    assert (run.namespace, run.name, run.uid, run.schedule) == (
        "reports",
        "daily-29924940",
        "job-1",
        "daily",
    )
    assert run.stage is Stage.QUEUED
    assert run.slot == SLOT  # written as 06:00+01:00
    assert not run.manual
    assert (run.tier, run.priority, run.concurrency) == ("critical", "high", "Forbid")
    assert (run.time_zone, run.definition, run.attempt) == ("Europe/Madrid", "daily-0123456789", 1)
    assert run.admitted_at is None
    assert not run.finished
    assert not run.deleting


@pytest.mark.parametrize(
    ("status", "stage"),
    [
        (STARTED | {"conditions": [RESUMED], "active": 1, "ready": 0}, Stage.PENDING),
        (STARTED | {"conditions": [RESUMED], "active": 1, "ready": 1}, Stage.RUNNING),
        (STARTED | {"conditions": [RESUMED], "active": 1, "ready": 1, "failed": 2}, Stage.RUNNING),
        (STARTED | {"conditions": [RESUMED], "ready": 0, "failed": 1}, Stage.RETRYING),
        (STARTED | {"conditions": [RESUMED], "active": None, "ready": None}, Stage.PENDING),
        # The criteria are met, but pods are still terminating: the Job is not over.
        (
            STARTED
            | {
                "active": 1,
                "ready": 1,
                "terminating": 1,
                "conditions": [RESUMED, job_condition("SuccessCriteriaMet", "CompletionsReached")],
            },
            Stage.RUNNING,
        ),
        (
            STARTED
            | {
                "failed": 4,
                "terminating": 1,
                "conditions": [RESUMED, job_condition("FailureTarget", "BackoffLimitExceeded")],
            },
            Stage.RETRYING,
        ),
    ],
)
def test_stage_of_an_admitted_job(status: dict[str, Any], stage: Stage) -> None:
    run = observe_job(job(status, spec=ADMITTED))
    assert run.stage is stage
    assert not run.finished
    assert run.admitted_at == SLOT + timedelta(seconds=7)


def test_complete_job() -> None:
    run = observe_job(
        job(
            STARTED
            | {
                "conditions": [
                    RESUMED,
                    job_condition("SuccessCriteriaMet", "CompletionsReached"),
                    job_condition("Complete", "CompletionsReached", "Reached expected number"),
                ],
                "completionTime": "2026-11-24T05:05:00Z",
                "succeeded": 1,
                "failed": 1,
                "ready": 0,
            },
            spec=ADMITTED,
        )
    )
    assert run.stage is Stage.SUCCEEDED
    assert run.succeeded
    assert run.finished_at == DONE
    assert (run.failed_condition, run.failed_message) == ("", "")


def test_failed_job() -> None:
    words = ("BackoffLimitExceeded", "Job has reached the specified backoff limit")
    conditions = [job_condition("FailureTarget", *words), job_condition("Failed", *words)]
    run = observe_job(job({"conditions": [RESUMED, *conditions], "failed": 4}, spec=ADMITTED))
    assert run.stage is Stage.FAILED
    assert (run.finished_at, run.succeeded) == (DONE, False)
    assert (run.failed_condition, run.failed_message) == words


def test_job_started_by_hand() -> None:
    body = job_body()
    annotations = body["metadata"]["annotations"]
    del annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"]
    annotations["cronjob.kubernetes.io/instantiate"] = "manual"
    body["metadata"]["creationTimestamp"] = "2026-11-24T09:30:12Z"
    run = observe_job(body)
    assert run.manual
    assert run.slot == at("2026-11-24 09:30:12")


def test_stamps_of_admission_and_of_giving_up() -> None:
    stamps = {
        "slot": "2026-11-23T05:00:00Z",
        "report-date": "2026-11-23",
        "attempt": "2",
        "admitted-at": "2026-11-24T05:10:00Z",
        "failure-reason": "QueueTimeout",
        "failure-message": "waited too long",
    }
    run = observe_job(
        job(
            STARTED,
            metadata={
                "annotations": {f"reports.adaf.io/{key}": text for key, text in stamps.items()},
                "deletionTimestamp": "2026-11-24T06:00:00Z",
            },
        )
    )
    assert run.slot == at("2026-11-23 05:00")
    assert not run.manual
    assert (run.report_date, run.attempt) == ("2026-11-23", 2)
    assert run.admitted_at == SLOT + 10 * MINUTE  # our stamp, not the controller's startTime
    assert (run.termination_reason, run.termination_detail) == ("QueueTimeout", "waited too long")
    assert run.deleting


def test_job_without_status() -> None:
    assert observe_job(job_body({"status": None})).stage is Stage.QUEUED


@pytest.mark.parametrize(
    "changes",
    [
        {"metadata": {"labels": {"reports.adaf.io/schedule-uid": None}}},
        {"metadata": {"annotations": {"reports.adaf.io/schedule-name": None}}},
        {"metadata": {"annotations": {"reports.adaf.io/attempt": "second"}}},
        {"metadata": {"creationTimestamp": ""}},
        {"metadata": {"annotations": {"reports.adaf.io/slot": "2026-11-24T05:00:00"}}},
    ],
)
def test_job_that_is_not_ours(changes: dict[str, Any]) -> None:
    with pytest.raises((KeyError, ValueError)):
        observe_job(job_body(changes))


def test_pod_that_nothing_is_known_of() -> None:
    pod = observe_pod(pod_body())
    assert (pod.phase, pod.ended, pod.image, pod.memory_limit) == (
        "Pending",
        False,
        "runner:1",
        "768Mi",
    )
    assert pod.created_at == SLOT + timedelta(seconds=1)
    assert pod.started_at is None
    assert pod.exit_code is None
    assert observe_pod({**pod_body(), "status": None}).phase == "Pending"


def test_unschedulable_pod() -> None:
    told = pod_condition(
        "PodScheduled", "False", "Unschedulable", "0/1 nodes are available: 1 Insufficient memory."
    )
    pod = observe_pod(pod_body({"conditions": [told]}))
    assert pod.unschedulable == told["message"]


def test_waiting_pod() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image"}
    scheduled = pod_condition("PodScheduled", "True", message="not to be shown")
    pod = observe_pod(pod_body({"conditions": [scheduled], **container_state(waiting=waiting)}))
    assert (pod.waiting_reason, pod.waiting_message) == tuple(waiting.values())
    assert pod.unschedulable == ""


def test_running_pod() -> None:
    state = container_state(running={"startedAt": "2026-11-24T05:00:09Z"})
    pod = observe_pod(pod_body({"phase": "Running", **state}))
    assert pod.started_at == SLOT + timedelta(seconds=9)
    assert not pod.ended


def test_ended_pod() -> None:
    ended = {
        "exitCode": 137,
        "reason": "OOMKilled",
        "message": "{}",
        "startedAt": "2026-11-24T05:00:09Z",
        "finishedAt": "2026-11-24T05:01:00Z",
        "containerID": "containerd://1",
    }
    pod = observe_pod(pod_body({"phase": "Failed", **container_state(terminated=ended)}))
    assert pod.ended
    assert (pod.exit_code, pod.exit_reason, pod.result_text) == (137, "OOMKilled", "{}")
    assert (pod.started_at, pod.finished_at) == (SLOT + timedelta(seconds=9), SLOT + MINUTE)


@pytest.mark.parametrize(("status", "seen"), [("True", "EvictionByEvictionAPI"), ("False", "")])
def test_disrupted_pod(status: str, seen: str) -> None:
    told = pod_condition("DisruptionTarget", status, "EvictionByEvictionAPI", "Eviction API")
    body = pod_body({"phase": "Failed", "reason": "Evicted", "message": "x", "conditions": [told]})
    pod = observe_pod(body)
    assert (pod.disruption, pod.reason, pod.message) == (seen, "Evicted", "x")
