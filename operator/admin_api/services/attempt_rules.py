"""Decisions about attempts, computed without I/O: the same input gives the same attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.schemas.queue import CleanupRequest
from admin_api.services.jobs import DONE, ScheduleSummary, order_of
from admin_api.services.known_names import KNOWN_LIMIT, check_names, unknown_name
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.admission.limits import PRIORITIES
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse, slots_between
from report_operator.domain.runs.attempts import (
    Attempt,
    DayToComeError,
    days_span,
    slot_of_date,
)
from report_operator.domain.runs.run import Run
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason

Body = dict[str, Any]


def decide_retry(
    job: Job, jobs: Sequence[Job], priority: Priority = Priority.HIGH
) -> Attempt | Job:
    """The next attempt of a failed run's slot, or the one that exists. Raises RefusedError.

    A run that was tried again before has its further attempt, also where that has failed as well:
    who wants one more asks for the newest.
    """
    attempts = attempts_of(job.namespace, job.schedule, job.slot, jobs)
    newest = attempts[-1] if attempts else job
    if newest.status not in DONE:
        return newest
    if newest.status is JobStatus.SUCCEEDED:
        raise RefusedError(
            409,
            f"the slot's newest attempt, {newest.id}, succeeded; POST /api/admin/reports/generate "
            "makes the report anew",
        )
    if newest.attempt > job.attempt:
        return newest
    return Attempt(newest.slot, newest.report_date, newest.attempt + 1, priority)


def decide_generate(
    request: GenerateRequest, schedule: ScheduleSummary, slot: datetime, jobs: Sequence[Job]
) -> Attempt | Job:
    """The next attempt of a slot, or the one under way."""
    attempts = attempts_of(schedule.namespace, schedule.name, slot, jobs)
    if attempts and attempts[-1].status not in DONE:
        return attempts[-1]
    number = attempts[-1].attempt + 1 if attempts else 1
    return Attempt(slot, request.date, number, request.priority or schedule.priority)


def raised_priority(request: GenerateRequest, decision: Attempt | Job) -> Priority | None:
    """The priority that the request raises a waiting attempt to; None where it does not."""
    if request.priority is None or not isinstance(decision, Job):
        return None
    if decision.status is not JobStatus.QUEUED:
        return None
    now = PRIORITIES.get(decision.priority or "", len(PRIORITIES))
    return request.priority if PRIORITIES[request.priority.value] < now else None


def warnings_of(request: GenerateRequest, schedule: ScheduleSummary, now: datetime) -> list[str]:
    """What a caller may not expect: a slot of that day that comes yet makes the report again."""
    if schedule.suspended:
        return []
    try:
        coming = _next_slot(schedule, request.date, now)
    except ScheduleError:
        return []
    if coming is None:
        return []
    count = schedule.recipients
    readers = "its recipient" if count == 1 else f"its {count} recipients"
    mailed = f" and mails it to {readers} again" if count else ""
    return [
        f"a slot of {request.date} is still to come, {format_time(coming)}: its run makes the "
        f"report again{mailed}; suspend the schedule until that has passed if this one is to do"
    ]


def _next_slot(schedule: ScheduleSummary, day: date, now: datetime) -> datetime | None:
    """The next slot, if it is one of that day. Raises ScheduleError."""
    zone = load_zone(schedule.time_zone)
    _, end = days_span(zone, day, day)
    if end <= now:
        return None
    known = schedule.status.next_schedule_time
    if known is not None and known > now:
        return known if known <= end else None
    return next(iter(slots_between(parse(schedule.cron), zone, now, end, 1).slots), None)


def priority_patch(run: Run, priority: Priority) -> Body:
    """A patch that moves a waiting run in the queue."""
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {names.ANNOTATION_PRIORITY: priority.value},
        }
    }


def attempts_of(namespace: str, name: str, slot: datetime, jobs: Iterable[Job]) -> list[Job]:
    """The attempts of a slot, oldest first."""
    found = [j for j in jobs if (j.namespace, j.schedule, j.slot) == (namespace, name, slot)]
    return sorted(found, key=order_of)


def slot_of(schedule: ScheduleSummary, day: date, now: datetime) -> datetime:
    """The day's slot by the schedule as it is declared. Raises RefusedError."""
    try:
        rule, zone = parse(schedule.cron), load_zone(schedule.time_zone)
        return slot_of_date(rule, zone, day, now)
    except ScheduleError as error:
        raise RefusedError(409, f"{schedule.namespace}/{schedule.name}: {error}") from error
    except DayToComeError as error:
        raise RefusedError(422, str(error)) from error


def choose(request: GenerateRequest, schedules: Sequence[ScheduleSummary]) -> ScheduleSummary:
    """The one ReportSchedule that the request names. Raises RefusedError."""
    of_type = [schedule for schedule in schedules if schedule.report_type == request.type]
    found = [
        schedule
        for schedule in of_type
        if request.namespace in (None, schedule.namespace)
        and request.schedule in (None, schedule.name)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        raise RefusedError(
            404,
            unknown_name(schedules, report_type=request.type)
            or unknown_name(of_type, namespace=request.namespace, name=request.schedule)
            or f"no ReportSchedule {request.namespace}/{request.schedule} has the type "
            f"{request.type}; those that have: "
            + ", ".join(f"{s.namespace}/{s.name}" for s in of_type[:KNOWN_LIMIT]),
        )
    several = ", ".join(f"{s.namespace}/{s.name}" for s in found[:KNOWN_LIMIT])
    raise RefusedError(
        409, f"several ReportSchedules have the type {request.type} ({several}): name the "
        "namespace and the schedule as well"
    )  # fmt: skip


def purge_patch(run: Run, hours: float, requested_by: str) -> Body:
    """A patch after which the operator records the run as failed and removes its Job."""
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {
                names.ANNOTATION_FAILURE_REASON: Reason.QUEUE_TIMEOUT.value,
                names.ANNOTATION_FAILURE_MESSAGE: (
                    f"purged from the queue on request of {requested_by}, after more than "
                    f"{hours:g} h; retry it if the report is still needed"
                ),
            },
        }
    }


def to_purge(
    request: CleanupRequest,
    runs: Iterable[Run],
    schedules: Sequence[ScheduleSummary],
    now: datetime,
) -> list[Run]:
    """Runs that the request gives up, oldest first. Raises RefusedError.

    Those that have waited for admission for more than its hours, and that all its filters match;
    of its ids, where it has some.
    """
    types = {schedule.uid: schedule.report_type for schedule in schedules}
    check_names(
        schedules,
        report_type=request.report_type,
        tier=request.tier,
        namespace=request.namespace,
    )
    waiting = [run for run in runs if run.waiting]
    if (
        request.backfill is not None
        and request.ids is None
        and all(run.backfill != request.backfill for run in waiting)
    ):
        raise RefusedError(404, f"no run of a ReportBackfill {request.backfill} waits")
    age = timedelta(hours=request.older_than_hours)
    ids = None if request.ids is None else set(request.ids)
    return sorted(
        (
            run
            for run in waiting
            if now - run.created_at > age
            and request.report_type in (None, types.get(run.schedule_uid))
            and request.tier in (None, run.tier)
            and request.namespace in (None, run.namespace)
            and request.backfill in (None, run.backfill)
            and (ids is None or run.identity.id in ids)
        ),
        key=lambda run: run.created_at,
    )
