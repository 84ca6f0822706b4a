"""Runs as the API shows them, from the outcomes in status, from Jobs and from history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from admin_api.schemas.jobs import Job, JobStatus
from report_operator.api.v1alpha1.calendar import Calendar as CalendarSpec
from report_operator.api.v1alpha1.resource import parse_status
from report_operator.api.v1alpha1.spec import Priority
from report_operator.api.v1alpha1.status import RecentRun, ReportScheduleStatus
from report_operator.domain.runs.answers import standing_failure
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
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

Body = Mapping[str, Any]

WAITS_FOR_POD = (JobStatus.PENDING, JobStatus.RETRYING)
DONE = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.SKIPPED)
STATUSES = {outcome: JobStatus(outcome.value.lower()) for outcome in Outcome}
OUTCOMES = {status: outcome for outcome, status in STATUSES.items()}
_FIELDS = set(Job.model_fields)


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
