"""Outcomes: what a finished run leaves in status, each exactly once, and when its Job may go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.runs.answers import making_up, standing_failure
from report_operator.domain.runs.cause import Cause, make_cause
from report_operator.domain.runs.failure import explain_failure, newest_result
from report_operator.domain.runs.identity import entry_fields
from report_operator.domain.runs.pod import Pod
from report_operator.domain.runs.run import Run
from report_operator.domain.texts import MESSAGE_LIMIT, cut
from report_runner.contract.reasons import SKIP_REASONS, Reason
from report_runner.contract.result import Outcome

RECENT_LIMIT = 100  # maxItems of status.recentRuns
RESULT_LOST = Cause(
    Reason.INTERNAL_ERROR,
    "its pod ended well and left no result, so nobody knows whether its report was sent or "
    "skipped; retry it: who has the report already is not sent it again",
)


@dataclass(frozen=True, slots=True)
class HistoryLimits:
    """How many finished Jobs (for their logs) and outcomes stay."""

    succeeded_jobs: int
    failed_jobs: int
    outcomes: int


@dataclass(frozen=True, slots=True)
class RunHistory:
    """The recorded outcomes, oldest first, and how often each result occurred."""

    recent: tuple[RecentRun, ...]
    counts: Mapping[str, int]


def record(
    run: Run,
    pods: Sequence[Pod],
    finished_at: datetime,
    cause: Cause | None,
    *,
    skipped: bool = False,
) -> RecentRun:
    """The outcome of one run; `cause` is why it failed or was skipped, None for a success."""
    result = newest_result(pods)
    started = min((pod.started_at for pod in pods if pod.started_at), default=None)
    return RecentRun(
        **entry_fields(run.identity),
        outcome=_outcome(cause, skipped=skipped),
        reason=cause.reason if cause else None,
        message=cut(cause.message if cause else (result.message if result else ""), MESSAGE_LIMIT),
        started_at=started,
        finished_at=finished_at,
        queued_seconds=_seconds(run.created_at, _first_admitted_at(run) or finished_at),
        data_wait_seconds=_waited_for_data(run, finished_at),
        # Of a run that never started all of its time was spent starting.
        pending_seconds=_seconds(
            None if run.suspended else run.admitted_at, started or finished_at
        ),
        run_seconds=_seconds(started, finished_at),
        rows=sum(result.rows.values()) if result else None,
        outputs=[output.path for output in result.outputs] if result else [],
        storage_used_percent=result.storage_used_percent if result else None,
        memory_used_percent=result.memory_used_percent if result else None,
        warnings=result.warnings if result else None,
        cache_hits=result.cache_hits if result else None,
        cache_misses=result.cache_misses if result else None,
    )


def record_finished(run: Run, pods: Sequence[Pod]) -> RecentRun:
    """The outcome of a Job that is complete or failed. Raises ValueError for one that is not."""
    if run.finished_at is None:
        raise ValueError(f"{run.name} is not finished")
    if not run.succeeded:
        return record(run, pods, run.finished_at, explain_failure(run, pods))
    result = newest_result([pod for pod in pods if pod.exit_code == 0])
    if result is None and run.may_skip:
        return record(run, pods, run.finished_at, RESULT_LOST)
    if result is None or result.outcome is not Outcome.SKIPPED:
        return record(run, pods, run.finished_at, None)
    if result.reason is None or result.reason not in SKIP_REASONS:
        said = result.reason.value if result.reason else "none"
        cause = make_cause(
            Reason.INTERNAL_ERROR, f"its result says Skipped for no reason to skip ({said})"
        )
        return record(run, pods, run.finished_at, cause)
    cause = make_cause(result.reason, result.message)
    return record(run, pods, run.finished_at, cause, skipped=True)


def _outcome(cause: Cause | None, *, skipped: bool) -> Outcome:
    if cause is None:
        return Outcome.SUCCEEDED
    return Outcome.SKIPPED if skipped else Outcome.FAILED


def _first_admitted_at(run: Run) -> datetime | None:
    return run.data_wait.first_admitted_at if run.data_wait else run.admitted_at


def _waited_for_data(run: Run, finished_at: datetime) -> int | None:
    """Until it was let start for the last time; of one that ended suspended, until then."""
    if run.data_wait is None:
        return None
    until = finished_at if run.suspended else run.admitted_at
    return _seconds(run.data_wait.since, until)


def _seconds(start: datetime | None, end: datetime | None) -> int | None:
    if start is None or end is None:
        return None
    return max(round((end - start) / timedelta(seconds=1)), 0)


def merge(
    history: RunHistory, fresh: Sequence[RecentRun], existing: Collection[str], keep: int
) -> RunHistory:
    """The history with new outcomes, oldest first.

    An entry goes only when its Job is gone (`existing` holds the uids of those that are not, and
    of those that a backfill has still to count), so that no outcome is counted twice, and not
    before the earlier attempts of its slot: it tells what became of them. Of the schedule's own
    outcomes and of those of backfills `keep` stay each. Those that tell the health stay. Where
    there is no room yet, the newest outcomes wait for the next time; their Jobs wait with them.
    """
    known = {entry.uid for entry in history.recent}
    new = sorted(
        (entry for entry in fresh if entry.uid not in known), key=lambda entry: entry.finished_at
    )
    held = _held(history.recent, existing)
    new = new[: max(RECENT_LIMIT - len(held), 0)]
    held |= known & _tells_health([*history.recent, *new])
    new = new[: max(RECENT_LIMIT - len(held), 0)]
    entries = [*history.recent, *new]
    held |= {entry.uid for entry in new}
    old = [entry for entry in entries if entry.uid not in held]
    gone: set[str] = set()
    for mine in (True, False):
        group = sum((entry.backfill is None) is mine for entry in entries)
        surplus = [entry.uid for entry in old if (entry.backfill is None) is mine]
        gone.update(surplus[: max(group - keep, 0)])
    overfull = len(entries) - len(gone) - RECENT_LIMIT
    gone.update([entry.uid for entry in old if entry.uid not in gone][: max(overfull, 0)])
    kept = [entry for entry in entries if entry.uid not in gone]
    counts = Counter(dict(history.counts))
    counts.update(result_key(entry) for entry in new)
    return RunHistory(tuple(kept), dict(sorted(counts.items())))


def _tells_health(entries: Sequence[RecentRun]) -> set[str]:
    """Uids of the newest of the schedule's own, the newest of a slot, the failure that stands, and
    the report that made up for one, however many runs for older dates come after them.
    """
    own = [entry for entry in entries if entry.backfill is None]
    scheduled = sorted(
        (entry for entry in own if not entry.manual), key=lambda e: (e.slot, e.finished_at)
    )
    failure = standing_failure(entries, None, None)
    telling = [*own[-1:], *scheduled[-1:], failure, *making_up(entries)]
    return {entry.uid for entry in telling if entry is not None}


def _held(recent: Sequence[RecentRun], existing: Collection[str]) -> set[str]:
    """Uids of entries whose Job exists, or the Job of an earlier attempt of their slot."""
    oldest: dict[datetime, int] = {}
    for entry in recent:
        if entry.uid in existing:
            oldest[entry.slot] = min(entry.attempt, oldest.get(entry.slot, entry.attempt))
    return {
        entry.uid
        for entry in recent
        if entry.uid in existing or oldest.get(entry.slot, entry.attempt) < entry.attempt
    }


def result_key(entry: RecentRun) -> str:
    """`Succeeded`, the reason of a failure, or `Skipped/` with the reason for that."""
    if entry.outcome is Outcome.SKIPPED:
        return skipped_key(entry.reason)
    return entry.reason.value if entry.reason else Outcome.SUCCEEDED.value


def skipped_key(reason: Reason | None) -> str:
    """Apart from failures: DataNotReady is one, or a reason to skip, as the author wants it."""
    return f"{Outcome.SKIPPED.value}/{reason.value if reason else ''}"


def prunable(runs: Sequence[Run], history: RunHistory, keep: HistoryLimits) -> list[Run]:
    """Finished Jobs whose outcome is recorded and which need not stay for their logs."""
    recorded = {entry.uid for entry in history.recent}
    surplus: list[Run] = []
    kinds = product((True, False), ((True, keep.succeeded_jobs), (False, keep.failed_jobs)))
    for of_backfill, (succeeded, limit) in kinds:
        done = [
            run
            for run in runs
            if run.finished_at is not None
            and run.succeeded is succeeded
            and bool(run.backfill) is of_backfill
            and run.uid in recorded
            and not run.deleting
        ]
        done.sort(key=lambda run: (run.finished_at or run.created_at, run.name))
        surplus += done[: max(len(done) - limit, 0)]
    return surplus
