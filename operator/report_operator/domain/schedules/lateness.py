"""Late is judged by the clock: a slot that nobody made a Job for is late too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from report_operator.domain.cron.schedule import CronSchedule, latest_slot, slots_between
from report_operator.domain.runs.run import Run

NOT_CREATED = "NotCreated"

# The CronJob controller makes a due Job within moments; a catch-up must not race it.
CREATION_GRACE = timedelta(seconds=15)
CATCH_UP_LIMIT = 100  # Jobs made in one go


@dataclass(frozen=True, slots=True)
class Plan:
    """A schedule as far as slots are concerned."""

    schedule: CronSchedule
    zone: ZoneInfo
    since: datetime  # slots before this do not count: created, unsuspended or edited then
    suspended: bool
    late_after: timedelta


@dataclass(frozen=True, slots=True)
class Due:
    """A slot that is due and not finished."""

    slot: datetime
    stage: str  # NotCreated, Queued, Pending, Running, Retrying
    run: Run | None


def next_slot(plan: Plan, known: datetime, now: datetime) -> datetime | None:
    """The next slot to come; None while suspended or where there is none.

    `known` is the newest slot so far, or `plan.since`: @every counts from it.
    """
    if plan.suspended:
        return None
    last = latest_slot(plan.schedule, plan.zone, known, now) or known
    return plan.schedule.next_after(last, plan.zone)


def known_slot(plan: Plan, runs: Iterable[Run], handled: Iterable[datetime]) -> datetime:
    """The newest instant up to which every slot has a Job or an outcome, or does not count."""
    return max([plan.since, *handled, *(run.slot for run in runs if not run.manual)])


def oldest_due(
    plan: Plan, runs: Iterable[Run], handled: Iterable[datetime], now: datetime
) -> Due | None:
    """The oldest slot that is due and has no outcome yet.

    `handled` are instants up to which nothing is owed any more: slots with a recorded outcome,
    and successful runs that somebody started by hand (they stand in for a slot that was missed).
    """
    known_runs = list(runs)
    waiting = sorted(
        (run for run in known_runs if not run.finished and not run.manual),
        key=lambda run: run.slot,
    )
    if waiting:
        return Due(waiting[0].slot, waiting[0].stage.value, waiting[0])
    if plan.suspended:
        return None
    missed = plan.schedule.next_after(known_slot(plan, known_runs, handled), plan.zone)
    return Due(missed, NOT_CREATED, None) if missed is not None and missed <= now else None


def slot_without_job(
    plan: Plan, handled: Iterable[datetime], within: timedelta, now: datetime
) -> datetime | None:
    """The newest due slot for which no Job was made, while one still may be.

    An edit ends the plan under which it was due: its Job has to be made before that.
    """
    if plan.suspended:
        return None
    slot = latest_slot(plan.schedule, plan.zone, known_slot(plan, (), handled), now)
    return slot if slot is not None and now - slot <= within else None


def late_at(plan: Plan, due: Due) -> datetime:
    """When a due slot becomes late."""
    return due.slot + plan.late_after


def slots_to_catch_up(
    plan: Plan,
    runs: Sequence[Run],
    handled_through: datetime | None,
    start_within: timedelta,
    now: datetime,
) -> list[datetime]:
    """Missed slots that policy RunAll makes up for, oldest first.

    The newest due slot is the CronJob controller's; its Job has the same name as ours would.
    """
    if plan.suspended:
        return []
    counted = max(plan.since, handled_through or plan.since)
    floor = max(counted, now - start_within)
    # On the beat: @every counts from the last slot, not from the edge of the window.
    start = latest_slot(plan.schedule, plan.zone, counted, floor) or counted
    known = {run.slot for run in runs}
    missed: list[datetime] = []
    until = now - CREATION_GRACE
    while len(missed) < CATCH_UP_LIMIT:
        window = slots_between(plan.schedule, plan.zone, start, until, CATCH_UP_LIMIT)
        missed += [slot for slot in window.slots if slot not in known and slot > floor]
        if not window.truncated:
            break
        start = window.slots[-1]
    return missed[:CATCH_UP_LIMIT]
