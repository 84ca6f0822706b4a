"""Days in which runs wait for their data, between everything else that may happen to them.

The law is that of test_simulated_month: at every moment each slot that was due has one true answer.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from factories import SLOT, active_run, make_pod, observed
from test_data_wait import check_pod
from test_simulated_month import LIMITS, STEP, World, _fields

from report_operator.domain.runs.data_wait import is_check, without_checks
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.schedules.decision import Decision, decide
from report_operator.domain.schedules.observation import Observation, RefusedSlot
from report_runner.contract.reasons import Reason

# Longer than a run may be in the queue, or take to start.
DEADLINE = timedelta(hours=8)
DAYS = timedelta(days=12)


@dataclass
class WaitingWorld(World):
    """Half of the pods find the data not ready, until the deadline of their slot."""

    pods: dict[str, list[Pod]] = field(default_factory=dict)  # by Job uid
    waits: Counter[str] = field(default_factory=Counter)  # checks by Job uid

    def runs_go_on(self) -> None:
        for run in list(self.jobs.values()):
            wait = run.data_wait
            if wait is not None and run.between_checks:
                if self.now >= wait.next_check and self.now >= self.operator_down_until:
                    due = wait.model_copy(update={"enqueued_at": self.now})
                    self.jobs[run.uid] = replace(run, data_wait=due)
            elif run.waiting:
                if not (run.scheduled and self.plan.suspended) and self.random.random() < 0.6:
                    self.jobs[run.uid] = replace(
                        run, suspended=False, admitted_at=self.now, active_pods=1, ready_pods=1
                    )
            elif run.active:
                self.pod_goes_on(run)

    def pod_goes_on(self, run: Run) -> None:
        pods = self.pods.setdefault(run.uid, [])
        if self.random.random() < 0.7 and self.now < run.slot + DEADLINE:
            pods.append(
                check_pod(
                    f"{run.uid}-{len(pods)}", self.now,
                    deadline=run.slot + DEADLINE, every_seconds=1800,
                )
            )  # fmt: skip
            self.jobs[run.uid] = replace(run, active_pods=0, ready_pods=0)
        elif self.random.random() < 0.5:
            well = self.random.random() < 0.7
            exit_code = 0 if well else 72
            pods.append(make_pod(name=f"{run.uid}-last", created_at=self.now, exit_code=exit_code))
            self.jobs[run.uid] = replace(
                active_run(**_fields(run), data_wait=run.data_wait), finished_at=self.now,
                succeeded=well, active_pods=0, ready_pods=0, failed_pods=0 if well else 1,
                failed_condition="" if well else "PodFailurePolicy",
            )  # fmt: skip

    def observe(self, refused: RefusedSlot | None = None) -> Observation:
        found = super().observe(refused)
        runs = [
            observed(
                item.run, now=self.now,
                pods=without_checks(self.pods.get(item.run.uid, []), item.run.data_wait),
                checks=sum(map(is_check, self.pods.get(item.run.uid, []))),
                held=self.plan.suspended and item.run.waiting and item.run.scheduled,
                resumed_at=self.plan.since,
            )
            for item in found.runs
        ]  # fmt: skip
        return replace(found, runs=runs)

    def reconcile(self) -> Decision | None:
        if self.now >= self.operator_down_until:
            for item in decide(self.observe(), LIMITS).to_suspend:
                self.jobs[item.run.uid] = replace(item.run, suspended=True, data_wait=item.wait)
                self.waits[item.run.uid] += 1
        return super().reconcile()


def slots_due(world: WaitingWorld, since: datetime) -> list[datetime]:
    schedule, zone, slot = world.plan.schedule, world.plan.zone, max(since, world.plan.since)
    found = []
    while (slot := schedule.next_after(slot, zone) or world.now + STEP) <= world.now:
        found.append(slot)
    return found


@pytest.mark.parametrize("missed_runs", ["RunLatest", "RunAll"])
@pytest.mark.parametrize("concurrency", ["Forbid", "Allow", "Replace"])
def test_every_slot_has_one_answer_while_runs_wait(concurrency: str, missed_runs: str) -> None:
    world = WaitingWorld(random.Random(7), concurrency, missed_runs)  # noqa: S311
    totals: Counter[str] = Counter()
    decision = None
    while world.now < SLOT + DAYS or decision is None:  # the operator may be down at the end
        world.now += STEP
        if not world.plan.suspended:
            world.due += slots_due(world, world.now - STEP)
        world.cronjob_controller()
        world.runs_go_on()
        world.people()
        decision = world.reconcile()
        if decision is not None:
            totals = world.check(decision)
            status = world.status
            between = sum(run.between_checks for run in world.jobs.values())
            assert (status.waiting_for_data > 0) == (between > 0)
    assert sum(totals.values()) == len(world.due)
    assert totals["delivered"] > 10
    assert max(world.waits.values()) > 2
    assert len(world.waits) > 10
    reasons = {entry.reason for entry in world.told.values()}
    assert not reasons & {Reason.QUEUE_TIMEOUT, Reason.CONTAINER_NOT_STARTED}
    waited = [e for e in world.told.values() if (e.data_wait_seconds or 0) > 0]
    assert waited
