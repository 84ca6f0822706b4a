"""Runs that would otherwise hang for ever: which are ended, and with which reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.domain.checks import first_problem
from report_operator.domain.runs.cause import Cause, make_cause
from report_operator.domain.runs.data_wait import OVERTIME, answer_of, is_check
from report_operator.domain.runs.failure import explain_failure
from report_operator.domain.runs.observed import ObservedRun
from report_operator.domain.runs.run import Run, Stage
from report_operator.domain.times import format_time, spoken
from report_runner.contract.reasons import EXIT_NOT_READY_YET, Reason

BACKOFF = timedelta(minutes=10)  # the Job controller's longest pause between attempts


@dataclass(frozen=True, slots=True)
class StartLimits:
    """How long an admitted run may fail to start, and how long one may wait in the queue."""

    startup: timedelta
    queue: timedelta


Check = Callable[[ObservedRun, StartLimits], Cause | None]


def exceeded_deadline(observed: ObservedRun, limits: StartLimits) -> Cause | None:
    """Why a run has to be ended; None for a run that may go on."""
    run = observed.run
    if run.finished or run.deleting:
        return None
    if run.termination_reason and not run.suspended:
        return None  # the Job controller ends it already
    return first_problem(CHECKS, observed, limits)


def _purged(observed: ObservedRun, limits: StartLimits) -> Cause | None:  # noqa: ARG001
    run = observed.run
    return explain_failure(run, ()) if run.termination_reason else None


def queued_since(run: Run) -> datetime:
    """From when on it waits for admission: before, its day or its data were still to come."""
    begun = max(run.created_at, run.calendar_verdict.moved_to or run.created_at)
    wait = run.data_wait
    return max(begun, wait.enqueued_at) if wait is not None and wait.enqueued_at else begun


def _queued_too_long(observed: ObservedRun, limits: StartLimits) -> Cause | None:
    run = observed.run
    # A backfill's run is meant to wait until there is room.
    if run.stage is not Stage.QUEUED or run.backfill or observed.held:
        return None
    begun = queued_since(run)
    if run.scheduled and observed.resumed_at is not None:
        begun = max(begun, observed.resumed_at)
    waited = observed.now - begun
    if waited < limits.queue:
        return None
    return Cause(
        Reason.QUEUE_TIMEOUT,
        f"waited {spoken(waited)} for admission"
        + (f" ({observed.waits_for})" if observed.waits_for else "")
        + f", the limit is {spoken(limits.queue)}; raise the operator's limits of active "
        "runs, or its priority",
    )


def _not_started(observed: ObservedRun, limits: StartLimits) -> Cause | None:
    if observed.run.stage not in (Stage.PENDING, Stage.RETRYING):
        return None
    since = _start_due_since(observed)
    if since is None or observed.now - since < limits.startup:
        return None
    note = f"could not start within {spoken(limits.startup)}"
    found = observed.pending_reason
    if found is not None:
        return Cause(found.cause.reason, f"{note}: {found.cause.message}")
    return Cause(
        Reason.CONTAINER_NOT_STARTED,
        f"the pod {note} and nothing says why; kubectl describe pod -l "
        f"job-name={observed.run.name}: is the kubelet of its node at work, is a large image still "
        "being pulled?",
    )


def _check_without_answer(observed: ObservedRun, limits: StartLimits) -> Cause | None:  # noqa: ARG001
    """The Job controller would make another pod of it for ever: a check counts as no try."""
    run, newest = observed.run, observed.newest_pod
    if run.suspended or newest is None or not is_check(newest):
        return None
    found = answer_of(newest)
    if found is None:
        return make_cause(
            Reason.INTERNAL_ERROR,
            f"the pod {newest.name} ended with exit code {EXIT_NOT_READY_YET} (data not ready) and "
            "left no word: see its log, and whether images of operator and runner are of one "
            "version",
        )
    if observed.now < found.deadline + OVERTIME:
        return None
    return make_cause(
        Reason.DATA_NOT_READY,
        f"the data were not ready by {format_time(found.deadline)}: {found.answer}; the clock of "
        "the run's node is behind, or its pods began very late",
    )


CHECKS: tuple[Check, ...] = (
    _purged,  # on-call asked for it; only the operator can end a run that is still suspended
    _check_without_answer,  # it asked whether its data are ready, and cannot be asked again
    _queued_too_long,  # suspended, and admission found no place for it
    _not_started,  # admitted, and no pod of it runs
)


def _start_due_since(observed: ObservedRun) -> datetime | None:
    """From when on the run should have had a pod that runs; None where it has, or may have."""
    run, newest = observed.run, observed.newest_pod
    if newest is None:
        return None if run.active_pods else run.admitted_at  # its pod may not be known yet
    if newest.ended:
        # The Job controller waits before the next attempt.
        return None if run.active_pods else (newest.finished_at or newest.created_at) + BACKOFF
    return None if newest.started_at is not None else newest.created_at
