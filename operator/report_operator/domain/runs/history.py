"""Past runs of a slot, from several sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from report_runner.contract.result import Outcome


@dataclass(frozen=True, slots=True)
class PastRun:
    """One attempt for a slot; `outcome` is None while it is active."""

    slot: datetime
    attempt: int
    outcome: Outcome | None


@dataclass(frozen=True, slots=True)
class SlotSpan:
    """Slots of one schedule, `since <= slot <= until`."""

    namespace: str
    schedule: str
    schedule_uid: str
    report_type: str
    since: datetime
    until: datetime


class PastRunsUnavailableError(Exception):
    """A source does not answer: it is not known which runs are missing."""


class PastRuns(Protocol):
    """A source of past runs. Several may be asked: a run that any of them has counts."""

    async def of(self, span: SlotSpan) -> Sequence[PastRun]:
        """The newest known attempt of each slot.

        Where an earlier attempt succeeded and the newest one did not, that one as well. Raises
        PastRunsUnavailableError.
        """


@dataclass(frozen=True, slots=True)
class SlotPast:
    """All attempts of one slot together."""

    newest: PastRun
    succeeded: bool  # any attempt
    under_way: bool  # any attempt


def by_slot(runs: Iterable[PastRun]) -> dict[datetime, SlotPast]:
    """Slot by slot. Several sources may have the same run."""
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
