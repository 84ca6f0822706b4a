"""Runs whose Job went before it had ended: what became of them.

A Job may be deleted by hand, or by the CronJob controller where `concurrencyPolicy` is Replace.
Either way its slot needs an answer, and the Job can give none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.status import ActiveRun, RecentRun
from report_operator.domain.runs.identity import entry_fields
from report_operator.domain.runs.run import Run
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

ACTIVE_LIMIT = 100  # maxItems of status.activeRuns
# The CronJob controller deletes the Job first and makes the next one then.
REPLACEMENT_GRACE = timedelta(seconds=10)
REPLACE = "Replace"


def active_runs(runs: Iterable[Run]) -> list[ActiveRun]:
    """Those that have not ended, as status keeps them: the oldest slots where there are too many.

    A run of a backfill is looked after by its ReportBackfill.
    """
    waiting = [run for run in runs if not run.finished and not run.backfill]
    waiting.sort(key=lambda run: (run.slot, run.attempt, run.uid))
    return [ActiveRun(**entry_fields(run.identity)) for run in waiting[:ACTIVE_LIMIT]]


def missing_runs(
    before: Sequence[ActiveRun], runs: Iterable[Run], recorded: Collection[str]
) -> list[ActiveRun]:
    """Those that were under way, have no Job now, and no outcome."""
    known = {run.uid for run in runs} | set(recorded)
    return [entry for entry in before if entry.uid not in known]


def outcome_of_missing(
    entry: ActiveRun, runs: Iterable[Run], concurrency: str, now: datetime
) -> RecentRun:
    """What to record of a run whose Job is gone. `concurrency` is the schedule's policy."""
    by = next(
        (
            run.name
            for run in sorted(runs, key=lambda run: run.slot)
            if not run.manual and run.slot > entry.slot
        ),
        None,
    )
    if concurrency == REPLACE and by is not None and not entry.manual:
        reason = Reason.REPLACED
        message = (
            f"replaced by {by} before it had ended (concurrencyPolicy Replace): runs take longer "
            "than the time between two slots, or wait longer in the queue; use Forbid, or fewer "
            "slots"
        )
    else:
        reason = Reason.JOB_DELETED
        message = (
            "its Job was deleted before it had ended, and not by the scheduler: retry it, or "
            "generate the report of its date"
        )
    return RecentRun(
        **entry.model_dump(),
        outcome=Outcome.FAILED,
        reason=reason,
        message=message,
        finished_at=now,
    )
