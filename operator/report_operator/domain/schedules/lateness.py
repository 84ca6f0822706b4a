"""Which slots are due, late or missed, by the clock: also those that never got a Job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from report_operator.api.v1alpha1.status import ActiveRun
from report_operator.domain.cron.schedule import latest_beat, latest_slot
from report_operator.domain.runs.attempts import days_span
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.observation import RefusedSlot
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.zone_data import common_slots

NOT_CREATED = "NotCreated"
REPLACING = "Replacing"
SKIPPED_LIMIT = 1000  # days in a row that a calendar may leave out


@dataclass(frozen=True, slots=True)
class Due:
    """A slot that is due and has not finished."""

    slot: datetime
    stage: str  # NotCreated, Queued, WaitingForData, Pending, Running, Retrying, Replacing
    run: Run | None
    moved_to: datetime | None = None  # by the calendar

    @property
    def at(self) -> datetime:
        """From when on it counts as due."""
        return self.moved_to or self.slot


def next_slot(plan: Plan, known: datetime, now: datetime) -> datetime | None:
    """The next slot in the future with a run; None while suspended or where there is none.

    `known` is the newest slot so far, or `plan.since`: @every counts from it.
    """
    if plan.suspended:
        return None
    last = (latest_slot(plan.schedule, plan.zone, known, now) if known < now else None) or known
    return _first_wanted(plan, last, [plan.zone])


def known_slot(
    plan: Plan,
    runs: Iterable[Run],
    handled: Iterable[datetime],
    last_schedule: datetime | None = None,
) -> datetime:
    """The newest instant up to which every slot has a Job or an outcome, or does not count.

    `last_schedule` is the newest slot with a Job: a run by hand at another instant does not move
    the beat of @every.
    """
    scheduled = [plan.since, *(run.slot for run in runs if not run.manual)]
    scheduled += [last_schedule] if last_schedule is not None else []
    newest = max([*scheduled, *handled])
    return latest_beat(plan.schedule, max(scheduled), newest) or newest


def oldest_due(
    plan: Plan,
    runs: Iterable[Run],
    handled: Iterable[datetime],
    now: datetime,
    last_schedule: datetime | None = None,
) -> Due | None:
    """The oldest slot that is due and has no outcome yet.

    `handled` are instants up to which no slot is due any more: slots with a recorded outcome, and
    successful runs that somebody started by hand (they stand in for a missed slot).
    """
    known_runs = list(runs)
    waiting = sorted(
        (run for run in known_runs if not run.finished and not run.manual and run.due_at <= now),
        key=lambda run: (run.due_at, run.slot),
    )
    if waiting:
        run = waiting[0]
        moved_to = _moved(plan, run.slot, run.calendar_verdict.moved_to)
        return Due(run.slot, run.stage.value, run, moved_to)
    if plan.suspended:
        return None
    missed = first_slot_after(plan, known_slot(plan, known_runs, handled, last_schedule))
    if missed is None:
        return None
    moved_to = _moved(plan, missed, plan.verdict(missed).moved_to)
    if (moved_to or missed) > now:
        return None
    # Somebody asked for it before it was due, or again after its run had failed.
    by_hand = [
        run for run in known_runs if run.slot == missed and not run.finished and not run.backfill
    ]
    if by_hand:
        newest = max(by_hand, key=lambda run: run.attempt)
        return Due(missed, newest.stage.value, newest, moved_to)
    return Due(missed, NOT_CREATED, None, moved_to)


def moved_runs(runs: Iterable[Run], now: datetime) -> list[Run]:
    """Those that wait for a business day to come, the next one first."""
    found = [run for run in runs if run.waits_for_its_day(now)]
    return sorted(found, key=lambda run: run.due_at)


def first_slot_after(plan: Plan, known: datetime) -> datetime | None:
    """When the next slot has come whichever time-zone data the control plane has.

    Slots that the calendar skips are answered by it, with or without a Job.
    """
    return _first_wanted(plan, known, plan.zones)


def _first_wanted(plan: Plan, known: datetime, zones: Sequence[ZoneInfo]) -> datetime | None:
    for _ in range(SKIPPED_LIMIT):
        slots = [plan.schedule.next_after(known, zone) for zone in zones]
        found = [slot for slot in slots if slot is not None]
        if len(found) < len(slots):
            return None
        known = max(found)
        if not plan.verdict(known).skipped:
            return known
        day = known.astimezone(plan.zone).date()  # the verdict is that of the day
        _, last = days_span(plan.zone, day, day)
        known = latest_slot(plan.schedule, plan.zone, known, last) or known
    return None


def _moved(plan: Plan, slot: datetime, moved_to: datetime | None) -> datetime | None:
    """Where the calendar moved a slot to; not before the schedule was made, edited or resumed."""
    return max(moved_to, min(plan.since, slot)) if moved_to is not None else None


def slot_without_job(
    plan: Plan, handled: Iterable[datetime], within: timedelta, now: datetime
) -> datetime | None:
    """The newest due slot for which no Job was made, while one may still be made.

    An edit ends the plan under which it was due: its Job has to be made before that.
    """
    if plan.suspended:
        return None
    slot = latest_slot(plan.schedule, plan.zone, known_slot(plan, (), handled), now)
    if slot is None or now - slot > within or plan.verdict(slot).skipped:
        return None
    return slot if common_slots(plan.schedule, plan.zones, [slot]) else None


def unanswered_due(due: Due | None, unanswered: datetime | None, plan: Plan) -> Due | None:
    """`due`, unless an older slot is open: its run was replaced by the next, and that one too."""
    if unanswered is None or plan.suspended or unanswered < plan.since:
        return due
    return _older(due, Due(unanswered, REPLACING, due.run if due else None))


def refused_due(due: Due | None, refused: RefusedSlot | None) -> Due | None:
    """`due`, unless an older slot has no Job because the API server refused it."""
    return _older(due, Due(refused.slot, NOT_CREATED, None)) if refused else due


def awaited_due(due: Due | None, awaited: Iterable[ActiveRun]) -> Due | None:
    """`due`, unless an older slot has lost its Job a moment ago."""
    for entry in awaited:
        if not entry.manual:
            due = _older(due, Due(entry.slot, NOT_CREATED, None))
    return due


def _older(due: Due | None, other: Due) -> Due:
    return due if due is not None and due.slot <= other.slot else other


def late_at(plan: Plan, due: Due) -> datetime:
    return due.at + plan.late_after
