"""A schedule as metrics show it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


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
