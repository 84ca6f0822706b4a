"""View models of the pages, computed without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from admin_api import runbook
from admin_api.runbook import Remedy
from admin_api.schemas.jobs import Job, JobStatus
from admin_api.schemas.status import Check, SchedulerStatus
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Leader
from admin_api.services.jobs import ScheduleSummary
from admin_api.services.status import describe_status
from report_operator.api.v1alpha1.spec import Tier
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.admission.queue import Queue
from report_operator.domain.admission.waiting import Waiting
from report_operator.domain.runs.run import Run

ACTIVE = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING)
_TIERS = {tier.value: rank for rank, tier in enumerate(Tier)}


class ProblemKind(StrEnum):
    """Ordered by gravity, the gravest first."""

    FAILING = "failing"
    LATE = "late"
    NOT_READY = "not ready"


@dataclass(frozen=True, slots=True)
class ProblemDetail:
    kind: ProblemKind
    reason: str
    message: str
    since: datetime
    times: int = 1  # in a row
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """A schedule that needs attention; `run` is the one to open."""

    schedule: ScheduleSummary
    problems: tuple[ProblemDetail, ...]
    run: Job | None


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """`since` is its admission, or its creation where it was not suspended."""

    job: Job
    since: datetime


@dataclass(frozen=True, slots=True)
class Queued:
    """`likely_start` is None where past runs allow no estimate."""

    job: Job
    entry: Waiting
    likely_start: datetime | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The first page, without the recent runs."""

    status: SchedulerStatus
    problems: Sequence[ScheduleProblem]
    running: Sequence[ActiveRun]
    queue: Sequence[Queued]
    dead: Sequence[Job]
    next_slot: datetime | None

    @property
    def summary(self) -> str:
        """Read out by screen readers when the page changes."""
        return (
            f"Scheduler {self.status.status}. {len(self.problems)} need attention, "
            f"{len(self.running)} running, {len(self.queue)} waiting, {len(self.dead)} given up."
        )


def describe_dashboard(
    leader: Leader,
    snapshot: Snapshot,
    checks: Sequence[Check],
    queue: Queue,
    starts: Mapping[str, datetime],
    admission_problem: str,
) -> Dashboard:
    """`starts` are the likely start times, by Job uid."""
    jobs = snapshot.by_name
    upcoming = [s.status.next_schedule_time for s in snapshot.schedules]
    return Dashboard(
        status=describe_status(leader, snapshot, checks, admission_problem),
        problems=find_problems(snapshot.schedules, jobs),
        running=_active_runs(snapshot.runs, jobs),
        queue=[
            Queued(jobs[key], entry, starts.get(entry.run.uid))
            for entry in queue.waiting
            if (key := _key(entry.run)) in jobs
        ],
        dead=snapshot.dead_letters,
        next_slot=min((slot for slot in upcoming if slot), default=None),
    )


def _key(run: Run) -> tuple[str, str]:
    return run.namespace, run.name


def _active_runs(runs: Iterable[Run], jobs: Mapping[tuple[str, str], Job]) -> list[ActiveRun]:
    """Longest first, so that a run that hangs is on top."""
    found = [
        ActiveRun(job, run.admitted_at or run.created_at)
        for run in runs
        if (job := jobs.get(_key(run))) is not None and job.status in ACTIVE
    ]
    return sorted(found, key=lambda active: active.since)


def find_problems(
    schedules: Iterable[ScheduleSummary], jobs: Mapping[tuple[str, str], Job]
) -> list[ScheduleProblem]:
    """Schedules that fail, are late or not Ready, ordered by tier, gravity and age.

    `jobs` is keyed by namespace and name of the Kubernetes Job.
    """
    found = []
    for schedule in schedules:
        status: ReportScheduleStatus = schedule.status
        problems = tuple(_problems(schedule, status))
        if not problems:
            continue
        names = [
            entry.job
            for entry in (status.last_failure, status.delay)
            if entry is not None and entry.job is not None
        ]
        if problems[0].kind is not ProblemKind.FAILING:
            names.reverse()
        keys = ((schedule.namespace, name) for name in names)
        run = next((jobs[key] for key in keys if key in jobs), None)
        found.append(ScheduleProblem(schedule, problems, run))
    return sorted(found, key=_urgency)


def _problems(schedule: ScheduleSummary, status: ReportScheduleStatus) -> Iterable[ProblemDetail]:
    conditions = {condition.type.value: condition for condition in status.conditions}
    names = (schedule.namespace, schedule.name)
    failing, failure = conditions.get("Failing"), status.last_failure
    if failing is not None and failing.status == "True" and failure is not None:
        yield ProblemDetail(
            ProblemKind.FAILING,
            failure.reason.value,
            failure.message,
            failure.time,
            max(status.consecutive_failures, 1),
            runbook.FAILURES[failure.reason].of(*names, failure.job),
        )
    late, delay = conditions.get("Delayed"), status.delay
    if delay is not None:
        yield ProblemDetail(
            ProblemKind.LATE,
            delay.stage.value,
            late.message if late is not None else "",
            delay.since,
            remedy=runbook.DELAYS[delay.stage].of(*names, delay.job),
        )
    ready = conditions.get("Ready")
    if ready is not None and ready.status == "False":
        yield ProblemDetail(
            ProblemKind.NOT_READY, ready.reason, ready.message, ready.last_transition_time
        )


def _urgency(problem: ScheduleProblem) -> tuple[int, int, datetime, str, str]:
    schedule, gravest = problem.schedule, problem.problems[0]
    return (
        _TIERS.get(schedule.tier, len(_TIERS)),
        list(ProblemKind).index(gravest.kind),
        gravest.since,
        schedule.namespace,
        schedule.name,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """`state` is one word; `key` is namespace/name."""

    schedule: ScheduleSummary
    status: ReportScheduleStatus
    state: str
    key: str


def list_schedules(schedules: Iterable[ScheduleSummary], text: str, after: str) -> list[Row]:
    """Schedules with `text` in namespace, name or type, ordered by key, after the key `after`."""
    wanted = text.strip().lower()
    found = []
    for schedule in schedules:
        key = f"{schedule.namespace}/{schedule.name}"
        if key > after and wanted in f"{key} {schedule.report_type}".lower():
            status: ReportScheduleStatus = schedule.status
            found.append(Row(schedule, status, _state(schedule, status), key))
    return sorted(found, key=lambda row: row.key)


def _state(schedule: ScheduleSummary, status: ReportScheduleStatus) -> str:
    problem = next(iter(_problems(schedule, status)), None)
    if problem is not None:
        return problem.kind.value
    if schedule.suspended:
        return "suspended"
    return "healthy" if status.health is not None else "not seen yet"


@dataclass(frozen=True, slots=True)
class StageSpan:
    """`begin` and `share` are percent of the run's whole time."""

    name: str
    seconds: int
    begin: float
    share: float
    going_on: bool


def stage_spans(job: Job, run: Run | None, now: datetime) -> list[StageSpan]:
    """Time a run spent in each stage; `run` is None after its Job is gone."""
    spans: list[tuple[str, int, bool]] = []
    if job.finished_at is not None or run is None:
        stages = (
            ("Queued", job.queued_seconds), ("Starting", job.pending_seconds),
            ("Running", job.run_seconds),
        )  # fmt: skip
        spans = [(name, seconds, False) for name, seconds in stages if seconds is not None]
    else:
        waits_until = run.admitted_at or now
        spans.append(("Queued", _seconds(run.created_at, waits_until), run.admitted_at is None))
        if run.admitted_at is not None:
            name = "Starting" if job.status is JobStatus.PENDING else "Running"
            spans.append((name, _seconds(run.admitted_at, now), True))
    whole = sum(seconds for _, seconds, _ in spans) or 1
    found, begin = [], 0.0
    for name, seconds, going_on in spans:
        share = round(100 * seconds / whole, 2)
        found.append(StageSpan(name, seconds, round(begin, 2), share, going_on))
        begin += share
    return found


def _seconds(start: datetime, end: datetime) -> int:
    return max(int((end - start) / timedelta(seconds=1)), 0)


def commands_for(job: Job) -> list[str]:
    """kubectl commands that show more of a run."""
    space = f"kubectl -n {job.namespace}"
    return [
        f"{space} logs job/{job.job}",
        f"{space} describe pod -l job-name={job.job}",
        f"{space} describe reportschedules.reports.adaf.io {job.schedule}",
    ]
