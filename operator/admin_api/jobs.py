"""Runs as the API shows them: from the outcomes in status, and the Jobs that are there."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from admin_api.errors import RefusedError
from admin_api.model import SCHEDULER, Job, Jobs, JobsQuery, JobStatus, PerformanceMetrics
from report_operator.api.v1alpha1.resource import parse_status
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.names import job_id
from report_operator.domain.run import Run, observe_job
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome

Body = Mapping[str, Any]

METRICS_SPAN = timedelta(hours=24)
SLOT_FORMAT = "%Y%m%dT%H%M%SZ"


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


def _at(job: Job) -> datetime:
    return job.finished_at or job.slot


def _order(job: Job) -> tuple[str, str, str]:
    return format_time(_at(job)), job.id, job.job  # two by hand in one second share an id


def select(jobs: Sequence[Job], query: JobsQuery) -> Jobs:
    """One page. Raises RefusedError."""
    before = _read_cursor(query.cursor) if query.cursor else None
    chosen = [
        job
        for job in jobs
        if (query.status is None or job.status is query.status)
        and (query.report_type is None or job.report_type == query.report_type)
        and (query.since is None or _at(job) >= query.since)
        and (query.until is None or _at(job) < query.until)
        and (before is None or _order(job) < before)
    ]
    page = chosen[: query.limit]
    more = len(chosen) > len(page)
    return Jobs(jobs=page, next=_cursor(page[-1]) if more else None)


def _cursor(job: Job) -> str:
    return base64.urlsafe_b64encode("|".join(_order(job)).encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[str, str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, identity, job = text.split("|")
        datetime.fromisoformat(at)
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise RefusedError(422, "cursor: take it from `next` of the page before") from error
    return at, identity, job


def measure(jobs: Sequence[Job], now: datetime) -> PerformanceMetrics:
    """Rates and means of the last 24 hours."""
    finished = [
        job for job in jobs if job.finished_at is not None and now - job.finished_at < METRICS_SPAN
    ]
    times = [job.run_seconds for job in finished if job.run_seconds is not None]
    good = sum(job.status is JobStatus.SUCCEEDED for job in finished)
    minutes = METRICS_SPAN / timedelta(minutes=1)
    return PerformanceMetrics(
        processing_rate=round(len(finished) / minutes, 4),
        avg_execution_time_ms=round(1000 * sum(times) / len(times), 1) if times else None,
        success_rate_percent=round(100 * good / len(finished), 2) if finished else None,
        finished=len(finished),
        queue_depth=sum(job.status is JobStatus.QUEUED for job in jobs),
        active_jobs=sum(
            job.status in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING) for job in jobs
        ),
    )


def find_job(jobs: Iterable[Job], identity: str) -> Job:
    """By its id; the newest where two have it. Raises RefusedError."""
    found = next((job for job in jobs if job.id == identity), None)
    if found is None:
        raise RefusedError(
            404, f"no job {identity} is known: GET {SCHEDULER}/jobs lists those that are"
        )
    return found
