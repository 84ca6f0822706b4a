"""Runs as the API shows them: from the outcomes in status, and the Jobs that are there."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from admin_api.errors import RefusedError
from admin_api.model import SCHEDULER, Job, Jobs, JobsQuery, JobStatus, PerformanceMetrics
from report_operator.api.v1alpha1.resource import parse_status
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.figures import Finished, Totals
from report_operator.domain.names import job_id
from report_operator.domain.record import RunRecord
from report_operator.domain.run import Run, observe_job
from report_operator.domain.times import format_time, parse_time
from report_runner.contract.result import Outcome

Body = Mapping[str, Any]

METRICS_SPAN = timedelta(hours=24)
WRONG_CURSOR = "cursor: take it from `next` of the page before"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What the API needs of a ReportSchedule."""

    namespace: str
    name: str
    uid: str
    report_type: str
    tier: str
    body: Body

    @property
    def status(self) -> Any:
        """As far as it can be read."""
        return parse_status(self.body)


def read_schedules(bodies: Iterable[Body]) -> list[Schedule]:
    """Of what the API server lists."""
    return [
        Schedule(
            namespace=body["metadata"]["namespace"],
            name=body["metadata"]["name"],
            uid=body["metadata"]["uid"],
            report_type=body["spec"].get("reportType", ""),
            tier=body["spec"].get("tier", "standard"),
            body=body,
        )
        for body in bodies
    ]


def read_runs(bodies: Iterable[Body]) -> list[Run]:
    """The Jobs that are runs of ours."""
    runs = []
    for body in bodies:
        try:
            runs.append(observe_job(body))
        except (KeyError, ValueError):
            continue  # it only looks like one
    return runs


def all_jobs(schedules: Sequence[Schedule], runs: Iterable[Run]) -> list[Job]:
    """Every run that is known, newest first; a recorded outcome counts more than its Job."""
    by_uid: dict[str, Job] = {}
    known = {schedule.uid: schedule for schedule in schedules}
    for run in runs:
        schedule = known.get(run.schedule_uid)
        if schedule is not None:
            by_uid[run.uid] = _of_run(schedule, run)
    for schedule in schedules:
        for entry in schedule.status.recent_runs:
            by_uid[entry.uid] = _of_entry(schedule, entry)
    return sorted(by_uid.values(), key=_order, reverse=True)


def _of_entry(schedule: Schedule, entry: RecentRun) -> Job:
    failed = entry.outcome is Outcome.FAILED
    return Job(
        id=job_id(schedule.namespace, schedule.name, entry.slot, entry.attempt),
        report_type=schedule.report_type,
        status=JobStatus.FAILED if failed else JobStatus.SUCCEEDED,
        reason=entry.reason,
        error_message=entry.message if failed else None,
        failed_at=entry.finished_at if failed else None,
        namespace=schedule.namespace,
        schedule=schedule.name,
        tier=schedule.tier,
        job=entry.job,
        manual=entry.manual,
        backfill=entry.backfill,
        slot=entry.slot,
        report_date=entry.report_date,
        attempt=entry.attempt,
        started_at=entry.started_at,
        finished_at=entry.finished_at,
        queued_seconds=entry.queued_seconds,
        pending_seconds=entry.pending_seconds,
        run_seconds=entry.run_seconds,
        rows=entry.rows,
        outputs=entry.outputs,
    )


def _of_run(schedule: Schedule, run: Run) -> Job:
    status = JobStatus(run.stage.value.lower())
    return Job(
        id=job_id(run.namespace, run.schedule, run.slot, run.attempt),
        report_type=schedule.report_type,
        status=status,
        error_message=run.failed_message if status is JobStatus.FAILED else None,
        failed_at=run.finished_at if status is JobStatus.FAILED else None,
        namespace=run.namespace,
        schedule=run.schedule,
        tier=run.tier,
        priority=run.priority,
        job=run.name,
        manual=run.manual,
        backfill=run.backfill or None,
        slot=run.slot,
        report_date=run.report_date or None,
        attempt=run.attempt,
        finished_at=run.finished_at,
    )


def job_of_record(record: RunRecord) -> Job:
    """A run as history has it."""
    failed = record.outcome is Outcome.FAILED
    return Job(
        id=record.job_id,
        report_type=record.report_type,
        status=JobStatus.FAILED if failed else JobStatus.SUCCEEDED,
        reason=record.reason,
        error_message=record.message if failed else None,
        failed_at=record.finished_at if failed else None,
        namespace=record.namespace,
        schedule=record.schedule,
        tier=record.tier,
        priority=record.priority,
        job=record.job,
        manual=record.manual,
        slot=record.slot,
        report_date=record.report_date,
        attempt=record.attempt,
        started_at=record.started_at,
        finished_at=record.finished_at,
        queued_seconds=record.queued_seconds,
        pending_seconds=record.pending_seconds,
        run_seconds=record.run_seconds,
        rows=record.rows,
        outputs=[output.path for output in record.outputs],
    )


def _at(job: Job) -> datetime:
    return job.finished_at or job.slot


def _order(job: Job) -> tuple[datetime, str, str]:
    return _at(job), job.id, job.job  # two by hand in one second share an id


def select(
    live: Sequence[Job],
    query: JobsQuery,
    kept: Sequence[Job] = (),
    degraded: Sequence[str] = (),
) -> Jobs:
    """One page of what the cluster knows (`live`, newest first) and what history does.

    `kept` is the first `limit` + 1 that history has for the query. Raises RefusedError.
    """
    before = read_cursor(query.cursor) if query.cursor else None
    chosen = (
        job
        for job in live
        if (query.status is None or job.status is query.status)
        and (query.report_type is None or job.report_type == query.report_type)
        and (query.since is None or _at(job) >= query.since)
        and (query.until is None or _at(job) < query.until)
        and (before is None or _order(job) < before)
    )
    found = merge_jobs(islice(chosen, query.limit + 1), kept)
    page = found[: query.limit]
    following = _cursor(page[-1]) if len(found) > len(page) else None
    return Jobs(jobs=page, next=following, degraded=list(degraded))


def merge_jobs(live: Iterable[Job], kept: Iterable[Job]) -> list[Job]:
    """Each run once, newest first; history is final."""
    found = {(job.id, job.job): job for job in live}
    found |= {(job.id, job.job): job for job in kept}
    return sorted(found.values(), key=_order, reverse=True)


def _cursor(job: Job) -> str:
    text = "|".join((format_time(_at(job)), job.id, job.job))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, str, str]:
    """When it ended (or its slot), id and Job of the last of the page before.

    Raises RefusedError.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        told, identity, job = text.split("|")
        at = parse_time(told)
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise RefusedError(422, WRONG_CURSOR) from error
    if at is None or "\0" in text:
        raise RefusedError(422, WRONG_CURSOR)
    return at, identity, job


def recent(jobs: Iterable[Job], since: datetime) -> list[Finished]:
    """Those that ended since, as far as figures need them."""
    return [
        Finished(
            job.report_type,
            Outcome.FAILED if job.status is JobStatus.FAILED else Outcome.SUCCEEDED,
            job.finished_at,
            job.run_seconds,
            job.error_message or "",
        )
        for job in jobs
        if job.finished_at is not None and job.finished_at >= since
    ]


def measure(totals: Totals, live: Sequence[Job], degraded: list[str]) -> PerformanceMetrics:
    """Rates and means of METRICS_SPAN, and what is under way."""
    minutes = METRICS_SPAN / timedelta(minutes=1)
    done, average = totals.finished, totals.avg_seconds
    return PerformanceMetrics(
        processing_rate=round(done / minutes, 4),
        avg_execution_time_ms=None if average is None else round(1000 * average, 1),
        success_rate_percent=round(100 * totals.succeeded / done, 2) if done else None,
        finished=done,
        queue_depth=sum(job.status is JobStatus.QUEUED for job in live),
        active_jobs=sum(
            job.status in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING) for job in live
        ),
        degraded=degraded,
    )


def find_job(jobs: Iterable[Job], identity: str) -> Job:
    """By its id; the newest where two have it. Raises RefusedError."""
    found = next((job for job in jobs if job.id == identity), None)
    if found is None:
        raise unknown(identity)
    return found


def unknown(identity: str) -> RefusedError:
    """There is no such run."""
    return RefusedError(
        404, f"no job {identity} is known: GET {SCHEDULER}/jobs lists those that are"
    )
