"""The next slots of a schedule."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from admin_api.schemas.common import Instant, Name

COUNT_LIMIT = 100


class NextSlotsQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schedule: Name = Field(description="The ReportSchedule's name.")
    namespace: Name | None = Field(
        default=None, description="Required where several namespaces have a schedule of the name."
    )
    count: int = Field(default=10, ge=1, le=COUNT_LIMIT)


class NextSlot(BaseModel):
    slot: Instant
    local: str = Field(
        examples=["Sun 2027-03-28 06:00:00 CEST"], description="In the schedule's zone."
    )
    skipped: bool = Field(default=False, description="spec.calendar gives it no run.")
    moved_to: Instant | None = Field(
        default=None, description="The business day on which spec.calendar lets it run."
    )
    note: str | None = Field(
        default=None,
        description="What the calendar makes of it, and what a change of the clocks does at this "
        "slot or before it.",
    )


class NextSlots(BaseModel):
    """The next slots, the first one first."""

    namespace: str
    schedule: str
    cron: str = Field(description="spec.schedule")
    time_zone: str
    note: str | None = Field(
        default=None, description="Why these slots may get no run, or at another time."
    )
    slots: list[NextSlot]
