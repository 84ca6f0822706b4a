"""What a dead letter is: the newest attempt for a slot, where it failed for good."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

from report_runner.contract.reasons import Reason
from report_runner.contract.result import Outcome

T = TypeVar("T")
Order = tuple[int, bool, datetime]


@dataclass(frozen=True, slots=True)
class Tried(Generic[T]):
    """One attempt for a slot, and the caller's own object for it."""

    slot: Hashable
    order: Order
    failed: bool
    what: T


def is_failure(outcome: Outcome, reason: Reason | None) -> bool:
    """Whether a person has to look at it: that a run was replaced is the policy's doing."""
    return outcome is Outcome.FAILED and reason is not Reason.REPLACED


def attempt_order(number: int, ended_at: datetime | None) -> Order:
    """Sort key of the attempts of a slot, the newest last.

    An active one (`ended_at` is None) is newer than an ended one of the same number: such attempts
    are made by hand.
    """
    return number, ended_at is None, ended_at or datetime.min.replace(tzinfo=UTC)


def is_cleared(failed_at: datetime | None, cleared_through: datetime | None) -> bool:
    """Whether a person took a failure of this instant off the list."""
    return failed_at is not None and cleared_through is not None and failed_at <= cleared_through


def dead(attempts: Iterable[Tried[T]]) -> list[T]:
    """The dead letters among all attempts of some slots, in the order of the slots' appearance."""
    newest: dict[Hashable, Tried[T]] = {}
    for attempt in attempts:
        known = newest.get(attempt.slot)
        if known is None or known.order <= attempt.order:
            newest[attempt.slot] = attempt
    return [attempt.what for attempt in newest.values() if attempt.failed]
