"""A month of a schedule, in steps of ten minutes, with everything that may happen to its runs.

At every moment each slot that was due is delivered, skipped, failed, missed (and told so), replaced
by one that is answered, or open; and what is open for too long is late.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from factories import (
    MINUTE,
    SLOT,
    active_run,
    fresh_status,
    make_observation,
    make_plan,
    make_pod,
    make_run,
    observed,
)
from factories import make_schedule as make_body

from report_operator.api.v1alpha1.calendar import OnHoliday
from report_operator.api.v1alpha1.status import ActiveRun, RecentRun, ReportScheduleStatus
from report_operator.domain.admission.queue import held_by_calendar
from report_operator.domain.cron.schedule import latest_slot, slots_between
from report_operator.domain.runs.cause import Cause
from report_operator.domain.runs.deadlines import StartLimits
from report_operator.domain.runs.outcomes import HistoryLimits
from report_operator.domain.runs.run import Run
from report_operator.domain.runs.vanished import REPLACEMENT_GRACE, missing_runs
from report_operator.domain.schedules.calendar import Calendar, verdict
from report_operator.domain.schedules.decision import Decision, ScheduleLimits, decide
from report_operator.domain.schedules.observation import Observation, RefusedSlot
from report_operator.domain.schedules.plan import Plan
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome, RunResult, dump_result

STEP = 10 * MINUTE
MONTH = timedelta(days=30)
LATE_AFTER = 30 * MINUTE
REFUSAL = Cause(Reason.QUOTA_EXCEEDED, "its Job could not be made: exceeded quota")
SKIPPED = make_pod(
    phase="Succeeded", exit_code=0, exit_reason="Completed",
    result_text=dump_result(RunResult(outcome=Outcome.SKIPPED, reason=Reason.UNCHANGED)),
)  # fmt: skip
# Thanksgiving Day, Christmas Day, and the weekends.
MOVING = Calendar(OnHoliday.NEXT_BUSINESS_DAY, weekends=True, market="XNYS")
EARLIER = Calendar(OnHoliday.PREVIOUS_BUSINESS_DAY, market="XNYS")
HOLIDAYS = Calendar(OnHoliday.SKIP, weekends=True, market="XNYS")
LIMITS = ScheduleLimits(
    StartLimits(startup=timedelta(hours=2), queue=timedelta(hours=6)), HistoryLimits(1, 1, 10)
)


@dataclass
class World:
    """The cluster as it is, and what the operator has told so far."""

    random: random.Random
    concurrency: str
    missed_runs: str
    calendar: str = ""
    now: datetime = SLOT
    plan: Plan = field(
        default_factory=lambda: make_plan("0 */2 * * *", since=SLOT, late_after=LATE_AFTER)
    )
    jobs: dict[str, Run] = field(default_factory=dict)
    last_schedule: datetime = SLOT
    made: set[datetime] = field(default_factory=set)
    seen: set[datetime] = field(default_factory=set)  # slots with a Job that the operator saw
    due: list[datetime] = field(default_factory=list)
    status: ReportScheduleStatus = field(default_factory=fresh_status)
    told: dict[str, RecentRun] = field(default_factory=dict)  # outcomes, by uid
    by_slot: dict[datetime, list[RecentRun]] = field(default_factory=dict)
    answers: dict[datetime, str] = field(default_factory=dict)  # of all slots, as of the last check
    missed: set[datetime] = field(default_factory=set)
    missing_since: dict[str, datetime] = field(default_factory=dict)
    skipping: set[str] = field(default_factory=set)  # uids of runs that send nothing
    number: int = 0
    operator_down_until: datetime = SLOT
    controller_down_until: datetime = SLOT
    refused_until: datetime = SLOT

    # -- what happens in the cluster ----------------------------------------------------------

    def create(self, slot: datetime, **changes: object) -> None:
        self.number += 1
        uid = f"job-{self.number}"
        self.jobs[uid] = make_run(
            uid=uid, name=uid, slot=slot, created_at=self.now, concurrency=self.concurrency,
            calendar=self.calendar,
            **changes,
        )  # fmt: skip
        self.made.add(slot)

    def cronjob_controller(self) -> None:
        """As pkg/controller/cronjob: the newest due slot, unless the policy forbids it."""
        if self.plan.suspended or self.now < self.controller_down_until:
            return
        slot = latest_slot(self.plan.schedule, self.plan.zone, self.last_schedule, self.now)
        if slot is None:
            return
        active = [run for run in self.jobs.values() if not run.manual and not run.finished]
        if active and self.concurrency == "Forbid":
            return
        if self.concurrency == "Replace":
            for run in active:
                del self.jobs[run.uid]
        if self.now < self.refused_until:
            return
        if slot not in self.made:
            self.create(slot)
        self.last_schedule = slot

    def runs_go_on(self) -> None:
        for run in list(self.jobs.values()):
            if run.waiting:
                if run.scheduled and self.plan.suspended:
                    continue
                if held_by_calendar([run], self.now):
                    continue
                if self.random.random() < 0.6:
                    changes = {"suspended": False, "admitted_at": self.now, "active_pods": 1}
                    self.jobs[run.uid] = replace(run, **changes, ready_pods=1)
            elif run.active and self.random.random() < 0.12:
                well = self.random.random() < 0.7
                if well and self.random.random() < 0.2:
                    self.skipping.add(run.uid)
                self.jobs[run.uid] = replace(
                    active_run(**_fields(run)), finished_at=self.now, succeeded=well,
                    active_pods=0, ready_pods=0, failed_pods=0 if well else 1,
                    failed_condition="" if well else "BackoffLimitExceeded",
                )  # fmt: skip

    def people(self) -> None:
        dice = self.random.random()
        if dice < 0.01 and self.jobs:
            del self.jobs[self.random.choice(sorted(self.jobs))]
        elif dice < 0.02:
            failed = [e for e in self.status.recent_runs if e.outcome is Outcome.FAILED]
            if failed:
                entry = self.random.choice(failed)
                self.create(entry.slot, manual=True, attempt=entry.attempt + 1)
        elif dice < 0.025:
            self.create(self.now - timedelta(days=400), manual=True)
        elif dice < 0.03:
            self.suspend(not self.plan.suspended)
        elif dice < 0.035:
            self.operator_down_until = self.now + self.random.randint(1, 30) * STEP
        elif dice < 0.04:
            self.controller_down_until = self.now + self.random.randint(1, 60) * STEP
        elif dice < 0.045:
            self.refused_until = self.now + self.random.randint(1, 60) * STEP

    def suspend(self, suspended: bool) -> None:
        """By the operator: it is up where the spec is in effect."""
        if self.now < self.operator_down_until:
            return
        since = self.plan.since if suspended else self.now
        self.plan = replace(self.plan, suspended=suspended, since=since)
        if not suspended:
            self.last_schedule = self.now

    # -- what the operator does ---------------------------------------------------------------

    def observe(self, refused: RefusedSlot | None = None) -> Observation:
        recorded = {entry.uid for entry in self.status.recent_runs}
        gone = missing_runs(self.status.active_runs, self.jobs.values(), recorded)
        missing: list[ActiveRun] = []
        awaited: list[ActiveRun] = []
        for entry in gone:
            since = self.missing_since.setdefault(entry.uid, self.now)
            (awaited if self.now - since < REPLACEMENT_GRACE else missing).append(entry)
        changes = {
            "concurrencyPolicy": self.concurrency,
            "missedRuns": {"policy": self.missed_runs},
        }
        return make_observation(
            self.now, previous=self.status, plan=self.plan,
            spec=make_body({**changes, "suspend": self.plan.suspended}).spec,
            runs=[
                observed(run, pods=(SKIPPED,) if run.uid in self.skipping else ())
                for run in sorted(self.jobs.values(), key=lambda run: (run.slot, run.uid))
            ],
            missing=missing, awaited=awaited, refused=refused,
        )  # fmt: skip

    def reconcile(self) -> Decision | None:
        if self.now < self.operator_down_until:
            return None
        decision = decide(self.observe(), LIMITS)
        refused = None
        for slot in decision.catch_up:
            if self.now < self.refused_until:
                refused = RefusedSlot(slot, REFUSAL, catch_up=True)
                break
            if not any(run.slot == slot for run in self.jobs.values()):  # the name would be taken
                assert slot not in self.seen, f"{self.now}: {slot} has had its run: a second report"
                self.create(slot)
        if decision.catch_up:
            decision = decide(self.observe(refused), LIMITS)
        before, self.status = self.status, decision.update.status
        for entry in self.status.recent_runs:
            if entry.uid not in self.told:
                self.told[entry.uid] = entry
                self.by_slot.setdefault(entry.slot, []).append(entry)
        found = self.status.last_missed
        if found is not None and found != before.last_missed:
            span = slots_between(
                self.plan.schedule, self.plan.zone, found.first - MINUTE, found.last, 1000
            )
            slots = {slot for slot in span.slots if slot not in self.seen}
            self.missed |= slots
        for run in decision.prune:
            self.jobs.pop(run.uid, None)
        return decision

    # -- the law ------------------------------------------------------------------------------

    def answer(self, slot: datetime, decision: Decision) -> str:
        entries = self.by_slot.get(slot, [])
        if any(entry.outcome is Outcome.SUCCEEDED for entry in entries):
            return "delivered"
        if any(run.slot == slot and not run.finished for run in self.jobs.values()):
            return "open"
        if any(entry.slot == slot for entry in self.status.active_runs):
            return "open"
        if entries and max(entries, key=_ended).outcome is Outcome.SKIPPED:
            return "skipped"
        if any(_is_failure(entry) for entry in entries):
            return "failed"
        if any(entry.outcome is Outcome.SKIPPED for entry in entries):
            return "skipped"
        if entries:
            return "replaced"
        if slot in self.missed:
            return "missed"
        found = self.plan.verdict(slot)
        if found.skipped:
            return "skipped"
        if found.moved_to is not None and found.moved_to > self.now:
            return "open"
        due = decision.update.due
        return "due" if due is not None and due.slot <= slot else "nobody"

    def check(self, decision: Decision) -> Counter[str]:
        answers = self.answers
        for slot in self.due:
            if answers.get(slot) not in ("delivered", "missed"):  # these are for good
                answers[slot] = self.answer(slot, decision)
        nobody = [slot for slot, answer in answers.items() if answer == "nobody"]
        assert not nobody, f"{self.now}: nobody answers for {nobody}: {self.status}"
        self.check_late(answers)
        return Counter(answers.values())

    def check_late(self, answers: dict[datetime, str]) -> None:
        """The oldest slot that is open since too long, with no newer one that has its answer."""
        answered = [slot for slot, answer in answers.items() if answer in ("delivered", "failed")]
        floor = max(answered, default=self.plan.since)
        overdue = [
            slot
            for slot, answer in list(answers.items())[-300:]
            if answer in ("open", "due", "replaced")
            and slot > floor
            and slot >= self.plan.since
            and (self.plan.verdict(slot).moved_to or slot) + LATE_AFTER <= self.now
        ]
        if overdue and not self.plan.suspended:
            conditions = {c.type.value: c.status for c in self.status.conditions}
            assert "True" in (conditions["Delayed"], conditions["Failing"]), (
                f"{self.now}: {overdue[0]} is {answers[overdue[0]]} and nobody says so: "
                f"{self.jobs} {self.status}"
            )


def _ended(entry: RecentRun) -> tuple[int, datetime]:
    return entry.attempt, entry.finished_at


def _is_failure(entry: RecentRun) -> bool:
    return entry.outcome is Outcome.FAILED and entry.reason is not Reason.REPLACED


def _fields(run: Run) -> dict[str, object]:
    names = (
        "uid", "name", "slot", "manual", "created_at", "concurrency", "attempt", "admitted_at",
        "calendar",
    )  # fmt: skip
    return {name: getattr(run, name) for name in names}


@pytest.mark.parametrize("missed_runs", ["RunLatest", "RunAll"])
@pytest.mark.parametrize("concurrency", ["Forbid", "Allow", "Replace"])
@pytest.mark.parametrize("seed", range(2))
def test_every_slot_of_a_month_has_one_answer(
    seed: int, concurrency: str, missed_runs: str
) -> None:
    world = World(random.Random(seed), concurrency, missed_runs, HOLIDAYS.to_text())  # noqa: S311
    world.plan = replace(world.plan, calendar=HOLIDAYS)
    totals = pass_a_month(world)
    assert totals["delivered"] > 30
    assert totals["skipped"] > 20
    assert totals["missed"] > 0 or missed_runs == "RunAll"
    skipped = [entry for entry in world.told.values() if entry.outcome is Outcome.SKIPPED]
    assert {entry.reason for entry in skipped} == {Reason.HOLIDAY, Reason.UNCHANGED}


@pytest.mark.parametrize("missed_runs", ["RunLatest", "RunAll"])
@pytest.mark.parametrize("seed", range(3))
def test_every_slot_of_a_month_has_one_answer_where_its_run_is_a_day_before(
    seed: int, missed_runs: str
) -> None:
    world = World(random.Random(seed), "Allow", missed_runs, EARLIER.to_text())  # noqa: S311
    plan = make_plan("0 6 * * *", since=SLOT, late_after=LATE_AFTER)
    world.plan = replace(plan, calendar=EARLIER)
    totals = pass_a_month(world)
    assert totals["delivered"] > 2
    early = [
        entry
        for entry in world.told.values()
        if not entry.manual and entry.finished_at < entry.slot
    ]
    assert len(early) > 2


@pytest.mark.parametrize("seed", range(4))
def test_every_slot_of_a_month_has_one_answer_where_a_calendar_moves_them(seed: int) -> None:
    world = World(random.Random(seed), "Allow", "RunLatest", MOVING.to_text())  # noqa: S311
    plan = make_plan("0 6 * * *", since=SLOT, late_after=LATE_AFTER)
    world.plan = replace(plan, calendar=MOVING)
    totals = pass_a_month(world)
    assert totals["delivered"] > 2
    moved = [slot for slot in world.due if plan_moves(slot)]
    assert len(moved) > 2
    for slot in moved:
        for entry in world.by_slot.get(slot, []):
            by_hand = entry.manual or entry.reason is Reason.JOB_DELETED
            assert by_hand or entry.finished_at > plan_moves(slot), entry


def plan_moves(slot: datetime) -> datetime | None:
    return verdict(MOVING, slot.astimezone(make_plan().zone)).moved_to


def pass_a_month(world: World) -> Counter[str]:
    """Checks the law at each step; returns what became of the slots."""
    totals: Counter[str] = Counter()
    while world.now < max(SLOT + MONTH, world.operator_down_until):
        world.now += STEP
        if not world.plan.suspended:
            window = slots_between(
                world.plan.schedule, world.plan.zone,
                max(world.now - STEP, world.plan.since), world.now, 10,
            )  # fmt: skip
            world.due += window.slots
        world.cronjob_controller()
        world.runs_go_on()
        world.people()
        decision = world.reconcile()
        if decision is not None:
            totals = world.check(decision)
    assert sum(totals.values()) == len(world.due)
    assert sum(world.status.run_counts.values()) == len(world.told)
    return totals
