"""Decisions about attempts, computed without I/O: the same input gives the same attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.services.job_lists import order_of
from admin_api.services.jobs import DONE, ScheduleSummary
from admin_api.services.known_names import KNOWN_LIMIT, unknown_name
from admin_api.services.override_rules import resend_of
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.admission.limits import PRIORITIES
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse, slots_between
from report_operator.domain.runs.attempts import (
    Attempt,
    DayToComeError,
    days_span,
    known_overridden,
    slot_of_date,
)
from report_operator.domain.runs.run import Run
from report_operator.domain.times import format_time

Body = dict[str, Any]


def decide_retry(
    job: Job, jobs: Sequence[Job], priority: Priority = Priority.HIGH, runs: Iterable[Run] = ()
) -> Attempt | Job:
    """The next attempt of a failed run's slot, or the one that exists. Raises RefusedError.

    A run that was tried again before has its further attempt, also where that has failed as well:
    who wants one more asks for the newest. What that was to send again is sent by the next one: it
    may have failed before it could note that beside its files (`runs` are those with a Job).
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
    name = (newest.namespace, newest.job)
    resend = next((run.resend for run in runs if (run.namespace, run.name) == name), "")
    return Attempt(
        newest.slot,
        newest.report_date,
        newest.attempt + 1,
        priority,
        resend=resend,
        inherits=True,
        overridden=known_overridden(newest.overridden, newest.requested_by, newest.backfill),
    )


def decide_generate(
    request: GenerateRequest, schedule: ScheduleSummary, slot: datetime, jobs: Sequence[Job]
) -> Attempt | Job:
    """The next attempt of a slot, or the one under way."""
    attempts = attempts_of(schedule.namespace, schedule.name, slot, jobs)
    if attempts and attempts[-1].status not in DONE:
        return attempts[-1]
    resend = resend_of(request)
    return Attempt(
        slot,
        request.date,
        attempts[-1].attempt + 1 if attempts else 1,
        request.priority or schedule.priority,
        request.parameters,
        resend=resend.text if resend is not None else "",
        instead_of_slot=request.instead_of_slot,
    )


def raised_priority(request: GenerateRequest, decision: Attempt | Job) -> Priority | None:
    """The priority that the request raises a waiting attempt to; None where it does not."""
    if request.priority is None or not isinstance(decision, Job):
        return None
    if decision.status not in (JobStatus.QUEUED, JobStatus.WAITING_FOR_DATA):
        return None
    now = PRIORITIES.get(decision.priority or "", len(PRIORITIES))
    return request.priority if PRIORITIES[request.priority.value] < now else None


def slot_to_come(schedule: ScheduleSummary, day: date, now: datetime) -> datetime:
    """The day's next slot, which a run is to take the place of. Raises RefusedError."""
    name = f"{schedule.namespace}/{schedule.name}"
    if schedule.suspended:
        raise RefusedError(409, f"instead_of_slot: {name} is suspended: no slot of it comes")
    try:
        coming = _next_slot(schedule, day, now)
    except ScheduleError as error:
        raise RefusedError(409, f"{name}: {error}") from error
    if coming is None:
        raise RefusedError(
            409,
            f"instead_of_slot: no slot of {day} is still to come that has no report yet: leave it "
            "out",
        )
    return coming


def warnings_of(
    request: GenerateRequest,
    schedule: ScheduleSummary,
    job: Job,
    jobs: Sequence[Job],
    now: datetime,
) -> list[str]:
    """What a caller may not expect."""
    return [*_slot_warning(request, schedule, now), *_repetition_warning(request, job, jobs)]


def _repetition_warning(request: GenerateRequest, job: Job, jobs: Sequence[Job]) -> list[str]:
    """The slot has a report, which a run without `resend` keeps."""
    if request.resend is not None:
        return []
    before = attempts_of(job.namespace, job.schedule, job.slot, jobs)
    done = [b for b in before if b.status is JobStatus.SUCCEEDED and b.attempt < job.attempt]
    if not done:
        return []
    return [
        f"{done[-1].id} has made this report: its files are used as they are while the definition "
        "is the same, and who has the mail gets no other; `resend` makes it anew and sends it again"
    ]


def _slot_warning(request: GenerateRequest, schedule: ScheduleSummary, now: datetime) -> list[str]:
    """A slot of that day that comes yet makes the report again."""
    if schedule.suspended or request.instead_of_slot:
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
        f"report again{mailed}; ask with `instead_of_slot` if this one is to do"
    ]


def coming_slot(schedule: ScheduleSummary, now: datetime) -> datetime | None:
    """The next slot of today that a run may take the place of."""
    if schedule.suspended:
        return None
    try:
        today = now.astimezone(load_zone(schedule.time_zone)).date()
        return _next_slot(schedule, today, now)
    except ScheduleError:
        return None


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


def release_patch(run: Run) -> Body:
    """A patch after which no calendar holds a waiting run back."""
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {names.ANNOTATION_CALENDAR: None},
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
