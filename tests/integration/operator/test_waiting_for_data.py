"""A run whose data are not ready gives up pod and place, and asks again when that is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from hack.testbed.namespace import Body, Namespace, report
from hack.testbed.operator import OperatorProcess
from hack.testbed.waiting import wait_for
from report_operator.domain import names
from report_operator.domain.runs.data_wait import DataWait, parse_wait
from report_runner.contract.reasons import EXIT_CODES, EXIT_NOT_READY_YET, Reason
from report_runner.contract.result import Outcome, RunResult, WaitAnswer, dump_result
from report_runner.contract.waiting import OnDeadline
from tests.support.proxy import Proxy, Write
from tests.support.restart import restarted

WAIT_FOR = {"source": "facts", "until": "facts | length > 1", "every": "1m", "deadline": "1h"}
ANSWER = "source facts has 1 row, and `facts | length > 1` is not true"


def not_ready(every_seconds: int) -> str:
    """The termination message of a check; the pod says when it asks again."""
    check = WaitAnswer(
        answer=ANSWER,
        every_seconds=every_seconds,
        deadline=datetime.now(UTC) + timedelta(hours=1),
        on_deadline=OnDeadline.FAIL,
    )
    return dump_result(
        RunResult(
            outcome=Outcome.FAILED, reason=Reason.DATA_NOT_READY, message=ANSWER, not_ready=check
        )
    )


def job_of(namespace: Namespace, name: str) -> Body:
    (job,) = (job for job in namespace.jobs() if job["metadata"]["name"] == name)
    return job


def wait_of(namespace: Namespace, name: str) -> DataWait | None:
    annotations = job_of(namespace, name)["metadata"]["annotations"]
    return parse_wait(annotations.get(names.ANNOTATION_DATA_WAIT))


def suspended(namespace: Namespace, name: str, checks: int) -> bool:
    """Whether the run waits after so many checks."""
    wait = wait_of(namespace, name)
    return wait is not None and wait.checks == checks and job_of(namespace, name)["spec"]["suspend"]


def next_pod(namespace: Namespace, name: str, known: list[Body]) -> Body:
    """A pod of the run that is not one of these."""
    old = {pod["metadata"]["name"] for pod in known}

    def made() -> Body | None:
        return next(
            (
                pod
                for pod in namespace.pods()
                if pod["metadata"]["labels"][names.LABEL_JOB_NAME] == name
                and pod["metadata"]["name"] not in old
            ),
            None,
        )

    found = wait_for(f"another pod of {name}", made, 180, lambda: job_of(namespace, name))
    assert found is not None
    return found


def test_run_waits_without_pod_and_place(
    namespace: Namespace, make_operator: Callable[..., OperatorProcess]
) -> None:
    operator = make_operator(admission={"maxActive": 1})
    operator.start()
    operator.wait_until_leading()
    for name in ("waits", "other"):
        namespace.apply(name, report=report(waitFor=WAIT_FOR))
        namespace.wait_until_observed(name)
    namespace.start("waits", "run-1")
    first = namespace.pod_of("run-1")
    namespace.end_pod(first, EXIT_NOT_READY_YET, not_ready(3600))
    wait_for("it waits", lambda: suspended(namespace, "run-1", 1), 90, operator.log)
    status = wait_for(
        "the status says so",
        lambda: (found := namespace.status("waits")).get("waitingForData") and found,
        90,
        operator.log,
    )
    assert status
    assert status["dataWait"]["answer"] == ANSWER
    assert status["dataWait"]["job"] == "run-1"
    assert (status["queued"], status["active"]) == (0, 0)
    # Its place is free: there is only one.
    namespace.start("other", "run-2")
    namespace.end_pod(namespace.pod_of("run-2"))
    wait_for("the other report", lambda: namespace.status("other").get("runCounts"), 90)
    assert len(namespace.pods()) == 2
    assert not namespace.status("waits")["runCounts"]
    assert job_of(namespace, "run-1")["status"].get("failed", 0) == 0


def test_operator_killed_after_each_write_while_a_run_waits(
    namespace: Namespace, proxy: Proxy, make_operator: Callable[..., OperatorProcess]
) -> None:
    """It asks as often as the data are not ready, is delivered once, and no check is a try."""
    operator = make_operator()

    def die(write: Write) -> bool:
        if write.status >= 300:
            return False
        operator.kill()
        return True

    proxy.after_write = die
    operator.start()
    with restarted(operator) as lives:
        namespace.apply("waits", report=report(waitFor=WAIT_FOR))  # retry.limit is 0
        namespace.wait_until_observed("waits", 180)
        namespace.start("waits", "run-1")
        # The Job controller makes another pod where the operator is not there in time.
        pods = [next_pod(namespace, "run-1", [])]
        while (wait := wait_of(namespace, "run-1")) is None or wait.checks < 2:
            namespace.end_pod(pods[-1], EXIT_NOT_READY_YET, not_ready(1))
            pods.append(next_pod(namespace, "run-1", pods))
        namespace.end_pod(pods[-1])
        wait_for("its outcome", lambda: namespace.status("waits").get("runCounts"), 180)
    proxy.after_write = None
    assert lives[0] > 6
    status = namespace.status("waits")
    assert status["runCounts"] == {"Succeeded": 1}
    (entry,) = status["recentRuns"]
    assert entry["dataWaitSeconds"] > 0
    assert status.get("waitingForData", 0) == 0


def test_data_that_are_not_ready_at_the_deadline_fail_at_once(
    namespace: Namespace, operator: OperatorProcess
) -> None:
    namespace.apply("waits", retry={"limit": 5}, report=report(waitFor=WAIT_FOR))
    namespace.wait_until_observed("waits")
    namespace.start("waits", "run-1")
    reason = Reason.DATA_NOT_READY
    said = RunResult(outcome=Outcome.FAILED, reason=reason, message=f"not by 08:00: {ANSWER}")
    namespace.end_pod(namespace.pod_of("run-1"), EXIT_CODES[reason], dump_result(said))
    failure = wait_for("it failed", lambda: namespace.status("waits").get("lastFailure"), 90)
    assert failure
    assert (failure["reason"], failure["message"]) == (reason.value, f"not by 08:00: {ANSWER}")
    assert len(namespace.pods()) == 1
