"""One schedule: its slots as a strip, its run times as a chart, computed without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import median
from zoneinfo import ZoneInfo

from admin_api.schemas.jobs import Job, JobStatus
from admin_api.services.job_lists import order_of
from admin_api.services.jobs import DONE, ScheduleSummary
from report_operator.api.v1alpha1.status import ReportScheduleStatus
from report_operator.domain.cron.schedule import (
    CronSchedule,
    ScheduleError,
    latest_beat,
    latest_slot,
    load_zone,
    parse,
)
from report_operator.domain.schedules.calendar import Calendar, verdict
from report_runner.contract.reasons import Reason

PAST, COMING = 25, 5  # slots of the strip
TIMED = 30  # runs of the chart
RUNS = 20  # in the table
FILES = 5  # runs whose files are listed
BAR, GAP, HEIGHT = 16, 4, 96  # of the chart
_SECOND = timedelta(seconds=1)


class SlotState(StrEnum):
    """What became of a slot, in one word."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    FAILED = "failed"
    REPLACED = "replaced"
    OPEN = "open"  # due, and its run has not ended or not begun
    LATE = "late"
    MISSED = "missed"
    ACKNOWLEDGED = "acknowledged"  # somebody said that it needs no report
    UNKNOWN = "not kept"  # older than the outcomes that are kept
    TO_COME = "to come"
    HELD = "held"  # to come, and the schedule is suspended


MEANINGS = {
    SlotState.DELIVERED: "a run succeeded",
    SlotState.SKIPPED: "no report was wanted",
    SlotState.FAILED: "its newest attempt failed",
    SlotState.REPLACED: "the next slot's run replaced it",
    SlotState.OPEN: "due, not ended yet",
    SlotState.LATE: "due, and later than allowed",
    SlotState.MISSED: "passed without a run",
    SlotState.ACKNOWLEDGED: "needs no report, somebody said",
    SlotState.UNKNOWN: "older than the outcomes that are kept",
    SlotState.TO_COME: "not due yet",
    SlotState.HELD: "not due yet, and the schedule is suspended",
}


@dataclass(frozen=True, slots=True)
class StripSlot:
    """`run` is the newest attempt, or the one that succeeded."""

    slot: datetime
    state: SlotState
    run: Job | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A run in the chart, in the chart's units."""

    job: Job
    seconds: int
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class TimesChart:
    """Times of the newest runs, oldest first; the lengths are of the viewBox."""

    bars: Sequence[Bar]
    width: int
    height: int
    median: int  # seconds
    longest: int  # seconds


def strip_of(
    schedule: ScheduleSummary,
    jobs: Sequence[Job],
    now: datetime,
    calendar: Calendar | None = None,
) -> list[StripSlot]:
    """The last and the next slots, ascending. Empty where the schedule cannot be read.

    `calendar` is the one in effect; without it that of the spec, which lacks a ConfigMap's dates.
    """
    calendar = calendar or schedule.calendar
    try:
        rule, zone = parse(schedule.cron), load_zone(schedule.time_zone)
    except ScheduleError:
        return []
    status = schedule.status
    runs: dict[datetime, list[Job]] = {}
    for job in jobs:
        runs.setdefault(job.slot, []).append(job)
    scheduled = {slot for slot, found in runs.items() if any(_is_scheduled(j) for j in found)}
    planned = set(_past_slots(rule, zone, status, now))
    past = sorted(planned | {slot for slot in scheduled if slot <= now})[-PAST:]
    # Outcomes of the oldest slots are dropped first: before this nothing can be said.
    known_from = min(scheduled, default=None)
    found = []
    for slot in past:
        attempts = runs.get(slot, [])
        if attempts:
            state, run = _answer(attempts)
        elif _is_skipped(calendar, slot, zone):
            state, run = SlotState.SKIPPED, None
        else:
            state, run = _unanswered(slot, status, known_from), None
        found.append(StripSlot(slot, _judged(slot, state, status), run))
    coming = SlotState.HELD if schedule.suspended else SlotState.TO_COME
    for slot in _next_slots(rule, zone, status, now):
        if slot in runs:  # its place was taken, or its calendar moved it, to before it was due
            found.append(StripSlot(slot, *_answer(runs[slot])))
        else:
            skipped = _is_skipped(calendar, slot, zone)
            found.append(StripSlot(slot, SlotState.SKIPPED if skipped else coming, None))
    return found


def _is_skipped(calendar: Calendar | None, slot: datetime, zone: ZoneInfo) -> bool:
    return verdict(calendar, slot.astimezone(zone)).skipped


def count_slots(strip: Iterable[StripSlot]) -> list[tuple[SlotState, int, str]]:
    """How many slots of each state there are, and what the state means."""
    states = [slot.state for slot in strip]
    return [(s, states.count(s), MEANINGS[s]) for s in SlotState if s in states]


def _is_scheduled(job: Job) -> bool:
    return not job.manual and job.backfill is None


def _past_slots(
    rule: CronSchedule, zone: ZoneInfo, status: ReportScheduleStatus, now: datetime
) -> list[datetime]:
    """Newest first, under the schedule as it is now."""
    since = status.schedule_since
    known = status.last_schedule_time or status.next_schedule_time
    if since is None:
        return []
    found: list[datetime] = []
    until = now
    while len(found) < PAST and until >= since:
        slot = latest_beat(rule, known, until) if known is not None else None
        if slot is None:
            slot = latest_slot(rule, zone, since, until)
        if slot is None or slot <= since:
            break
        found.append(slot)
        until = slot - _SECOND
    return found


def _next_slots(
    rule: CronSchedule, zone: ZoneInfo, status: ReportScheduleStatus, now: datetime
) -> list[datetime]:
    found: list[datetime] = []
    known = status.last_schedule_time or status.next_schedule_time
    # An `@every` counts from a slot, not from now.
    slot = latest_beat(rule, known, now) if known is not None else None
    after: datetime | None = slot or now
    while after is not None and len(found) < COMING:
        after = rule.next_after(after, zone)
        if after is not None:
            found.append(after)
    return found


def _answer(attempts: Sequence[Job]) -> tuple[SlotState, Job]:
    succeeded = [job for job in attempts if job.status is JobStatus.SUCCEEDED]
    if succeeded:
        return SlotState.DELIVERED, max(succeeded, key=order_of)
    newest = max(attempts, key=order_of)
    if newest.status not in DONE:
        return SlotState.OPEN, newest
    if newest.status is JobStatus.SKIPPED:
        return SlotState.SKIPPED, newest
    replaced = newest.reason is Reason.REPLACED
    return SlotState.REPLACED if replaced else SlotState.FAILED, newest


def _unanswered(
    slot: datetime, status: ReportScheduleStatus, known_from: datetime | None
) -> SlotState:
    """The state of a past slot that no run is known of."""
    missed = status.last_missed
    if missed is not None and missed.first <= slot <= missed.last:
        return SlotState.MISSED
    if status.last_schedule_time is None or slot > status.last_schedule_time:
        return SlotState.OPEN
    if known_from is None or slot < known_from:
        return SlotState.UNKNOWN
    return SlotState.MISSED


def _judged(slot: datetime, state: SlotState, status: ReportScheduleStatus) -> SlotState:
    """With what the operator and people say of the slot, beyond its runs."""
    if state in (SlotState.DELIVERED, SlotState.SKIPPED):
        return state
    if status.acknowledged_through is not None and slot <= status.acknowledged_through:
        return SlotState.ACKNOWLEDGED
    late = status.delay is not None and slot == status.delay.slot
    return SlotState.LATE if late and state is not SlotState.FAILED else state


def times_chart(jobs: Iterable[Job]) -> TimesChart | None:
    """None where no run has a time; `jobs` are newest first."""
    timed = [
        (job, job.run_seconds)
        for job in jobs
        if job.run_seconds is not None and job.finished_at is not None
    ][:TIMED][::-1]
    if not timed:
        return None
    longest = max(seconds for _, seconds in timed)
    bars = []
    for place, (job, seconds) in enumerate(timed):
        height = round(max(HEIGHT * seconds / (longest or 1), 2), 2)
        bars.append(Bar(job, seconds, place * (BAR + GAP), round(HEIGHT - height, 2), height))
    width = len(bars) * (BAR + GAP) - GAP
    return TimesChart(bars, width, HEIGHT, int(median(s for _, s in timed)), longest)


def files_of(jobs: Iterable[Job]) -> list[Job]:
    """The newest runs that have files."""
    return [job for job in jobs if job.outputs][:FILES]


def commands_for(schedule: ScheduleSummary) -> list[str]:
    """kubectl commands that show more of a schedule."""
    space, status = f"kubectl -n {schedule.namespace}", schedule.status
    found = [f"{space} describe reportschedules.reports.adaf.io {schedule.name}"]
    if status.definition:
        found.append(f"{space} get configmap {status.definition} -o yaml")
    if status.cron_job:
        found.append(f"{space} describe cronjob {status.cron_job}")
    return found
