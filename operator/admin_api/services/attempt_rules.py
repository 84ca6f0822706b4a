"""Decisions about attempts, computed without I/O: the same input gives the same attempt."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from admin_api.errors import RefusedError
from admin_api.schemas.attempts import GenerateRequest
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.services.jobs import DONE, ScheduleSummary, order_of
from report_operator.api.v1alpha1.spec import Priority
from report_operator.domain import names
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse
from report_operator.domain.runs.attempts import Attempt, DayToComeError, slot_of_date
from report_operator.domain.runs.run import Run
from report_runner.contract.reasons import Reason

Body = dict[str, Any]

KNOWN_LIMIT = 30  # names in one message


def decide_retry(
    job: Job, jobs: Sequence[Job], priority: Priority = Priority.HIGH
) -> Attempt | Job:
    """The next attempt of a failed run's slot, or the one under way. Raises RefusedError."""
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
    return Attempt(newest.slot, newest.report_date, newest.attempt + 1, priority)


def decide_generate(
    request: GenerateRequest, schedule: ScheduleSummary, slot: datetime, jobs: Sequence[Job]
) -> Attempt | Job:
    """The next attempt of a slot, or the one under way."""
    attempts = attempts_of(schedule.namespace, schedule.name, slot, jobs)
    if attempts and attempts[-1].status not in DONE:
        return attempts[-1]
    number = attempts[-1].attempt + 1 if attempts else 1
    return Attempt(slot, request.date, number, request.priority)


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
        known = sorted({schedule.report_type for schedule in schedules})
        raise RefusedError(
            404,
            f"no ReportSchedule here has the type {request.type}; known types: "
            + (", ".join(known[:KNOWN_LIMIT]) or "none"),
        )
    several = ", ".join(f"{s.namespace}/{s.name}" for s in found[:KNOWN_LIMIT])
    raise RefusedError(
        409, f"several ReportSchedules have the type {request.type} ({several}): name the "
        "namespace and the schedule as well"
    )  # fmt: skip


def purge_patch(run: Run, hours: float) -> Body:
    """A patch after which the operator records the run as failed and removes its Job."""
    return {
        "metadata": {
            "resourceVersion": run.resource_version,
            "annotations": {
                names.ANNOTATION_FAILURE_REASON: Reason.QUEUE_TIMEOUT.value,
                names.ANNOTATION_FAILURE_MESSAGE: (
                    f"purged from the queue on request, after more than {hours:g} h; retry it if "
                    "the report is still needed"
                ),
            },
        }
    }


def to_purge(runs: Iterable[Run], hours: float, now: datetime) -> list[Run]:
    """Runs that have waited for admission for more than `hours`, oldest first."""
    age = timedelta(hours=hours)
    return sorted(
        (
            run
            for run in runs
            if run.suspended
            and not run.finished
            and not run.deleting
            and not run.termination_reason
            and now - run.created_at > age
        ),
        key=lambda run: run.created_at,
    )
