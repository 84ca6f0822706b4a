"""Lists of runs: in order, of one page, those given up on, and what they come to in figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice

from admin_api.errors import RefusedError
from admin_api.paths import SCHEDULER
from admin_api.schemas.jobs import Job, Jobs, JobsQuery, JobStatus
from admin_api.schemas.status import PerformanceMetrics
from admin_api.services.cursor import decode_cursor, decode_instant, encode_cursor
from admin_api.services.jobs import DONE, OUTCOMES
from report_operator.domain.names import schedule_of_job_id
from report_operator.domain.runs.dead_letter import Order, Tried, attempt_order, dead
from report_operator.domain.statistics import FinishedRun, Totals
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason

METRICS_SPAN = timedelta(hours=24)


def newest_first(jobs: Iterable[Job]) -> list[Job]:
    """By end, or by creation while there is none."""
    return sorted(jobs, key=_order, reverse=True)


def dead_letters_of(jobs: Iterable[Job]) -> list[Job]:
    """The newest attempt of each slot, where it failed for good; newest first."""
    tried = (
        Tried(
            (job.namespace, job.schedule, job.slot),
            order_of(job),
            job.status is JobStatus.FAILED and job.reason is not Reason.REPLACED,
            job,
        )
        for job in jobs
    )
    return newest_first(dead(tried))


def order_of(job: Job) -> Order:
    ended = job.finished_at or job.slot
    return attempt_order(job.attempt, ended if job.status in DONE else None)


def _at(job: Job) -> datetime:
    """Its end; of a run under way when it was made, as its slot may be of an older date."""
    return job.finished_at or job.created_at or job.slot


def _order(job: Job) -> tuple[datetime, str, str]:
    return _at(job), job.id, job.job  # two by hand in one second share an id


def select(
    live: Sequence[Job],
    query: JobsQuery,
    stored: Sequence[Job] = (),
    degraded: Sequence[str] = (),
) -> Jobs:
    """One page of the runs in the cluster (`live`, newest first) and in history.

    `stored` are the first `limit` + 1 that history has for the query. Raises RefusedError.
    """
    before = read_cursor(query.cursor) if query.cursor else None
    chosen = (
        job
        for job in live
        if (query.status is None or job.status is query.status)
        and query.report_type in (None, job.report_type)
        and query.namespace in (None, job.namespace)
        and query.schedule in (None, job.schedule)
        and (query.since is None or _at(job) >= query.since)
        and (query.until is None or _at(job) < query.until)
        and (before is None or _order(job) < before)
    )
    found = merge_jobs(islice(chosen, query.limit + 1), stored)
    page = found[: query.limit]
    following = _cursor(page[-1]) if len(found) > len(page) else None
    return Jobs(jobs=page, next=following, degraded=list(degraded))


def merge_jobs(live: Iterable[Job], stored: Iterable[Job]) -> list[Job]:
    """Each run once, newest first; history counts more than the cluster."""
    found = {(job.id, job.job): job for job in live}
    found |= {(job.id, job.job): job for job in stored}
    return newest_first(found.values())


def _cursor(job: Job) -> str:
    return encode_cursor(format_time(_at(job)), job.id, job.job)


def read_cursor(cursor: str) -> tuple[datetime, str, str]:
    """End or creation, id and Job of the last run of the page before. Raises RefusedError."""
    time, identity, job = decode_cursor(cursor, 3)
    return decode_instant(time), identity, job


def recent(jobs: Iterable[Job], since: datetime) -> list[FinishedRun]:
    """Runs that ended since, as input of the statistics."""
    return [
        FinishedRun(
            job.report_type,
            OUTCOMES[job.status],
            job.finished_at,
            job.run_seconds,
            job.error_message or "",
        )
        for job in jobs
        if job.status in OUTCOMES and job.finished_at is not None and job.finished_at >= since
    ]


def measure(
    totals: Totals, live: Sequence[Job], queue_depth: int, degraded: list[str]
) -> PerformanceMetrics:
    """Rates and means over METRICS_SPAN, and counts of the runs under way.

    `queue_depth` is the schedules' own: a run that waits for its business day is not in it.
    """
    minutes = METRICS_SPAN / timedelta(minutes=1)
    done, average, ratio = totals.finished, totals.avg_seconds, totals.success_ratio
    return PerformanceMetrics(
        processing_rate=round(done / minutes, 4),
        avg_execution_time_ms=None if average is None else round(1000 * average, 1),
        success_rate_percent=None if ratio is None else round(100 * ratio, 2),
        finished=done,
        skipped=totals.skipped,
        queue_depth=queue_depth,
        active_jobs=sum(
            job.status in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING) for job in live
        ),
        degraded=degraded,
    )


def find_job(jobs: Iterable[Job], identity: str) -> Job:
    """The newest run of this id. Raises RefusedError."""
    found = next((job for job in jobs if job.id == identity), None)
    if found is None:
        raise unknown_job(identity)
    return found


def schedule_of(identity: str) -> tuple[str, str]:
    """Namespace and name of a run's ReportSchedule. Raises RefusedError."""
    found = schedule_of_job_id(identity)
    if found is None:
        raise unknown_job(identity)
    return found


def unknown_job(identity: str) -> RefusedError:
    return RefusedError(
        404, f"no job {identity} is known: GET {SCHEDULER}/jobs lists those that are"
    )
