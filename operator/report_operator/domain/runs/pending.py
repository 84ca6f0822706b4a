"""What keeps a run from starting: by fields of the pod and its Events, then by sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from report_operator.domain.runs.cause import Cause, PendingReason, with_remedy
from report_operator.domain.runs.containers import (
    CONTAINER_REASONS,
    CONTAINER_REMEDY,
    CONTAINERS,
    IMAGE_REASONS,
    VOLUMES,
    table_of,
)
from report_operator.domain.runs.message_rules import first_match
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.refusals import explain_refusal
from report_operator.domain.runs.scheduling import explain_unschedulable
from report_runner.contract.reasons import Reason

FAILED_CREATE = "FailedCreate"  # of the Job controller and of the CronJob controller
FAILED_SCHEDULING = "FailedScheduling"

# Events that say that what was told before is over: the pod got a node, its volumes are there.
_PROGRESS = frozenset({"Scheduled", "Pulling", "Pulled", "Created", "Started", "SuccessfulCreate"})
# `Failed to pull image`, `Error: ImagePullBackOff`: of images and of containers alike
_FAILED = frozenset({"Failed", "BackOff"})
_IMAGE_TEXT = re.compile(r"\bimage\b|ImagePull|InvalidImageName", re.IGNORECASE)
_SECRET = re.compile(r'secret "(?P<name>[^"]+)" not found')


@dataclass(frozen=True, slots=True)
class EventNote:
    """A Kubernetes Event about a pod, a Job or a CronJob, as far as it is read."""

    reason: str
    message: str
    warning: bool = True
    seen_at: datetime | None = None  # last


def explain_pending(pod: Pod | None, events: Sequence[EventNote]) -> PendingReason | None:
    """What keeps a run from starting; None where nothing is known to.

    `events` are about the pod, or about the Job while it has no pod; newest last.
    """
    open_events = unresolved(events)
    if pod is None:
        cause = explain_refused(open_events, "no pod could be made")
        return None if cause is None else PendingReason(cause)
    if pod.waiting_reason in IMAGE_REASONS:
        return _reason_of(pod.waiting_reason, f"{pod.waiting_reason}: {pod.waiting_message}", pod)
    if pod.waiting_reason in CONTAINER_REASONS:
        return _reason_of(pod.waiting_reason, f"{pod.waiting_reason}: {pod.waiting_message}", pod)
    if pod.unschedulable:
        return PendingReason(explain_unschedulable(pod.unschedulable))
    return _of_events(pod, open_events)


def explain_refused(
    events: Sequence[EventNote], what: str, since: datetime | None = None
) -> Cause | None:
    """Why a controller could not make an object; None where the newest try went well.

    Events of before `since` are about another object: a CronJob has them of all its slots.
    """
    refused = [
        event
        for event in unresolved(events)
        if event.reason == FAILED_CREATE
        and (since is None or event.seen_at is None or event.seen_at >= since)
    ]
    return explain_refusal(refused[-1].message, what) if refused else None


def unresolved(events: Sequence[EventNote]) -> list[EventNote]:
    """The warnings since the last step forward."""
    done = max((n for n, event in enumerate(events) if event.reason in _PROGRESS), default=-1)
    return [event for event in events[done + 1 :] if event.warning]


def _of_events(pod: Pod, events: Sequence[EventNote]) -> PendingReason | None:
    # The newest is often a summary (`timed out waiting for the condition`): one with a cause that
    # is known says more.
    for event in reversed(events):
        table = table_of(_kind(event))
        if table is not None and first_match(event.message, table[0]):
            return _reason_of(_kind(event), event.message, pod)
    if not events:
        return None
    newest = events[-1]
    if newest.reason == FAILED_SCHEDULING:
        return PendingReason(explain_unschedulable(newest.message))
    return _reason_of(_kind(newest), newest.message, pod)


def _kind(event: EventNote) -> str:
    if event.reason in _FAILED:
        return "ErrImagePull" if _IMAGE_TEXT.search(event.message) else "CreateContainerError"
    return event.reason


def _reason_of(kind: str, text: str, pod: Pod) -> PendingReason:
    rules, otherwise, general = table_of(kind) or (
        (*VOLUMES, *CONTAINERS),
        Reason.CONTAINER_NOT_STARTED,
        CONTAINER_REMEDY,
    )
    before = f"image {pod.image}" if kind in IMAGE_REASONS else "the pod cannot start"
    found = first_match(text, rules)
    reason, remedy = (found[0].reason, found[0].advise(found[1])) if found else (otherwise, general)
    missing = _SECRET.search(text)
    return PendingReason(
        Cause(reason, with_remedy(f"{before}: {text}", remedy)),
        missing_secret=missing["name"] if missing else "",
    )
