"""Whether a schedule's readers have their report: judged by slot, not by the newest run.

The answer to a slot is the outcome of its newest attempt. A failure stands until there is a report
of the same slot or of a newer one, or until somebody says that it needs no report any more; a run
for an older date says nothing of today's. A skip answers its own slot alone: the readers of those
before it have no report by that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.runs.dead_letter import is_failure
from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome


def standing_failure(
    entries: Sequence[RecentRun], since: datetime | None, acknowledged: datetime | None
) -> RecentRun | None:
    """The newest failed run, of the newest slot, that nothing has made up for; None if all is well.

    Slots before `since`, when the schedule was made, were never due. `acknowledged` is the newest
    slot that somebody said to need no report.
    """
    # A failure that ended by a skip says no more of the slots before it than the skip does.
    open_or_well = [entry for entry in entries if not _ended_by_skip(entry, entries)]
    floor = newest_scheduled_slot(open_or_well) or since
    failed = [
        entry
        for entry in open_or_well
        if is_failure(entry.outcome, entry.reason)
        and entry.backfill is None
        and (floor is None or entry.slot >= floor)
        and (acknowledged is None or entry.slot > acknowledged)
    ]
    if not failed:
        return None
    slot = max(entry.slot for entry in failed)
    if any(_makes_up_for(entry, slot) for entry in entries):
        return None
    # Of several in one second the one that was recorded last.
    of_slot = [entry for entry in failed if entry.slot == slot]
    return sorted(of_slot, key=lambda entry: entry.finished_at)[-1]


def making_up(entries: Sequence[RecentRun]) -> list[RecentRun]:
    """What ended failures: without these entries they would stand again.

    The newest report of the newest slot that failed, or of one after it; and the skips that answer
    slots which had failed.
    """
    failed = [e for e in entries if is_failure(e.outcome, e.reason) and e.backfill is None]
    newest = max((entry.slot for entry in failed), default=None)
    reports = [e for e in entries if newest is not None and _makes_up_for(e, newest)]
    reports.sort(key=lambda entry: entry.finished_at)
    skips = [skip for entry in failed if (skip := _skip_after(entry, entries)) is not None]
    return [*reports[-1:], *skips]


def _ended_by_skip(entry: RecentRun, entries: Iterable[RecentRun]) -> bool:
    return is_failure(entry.outcome, entry.reason) and _skip_after(entry, entries) is not None


def _skip_after(failed: RecentRun, entries: Iterable[RecentRun]) -> RecentRun | None:
    """A later attempt of the failed run's slot that found that no report is wanted."""
    found = [
        entry
        for entry in entries
        if entry.outcome is Outcome.SKIPPED
        and entry.slot == failed.slot
        and (entry.attempt, entry.finished_at) > (failed.attempt, failed.finished_at)
    ]
    return max(found, key=lambda entry: entry.finished_at, default=None)


def unanswered_since(entries: Iterable[RecentRun], before: datetime | None) -> datetime | None:
    """The oldest slot whose run was replaced by the next and that has no report since.

    `before` is what was found earlier: its entry may be forgotten by now.
    """
    known = list(entries)
    replaced = [entry.slot for entry in known if entry.reason is Reason.REPLACED]
    answered = max((entry.slot for entry in known if _answers(entry)), default=None)
    skipped = {entry.slot for entry in known if entry.outcome is Outcome.SKIPPED}
    candidates = [slot for slot in (before, *replaced) if slot is not None and slot not in skipped]
    return min((s for s in candidates if answered is None or s > answered), default=None)


def counts_for_health(entry: RecentRun, newest_scheduled: datetime | None) -> bool:
    """Whether the outcome of this run is one of the schedule's own, not one for an older date."""
    if entry.backfill is not None or not _tells_of_others(entry):
        return False
    return not entry.manual or newest_scheduled is None or entry.slot >= newest_scheduled


def newest_scheduled_slot(entries: Iterable[RecentRun]) -> datetime | None:
    """Of those with a report, or a failure of their own."""
    return max(
        (
            entry.slot
            for entry in entries
            if not entry.manual and entry.backfill is None and _tells_of_others(entry)
        ),
        default=None,
    )


def _makes_up_for(entry: RecentRun, slot: datetime) -> bool:
    if entry.outcome is not Outcome.SUCCEEDED:
        return False
    return entry.slot == slot or (entry.slot > slot and entry.backfill is None)


def _answers(entry: RecentRun) -> bool:
    """Whether its slot and those before have an answer: a report, or a failure of its own."""
    if entry.backfill is not None or not _tells_of_others(entry):
        return False
    return entry.outcome is Outcome.SUCCEEDED or not entry.manual


def _tells_of_others(entry: RecentRun) -> bool:
    """Whether it says something of the slots before it: not where it was skipped or replaced."""
    return entry.outcome is not Outcome.SKIPPED and entry.reason is not Reason.REPLACED
