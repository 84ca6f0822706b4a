"""Runs that somebody asks for by an annotation of the ReportSchedule.

For those who have nothing but that object: Argo CD's actions, and kubectl without the admin API. A
request is an annotation that stays; `status.runRequest` and `status.retryRequest` say what became
of its value, so that the same value is answered once, over restarts and repeated writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import HandledRequest, RecentRun
from report_operator.domain import names
from report_operator.domain.runs.attempts import (
    Attempt,
    known_overridden,
    lost_request,
    read_parameters,
    slot_of_date,
)
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.observation import Observation, RunRequests
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_operator.domain.times import format_time, parse_time
from report_runner.contract.result import Outcome

VALUE_LIMIT = 100
# An annotation may come from a backup or from git long after it was written.
REQUEST_KEPT = timedelta(hours=24)
CLOCK_TOLERANCE = timedelta(minutes=5)  # between who asks and the operator


@dataclass(frozen=True, slots=True)
class RequestedRun:
    """An attempt to make, and the text by which its Job says who asked."""

    attempt: Attempt
    requested_by: str


@dataclass(frozen=True, slots=True)
class RequestDecision:
    """What is to be made now, and what the status says of each request."""

    make: Sequence[RequestedRun]
    run: HandledRequest | None
    retry: HandledRequest | None


def read_requests(meta: Mapping[str, Any]) -> RunRequests:
    annotations = meta.get("annotations") or {}
    run = annotations.get(names.ANNOTATION_RUN_REQUESTED, "")
    retry = annotations.get(names.ANNOTATION_RETRY_REQUESTED, "")
    return RunRequests(cut(run.strip(), VALUE_LIMIT), cut(retry.strip(), VALUE_LIMIT))


def decide_requests(observation: Observation, recent: Sequence[RecentRun]) -> RequestDecision:
    """`recent` are the outcomes that the status will hold."""
    requests, previous = observation.requests, observation.previous
    make: list[RequestedRun] = []
    run, retry = previous.run_request, previous.retry_request
    if requests.run and (run is None or run.value != requests.run):
        run = _answer(_run_now(observation, recent), run, make, observation)
    if requests.retry and (retry is None or retry.value != requests.retry):
        retry = _answer(_retry(observation, recent), retry, make, observation)
    return RequestDecision(make, run, retry)


def _answer(
    found: RequestedRun | HandledRequest | None,
    before: HandledRequest | None,
    make: list[RequestedRun],
    observation: Observation,
) -> HandledRequest | None:
    if found is None:
        return before  # it waits
    if isinstance(found, HandledRequest):
        return found
    why = observation.requests.refused.get(found.requested_by)
    if why is None:
        make.append(found)
        return before
    value = found.requested_by.rpartition("=")[2]
    return HandledRequest(
        value=value, message=cut(f"no run was made: {why}", MESSAGE_LIMIT), at=observation.now
    )


def _run_now(
    observation: Observation, recent: Sequence[RecentRun]
) -> RequestedRun | HandledRequest | None:
    """The report of the day on which it was asked for, as `generate` makes it."""
    value = observation.requests.run
    by = f"{names.ANNOTATION_RUN_REQUESTED}={value}"
    made: list[Run | RecentRun] = [*(item.run for item in observation.runs), *recent]
    for known in made:
        if known.requested_by == by:
            return _handled(observation, value, _job(known), "made for it")
    try:
        asked = parse_time(value)
    except ValueError:
        asked = None
    why = _out_of_time(asked, observation)
    if asked is None:
        why = "is no instant: write one such as 2026-11-24T06:00:00Z"
    if why or asked is None:
        return _handled(observation, value, None, why)
    plan = observation.plan
    if observation.cronjob is None or plan is None:
        return None  # there is nothing to make a run from: Ready says why
    day = min(asked, observation.now).astimezone(plan.zone).date()
    slot = slot_of_date(plan.schedule, plan.zone, day, observation.now)
    newest = _newest(observation, recent, slot)
    if isinstance(newest, Run) and not newest.finished:
        what = "is under way for the same slot"
        if newest.calendar_verdict.left_out:
            what = "waits for its business day (`report-scheduler generate` lets it start)"
        return _handled(observation, value, newest.name, what)
    priority = observation.spec.priority if observation.spec else Priority.NORMAL
    number = newest.attempt + 1 if newest is not None else 1
    return RequestedRun(Attempt(slot, day, number, priority), by)


def _retry(
    observation: Observation, recent: Sequence[RecentRun]
) -> RequestedRun | HandledRequest | None:
    """A further attempt for the slot of a failed run, unless it has one."""
    value = observation.requests.retry
    live = next((item.run for item in observation.runs if item.run.name == value), None)
    if live is not None and not live.finished:
        return _handled(observation, value, live.name, "is under way")
    entry = next((entry for entry in recent if entry.job == value), None)
    if entry is None and live is not None:
        return None  # its outcome has no room in status just now
    if entry is None:
        return _handled(
            observation,
            value,
            None,
            "names no Job among status.recentRuns (status.lastFailure.job is the last failure)",
        )
    if entry.outcome is Outcome.SUCCEEDED:
        return _handled(observation, value, entry.job, "has succeeded: there is nothing to retry")
    newest = _newest(observation, recent, entry.slot)
    if newest is not None and newest.attempt > entry.attempt:
        return _handled(observation, value, _job(newest), "is the further attempt of its slot")
    if observation.cronjob is None:
        return None
    spec = observation.spec
    if live is None:
        why = lost_request(
            known_overridden(entry.overridden, entry.requested_by, entry.backfill),
            entry.job,
            adjustable=spec is None
            or bool(spec.report.declared_parameters or spec.delivery.email is not None),
        )
        if why:
            return _handled(observation, value, None, f"is not retried: {why}")
    attempt = Attempt(
        entry.slot,
        entry.report_date,
        entry.attempt + 1,
        Priority.HIGH,
        read_parameters(live.parameters) if live is not None else {},
        resend=live.resend if live is not None else "",
        inherits=True,
    )
    return RequestedRun(attempt, f"{names.ANNOTATION_RETRY_REQUESTED}={value}")


def _out_of_time(asked: datetime | None, observation: Observation) -> str:
    """Why an instant asks for nothing; '' where it does."""
    if asked is None:
        return ""
    if asked > observation.now + CLOCK_TOLERANCE:
        return "lies in the future: no run was made, and none will be"
    if observation.created_at is not None and asked < observation.created_at - CLOCK_TOLERANCE:
        return (
            "is older than this object, so it came with a copy of another: no run was made "
            f"(this one was made {format_time(observation.created_at)})"
        )
    if asked < observation.now - REQUEST_KEPT:
        return "is more than a day old: no run was made; ask again if it is still wanted"
    return ""


def _newest(
    observation: Observation, recent: Sequence[RecentRun], slot: datetime
) -> Run | RecentRun | None:
    """The newest attempt of a slot; of one that has a Job, the Job."""
    runs = [item.run for item in observation.runs if item.run.slot == slot]
    entries = [entry for entry in recent if entry.slot == slot]
    attempts: list[Run | RecentRun] = [*entries, *runs]
    return max(attempts, key=lambda found: found.attempt, default=None)


def _job(run: Run | RecentRun) -> str:
    return run.name if isinstance(run, Run) else run.job


def _handled(observation: Observation, value: str, job: str | None, what: str) -> HandledRequest:
    message = f"{job or value} {what}"
    return HandledRequest(value=value, job=job, message=message, at=observation.now)
