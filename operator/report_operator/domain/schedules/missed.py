"""Slots that passed without a Job and that nobody will make one for: each is told once.

Where several are due the CronJob controller makes the Job of the newest alone: after an outage, or
with concurrencyPolicy Forbid after a run that took long. An edit or a suspension ends the plan
under which a slot was due.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from report_operator.api.v1alpha1.spec import MissedRunsPolicy
from report_operator.api.v1alpha1.status import DelayStage, MissedSlots
from report_operator.domain.cron.schedule import slots_between
from report_operator.domain.schedules.catch_up import expired_slots
from report_operator.domain.schedules.observation import Observation
from report_operator.domain.schedules.plan import Plan

LIMIT = 1000  # slots that are counted at once


def newly_missed(
    observation: Observation, newest: datetime | None, known: Collection[datetime]
) -> MissedSlots | None:
    """Those since the last status. `known` are slots with a Job, `newest` the newest of all."""
    plan = observation.plan
    if plan is None:
        return None
    passed = _passed_over(observation, plan, newest)
    slots = sorted({*passed, *_given_up(observation, plan)} - set(known))
    slots = [slot for slot in slots if not plan.verdict(slot).skipped]
    if not slots:
        return None
    return MissedSlots(count=len(slots), first=slots[0], last=slots[-1], at=observation.now)


def _passed_over(
    observation: Observation, plan: Plan, newest: datetime | None
) -> Sequence[datetime]:
    """Between the last slot with a Job and the newest one."""
    spec = observation.spec
    if spec is not None and spec.missed_runs.policy is MissedRunsPolicy.RUN_ALL:
        return expired_slots(observation)  # the others get their Jobs from the operator
    before = observation.previous.last_schedule_time or observation.previous.schedule_since
    if before is None or newest is None or newest <= before:
        return ()
    begin, end = max(before, plan.since), newest
    if end <= begin:
        return ()
    window = slots_between(plan.schedule, plan.zone, begin, end, LIMIT)
    return [slot for slot in window.slots if slot != newest]


def _given_up(observation: Observation, plan: Plan) -> Sequence[datetime]:
    """Due slots without a Job, whose plan an edit or a suspension has ended."""
    previous = observation.previous
    if plan.suspended and previous.next_schedule_time is not None:  # since the last status
        begin = max(plan.since, previous.last_schedule_time or plan.since)
        return slots_between(plan.schedule, plan.zone, begin, observation.now, LIMIT).slots
    delay = previous.delay
    if delay is None or delay.stage is not DelayStage.NOT_CREATED:
        return ()
    return [delay.slot] if plan.since > delay.slot else ()
