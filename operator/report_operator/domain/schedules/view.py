"""A schedule as metrics show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from report_operator.api.v1alpha1.conditions import ConditionType
from report_operator.api.v1alpha1.resource import Key
from report_operator.api.v1alpha1.status import RecentRun
from report_operator.domain.schedules.plan import Plan
from report_operator.domain.schedules.status import StatusUpdate
from report_runner.contract.result import Outcome


@dataclass(frozen=True, slots=True)
class StorageUse:
    """How full the report volume was at an instant."""

    at: datetime
    ratio: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """Instants are None where there is none."""

    namespace: str
    name: str
    tier: str
    team: str  # to whom its alerts go
    cause: str  # why the newest slot failed, a Reason; empty where it did not
    last_run_failed: bool
    ready: bool
    late_after: timedelta
    next_due: datetime | None
    last_success: datetime | None
    queued: int
    active: int
    missed_slots: int
    counts: Mapping[str, int]  # by result: Succeeded, or a reason
    warnings: int = 0  # of the newest report that is not a backfill's
    storage: StorageUse | None = None  # as the newest run reported that could
    waiting_for_data: int = 0  # runs between two checks
    memory_used: float | None = None  # 0 to 1 of its limit, the newest run that told


def view_of(
    key: Key, spec: Mapping[str, Any], team: str, plan: Plan | None, update: StatusUpdate
) -> ScheduleView:
    """`spec` is that of the object, which may be invalid."""
    status = update.status
    conditions = {condition.type: condition.status for condition in status.conditions}
    failing = conditions.get(ConditionType.FAILING) == "True"
    return ScheduleView(
        namespace=key.namespace,
        name=key.name,
        tier=spec.get("tier", "standard"),
        team=team,
        cause=status.last_failure.reason.value if failing and status.last_failure else "",
        last_run_failed=failing,
        ready=conditions.get(ConditionType.READY) == "True",
        late_after=plan.late_after if plan else timedelta(0),
        next_due=update.next_due if plan and not plan.suspended else None,
        last_success=status.last_success_time,
        queued=status.queued,
        active=status.active,
        missed_slots=status.missed_slots,
        counts=status.run_counts,
        warnings=warnings_of(status.recent_runs),
        storage=storage_use(status.recent_runs),
        waiting_for_data=status.waiting_for_data,
        memory_used=memory_used(status.recent_runs),
    )


def warnings_of(recent: Iterable[RecentRun]) -> int:
    made = [run for run in recent if run.outcome is Outcome.SUCCEEDED and run.backfill is None]
    newest = max(made, key=lambda run: run.finished_at, default=None)
    return (newest.warnings or 0) if newest else 0


def memory_used(recent: Iterable[RecentRun]) -> float | None:
    """From the newest outcome that reports it; a run that was killed reports nothing."""
    reported = [run for run in recent if run.memory_used_percent is not None]
    newest = max(reported, key=lambda run: run.finished_at, default=None)
    return (newest.memory_used_percent or 0) / 100 if newest else None


def storage_use(recent: Iterable[RecentRun]) -> StorageUse | None:
    """From the newest outcome that reports it."""
    reported = [
        StorageUse(entry.finished_at, entry.storage_used_percent / 100)
        for entry in recent
        if entry.storage_used_percent is not None
    ]
    return max(reported, key=lambda use: use.at, default=None)
