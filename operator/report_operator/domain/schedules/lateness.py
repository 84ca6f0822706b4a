"""Which slots are due, late or missed, by the clock: also those that never got a Job."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.spec import MissedRuns, MissedRunsPolicy
from report_operator.api.v1alpha1.status import ActiveRun
from report_operator.domain.cron.schedule import latest_slot, slots_between
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.observation import Observation, RefusedSlot
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.zone_data import common_slots
from report_runner.contract.model import parse_duration

NOT_CREATED = "NotCreated"
REPLACING = "Replacing"

# The CronJob controller makes a due Job within moments; a catch-up must not race it.
CREATION_GRACE = timedelta(seconds=15)
CATCH_UP_LIMIT = 100  # Jobs made in one go


@dataclass(frozen=True, slots=True)
class Due:
    """A slot that is due and has not finished."""

    slot: datetime
    stage: str  # NotCreated, Queued, Pending, Running, Retrying, Replacing
    run: Run | None


def next_slot(plan: Plan, known: datetime, now: datetime) -> datetime | None:
    """The next slot in the future; None while suspended or where there is none.

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

    `handled` are instants up to which no slot is due any more: slots with a recorded outcome, and
    successful runs that somebody started by hand (they stand in for a missed slot).
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
    missed = first_slot_after(plan, known_slot(plan, known_runs, handled))
    return Due(missed, NOT_CREATED, None) if missed is not None and missed <= now else None


def first_slot_after(plan: Plan, known: datetime) -> datetime | None:
    """When the next slot has come whichever time-zone data the control plane has."""
    slots = [plan.schedule.next_after(known, zone) for zone in plan.zones]
    found = [slot for slot in slots if slot is not None]
    return max(found) if len(found) == len(slots) else None


def slot_without_job(
    plan: Plan, handled: Iterable[datetime], within: timedelta, now: datetime
) -> datetime | None:
    """The newest due slot for which no Job was made, while one may still be made.

    An edit ends the plan under which it was due: its Job has to be made before that.
    """
    if plan.suspended:
        return None
    slot = latest_slot(plan.schedule, plan.zone, known_slot(plan, (), handled), now)
    if slot is None or now - slot > within:
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
    return due.slot + plan.late_after


def slots_to_catch_up(observation: Observation) -> list[datetime]:
    """Missed slots whose Jobs the policy RunAll asks for, oldest first.

    The newest due slot is the CronJob controller's; its Job has the same name as ours would.
    """
    missed, plan = _missed_slots(observation), observation.plan
    if plan is None or observation.refused:
        return []
    # Where nobody knows whether it is a slot for the CronJob controller as well, there would be
    # two reports: they wait until its data are known.
    if len(common_slots(plan.schedule, plan.zones, missed)) < len(missed):
        return []
    return missed


def _missed_slots(observation: Observation) -> list[datetime]:
    plan, now = observation.plan, observation.now
    missed_runs = _runs_all(observation)
    if missed_runs is None or plan is None or plan.suspended:
        return []
    if observation.cronjob is None:
        return []  # there is nothing to make a Job from
    counted = max(plan.since, observation.previous.handled_through or plan.since)
    floor = max(counted, now - parse_duration(missed_runs.start_within))
    # On the beat: @every counts from the last slot, not from the edge of the window.
    start = latest_slot(plan.schedule, plan.zone, counted, floor) or counted
    known = {observed.run.slot for observed in observation.runs}
    missed: list[datetime] = []
    until = now - CREATION_GRACE
    while len(missed) < CATCH_UP_LIMIT:
        window = slots_between(plan.schedule, plan.zone, start, until, CATCH_UP_LIMIT)
        missed += [slot for slot in window.slots if slot not in known and slot > floor]
        if not window.truncated:
            break
        start = window.slots[-1]
    return missed[:CATCH_UP_LIMIT]


def handled_through(observation: Observation, catch_up: Sequence[datetime]) -> datetime | None:
    """Up to which instant every slot has a Job, once those of `catch_up` are made."""
    before = observation.previous.handled_through
    if _runs_all(observation) is None or observation.cronjob is None:
        return before
    if not catch_up and _missed_slots(observation):
        return before  # they cannot be made yet
    if len(catch_up) == CATCH_UP_LIMIT:
        return catch_up[-1]  # there may be more before the newest
    own = [observed.run.slot for observed in observation.runs if not observed.run.manual]
    newest = max(own, default=None)
    through = catch_up[-1] if catch_up else before
    return max((instant for instant in (through, newest) if instant), default=None)


def _runs_all(observation: Observation) -> MissedRuns | None:
    """The policy where it is RunAll, for a schedule whose definition can be read."""
    spec = observation.spec
    if spec is None or spec.missed_runs.policy is not MissedRunsPolicy.RUN_ALL:
        return None
    return spec.missed_runs
