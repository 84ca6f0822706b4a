"""The list of schedules: one state for each, filtered, sorted and counted, without I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from admin_api.services.jobs import ScheduleSummary
from admin_api.web.problems import ProblemDetail, problems_of
from report_operator.api.v1alpha1.spec import Tier

_TIERS = {tier.value: rank for rank, tier in enumerate(Tier)}
_NEVER = datetime.min.replace(tzinfo=UTC)
_NOT_TO_COME = datetime.max.replace(tzinfo=UTC)


class ScheduleState(StrEnum):
    """A schedule is in exactly one: the first of these that is true of it."""

    FAILING = "failing"
    NOT_READY = "not ready"
    LATE = "late"
    NOT_STARTING = "not starting"
    SUSPENDED = "suspended"
    NOT_SEEN = "not seen yet"
    HEALTHY = "healthy"


class SortOrder(StrEnum):
    NAME = "name"
    STATE = "state"
    FAILURE = "newest failure"
    SUCCESS = "oldest success"
    NEXT = "next slot"
    TIER = "tier"


@dataclass(frozen=True, slots=True)
class Row:
    """`problem` is the gravest, where there is one; `key` is namespace/name."""

    schedule: ScheduleSummary
    state: ScheduleState
    problem: ProblemDetail | None
    key: str


@dataclass(frozen=True, slots=True)
class Filter:
    """Empty fields let all schedules through; `text` is sought in namespace, name and type."""

    text: str = ""
    state: ScheduleState | None = None
    reason: str = ""  # of the gravest problem
    tier: Tier | None = None


def row_of(schedule: ScheduleSummary) -> Row:
    problem = next(iter(problems_of(schedule)), None)
    if problem is not None:
        state = ScheduleState(problem.kind.value)
    elif schedule.suspended:
        state = ScheduleState.SUSPENDED
    elif schedule.status.health is None:
        state = ScheduleState.NOT_SEEN
    else:
        state = ScheduleState.HEALTHY
    return Row(schedule, state, problem, f"{schedule.namespace}/{schedule.name}")


def count_states(rows: Iterable[Row]) -> dict[ScheduleState, int]:
    """All states, also those of no schedule: the sum is the number of schedules."""
    counts = Counter(row.state for row in rows)
    return {state: counts[state] for state in ScheduleState}


def choose_rows(rows: Iterable[Row], wanted: Filter, order: SortOrder) -> list[Row]:
    """Those that pass the filter, sorted; of equal ones by key."""
    words = wanted.text.lower().split()
    found = [
        row
        for row in rows
        if wanted.state in (None, row.state)
        and wanted.tier in (None, row.schedule.tier)
        and (not wanted.reason or (row.problem is not None and row.problem.reason == wanted.reason))
        and _has(row, words)
    ]
    return _sorted(found, order)


def _has(row: Row, words: Sequence[str]) -> bool:
    text = f"{row.key} {row.schedule.report_type}".lower()
    return all(word in text for word in words)


def _sorted(rows: Sequence[Row], order: SortOrder) -> list[Row]:
    found = sorted(rows, key=lambda row: row.key)
    states = list(ScheduleState)
    match order:
        case SortOrder.NAME:
            pass
        case SortOrder.STATE:
            found.sort(key=lambda row: states.index(row.state))
        case SortOrder.FAILURE:
            found.sort(key=_newest_failure, reverse=True)
        case SortOrder.SUCCESS:
            found.sort(key=lambda row: row.schedule.status.last_success_time or _NEVER)
        case SortOrder.NEXT:
            found.sort(key=lambda row: row.schedule.status.next_schedule_time or _NOT_TO_COME)
        case SortOrder.TIER:
            found.sort(key=lambda row: _TIERS.get(row.schedule.tier, len(_TIERS)))
    return found


def _newest_failure(row: Row) -> datetime:
    return row.problem.newest if row.problem is not None else _NEVER
