"""What is to be done about one ReportSchedule, decided from an Observation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.cron.schedule import load_zone
from report_operator.domain.runs.cause import Cause, make_cause
from report_operator.domain.runs.data_wait import (
    DataWait,
    answer_of,
    is_check,
    may_suspend,
    next_wait,
)
from report_operator.domain.runs.deadlines import StartLimits, exceeded_deadline
from report_operator.domain.runs.outcomes import (
    HistoryLimits,
    RunHistory,
    merge,
    prunable,
    record,
    record_finished,
)
from report_operator.domain.runs.run import Run, Stage
from report_operator.domain.runs.vanished import REPLACEMENT_GRACE, outcome_of_missing
from report_operator.domain.schedules.calendar import parse_calendar
from report_operator.domain.schedules.catch_up import (
    early_slots,
    handled_through,
    slots_to_catch_up,
)
from report_operator.domain.schedules.lateness import NOT_CREATED, Due
from report_operator.domain.schedules.observation import Observation
from report_operator.domain.schedules.plan import last_scheduled
from report_operator.domain.schedules.requests import RequestedRun, decide_requests
from report_operator.domain.schedules.status import RunDecisions, StatusUpdate, compute_status
from report_runner.contract.reasons import Reason

CHECK_PENDING = timedelta(seconds=5)  # a pod that starts needs less
CHECK_PENDING_LATER = timedelta(minutes=1)  # where a run has not started for long
CHECK_PROBLEM = timedelta(seconds=30)
NEXT_BATCH = timedelta(seconds=1)  # of missed slots, where there are more than one go makes
EARLY_KEPT = timedelta(minutes=10)  # after the CronJob controller makes the slot's Job no more
WITHOUT_DEADLINE = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class ScheduleLimits:
    """The operator's configuration as far as decisions about a schedule depend on it."""

    start: StartLimits
    history: HistoryLimits


@dataclass(frozen=True, slots=True)
class OverdueRun:
    """A run that has to be ended, and why."""

    run: Run
    cause: Cause


@dataclass(frozen=True, slots=True)
class RunToSuspend:
    """A run whose data are not ready, and what is known of that."""

    run: Run
    wait: DataWait


@dataclass(frozen=True, slots=True)
class Decision:
    """To be applied in the order of the fields; `prune` only after the status was accepted."""

    to_fail: Sequence[OverdueRun]  # admitted: the Job controller ends their pods
    to_suspend: Sequence[RunToSuspend]  # until their next check
    catch_up: Sequence[datetime]  # slots whose Jobs are to be made
    requested: Sequence[RequestedRun]  # attempts whose Jobs are to be made
    without_job: datetime | None  # a due slot that the CronJob controller has made no Job for
    history: RunHistory
    update: StatusUpdate
    prune: Sequence[Run]
    check_after: timedelta | None


def decide(observation: Observation, limits: ScheduleLimits) -> Decision:
    """Everything that one reconcile of a schedule does."""
    overdue = [
        OverdueRun(observed.run, cause)
        for observed in observation.runs
        if left_out(observed.run) is None
        and (cause := exceeded_deadline(observed, limits.start)) is not None
    ]
    missing = [
        outcome_of_missing(
            entry,
            [item.run for item in observation.runs],
            _concurrency(observation),
            observation.now,
        )
        for entry in observation.missing
    ]
    given_up = [
        record(item.run, (), observation.now, item.cause) for item in overdue if item.run.suspended
    ]
    ended = {entry.uid for entry in given_up}
    given_up += [
        record(item.run, (), observation.now, cause, skipped=True)
        for item in observation.runs
        if item.run.uid not in ended and (cause := left_out(item.run)) is not None
    ]
    catch_up = [*slots_to_catch_up(observation), *early_slots(observation)]
    history = _history(observation, [*missing, *given_up], limits.history)
    # Where history takes no more just now a run stays what it is until it does.
    recorded = {entry.uid for entry in history.recent}
    given_up = [entry for entry in given_up if entry.uid in recorded]
    requests = decide_requests(observation, history.recent)
    update = compute_status(
        observation,
        RunDecisions(
            history,
            frozenset(entry.uid for entry in given_up),
            handled_through(observation),
            requests.run,
            requests.retry,
        ),
    )
    return Decision(
        to_fail=[item for item in overdue if not item.run.suspended],
        to_suspend=_to_suspend(observation, {item.run.uid for item in overdue}),
        catch_up=catch_up,
        requested=requests.make,
        without_job=None if catch_up else _without_job(observation, update.due),
        history=history,
        update=update,
        prune=_prune(observation, history, given_up, limits.history),
        check_after=NEXT_BATCH if catch_up else _check_after(observation, given_up, update),
    )


def left_out(run: Run) -> Cause | None:
    """Why the calendar gives a waiting run no place at all; None where it may go on."""
    if not run.waiting:
        return None
    found = run.calendar_verdict
    if not found.skipped:
        return None
    calendar = parse_calendar(run.calendar)
    by = f" ({calendar.library})" if calendar.library else ""
    day = f"{run.slot.astimezone(load_zone(run.time_zone)):%Y-%m-%d}"
    return make_cause(
        Reason.HOLIDAY,
        f"{day} is {found.why} in {calendar.origin}{by}; generate the report of this date if it is "
        "wanted all the same",
    )


def _to_suspend(observation: Observation, overdue: Collection[str]) -> list[RunToSuspend]:
    """Runs whose newest pod found the data not ready. One that has another pod by now goes on."""
    found = []
    for observed in observation.runs:
        run, pod = observed.run, observed.newest_pod
        if not run.active or run.deleting or run.termination_reason or run.uid in overdue:
            continue
        if pod is None or not is_check(pod) or (answer := answer_of(pod)) is None:
            continue
        before = run.data_wait
        known = max(observed.checks, before.checks + 1 if before else 1) + run.failed_pods
        if not may_suspend(pod, known, observation.now):
            continue
        admitted_at = run.admitted_at or run.created_at
        found.append(RunToSuspend(run, next_wait(before, pod, answer, known, admitted_at)))
    return found


def _history(
    observation: Observation, ended: Sequence[RecentRun], limits: HistoryLimits
) -> RunHistory:
    previous = observation.previous
    finished = [
        record_finished(observed.run, observed.pods)
        for observed in observation.runs
        if observed.run.finished and observed.run.uid not in observation.recorded
    ]
    existing = {observed.run.uid for observed in observation.runs}
    return merge(
        RunHistory(tuple(previous.recent_runs), previous.run_counts),
        [*ended, *finished],
        existing | observation.uncounted | observation.pending_records,
        limits.outcomes,
    )


def _prune(
    observation: Observation,
    history: RunHistory,
    given_up: Sequence[RecentRun],
    limits: HistoryLimits,
) -> list[Run]:
    """Runs whose outcome is in status, and whose Job need not stay.

    A finished Job stays until history has it too. One that was given up on is not finished: it
    would hold up the next slots, and all that is known of it is in status.
    """
    runs = [observed.run for observed in observation.runs]
    gone = {entry.uid for entry in given_up} & {entry.uid for entry in history.recent}
    return [
        *(
            run
            for run in prunable(runs, history, limits)
            if run.uid not in observation.pending_records and not _keeps_slot(run, observation)
        ),
        *(
            run
            for run in runs
            if run.uid in gone
            # One that was given up before its slot came would be made once more.
            and not (run.scheduled and run.termination_reason and _keeps_slot(run, observation))
        ),
    ]


def _keeps_slot(run: Run, observation: Observation) -> bool:
    """Whether its name keeps the CronJob controller from making the Job of the slot once more.

    That goes on trying until `startingDeadlineSeconds` have passed, or it has made a later one.
    """
    if run.created_at >= run.slot or observation.cronjob is None:
        return False
    last = last_scheduled(observation.cronjob)
    if last is not None and last >= run.slot:
        return False
    within = observation.cronjob["spec"].get("startingDeadlineSeconds")
    deadline = timedelta(seconds=within) if isinstance(within, int) else WITHOUT_DEADLINE
    return observation.now < run.slot + deadline + EARLY_KEPT


def _concurrency(observation: Observation) -> str:
    return observation.spec.concurrency_policy if observation.spec else ""


def _without_job(observation: Observation, due: Due | None) -> datetime | None:
    if due is None or due.stage != NOT_CREATED or observation.cronjob is None:
        return None
    return None if any(entry.slot == due.slot for entry in observation.awaited) else due.slot


def _check_after(
    observation: Observation, given_up: Sequence[RecentRun], update: StatusUpdate
) -> timedelta | None:
    """When to reconcile again although nothing happens."""
    moments = [] if update.check_at is None else [update.check_at - observation.now]
    gone = {entry.uid for entry in given_up}
    runs = [observed.run for observed in observation.runs if observed.run.uid not in gone]
    waiting = [run.admitted_at or run.created_at for run in runs if run.stage is Stage.PENDING]
    moments += [
        max(run.data_wait.next_check - observation.now, CHECK_PENDING)
        for run in runs
        if run.data_wait is not None and run.stage is Stage.WAITING_FOR_DATA
    ]
    if any(run.stage is Stage.RETRYING for run in runs):
        moments.append(2 * CHECK_PENDING)
    if (slot := _without_job(observation, update.due)) is not None:
        waiting.append(slot)
    # Often at first, so that what is wrong is told soon, then seldom.
    moments += [
        min(max((observation.now - since) / 2, CHECK_PENDING), CHECK_PENDING_LATER)
        for since in waiting
    ]
    if observation.awaited:
        moments.append(REPLACEMENT_GRACE)
    refused = observation.refused
    if (refused is not None and refused.catch_up) or observation.problem is not None:
        moments.append(CHECK_PROBLEM)
    return min(moments, default=None)
