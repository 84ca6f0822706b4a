"""Runs as the API shows them, from the outcomes in status, from Jobs and from history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from admin_api.errors import RefusedError
from admin_api.paths import SCHEDULER
from admin_api.schemas.jobs import Job, Jobs, JobsQuery, JobStatus
from admin_api.schemas.status import PerformanceMetrics
from admin_api.services.cursor import decode_cursor, decode_instant, encode_cursor
from report_operator.api.v1alpha1.calendar import Calendar as CalendarSpec
from report_operator.api.v1alpha1.resource import parse_status
from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.domain.names import schedule_of_job_id
from report_operator.domain.runs.answers import standing_failure
from report_operator.domain.runs.dead_letter import Order, Tried, attempt_order, dead
from report_operator.domain.runs.identity import RunIdentity, identity_of_entry
from report_operator.domain.runs.record import RunRecord
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.calendar import Calendar, calendar_of_spec
from report_operator.domain.schedules.problems import (
    EndedRun,
    ScheduleBrief,
    ScheduleFacts,
    brief_of,
)
from report_operator.domain.statistics import FinishedRun, Totals
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

Body = Mapping[str, Any]

WAITS_FOR_POD = (JobStatus.PENDING, JobStatus.RETRYING)
DONE = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.SKIPPED)
STATUSES = {outcome: JobStatus(outcome.value.lower()) for outcome in Outcome}
OUTCOMES = {status: outcome for outcome, status in STATUSES.items()}
_FIELDS = set(Job.model_fields)
METRICS_SPAN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class ScheduleSummary:
    """The fields of a ReportSchedule that the API needs: thousands are held in memory."""

    namespace: str
    name: str
    uid: str
    report_type: str
    tier: str
    cron: str
    time_zone: str | None
    suspended: bool
    priority: Priority
    recipients: int  # of its mails
    calendar: Calendar | None  # None also where its dates are in a ConfigMap
    owner: str  # '' where nobody is named
    status: ReportScheduleStatus  # as far as it can be read; its `recent_runs` are in `ended`
    ended: Mapping[str, Job]  # by the Kubernetes Job's uid
    standing: str | None  # uid of the Job whose failure stands, where the schedule is Failing

    @property
    def facts(self) -> ScheduleFacts:
        """What its problems are judged from."""
        brief = ScheduleBrief(
            namespace=self.namespace,
            name=self.name,
            report_type=self.report_type,
            suspended=self.suspended,
            recipients=self.recipients,
            owner=self.owner,
        )
        failing = any(c.type == "Failing" and c.status == "True" for c in self.status.conditions)
        # Without a failure nobody asks for them, and the page looks at hundreds of schedules.
        ended = [_ended(uid, job) for uid, job in self.ended.items()] if failing else []
        return ScheduleFacts(brief, self.status, ended, self.standing)


def read_schedule(body: Body) -> ScheduleSummary:
    meta, spec, status = body["metadata"], body["spec"], parse_status(body)
    brief = brief_of(body)
    failure = standing_failure(
        status.recent_runs, status.schedule_since, status.acknowledged_through
    )
    schedule = ScheduleSummary(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        report_type=brief.report_type,
        tier=spec.get("tier", "standard"),
        cron=spec.get("schedule", ""),
        time_zone=spec.get("timeZone"),
        suspended=brief.suspended,
        priority=_priority(spec.get("priority")),
        recipients=brief.recipients,
        owner=brief.owner,
        calendar=_calendar(spec.get("calendar")),
        status=status.model_copy(update={"recent_runs": []}),
        ended={},
        standing=failure.uid if failure is not None else None,
    )
    ended = {entry.uid: _lean(_of_entry(schedule, entry)) for entry in status.recent_runs}
    return replace(schedule, ended=ended)


def _calendar(value: object) -> Calendar | None:
    try:
        spec = CalendarSpec.model_validate(value)
        if spec.config_map_ref is not None:
            return None
    except ValueError:  # absent, or the schedule is not Ready for it
        return None
    return calendar_of_spec(spec)


def _priority(value: object) -> Priority:
    try:
        return Priority(value)  # type: ignore[arg-type]
    except ValueError:  # absent, or from a newer version
        return Priority.NORMAL


def _ended(uid: str, job: Job) -> EndedRun:
    return EndedRun(
        uid=uid,
        job=job.job,
        slot=job.slot,
        attempt=job.attempt,
        finished_at=job.finished_at or job.slot,
        failed=job.status is JobStatus.FAILED,
        skipped=job.status is JobStatus.SKIPPED,
        reason=job.reason,
        of_backfill=job.backfill is not None,
    )


def jobs_of(schedule: ScheduleSummary, runs: Iterable[Run]) -> list[Job]:
    """The runs of one schedule; a recorded outcome counts more than its Job."""
    others = (run for run in runs if run.uid not in schedule.ended)
    return [*schedule.ended.values(), *(_of_run(schedule, run) for run in others)]


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


def _lean(job: Job) -> Job:
    """Share the set of given fields: its 2 kB for each of many thousand jobs are never read."""
    object.__setattr__(job, "__pydantic_fields_set__", _FIELDS)
    return job


def _job(identity: RunIdentity, report_type: str, status: JobStatus, **more: Any) -> Job:
    """`more` are the fields of the outcome."""
    return Job(
        id=identity.id,
        report_type=report_type,
        status=status,
        namespace=identity.namespace,
        schedule=identity.schedule,
        tier=identity.tier,
        priority=identity.priority,
        job=identity.job,
        manual=identity.manual,
        requested_by=identity.requested_by,
        backfill=identity.backfill,
        slot=identity.slot,
        report_date=identity.report_date,
        attempt=identity.attempt,
        created_at=identity.created_at,
        admitted_at=identity.admitted_at,
        definition=identity.definition,
        overridden=identity.overridden,
        **more,
    )


def _of_entry(schedule: ScheduleSummary, entry: RecentRun) -> Job:
    identity = identity_of_entry(
        schedule.namespace, schedule.name, schedule.uid, schedule.tier, entry
    )
    return _job(
        identity,
        schedule.report_type,
        STATUSES[entry.outcome],
        outputs=entry.outputs,
        **_outcome_fields(entry),
    )


def _outcome_fields(ended: RecentRun | RunRecord) -> dict[str, Any]:
    failed = ended.outcome is Outcome.FAILED
    return {
        "reason": ended.reason,
        "error_message": ended.message if failed else None,
        "skip_message": ended.message if ended.outcome is Outcome.SKIPPED else None,
        "failed_at": ended.finished_at if failed else None,
        "started_at": ended.started_at,
        "finished_at": ended.finished_at,
        "queued_seconds": ended.queued_seconds,
        "pending_seconds": ended.pending_seconds,
        "run_seconds": ended.run_seconds,
        "rows": ended.rows,
    }


def _of_run(schedule: ScheduleSummary, run: Run) -> Job:
    status = JobStatus[run.stage.name]
    if run.may_skip and status is JobStatus.SUCCEEDED:
        status = JobStatus.RUNNING  # until the operator has read whether it was skipped
    failed = status is JobStatus.FAILED
    reason, message = _obstacle(schedule, run, status)
    return _job(
        run.identity,
        schedule.report_type,
        status,
        reason=reason,
        error_message=run.failed_message if failed else message,
        failed_at=run.finished_at if failed else None,
        finished_at=run.finished_at if status in DONE else None,
    )


def _obstacle(
    schedule: ScheduleSummary, run: Run, status: JobStatus
) -> tuple[Reason | None, str | None]:
    """What keeps a run from starting; one that has gone on since then is not held up by it."""
    if status is JobStatus.WAITING_FOR_DATA and run.data_wait is not None:
        return Reason.DATA_NOT_READY, run.data_wait.describe()
    pending = schedule.status.pending if status in WAITS_FOR_POD else None
    if pending is None or pending.job != run.name:
        return None, None
    return pending.reason, pending.message


def job_of_record(record: RunRecord) -> Job:
    return _job(
        record.identity,
        record.report_type,
        STATUSES[record.outcome],
        outputs=[output.path for output in record.outputs],
        **_outcome_fields(record),
    )


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
