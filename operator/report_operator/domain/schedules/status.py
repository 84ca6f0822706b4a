"""The status and conditions of a ReportSchedule, computed from an Observation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

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
from report_operator.domain.checks import first_problem
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.schedules.lateness import (
    NOT_CREATED,
    Due,
    known_slot,
    late_at,
    next_slot,
    oldest_due,
)
from report_operator.domain.schedules.observation import Observation, ReadyProblem
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.texts import cut
from report_operator.domain.times import format_time
from report_runner.contract.result import Outcome

CONDITION_LIMIT = 4000  # characters of a message
DELAY_STEP = timedelta(minutes=5)  # status.delay.seconds advances in steps: few writes


@dataclass(frozen=True, slots=True)
class RunDecisions:
    """Decisions on the runs; the status follows from them."""

    history: RunHistory
    given_up: frozenset[str] = frozenset()  # uids of runs that end without ever having had a pod
    handled_through: datetime | None = None  # up to which every slot has a Job


@dataclass(frozen=True, slots=True)
class _ConditionUpdate:
    """A condition without the time since when it holds."""

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


def compute_status(observation: Observation, decided: RunDecisions) -> StatusUpdate:
    """The status that follows from what is observed and what is decided on the runs."""
    previous, plan, now = observation.previous, observation.plan, observation.now
    recent = decided.history.recent
    runs = [item.run for item in observation.runs if item.run.uid not in decided.given_up]
    handled = [entry.slot for entry in recent if _stands_in(entry)]
    handled += _known(previous.last_schedule_time)
    due = oldest_due(plan, runs, handled, now) if plan else None
    upcoming = next_slot(plan, known_slot(plan, runs, handled), now) if plan else None
    late = plan is not None and due is not None and late_at(plan, due) <= now
    # A backfill's run is about an old date and says nothing of the schedule's health.
    own = [entry for entry in recent if entry.backfill is None]
    last = _newest(own)
    failing = last is not None and last.outcome is Outcome.FAILED
    slots = [run.slot for run in runs if not run.manual]
    slots += [entry.slot for entry in recent if not entry.manual]
    updates = (_ready(observation), _delayed(observation, due, late), _failing(last))
    status = ReportScheduleStatus(
        observed_generation=observation.generation,
        health=_health(late=late, failing=failing),
        conditions=[_merge(previous, update, observation.generation, now) for update in updates],
        last_schedule_time=max([*slots, *_known(previous.last_schedule_time)], default=None),
        last_success_time=_last_success(previous, own),
        next_schedule_time=upcoming,
        last_failure=_last_failure(previous, own),
        delay=_delay(plan, due, now) if late and plan and due else None,
        active=sum(run.active for run in runs),
        queued=sum(run.suspended and not run.finished for run in runs),
        consecutive_failures=_consecutive_failures(previous, own),
        cron_job=observation.cronjob_name,
        definition=observation.definition,
        schedule_since=plan.since if plan else previous.schedule_since,
        handled_through=decided.handled_through,
        recent_runs=list(recent),
        run_counts=dict(decided.history.counts),
    )
    return StatusUpdate(
        status, due, due.slot if due else upcoming, _check_at(plan, due, upcoming, now)
    )


def undecided(
    previous: ReportScheduleStatus, generation: int, why: str, now: datetime
) -> ReportScheduleStatus:
    """The status of a schedule that the operator cannot decide on: unchanged, and not Ready."""
    update = _ConditionUpdate(
        ConditionType.READY,
        False,
        ReadyReason.INTERNAL_ERROR,
        f"the operator cannot decide on this schedule ({why}): its CronJob stays as it is; "
        "please report this with the object",
    )
    ready = _merge(previous, update, generation, now)
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


def _definition_refused(observation: Observation) -> ReadyProblem | None:
    return observation.problem


def _secret_missing(observation: Observation) -> ReadyProblem | None:
    found = observation.pending.pending_reason if observation.pending else None
    if found is None or not found.missing_secret:
        return None
    return ReadyProblem(ReadyReason.SECRET_NOT_FOUND, found.cause.message)


READY_CHECKS: tuple[Callable[[Observation], ReadyProblem | None], ...] = (
    _definition_refused,  # the newest spec is not in effect, or the CronJob could not be written
    _secret_missing,  # it is in effect, and its runs cannot start; a run finds that, nobody earlier
)


def _ready(observation: Observation) -> _ConditionUpdate:
    problem = first_problem(READY_CHECKS, observation)
    if problem is not None:
        return _ConditionUpdate(ConditionType.READY, False, problem.reason, problem.message)
    return _ConditionUpdate(
        ConditionType.READY,
        True,
        ReadyReason.READY,
        f"CronJob {observation.cronjob_name} is up to date",
    )


def _delayed(observation: Observation, due: Due | None, late: bool) -> _ConditionUpdate:
    if not late or due is None:
        return _ConditionUpdate(ConditionType.DELAYED, False, "OnTime", "no slot is late")
    message = _delay_message(observation, due)
    return _ConditionUpdate(ConditionType.DELAYED, True, due.stage, message)


def _delay_message(observation: Observation, due: Due) -> str:
    slot = f"slot {format_time(due.slot)}"
    run = due.run
    if run is None:
        return (
            f"{slot} is due and no Job was created for it: is the CronJob controller at work, and "
            "does a quota allow Jobs here?"
        )
    observed = next(item for item in observation.runs if item.run.uid == run.uid)
    blocked = ""
    if observed.pending_reason is not None:
        cause = observed.pending_reason.cause
        blocked = f": {cause.reason.value}: {cause.message}"
    held = observed.waits_for
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
    previous: ReportScheduleStatus, update: _ConditionUpdate, generation: int, now: datetime
) -> Condition:
    """The condition, with the time at which its status last changed."""
    word = "True" if update.holds else "False"
    before = next((c for c in previous.conditions if c.type == update.type), None)
    return Condition(
        type=update.type,
        status=word,
        reason=update.reason,
        message=cut(update.message, CONDITION_LIMIT),
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
    """When to reconcile again although nothing happens."""
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
