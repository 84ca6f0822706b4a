"""A run that waits until its data are ready (`spec.report.waitFor`).

Its pod asks. Where the data are not ready it ends with EXIT_NOT_READY_YET, which counts as no try,
and the operator suspends the Job again: between two checks a run has no pod and no place. All that
is known of the wait is in one annotation of the Job, written in the same request as `suspend`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from report_operator.api.v1alpha1.status import Instant, StatusModel
from report_operator.domain import names
from report_operator.domain.runs.pod import Pod
from report_operator.domain.times import format_time
from report_runner.contract.reasons import EXIT_NOT_READY_YET
from report_runner.contract.result import ANSWER_LIMIT, WaitAnswer, parse_result
from report_runner.contract.waiting import OnDeadline

ANNOTATION_LIMIT = 4096  # characters; ours has a few hundred
CHECKS_LIMIT = 10_000
# The Job controller's pause before a further pod: it doubles with each pod that failed, checks
# included (DefaultJobPodFailureBackOff and MaxJobPodFailureBackOff in pkg/controller/job). A run
# that was admitted within it would hold a place without a pod.
FIRST_BACKOFF = timedelta(seconds=10)
LAST_BACKOFF = timedelta(minutes=10)
BACKOFF_MARGIN = timedelta(seconds=2)
# A pod whose clock is so far behind would wait for ever.
OVERTIME = timedelta(hours=1)

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
_AFTER = {
    OnDeadline.FAIL: "it fails then",
    OnDeadline.SKIP: "it is skipped then",
    OnDeadline.SEND_MARKED: "it is made all the same then, and marked",
}


class DataWait(StatusModel):
    """What the checks of a run found so far; the content of the annotation."""

    since: Instant  # the first check that found the data not ready
    first_admitted_at: Instant
    checks: int = Field(ge=1, le=CHECKS_LIMIT)
    pod: str = Field(max_length=253)  # of the last of them
    answer: str = Field(max_length=ANSWER_LIMIT)
    next_check: Instant
    deadline: Instant
    on_deadline: OnDeadline
    enqueued_at: Instant | None = None  # when the next check was due: it is in the queue since

    @property
    def between_checks(self) -> bool:
        """Whether the next check is not due yet."""
        return self.enqueued_at is None

    def describe(self) -> str:
        """For a person, after `Job NAME`."""
        return (
            f"waits for its data since {format_time(self.since)}: {self.answer}; next check "
            f"{format_time(self.next_check)}; deadline {format_time(self.deadline)}: "
            f"{_AFTER[self.on_deadline]}"
        )


def parse_wait(text: str | None) -> DataWait | None:
    """The annotation; None where there is none. Raises ValueError where somebody edited it."""
    if not text:
        return None
    if len(text) > ANNOTATION_LIMIT:
        raise ValueError(f"{names.ANNOTATION_DATA_WAIT}: longer than {ANNOTATION_LIMIT} characters")
    try:
        return DataWait.model_validate_json(text)
    except ValidationError as error:
        raise ValueError(
            f"{names.ANNOTATION_DATA_WAIT}: not what the operator wrote: "
            f"{error.errors()[0]['msg'][:200]}"
        ) from None


def is_check(pod: Pod) -> bool:
    """Whether the pod ended without a report, since its data were not ready."""
    return pod.ended and pod.exit_code == EXIT_NOT_READY_YET


def without_checks(pods: Sequence[Pod], wait: DataWait | None) -> list[Pod]:
    """The pods that count as tries, and the newest where it is a check not acted on yet.

    `pods` are oldest first. A check that was stopped by a deletion is no answer: when a Job is
    suspended its pods are deleted, and such a pod would have the next one deleted likewise.
    """
    return [
        pod
        for pod in pods
        if not is_check(pod)
        or (pod is pods[-1] and not pod.deleting and (wait is None or wait.pod != pod.name))
    ]


def answer_of(pod: Pod) -> WaitAnswer | None:
    """What a check found; None where it left no word, or none that can be kept."""
    result = parse_result(pod.result_text)
    if result is None or result.not_ready is None:
        return None
    found = result.not_ready
    try:
        deadline = _INSTANT.validate_python(found.deadline)
    except ValidationError:  # whoever writes pods wrote it
        return None
    answer = " ".join(found.answer.split())
    return found.model_copy(update={"deadline": deadline, "answer": answer})


def may_suspend(pod: Pod, ended_pods: int, now: datetime) -> bool:
    """Whether the Job controller makes no further pod meanwhile.

    One that it has just made would be deleted, and count as a try that failed. It asks in any case,
    and the pause after it is longer. `ended_pods` are all pods of the Job that failed, checks
    included.
    """
    return now - ended_at(pod) < backoff(ended_pods) - BACKOFF_MARGIN


def ended_at(pod: Pod) -> datetime:
    return pod.finished_at or pod.created_at


def next_wait(
    before: DataWait | None, pod: Pod, found: WaitAnswer, ended_pods: int, admitted_at: datetime
) -> DataWait:
    """The wait after one more check. `ended_pods` as in `may_suspend`."""
    checks = before.checks + 1 if before else 1
    ended = ended_at(pod)
    earliest = ended + backoff(ended_pods) + BACKOFF_MARGIN
    usual = ended + timedelta(seconds=found.every_seconds)
    # There is a check at the deadline, whatever `every` says.
    due = min(usual, found.deadline) if ended < found.deadline else usual
    return DataWait(
        since=before.since if before else ended,
        first_admitted_at=before.first_admitted_at if before else admitted_at,
        checks=min(checks, CHECKS_LIMIT),
        pod=pod.name,
        answer=found.answer,
        next_check=max(due, earliest),
        deadline=found.deadline,
        on_deadline=found.on_deadline,
    )


def backoff(pods: int) -> timedelta:
    """The Job controller's pause after so many pods that failed."""
    doublings = min(max(pods - 1, 0), 10)
    return min(FIRST_BACKOFF * (1 << doublings), LAST_BACKOFF)


def wait_patch(resource_version: str, wait: DataWait) -> dict[str, Any]:
    """Suspend the Job, and say why and until when, in one step."""
    return {**_annotated(resource_version, wait), "spec": {"suspend": True}}


def enqueue_patch(resource_version: str, wait: DataWait, now: datetime) -> dict[str, Any]:
    """The next check is due: the run is in the queue again."""
    return _annotated(resource_version, wait.model_copy(update={"enqueued_at": now}))


def _annotated(resource_version: str, wait: DataWait) -> dict[str, Any]:
    text = wait.model_dump_json(by_alias=True, exclude_none=True)
    return {
        "metadata": {
            "resourceVersion": resource_version,
            "annotations": {names.ANNOTATION_DATA_WAIT: text},
        }
    }
