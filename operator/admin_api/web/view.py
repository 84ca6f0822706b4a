"""View models of the pages, computed without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from admin_api.schemas.jobs import Job, JobStatus
from admin_api.schemas.status import Check, SchedulerStatus
from admin_api.services.cache import Snapshot
from admin_api.services.cluster import Leader
from admin_api.services.status import describe_dependencies, describe_status
from admin_api.web.problems import ProblemGroup, find_problems, group_problems
from admin_api.web.schedule_list import ScheduleState, count_states, row_of
from report_operator.domain.admission.queue import Queue
from report_operator.domain.admission.waiting import Waiting
from report_operator.domain.runs.run import Run
from report_runner.contract.words import counted

ACTIVE = (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RETRYING)


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
    degraded: Sequence[str]  # what the counts of schedules do not say
    counts: Mapping[ScheduleState, int]
    groups: Sequence[ProblemGroup]
    running: Sequence[ActiveRun]
    queue: Sequence[Queued]
    dead: Sequence[Job]
    next_slot: datetime | None
    zones: Mapping[tuple[str, str], str | None]  # of the schedules

    @property
    def attention(self) -> int:
        """Schedules that fail, are late or not ready: the members of all groups."""
        return sum(len(group.members) for group in self.groups)

    @property
    def summary(self) -> str:
        """Read out by screen readers when the page changes."""
        return (
            f"Scheduler {self.status.status}. "
            f"{counted(self.attention, 'needs', 'need')} attention, "
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
        degraded=describe_dependencies(snapshot, checks, admission_problem),
        counts=count_states(row_of(schedule) for schedule in snapshot.schedules),
        groups=group_problems(find_problems(snapshot.schedules, jobs)),
        running=_active_runs(snapshot.runs, jobs),
        queue=[
            Queued(jobs[key], entry, starts.get(entry.run.uid))
            for entry in queue.waiting
            if (key := _key(entry.run)) in jobs
        ],
        dead=snapshot.dead_letters,
        next_slot=min((slot for slot in upcoming if slot), default=None),
        zones={(s.namespace, s.name): s.time_zone for s in snapshot.schedules},
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


WAITING = "Waiting for data"
ROUNDING_SECONDS = 5  # of three stages that are rounded to seconds each


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
        # Where all three are known, they are all that a run does besides.
        if len(spans) == len(stages) and job.created_at is not None and job.finished_at is not None:
            rest = _seconds(job.created_at, job.finished_at) - sum(span[1] for span in spans)
            if rest > ROUNDING_SECONDS:
                spans.insert(1, (WAITING, rest, False))
    elif run.data_wait is not None and run.suspended:
        wait = run.data_wait
        queued = _seconds(run.created_at, wait.first_admitted_at)
        spans = [("Queued", queued, False), (WAITING, _seconds(wait.since, now), True)]
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
