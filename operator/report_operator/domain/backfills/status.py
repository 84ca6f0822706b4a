"""The status of a ReportBackfill: each run is counted once, and conditions say the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from report_operator.api.v1alpha1.backfill_status import (
    FAILURES_LIMIT,
    BackfillCondition,
    BackfillFailure,
    BackfillRun,
    BackfillState,
    ReportBackfillStatus,
)
from report_operator.api.v1alpha1.conditions import BackfillConditionType, BackfillReason
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.backfills.planning import HeldUpError
from report_operator.domain.convergence import AT_ONCE, BACKFILL_PATIENCE, convergence
from report_operator.domain.schedules.transitions import NORMAL, WARNING, Transition
from report_operator.domain.times import format_time
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome
from report_runner.contract.words import counted


@dataclass(frozen=True, slots=True)
class BackfillView:
    """Number of its slots in each state, for metrics."""

    namespace: str
    name: str
    runs: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class BackfillProgress:
    """Everything besides the counts. `left` is None while the slots are not known."""

    generation: int
    suspended: bool
    dry_run: bool
    left: int | None  # slots that are not decided on
    held_up: HeldUpError | None
    last_date: date | None = None  # of the range; None while the spec cannot be read


def is_over(status: ReportBackfillStatus) -> bool:
    """Whether all of its slots are decided on and all of its runs have ended."""
    return status.completion_time is not None


def settle(
    status: ReportBackfillStatus, outcomes: Mapping[str, RecentRun], schedules: Collection[str]
) -> ReportBackfillStatus:
    """Count the runs in flight that have an outcome (by Job), and drop each in the same step.

    `schedules` has the uids of those that exist: runs of a deleted one were deleted with it, also
    where another schedule has its name now.
    """
    done, failed, skipped = status.done, status.failed, status.skipped
    failures = list(status.last_failures)
    left: list[BackfillRun] = []
    for run in status.in_flight:
        entry = outcomes.get(run.job)
        if run.schedule_uid not in schedules:
            skipped += 1
        elif entry is None:
            left.append(run)
        elif entry.outcome is Outcome.SKIPPED:
            skipped += 1
        elif entry.reason is None:
            done += 1
        else:
            failed += 1
            failures.append(_failure(run, entry, entry.reason))
    return status.model_copy(
        update={
            "done": done,
            "failed": failed,
            "skipped": skipped,
            "in_flight": left,
            "last_failures": failures[-FAILURES_LIMIT:],
        }
    )


def _failure(run: BackfillRun, entry: RecentRun, reason: Reason) -> BackfillFailure:
    return BackfillFailure(
        job=run.job,
        schedule=run.schedule,
        slot=run.slot,
        report_date=run.report_date,
        reason=reason,
        message=entry.message,
        time=entry.finished_at,
    )


def conclude(
    status: ReportBackfillStatus, progress: BackfillProgress, now: datetime
) -> ReportBackfillStatus:
    """The rest of the status, which follows from the counts."""
    if is_over(status):
        return status.model_copy(update={"observed_generation": progress.generation})
    over = status.done + status.failed + status.skipped
    running = len(status.in_flight)
    would_run = status.would_run_count or 0
    total = status.total
    if progress.left is not None:
        total = over + running + would_run + progress.left
    complete = progress.held_up is None and progress.left == 0 and running == 0
    ready, finished = _ready(progress), _complete(status, progress, complete, over, total)
    conditions = [_since(status, found, progress, now) for found in (ready, finished)]
    conditions += _convergence(status, conditions, progress.generation, now)
    return status.model_copy(
        update={
            "observed_generation": progress.generation,
            "state": _state(status, progress, complete, total),
            "progress": None if total is None else f"{over}/{total}",
            "total": total,
            "running": running,
            "conditions": conditions,
            "completion_time": now if complete else None,
        }
    )


ConditionUpdate = tuple[BackfillConditionType, bool, BackfillReason, str]


def _ready(progress: BackfillProgress) -> ConditionUpdate:
    held_up = progress.held_up
    if held_up is not None:
        return BackfillConditionType.READY, False, held_up.reason, held_up.message
    return BackfillConditionType.READY, True, BackfillReason.READY, "runs can be made"


def _complete(
    status: ReportBackfillStatus,
    progress: BackfillProgress,
    complete: bool,
    over: int,
    total: int | None,
) -> ConditionUpdate:
    kind = BackfillConditionType.COMPLETE
    if not complete:
        if progress.suspended:
            message = "no further runs are made until spec.suspend is false"
            return kind, False, BackfillReason.SUSPENDED, message
        message = (
            "its slots are not known yet"
            if total is None
            else f"{counted(total - over, 'slot is', 'slots are')} left"
        )
        return kind, False, BackfillReason.IN_PROGRESS, message
    if progress.dry_run:
        message = (
            f"{counted(status.would_run_count or 0, 'run')} would be made, "
            f"{counted(status.skipped, 'slot needs', 'slots need')} none"
        )
        return kind, True, BackfillReason.DRY_RUN, message
    if not total:
        return kind, True, BackfillReason.NO_SLOT, _no_slot_message(status, progress)
    message = (
        f"{counted(status.done, 'run')} succeeded, {status.failed} failed, "
        f"{counted(status.skipped, 'slot')} needed none"
    )
    reason = BackfillReason.SOME_FAILED if status.failed else BackfillReason.ALL_SUCCEEDED
    return kind, True, reason, message


def _no_slot_message(status: ReportBackfillStatus, progress: BackfillProgress) -> str:
    start, last = status.start_time, progress.last_date
    if start is not None and last is not None and last >= start.date():
        return (
            "no run was made: no slot of these dates had passed at "
            f"{format_time(start)}, and the schedules make what is to come by themselves; ask "
            "again for dates that have passed"
        )
    return (
        "no run was made: the schedules have no slot on these dates; compare spec.schedule and "
        "spec.timeZone of the ReportSchedules with spec.startDate and spec.endDate"
    )


def _state(
    status: ReportBackfillStatus, progress: BackfillProgress, complete: bool, total: int | None
) -> BackfillState:
    if complete and progress.dry_run:
        return BackfillState.DRY_RUN
    if complete:
        return BackfillState.FAILED if status.failed or not total else BackfillState.SUCCEEDED
    if progress.held_up is not None:
        return BackfillState.WAITING
    return BackfillState.SUSPENDED if progress.suspended else BackfillState.RUNNING


def _since(
    status: ReportBackfillStatus, found: ConditionUpdate, progress: BackfillProgress, now: datetime
) -> BackfillCondition:
    kind, holds, reason, message = found
    word = "True" if holds else "False"
    before = next((c for c in status.conditions if c.type == kind), None)
    return BackfillCondition(
        type=kind,
        status=word,
        reason=reason,
        message=message,
        last_transition_time=(
            before.last_transition_time if before and before.status == word else now
        ),
        observed_generation=progress.generation,
    )


def _convergence(
    status: ReportBackfillStatus,
    conditions: Sequence[BackfillCondition],
    generation: int,
    now: datetime,
) -> list[BackfillCondition]:
    """Stalled or Reconciling: of one that is held up, or that is over and could make nothing."""
    ready, complete = conditions
    if ready.status == "False":
        cause, patience = ready, BACKFILL_PATIENCE[BackfillReason(ready.reason)]
    elif complete.reason == BackfillReason.NO_SLOT:
        cause, patience = complete, AT_ONCE
    else:
        return []
    found = convergence(cause.reason, patience, status.conditions, generation, now)
    return [
        BackfillCondition(
            type=BackfillConditionType(found.type),
            status="True",
            reason=cause.reason,
            message=cause.message,
            last_transition_time=found.since,
            observed_generation=generation,
        )
    ]


def backfill_transitions(
    before: ReportBackfillStatus, after: ReportBackfillStatus
) -> list[Transition]:
    """Events: it is held up, it continues, it is complete."""
    old = {condition.type: condition for condition in before.conditions}
    found: list[Transition] = []
    for condition in after.conditions:
        if condition.type not in (BackfillConditionType.READY, BackfillConditionType.COMPLETE):
            continue  # Ready says it
        known = old.get(condition.type)
        holds = condition.status == "True"
        at = condition.last_transition_time
        key = f"{condition.type}-{condition.status}-{condition.reason}-{format_time(at)}"
        if known is not None and (known.status, known.reason) == (
            condition.status,
            condition.reason,
        ):
            continue
        if condition.type is BackfillConditionType.COMPLETE:
            if holds:
                kind = WARNING if after.state is BackfillState.FAILED else NORMAL
                found.append(Transition(kind, "BackfillComplete", condition.message, at, key))
        elif not holds:
            found.append(Transition(WARNING, condition.reason, condition.message, at, key))
        elif known is not None and known.status == "False":
            found.append(Transition(NORMAL, "Ready", condition.message, at, key))
    return found


def view_of(namespace: str, name: str, status: ReportBackfillStatus) -> BackfillView:
    over = status.done + status.failed + status.skipped
    left = max((status.total or 0) - over - status.running, 0)
    return BackfillView(
        namespace,
        name,
        {
            "done": status.done,
            "failed": status.failed,
            "skipped": status.skipped,
            "running": status.running,
            "left": left,
        },
    )


def jobs_to_make(status: ReportBackfillStatus, known: Collection[str]) -> Sequence[BackfillRun]:
    """Runs in flight without a Job: not made yet, or deleted by somebody before they ended."""
    return [run for run in status.in_flight if run.job not in known]
