"""A run in the queue, and what holds it back."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from report_operator.domain.runs.run import Run
from report_operator.domain.times import format_time


class Hold(StrEnum):
    """What holds a waiting run back."""

    SCHEDULE_BUSY = "ScheduleBusy"
    NAMESPACE = "NamespaceLimit"
    TIER = "TierLimit"
    OVERALL = "OverallLimit"
    BACKFILL_HEADROOM = "BackfillHeadroom"
    REFUSED = "Refused"
    SUSPENDED = "ScheduleSuspended"
    HOLIDAY = "Holiday"
    KUEUE = "Kueue"


@dataclass(frozen=True, slots=True)
class Waiting:
    """`hold` None: the run may start now."""

    run: Run
    position: int  # from 1
    tier: str  # the effective one
    priority: str  # the effective one
    hold: Hold | None = None
    taken: int = 0
    places: int = 0  # of which so many are taken

    @property
    def note(self) -> str | None:
        """What the run declares and its namespace does not allow."""
        notes = [
            f"{what} {declared} is not allowed in {self.run.namespace}: {effective} counts"
            for what, declared, effective in (
                ("priority", self.run.priority, self.priority), ("tier", self.run.tier, self.tier),
            )
            if declared != effective
        ]  # fmt: skip
        return "; ".join(notes) or None

    @property
    def reason(self) -> str:
        """What it waits for, for a person; '' where it may start now."""
        places = f"{self.taken} of {self.places} places"
        match self.hold:
            case None:
                return ""
            case Hold.SCHEDULE_BUSY:
                return "another run of its schedule has not ended (concurrencyPolicy Forbid)"
            case Hold.NAMESPACE:
                return f"{places} of namespace {self.run.namespace} are taken"
            case Hold.TIER:
                return f"{places} of tier {self.tier} are taken"
            case Hold.OVERALL:
                return f"{places} are taken"
            case Hold.BACKFILL_HEADROOM:
                return f"{places} for runs of backfills are taken, the others are the schedules'"
            case Hold.REFUSED:
                return "the API server refused to let it start; the operator tries again"
            case Hold.SUSPENDED:
                return "its schedule is suspended (spec.suspend)"
            case Hold.KUEUE:
                return (
                    f"Kueue lets it start: kubectl -n {self.run.namespace} describe localqueue "
                    f"{self.run.queue_name}"
                )
            case Hold.HOLIDAY:
                found = self.run.calendar_verdict
                if found.moved_to is None:
                    return f"{found.why}: it is skipped (spec.calendar)"
                return f"{found.why}: it starts {format_time(found.moved_to)} (spec.calendar)"
