"""What the pages show: pure, from what is known to what a person looks for first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from admin_api import runbook
from admin_api.routes.scheduler import describe_status
from admin_api.runbook import Remedy
from admin_api.schemas.scheduler import Check, Job, JobStatus, SchedulerStatus
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Leader
from admin_api.services.jobs import ScheduleSummary
from report_operator.api.v1alpha1.spec import Tier
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.admission.queue import Queue, Waiting
from report_operator.domain.runs.run import Run
from report_runner.contract.words import counted

ACTIVE = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING)
_TIERS = {tier.value: rank for rank, tier in enumerate(Tier)}


class ProblemKind(StrEnum):
    """What is wrong with a schedule, the gravest first."""

    FAILING = "failing"
    LATE = "late"
    NOT_STARTING = "not starting"
    NOT_READY = "not ready"


@dataclass(frozen=True, slots=True)
class ProblemDetail:
    """One thing that is wrong with a schedule."""

    kind: ProblemKind
    reason: str
    message: str
    since: datetime
    times: int = 1  # that it happened in a row
    remedy: Remedy | None = None


@dataclass(frozen=True, slots=True)
class ScheduleProblem:
    """A schedule that needs somebody; `run` is the one to look at."""

    schedule: ScheduleSummary
    problems: tuple[ProblemDetail, ...]
    run: Job | None


@dataclass(frozen=True, slots=True)
class ActiveRun:
    """A run that was admitted."""

    job: Job
    since: datetime


@dataclass(frozen=True, slots=True)
class Queued:
    """A run that waits: `likely_start` is None where nobody can say."""

    job: Job
    entry: Waiting
    likely_start: datetime | None


@dataclass(frozen=True, slots=True)
class Dashboard:
    """The state of everything, the most urgent first."""

    status: SchedulerStatus
    troubles: Sequence[ScheduleProblem]
    running: Sequence[ActiveRun]
    queue: Sequence[Queued]
    dead: Sequence[Job]
    next_slot: datetime | None

    @property
    def sentence(self) -> str:
        """For a person who does not see the page change."""
        return (
            f"Scheduler {self.status.status}. "
            f"{counted(len(self.troubles), 'needs', 'need')} attention, "
            f"{len(self.running)} running, {len(self.queue)} waiting, {len(self.dead)} given up."
        )


def describe_dashboard(
    leader: Leader,
    snapshot: Snapshot,
    dependencies: Sequence[Check],
    queue: Queue,
    starts: Mapping[str, datetime],
    admission_trouble: str,
) -> Dashboard:
    """All of the first page but the recent runs; `starts` are the likely ones, by Job uid."""
    jobs = snapshot.by_name
    upcoming = [s.status.next_schedule_time for s in snapshot.schedules]
    return Dashboard(
        status=describe_status(leader, snapshot, dependencies, admission_trouble),
        troubles=find_problems(snapshot.schedules, jobs),
        running=_underway(snapshot.runs, jobs),
        queue=[
            Queued(jobs[key], entry, starts.get(entry.run.uid))
            for entry in queue.waiting
            if (key := _key(entry.run)) in jobs
        ],
        dead=snapshot.dead,
        next_slot=min((slot for slot in upcoming if slot), default=None),
    )


def _key(run: Run) -> tuple[str, str]:
    return run.namespace, run.name


def _underway(runs: Iterable[Run], jobs: Mapping[tuple[str, str], Job]) -> list[ActiveRun]:
    """Longest first: what hangs is on top."""
    found = [
        ActiveRun(job, run.admitted_at or run.created_at)
        for run in runs
        if (job := jobs.get(_key(run))) is not None and job.status in ACTIVE
    ]
    return sorted(found, key=lambda underway: underway.since)


def find_problems(
    schedules: Iterable[ScheduleSummary], jobs: Mapping[tuple[str, str], Job]
) -> list[ScheduleProblem]:
    """Schedules that fail, are late or not Ready: by tier, then gravity, then age.

    `jobs` by namespace and name of the Kubernetes Job.
    """
    found = []
    for schedule in schedules:
        status: ReportScheduleStatus = schedule.status
        problems = tuple(_problems(schedule, status))
        if not problems:
            continue
        names = [
            told.job
            for told in (status.last_failure, status.pending, status.delay)
            if told is not None and told.job is not None
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
    late, delay, pending = conditions.get("Delayed"), status.delay, status.pending
    blocked = runbook.FAILURES[pending.reason].of(*names, pending.job) if pending else None
    if delay is not None:
        same = pending is not None and pending.slot == delay.slot
        yield ProblemDetail(
            ProblemKind.LATE,
            delay.stage.value,
            late.message if late is not None else "",
            delay.since,
            remedy=blocked if same else runbook.DELAYS[delay.stage].of(*names, delay.job),
        )
    if pending is not None and (delay is None or delay.slot != pending.slot):
        yield ProblemDetail(
            ProblemKind.NOT_STARTING,
            pending.reason.value,
            pending.message,
            pending.since,
            remedy=blocked,
        )
    ready = conditions.get("Ready")
    if ready is not None and ready.status == "False":
        yield ProblemDetail(
            ProblemKind.NOT_READY, ready.reason, ready.message, ready.last_transition_time
        )


def _urgency(trouble: ScheduleProblem) -> tuple[int, int, datetime, str, str]:
    schedule, gravest = trouble.schedule, trouble.problems[0]
    return (
        _TIERS.get(schedule.tier, len(_TIERS)),
        list(ProblemKind).index(gravest.kind),
        gravest.since,
        schedule.namespace,
        schedule.name,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A schedule in the list of all; `state` in one word."""

    schedule: ScheduleSummary
    status: ReportScheduleStatus
    state: str
    key: str


def list_schedules(schedules: Iterable[ScheduleSummary], text: str, after: str) -> list[Row]:
    """Those with the text in namespace, name or type, by key, behind the key `after`."""
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
    """A stage of a run; `begin` and `share` are percent of the whole."""

    name: str
    seconds: int
    begin: float
    share: float
    going_on: bool


def stage_spans(job: Job, run: Run | None, now: datetime) -> list[StageSpan]:
    """How a run spent its time; `run` is its Job, while there is one."""
    spans: list[tuple[str, int, bool]] = []
    if job.finished_at is not None or run is None:
        told = (
            ("Queued", job.queued_seconds), ("Starting", job.pending_seconds),
            ("Running", job.run_seconds),
        )  # fmt: skip
        spans = [(name, seconds, False) for name, seconds in told if seconds is not None]
    else:
        waits_until = run.admitted_at or now
        spans.append(("Queued", _seconds(run.created_at, waits_until), run.admitted_at is None))
        if run.admitted_at is not None:
            name = "Starting" if job.status is JobStatus.PENDING else "Running"
            spans.append((name, _seconds(run.admitted_at, now), True))
    whole = sum(seconds for _, seconds, _ in spans) or 1
    steps, begin = [], 0.0
    for name, seconds, going_on in spans:
        share = round(100 * seconds / whole, 2)
        steps.append(StageSpan(name, seconds, round(begin, 2), share, going_on))
        begin += share
    return steps


def _seconds(start: datetime, end: datetime) -> int:
    return max(int((end - start) / timedelta(seconds=1)), 0)


def commands_for(job: Job) -> list[str]:
    """What tells more of a run, by kubectl."""
    space = f"kubectl -n {job.namespace}"
    return [
        f"{space} logs job/{job.job}",
        f"{space} describe pod -l job-name={job.job}",
        f"{space} describe reportschedules.reports.adaf.io {job.schedule}",
    ]
