"""Runs that cannot start are ended with the reason; each failure is reported once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hack.testbed.namespace import CORE, MERGE, Body, Namespace
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result

IMPATIENT = {"startupDeadlineSeconds": 10}


@pytest.fixture
def impatient(make_operator: Callable[..., OperatorProcess]) -> OperatorProcess:
    """An operator that ends a run which did not start within ten seconds."""
    operator = make_operator(**IMPATIENT)
    operator.start()
    operator.wait_until_leading()
    return operator


def last_failure(namespace: Namespace, name: str) -> Body:
    def found() -> Body | None:
        return namespace.status(name).get("lastFailure")

    failure = wait_for("a failure", found, 90, lambda: (namespace.status(name), namespace.jobs()))
    assert failure is not None
    return failure


def events_about(namespace: Namespace, name: str, reason: str) -> list[str]:
    return [
        event["message"]
        for event in namespace.list(CORE, "events")
        if event["involvedObject"]["name"] == name and event["reason"] == reason
    ]


def test_unpullable_image_ends_the_run(namespace: Namespace, impatient: OperatorProcess) -> None:
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    pod = namespace.pod_of("run-1")
    waiting = {"reason": "ImagePullBackOff", "message": "Back-off pulling image: not found"}
    container = {
        "name": "report",
        "image": "localhost/none:tests",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": {"waiting": waiting},
    }
    path = namespace.path(CORE, "pods", pod["metadata"]["name"], "status")
    status = {"phase": "Pending", "containerStatuses": [container]}
    namespace.call("PATCH", path, {"status": status}, MERGE)
    failure = last_failure(namespace, "daily")
    assert failure["reason"] == "ImageUnavailable"
    assert "localhost/none:tests" in failure["message"]
    assert "could not start within 10 s" in failure["message"]


def test_exhausted_quota_ends_the_run(namespace: Namespace, impatient: OperatorProcess) -> None:
    quotas = namespace.path(CORE, "resourcequotas")
    namespace.call("POST", quotas, {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}})
    wait_for(
        "the quota is in force",
        lambda: (
            (found := namespace.find(CORE, "resourcequotas", "none"))
            and found.get("status", {}).get("hard")
        ),
        60,
    )
    namespace.apply("daily")
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    failure = last_failure(namespace, "daily")
    assert failure["reason"] == "QuotaExceeded"
    assert "exceeded quota: none" in failure["message"]


def test_failure_and_recovery_get_one_event_each(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("daily", concurrencyPolicy="Allow")
    namespace.wait_until_observed("daily")
    said = RunResult(
        outcome=Outcome.FAILED, reason=Reason.DATABASE_UNAVAILABLE, message="db.internal refuses"
    )
    namespace.start("daily", "bad")
    namespace.end_pod(namespace.pod_of("bad"), exit_code=69, message=dump_result(said))
    failure = last_failure(namespace, "daily")
    assert (failure["reason"], failure["message"]) == ("DatabaseUnavailable", "db.internal refuses")
    status = namespace.status("daily")
    assert (status["health"], status["consecutiveFailures"]) == ("Failing", 1)
    assert namespace.condition("daily", "Failing")["reason"] == "DatabaseUnavailable"
    wait_for("an event", lambda: events_about(namespace, "daily", "RunFailed"))
    operator.wait_for_resyncs(1)
    assert len(events_about(namespace, "daily", "RunFailed")) == 1

    namespace.start("daily", "good")
    namespace.end_pod(namespace.pod_of("good"))
    wait_for("health", lambda: namespace.status("daily")["health"] == "Healthy")
    assert namespace.status("daily")["consecutiveFailures"] == 0
    assert namespace.status("daily")["runCounts"] == {"DatabaseUnavailable": 1, "Succeeded": 1}


def test_failed_pod_is_retried(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply("daily", retry={"limit": 1})
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    first = namespace.pod_of("run-1")
    namespace.end_pod(first, exit_code=69)

    def second() -> Body | None:
        names = (first["metadata"]["name"],)
        return next((p for p in namespace.pods() if p["metadata"]["name"] not in names), None)

    pod = wait_for("the next attempt", second, 60)
    assert pod is not None
    assert "lastFailure" not in namespace.status("daily")
    namespace.end_pod(pod)
    counts = wait_for("the outcome", lambda: namespace.status("daily").get("runCounts"))
    assert counts == {"Succeeded": 1}


def test_permanent_error_is_not_retried(namespace: Namespace, operator: OperatorProcess) -> None:
    namespace.apply("daily", retry={"limit": 5})
    namespace.wait_until_observed("daily")
    namespace.start("daily", "run-1")
    namespace.end_pod(namespace.pod_of("run-1"), exit_code=78, message="no such table")
    failure = last_failure(namespace, "daily")
    assert failure["reason"] == "ConfigurationError"
    assert "no such table" in failure["message"]
    assert len(namespace.pods()) == 1
