"""Slots that passed without a Job while `missedRuns.policy` is RunAll: which get one from us.

`status.handledThrough` is the instant up to which each slot has its Job, or was told as missed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.spec import MissedRunsPolicy
from report_operator.domain.cron.schedule import latest_slot, slots_between
from report_operator.domain.schedules.lateness import first_slot_after, known_slot
from report_operator.domain.schedules.observation import Observation
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.zone_data import common_slots
from report_runner.contract.model import parse_duration

# The CronJob controller makes a due Job within moments; a catch-up must not race it.
CREATION_GRACE = timedelta(seconds=15)
CATCH_UP_LIMIT = 100  # Jobs made in one go
EXPIRED_LIMIT = 1000  # slots told as missed at once


@dataclass(frozen=True, slots=True)
class _Window:
    """Slots after `floor` may still get a Job; those from `counted` to there are too old."""

    plan: Plan
    counted: datetime
    floor: datetime


def slots_to_catch_up(observation: Observation) -> list[datetime]:
    """Missed slots whose Jobs are to be made, oldest first.

    The newest due slot is the CronJob controller's; its Job has the same name as ours would.
    """
    missed, plan = _missed_slots(observation), observation.plan
    refused = observation.refused
    if plan is None or (refused is not None and refused.catch_up):
        return []
    # Where nobody knows whether it is a slot for the CronJob controller as well, there would be
    # two reports: they wait until its data are known.
    if len(common_slots(plan.schedule, plan.zones, missed)) < len(missed):
        return []
    return missed


def early_slots(observation: Observation) -> list[datetime]:
    """Slots to come whose runs a calendar has moved to a day that is there: oldest first.

    The CronJob controller makes no Job before its slot, and finds ours under its name then. Each
    comes after the slot before it has its Job, so that the newest slot with a Job stands for all
    before it, as it does everywhere.
    """
    plan, refused, previous = observation.plan, observation.refused, observation.previous
    if plan is None or plan.suspended or plan.calendar is None or observation.cronjob is None:
        return []
    if refused is not None and refused.catch_up:
        return []
    runs = [item.run for item in observation.runs]
    handled = [entry.slot for entry in previous.recent_runs if not entry.manual]
    slot = first_slot_after(plan, known_slot(plan, runs, handled, previous.last_schedule_time))
    found: list[datetime] = []
    while slot is not None and slot > observation.now and len(found) < CATCH_UP_LIMIT:
        moved = plan.verdict(slot).moved_to
        if moved is None or moved > observation.now:
            break
        found.append(slot)
        slot = first_slot_after(plan, slot)
    return found


def expired_slots(observation: Observation) -> list[datetime]:
    """Missed slots that are older than `missedRuns.startWithin`: they get no Job any more."""
    window = _window(observation)
    if window is None or window.floor <= window.counted:
        return []
    plan = window.plan
    slots = slots_between(plan.schedule, plan.zone, window.counted, window.floor, EXPIRED_LIMIT)
    known = _known_slots(observation)
    return [slot for slot in slots.slots if slot not in known]


def handled_through(observation: Observation) -> datetime | None:
    """Up to which instant every slot has a Job or an outcome, or was told as missed.

    None where the policy is another one: what it leaves out is not to be made when it changes.
    """
    if not _runs_all(observation):
        return None
    before = observation.previous.handled_through
    window = _window(observation)
    if window is None:
        return before
    expired, missed = expired_slots(observation), _missed_slots(observation)
    settled = [*expired[-1:], *_known_slots(observation, scheduled=True)]
    reached = [slot for slot in settled if not missed or slot < missed[0]]
    through = max([window.counted, *reached])
    return through if before is not None or through > window.plan.since else None


def _missed_slots(observation: Observation) -> list[datetime]:
    window = _window(observation)
    if window is None:
        return []
    plan, floor = window.plan, window.floor
    # On the beat: @every counts from the last slot, not from the edge of the window.
    start = latest_slot(plan.schedule, plan.zone, window.counted, floor) or window.counted
    known = _known_slots(observation)
    missed: list[datetime] = []
    until = observation.now - CREATION_GRACE
    while len(missed) < CATCH_UP_LIMIT:
        found = slots_between(plan.schedule, plan.zone, start, until, CATCH_UP_LIMIT)
        missed += [slot for slot in found.slots if slot not in known and slot > floor]
        if not found.truncated:
            break
        start = found.slots[-1]
    return missed[:CATCH_UP_LIMIT]


def _window(observation: Observation) -> _Window | None:
    """None where nothing is to be made up for, or there is nothing to make a Job from."""
    spec, plan, previous = observation.spec, observation.plan, observation.previous
    if spec is None or plan is None or plan.suspended or observation.cronjob is None:
        return None
    if not _runs_all(observation):
        return None
    # Without an instant of its own the policy begins with the newest Job: what was left out by
    # another policy stays so, and what ran before is not run again.
    counted = max(plan.since, previous.handled_through or previous.last_schedule_time or plan.since)
    within = parse_duration(spec.missed_runs.start_within)
    return _Window(plan, counted, max(counted, observation.now - within))


def _known_slots(observation: Observation, *, scheduled: bool = False) -> set[datetime]:
    """Slots with a Job, or with an outcome; `scheduled`: only of runs that nobody asked for."""
    return {item.run.slot for item in observation.runs if item.run.scheduled or not scheduled} | {
        entry.slot
        for entry in observation.previous.recent_runs
        if not scheduled or not (entry.manual or entry.backfill)
    }


def _runs_all(observation: Observation) -> bool:
    """Whether that is the policy, for a schedule whose definition can be read."""
    spec = observation.spec
    return spec is not None and spec.missed_runs.policy is MissedRunsPolicy.RUN_ALL
