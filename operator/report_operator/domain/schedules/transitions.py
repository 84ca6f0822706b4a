"""Kubernetes Events: one for each transition, none while nothing changes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from report_operator.api.v1alpha1.conditions import ConditionType
from report_operator.api.v1alpha1.status import (
    Condition,
    HandledRequest,
    MissedSlots,
    RecentRun,
    ReportScheduleStatus,
)
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome

NORMAL = "Normal"
WARNING = "Warning"


@dataclass(frozen=True, slots=True)
class Transition:
    """`key` is the same however often the transition is found."""

    kind: str
    reason: str
    message: str
    at: datetime
    key: str


def transitions(before: ReportScheduleStatus, after: ReportScheduleStatus) -> list[Transition]:
    """From one status to the next, oldest first."""
    known = {entry.uid for entry in before.recent_runs}
    found = [_ended(entry) for entry in after.recent_runs if entry.uid not in known]
    if after.last_missed is not None and after.last_missed != before.last_missed:
        found.append(_missed(after.last_missed))
    old = {condition.type: condition for condition in before.conditions}
    for condition in after.conditions:
        previous = old.get(condition.type)
        event = _condition(condition, previous)
        if event is not None:
            found.append(event)
    for now, then in (
        (after.run_request, before.run_request),
        (after.retry_request, before.retry_request),
    ):
        if now is not None and now != then:
            found.append(_request(now))
    event = _not_starting(after, before)
    return [*found, event] if event is not None else found


def _request(handled: HandledRequest) -> Transition:
    kind, reason = (NORMAL, "RunRequested") if handled.job else (WARNING, "RunNotMade")
    told = f"requested by an annotation: {handled.message}"
    return Transition(kind, reason, told, handled.at, f"{handled.value}-{handled.job}")


def _not_starting(after: ReportScheduleStatus, before: ReportScheduleStatus) -> Transition | None:
    """One for each run and reason; the end of it is the run's start, or its failure."""
    now, then = after.pending, before.pending
    if now is None or (
        then is not None and (then.slot, then.job, then.reason) == (now.slot, now.job, now.reason)
    ):
        return None
    which = f"Job {now.job}" if now.job else "no Job could be made"
    return Transition(
        WARNING,
        "RunNotStarting",
        f"slot {format_time(now.slot)}, {which}: {now.reason.value}: {now.message}",
        now.since,
        f"{now.job or format_time(now.slot)}-{now.reason.value}",
    )


def _ended(entry: RecentRun) -> Transition:
    slot = f"slot {format_time(entry.slot)}, Job {entry.job}"
    if entry.backfill is not None:
        slot += f" of ReportBackfill {entry.backfill}"
    if entry.outcome is Outcome.SUCCEEDED:
        return Transition(NORMAL, "RunSucceeded", slot, entry.finished_at, entry.uid)
    reason = entry.reason.value if entry.reason else ""
    if entry.outcome is Outcome.SKIPPED:
        told = f"{slot}: {reason}: {entry.message}"
        return Transition(NORMAL, "RunSkipped", told, entry.finished_at, entry.uid)
    return Transition(
        WARNING, "RunFailed", f"{slot}: {reason}: {entry.message}", entry.finished_at, entry.uid
    )


def _missed(missed: MissedSlots) -> Transition:
    first, last = format_time(missed.first), format_time(missed.last)
    what = f"slot {first}" if missed.count == 1 else f"{missed.count} slots from {first} to {last}"
    return Transition(
        WARNING,
        "SlotsMissed",
        f"{what} passed without a run, and none will be made (spec.missedRuns, concurrencyPolicy, "
        "an edit, or a suspension): generate the reports of their dates where they are wanted",
        missed.at,
        f"{first}-{last}-{missed.count}",
    )


def _condition(after: Condition, before: Condition | None) -> Transition | None:
    is_true = after.status == "True"
    was_true = before is not None and before.status == "True"
    unchanged = before is not None and is_true == was_true
    at = after.last_transition_time
    key = f"{after.type}-{after.status}-{format_time(at)}"
    match after.type:
        case ConditionType.READY:
            first = before is None or before.status == "Unknown"
            same_reason = before is not None and before.reason == after.reason
            if (unchanged and (is_true or same_reason)) or (is_true and first):
                return None
            if is_true:
                return Transition(NORMAL, "Ready", after.message, at, key)
            key = f"{key}-{after.reason}"
            return Transition(WARNING, after.reason, after.message, at, key)
        case ConditionType.DELAYED:
            if is_true == was_true:
                return None
            if is_true:
                return Transition(WARNING, "Delayed", after.message, at, key)
            return Transition(NORMAL, "OnTime", "no slot is late any more", at, key)
        case ConditionType.ZONE_DATA:
            if is_true == was_true or not is_true:
                return None
            return Transition(WARNING, "ZoneDataDiffers", after.message, at, key)
        case _:
            return None  # each failed run has an event of its own
