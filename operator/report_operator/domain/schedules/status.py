"""The status of a ReportSchedule, decided from all that is observed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.status import (
    Condition,
    Delay,
    DelayStage,
    LastFailure,
    RecentRun,
    ReportScheduleStatus,
    ScheduleHealth,
)
from report_operator.domain.runs.failure import PendingReason
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.runs.run import Run, cut
from report_operator.domain.schedules.clock_changes import clock_changes, describe_changes
from report_operator.domain.schedules.lateness import (
    NOT_CREATED,
    Due,
    Plan,
    known_slot,
    late_at,
    next_slot,
    oldest_due,
)
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome

CONDITION_LIMIT = 4000  # characters of a message
DELAY_STEP = timedelta(minutes=5)  # status.delay.seconds advances in steps: few writes


@dataclass(frozen=True, slots=True)
class ReadyProblem:
    """Why the definition is not in effect."""

    reason: ReadyReason
    message: str


@dataclass(frozen=True, slots=True)
class Observation:
    """What was observed of one schedule. `plan` is None while there is no CronJob."""

    generation: int
    problem: ReadyProblem | None
    plan: Plan | None
    cronjob: str | None
    definition: str | None
    runs: Sequence[Run]
    ledger: RunHistory
    blockage: PendingReason | None
    blocked_run: Run | None
    handled_through: datetime | None
    waits_for: Callable[[str], str] = lambda _: ""  # what holds a waiting run back, by Job uid


@dataclass(frozen=True, slots=True)
class _ConditionUpdate:
    """A condition before it is known since when it holds."""

    type: ConditionType
    holds: bool
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The status, what is due, and when the clock alone would change something."""

    status: ReportScheduleStatus
    due: Due | None
    next_due: datetime | None
    check_at: datetime | None


def compute_status(
    previous: ReportScheduleStatus, facts: Observation, now: datetime
) -> StatusUpdate:
    """The status now."""
    recent = facts.ledger.recent
    handled = [entry.slot for entry in recent if _stands_in(entry)]
    if previous.last_schedule_time is not None:
        handled.append(previous.last_schedule_time)
    plan = facts.plan
    due = oldest_due(plan, facts.runs, handled, now) if plan else None
    upcoming = next_slot(plan, known_slot(plan, facts.runs, handled), now) if plan else None
    late = plan is not None and due is not None and late_at(plan, due) <= now
    own = [
        entry for entry in recent if entry.backfill is None
    ]  # an old date says nothing of health
    last = _newest(own)
    failing = last is not None and last.outcome is Outcome.FAILED
    slots = [run.slot for run in facts.runs if not run.manual]
    slots += [entry.slot for entry in recent if not entry.manual]
    status = ReportScheduleStatus(
        observed_generation=facts.generation,
        health=_health(late=late, failing=failing),
        conditions=[
            _merge(previous, finding, facts.generation, now)
            for finding in (_ready(facts, now), _delayed(facts, due, late), _failing(last))
        ],
        last_schedule_time=max([*slots, *_known(previous.last_schedule_time)], default=None),
        last_success_time=_last_success(previous, own),
        next_schedule_time=upcoming,
        last_failure=_last_failure(previous, own),
        delay=_delay(plan, due, now) if late and plan and due else None,
        active=sum(not run.suspended and not run.finished for run in facts.runs),
        queued=sum(run.suspended and not run.finished for run in facts.runs),
        consecutive_failures=_consecutive_failures(previous, own),
        cron_job=facts.cronjob,
        definition=facts.definition,
        schedule_since=plan.since if plan else previous.schedule_since,
        handled_through=facts.handled_through,
        recent_runs=list(recent),
        run_counts=dict(facts.ledger.counts),
    )
    return StatusUpdate(
        status, due, due.slot if due else upcoming, _check_at(plan, due, upcoming, now)
    )


def undecided(
    previous: ReportScheduleStatus, generation: int, why: str, now: datetime
) -> ReportScheduleStatus:
    """The status of a schedule that the operator cannot decide on: as it was, and not Ready."""
    finding = _ConditionUpdate(
        ConditionType.READY,
        False,
        ReadyReason.INTERNAL_ERROR,
        f"the operator cannot decide on this schedule ({why}): its CronJob stays as it is; "
        "please report this with the object",
    )
    ready = _merge(previous, finding, generation, now)
    others = [condition for condition in previous.conditions if condition.type != ready.type]
    return previous.model_copy(
        update={"observed_generation": generation, "conditions": [ready, *others]}
    )


def _stands_in(entry: RecentRun) -> bool:
    return not entry.manual or entry.outcome is Outcome.SUCCEEDED


def _known(instant: datetime | None) -> list[datetime]:
    return [] if instant is None else [instant]


def _newest(recent: Sequence[RecentRun]) -> RecentRun | None:
    # Of several in one second the one that was recorded last.
    ordered = sorted(recent, key=lambda entry: entry.finished_at)
    return ordered[-1] if ordered else None


def _health(*, late: bool, failing: bool) -> ScheduleHealth:
    if failing:
        return ScheduleHealth.FAILING
    return ScheduleHealth.DELAYED if late else ScheduleHealth.HEALTHY


def _ready(facts: Observation, now: datetime) -> _ConditionUpdate:
    if facts.problem is not None:
        return _ConditionUpdate(
            ConditionType.READY, False, facts.problem.reason, facts.problem.message
        )
    if facts.blockage is not None and facts.blockage.missing_secret:
        return _ConditionUpdate(
            ConditionType.READY,
            False,
            ReadyReason.SECRET_NOT_FOUND,
            facts.blockage.cause.message,
        )
    told = f"CronJob {facts.cronjob} is up to date"
    if facts.plan is not None:
        # From the day's beginning: the message changes with the clocks, not with each look.
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        changes = clock_changes(facts.plan.schedule, facts.plan.zone, today)
        told = "; ".join(filter(None, (told, describe_changes(changes, facts.plan.zone))))
    return _ConditionUpdate(ConditionType.READY, True, ReadyReason.READY, told)


def _delayed(facts: Observation, due: Due | None, late: bool) -> _ConditionUpdate:
    if not late or due is None:
        return _ConditionUpdate(ConditionType.DELAYED, False, "OnTime", "no slot is late")
    return _ConditionUpdate(ConditionType.DELAYED, True, due.stage, _delay_message(facts, due))


def _delay_message(facts: Observation, due: Due) -> str:
    slot = f"slot {format_time(due.slot)}"
    run = due.run
    if run is None:
        return (
            f"{slot} is due and no Job was created for it: is the CronJob controller at work, and "
            "does a quota allow Jobs here?"
        )
    if run.finalizers:
        return (
            f"{slot}: Job {run.name} was deleted and stays, since {', '.join(run.finalizers)} in "
            "its metadata.finalizers holds it: whoever set that has to do its work, or remove it "
            f"(kubectl -n {run.namespace} edit job {run.name})"
        )
    blocked = ""
    if facts.blockage and facts.blocked_run and facts.blocked_run.uid == run.uid:
        cause = facts.blockage.cause
        blocked = f": {cause.reason.value}: {cause.message}"
    held = facts.waits_for(run.uid)
    advice = {
        "Queued": f"waits: {held}" if held else "waits for admission behind other runs",
        "Pending": "is admitted and its pod does not run yet",
        "Running": "is running",
        "Retrying": f"waits for its next attempt after {run.failed_pods} failed",
    }.get(due.stage, due.stage)
    return f"{slot}: Job {run.name} {advice}{blocked}"


def _failing(last: RecentRun | None) -> _ConditionUpdate:
    if last is None:
        return _ConditionUpdate(ConditionType.FAILING, False, "NoRunYet", "no run has ended yet")
    if last.outcome is Outcome.SUCCEEDED or last.reason is None:
        return _ConditionUpdate(
            ConditionType.FAILING, False, "LastRunSucceeded", f"Job {last.job} succeeded"
        )
    return _ConditionUpdate(
        ConditionType.FAILING, True, last.reason.value, f"Job {last.job}: {last.message}"
    )


def _merge(
    previous: ReportScheduleStatus, finding: _ConditionUpdate, generation: int, now: datetime
) -> Condition:
    """The condition, with the time at which its status last changed."""
    word = "True" if finding.holds else "False"
    before = next((c for c in previous.conditions if c.type == finding.type), None)
    return Condition(
        type=finding.type,
        status=word,
        reason=finding.reason,
        message=cut(finding.message, CONDITION_LIMIT),
        last_transition_time=(
            before.last_transition_time if before and before.status == word else now
        ),
        observed_generation=generation,
    )


def _last_success(previous: ReportScheduleStatus, recent: Sequence[RecentRun]) -> datetime | None:
    done = [entry.finished_at for entry in recent if entry.outcome is Outcome.SUCCEEDED]
    return max([*done, *_known(previous.last_success_time)], default=None)


def _last_failure(
    previous: ReportScheduleStatus, recent: Sequence[RecentRun]
) -> LastFailure | None:
    failed = [entry for entry in recent if entry.outcome is Outcome.FAILED]
    last = _newest(failed)
    if last is None or last.reason is None:
        return previous.last_failure
    return LastFailure(
        time=last.finished_at,
        reason=last.reason,
        message=last.message,
        job=last.job,
        report_date=last.report_date,
        slot=last.slot,
    )


def _consecutive_failures(previous: ReportScheduleStatus, recent: Sequence[RecentRun]) -> int:
    """Failures since the last success; continues the old count beyond what is still listed."""
    known = {entry.uid for entry in previous.recent_runs}
    count = previous.consecutive_failures
    for entry in sorted(recent, key=lambda entry: entry.finished_at):
        if entry.uid not in known:
            count = count + 1 if entry.outcome is Outcome.FAILED else 0
    return count


def _delay(plan: Plan, due: Due, now: datetime) -> Delay:
    seconds = int((now - due.slot) // DELAY_STEP * DELAY_STEP.total_seconds())
    return Delay(
        since=late_at(plan, due),
        seconds=seconds,
        stage=DelayStage(due.stage),
        slot=due.slot,
        job=due.run.name if due.run else None,
    )


def _check_at(
    plan: Plan | None, due: Due | None, upcoming: datetime | None, now: datetime
) -> datetime | None:
    """When to look again although nothing happens."""
    if plan is None:
        return None
    moments = [*_known(upcoming)]
    if due is not None:
        late = late_at(plan, due)
        step = due.slot + ((now - due.slot) // DELAY_STEP + 1) * DELAY_STEP
        moments.append(late if late > now else step)
        if due.stage == NOT_CREATED:
            moments.append(now + DELAY_STEP)
    return min(moments, default=None)
