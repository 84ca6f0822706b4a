"""What is known about runs of the past, wherever it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from report_runner.contract.result import Outcome


@dataclass(frozen=True, slots=True)
class PastRun:
    """One attempt for a slot; `outcome` is None while it is under way."""

    slot: datetime
    attempt: int
    outcome: Outcome | None


class PastRunsUnavailableError(Exception):
    """The place where past runs are kept does not answer: nobody can say what is missing."""


class PastRuns(Protocol):
    """A place that knows past runs. Several may be asked: what any of them knows counts."""

    async def of(
        self, namespace: str, schedule_uid: str, schedule: str, since: datetime, until: datetime
    ) -> Sequence[PastRun]:
        """Of each slot in `since <= slot <= until` the newest attempt that is known.

        Where an earlier attempt succeeded and the newest one did not, that one as well. Raises
        PastRunsUnavailableError.
        """


@dataclass(frozen=True, slots=True)
class SlotPast:
    """All that is known of one slot."""

    newest: PastRun
    succeeded: bool  # any attempt
    under_way: bool  # any attempt


def by_slot(runs: Iterable[PastRun]) -> dict[datetime, SlotPast]:
    """What is known, slot by slot. The same run may be told by several places."""
    found: dict[datetime, SlotPast] = {}
    for run in runs:
        known = found.get(run.slot)
        newest = run
        if known is not None and _rank(known.newest) >= _rank(run):
            newest = known.newest
        found[run.slot] = SlotPast(
            newest=newest,
            succeeded=run.outcome is Outcome.SUCCEEDED or (known is not None and known.succeeded),
            under_way=run.outcome is None or (known is not None and known.under_way),
        )
    return found


def _rank(run: PastRun) -> tuple[int, bool]:
    # Of the same attempt the outcome counts more than an older view of it.
    return run.attempt, run.outcome is not None
