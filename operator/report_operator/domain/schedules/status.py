"""The status and conditions of a ReportSchedule, computed from an Observation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.conditions import ConditionType, ReadyReason
from report_operator.api.v1alpha1.status import (
    ActiveRun,
    Delay,
    DelayStage,
    HandledRequest,
    LastFailure,
    PendingRun,
    RecentRun,
    ReportScheduleStatus,
    ScheduleHealth,
    WaitingRun,
)
from report_operator.domain.runs.answers import (
    counts_for_health,
    newest_scheduled_slot,
    standing_failure,
    unanswered_since,
)
from report_operator.domain.runs.dead_letter import is_failure
from report_operator.domain.runs.outcomes import RunHistory
from report_operator.domain.runs.run import Run, Stage
from report_operator.domain.runs.vanished import ACTIVE_LIMIT, active_runs
from report_operator.domain.schedules.conditions import (
    ConditionUpdate,
    convergence_conditions,
    delayed_condition,
    failing_condition,
    merge_condition,
    ready_condition,
    zone_data_condition,
)
from report_operator.domain.schedules.lateness import (
    NOT_CREATED,
    Due,
    awaited_due,
    first_slot_after,
    known_slot,
    late_at,
    moved_runs,
    next_slot,
    oldest_due,
    refused_due,
    unanswered_due,
)
from report_operator.domain.schedules.missed import newly_missed
from report_operator.domain.schedules.observation import Observation
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.problems import ScheduleFacts, ended_run, explanation_of
from report_runner.contract.result import Outcome

DELAY_STEP = timedelta(minutes=5)  # status.delay.seconds advances in steps: few writes


@dataclass(frozen=True, slots=True)
class RunDecisions:
    """Decisions on the runs; the status follows from them."""

    history: RunHistory
    given_up: frozenset[str] = frozenset()  # uids of runs that end without ever having had a pod
    handled_through: datetime | None = None  # up to which every slot has a Job
    run_request: HandledRequest | None = None
    retry_request: HandledRequest | None = None


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
    last = previous.last_schedule_time
    due = oldest_due(plan, runs, handled, now, last) if plan else None
    known = known_slot(plan, runs, handled, last) if plan else now
    upcoming = next_slot(plan, known, now) if plan else None
    latest = first_slot_after(plan, known) if plan and not plan.suspended else None
    moved = moved_runs(runs, now)
    unanswered = unanswered_since(recent, previous.unanswered_since)
    due = unanswered_due(due, unanswered, plan) if plan else None
    awaited = [*observation.awaited, *_not_recorded(observation.missing, recent)]
    due = awaited_due(refused_due(due, observation.refused), awaited)
    late = plan is not None and due is not None and late_at(plan, due) <= now
    # A backfill's run is about an old date and says nothing of the schedule's health.
    own = [entry for entry in recent if entry.backfill is None]
    acknowledged = observation.acknowledgement.through
    # Not from the last edit or resume on: neither of them is a report.
    failure = standing_failure(recent, observation.created_at, acknowledged)
    slots = [run.slot for run in runs if not run.manual]
    slots += [entry.slot for entry in recent if not entry.manual]
    newest = max([*slots, *_known(previous.last_schedule_time)], default=None)
    missed = newly_missed(observation, newest, [*slots, *handled])
    updates = (
        ready_condition(observation),
        delayed_condition(observation, due, late),
        failing_condition(failure, _newest(own), acknowledged),
        *zone_data_condition(observation, previous),
    )
    ready = updates[0].holds
    conditions = [
        merge_condition(previous, update, observation.generation, now) for update in updates
    ]
    stalled, stalls_at = convergence_conditions(
        previous, conditions[0], observation.generation, now
    )
    conditions += stalled
    status = ReportScheduleStatus(
        observed_generation=observation.generation,
        health=_health(late=late, failing=failure is not None, ready=ready),
        conditions=conditions,
        last_schedule_time=newest,
        last_success_time=_last_success(previous, own),
        last_outcome=newest_own.outcome if (newest_own := _newest(own)) else previous.last_outcome,
        next_schedule_time=upcoming,
        last_failure=_last_failure(previous, own, failure),
        delay=_delay(plan, due, now) if late and plan and due else None,
        pending=_pending(observation, due),
        data_wait=_data_wait(runs),
        active=sum(run.active for run in runs),
        queued=sum(run.stage is Stage.QUEUED for run in runs) - len(moved),
        waiting_for_data=sum(run.stage is Stage.WAITING_FOR_DATA for run in runs),
        consecutive_failures=_consecutive_failures(previous, own) if failure else 0,
        cron_job=observation.cronjob_name,
        definition=observation.definition,
        schedule_since=plan.since if plan else previous.schedule_since,
        handled_through=decided.handled_through,
        last_missed=missed or previous.last_missed,
        missed_slots=previous.missed_slots + (missed.count if missed else 0),
        unanswered_since=unanswered,
        acknowledged_through=acknowledged,
        ignored_acknowledgement=observation.acknowledgement.ignored,
        run_request=decided.run_request,
        retry_request=decided.retry_request,
        active_runs=[*awaited, *active_runs(runs)][:ACTIVE_LIMIT],
        recent_runs=list(recent),
        run_counts=dict(decided.history.counts),
    )
    following = _next_due(plan, latest, moved)
    changes = [at for at in (upcoming, following, stalls_at) if at is not None and at > now]
    status = _explained(status, observation, failure)
    return StatusUpdate(
        status, due, due.at if due else following, _check_at(plan, due, changes, now)
    )


def _explained(
    status: ReportScheduleStatus, observation: Observation, standing: RecentRun | None
) -> ReportScheduleStatus:
    if observation.brief is None:
        return status
    facts = ScheduleFacts(
        observation.brief,
        status,
        [ended_run(entry) for entry in status.recent_runs],
        standing.uid if standing is not None else None,
    )
    return status.model_copy(update={"explanation": explanation_of(facts)})


def undecided(
    previous: ReportScheduleStatus, generation: int, why: str, now: datetime
) -> ReportScheduleStatus:
    """The status of a schedule that the operator cannot decide on: as it was, and not Ready."""
    update = ConditionUpdate(
        ConditionType.READY,
        False,
        ReadyReason.INTERNAL_ERROR,
        f"the operator cannot decide on this schedule ({why}): its CronJob stays as it is; "
        "please report this with the object",
    )
    ready = merge_condition(previous, update, generation, now)
    stalled, _ = convergence_conditions(previous, ready, generation, now)
    new = {ConditionType.READY, ConditionType.STALLED, ConditionType.RECONCILING}
    others = [condition for condition in previous.conditions if condition.type not in new]
    return previous.model_copy(
        update={
            "observed_generation": generation,
            "conditions": [ready, *others, *stalled],
            "explanation": None,
        }
    )


def _not_recorded(missing: Sequence[ActiveRun], recent: Sequence[RecentRun]) -> list[ActiveRun]:
    """Runs without a Job whose outcome has no room in the history yet."""
    recorded = {entry.uid for entry in recent}
    return [entry for entry in missing if entry.uid not in recorded]


def _stands_in(entry: RecentRun) -> bool:
    return not entry.manual or entry.outcome is not Outcome.FAILED or _took_its_place(entry)


def _took_its_place(entry: RecentRun) -> bool:
    """Made before its slot: the CronJob controller finds the name taken, and makes no other."""
    return entry.backfill is None and entry.created_at is not None and entry.created_at < entry.slot


def _known(instant: datetime | None) -> list[datetime]:
    return [] if instant is None else [instant]


def _newest(recent: Sequence[RecentRun]) -> RecentRun | None:
    # Of several in one second the one that was recorded last.
    ordered = sorted(recent, key=lambda entry: entry.finished_at)
    return ordered[-1] if ordered else None


def _health(*, late: bool, failing: bool, ready: bool) -> ScheduleHealth:
    if failing:
        return ScheduleHealth.FAILING
    if not ready:
        return ScheduleHealth.NOT_READY
    return ScheduleHealth.DELAYED if late else ScheduleHealth.HEALTHY


def _last_success(previous: ReportScheduleStatus, recent: Sequence[RecentRun]) -> datetime | None:
    done = [entry.finished_at for entry in recent if entry.outcome is Outcome.SUCCEEDED]
    return max([*done, *_known(previous.last_success_time)], default=None)


def _last_failure(
    previous: ReportScheduleStatus, recent: Sequence[RecentRun], standing: RecentRun | None
) -> LastFailure | None:
    """The failure that stands, whatever failed after it for an older date; else the newest."""
    failed = [entry for entry in recent if is_failure(entry.outcome, entry.reason)]
    last = standing or _newest(failed)
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
    newest = newest_scheduled_slot(recent)
    for entry in sorted(recent, key=lambda entry: entry.finished_at):
        if entry.uid not in known and counts_for_health(entry, newest):
            count = count + 1 if entry.outcome is Outcome.FAILED else 0
    return count


def _next_due(plan: Plan | None, latest: datetime | None, moved: Sequence[Run]) -> datetime | None:
    """Of the next slot, or of one that the calendar has moved."""
    following = plan.verdict(latest).moved_to or latest if plan and latest else None
    return min([*_known(following), *(run.due_at for run in moved)], default=None)


def _delay(plan: Plan, due: Due, now: datetime) -> Delay:
    seconds = int((now - due.at) // DELAY_STEP * DELAY_STEP.total_seconds())
    return Delay(
        since=late_at(plan, due),
        seconds=seconds,
        stage=DelayStage(due.stage),
        slot=due.slot,
        job=due.run.name if due.run else None,
    )


def _pending(observation: Observation, due: Due | None) -> PendingRun | None:
    """The oldest run that cannot start, or else the slot whose Job cannot be made."""
    observed, refused = observation.pending, observation.refused
    if observed is not None and observed.pending_reason is not None:
        run, cause = observed.run, observed.pending_reason.cause
        return PendingRun(
            slot=run.slot,
            job=run.name,
            since=run.admitted_at or run.created_at,
            reason=cause.reason,
            message=cause.message,
        )
    if refused is not None and due is not None and due.run is None and due.slot == refused.slot:
        return PendingRun(
            slot=due.slot,
            since=due.slot,
            reason=refused.cause.reason,
            message=refused.cause.message,
        )
    return None


def _data_wait(runs: Sequence[Run]) -> WaitingRun | None:
    """The oldest run that waits for its next check, or for a place for it."""
    for run in runs:
        wait = run.data_wait
        if wait is not None and run.suspended and not run.finished:
            return WaitingRun(
                slot=run.slot,
                job=run.name,
                since=wait.since,
                checks=wait.checks,
                answer=wait.answer,
                next_check=wait.next_check,
                deadline=wait.deadline,
            )
    return None


def _check_at(
    plan: Plan | None, due: Due | None, upcoming: Sequence[datetime], now: datetime
) -> datetime | None:
    """When to reconcile again although nothing happens."""
    if plan is None:
        return None
    moments = list(upcoming)
    if due is not None:
        late = late_at(plan, due)
        step = due.at + ((now - due.at) // DELAY_STEP + 1) * DELAY_STEP
        moments.append(late if late > now else step)
        if due.stage == NOT_CREATED:
            moments.append(now + DELAY_STEP)
    return min(moments, default=None)
