"""A schedule as metrics show it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from report_operator.api.v1alpha1.status import RecentRun


@dataclass(frozen=True, slots=True)
class StorageUse:
    """How full the report volume was at an instant."""

    at: datetime
    ratio: float  # 0 to 1


@dataclass(frozen=True, slots=True)
class ScheduleView:
    """Plain values for one ReportSchedule; instants are None where there is none."""

    namespace: str
    name: str
    tier: str
    last_run_failed: bool
    ready: bool
    late_after: timedelta
    next_due: datetime | None
    last_success: datetime | None
    queued: int
    active: int
    counts: Mapping[str, int]  # by result: Succeeded, or a reason
    storage: StorageUse | None = None  # as its newest run told that could


def storage_use(recent: Iterable[RecentRun]) -> StorageUse | None:
    """What the newest of the outcomes that tell of the volume says."""
    told = [
        StorageUse(entry.finished_at, entry.storage_used_percent / 100)
        for entry in recent
        if entry.storage_used_percent is not None
    ]
    return max(told, key=lambda use: use.at, default=None)
