"""The next slots of a schedule, in its own local time and in UTC."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from admin_api.errors import RefusedError
from admin_api.schemas.scheduler import SCHEDULER, Instant, Name
from admin_api.services.cluster import Cluster
from admin_api.services.jobs import ScheduleSummary
from report_operator.domain.cron.rules import Every, interval_problem
from report_operator.domain.cron.schedule import ScheduleError, load_zone, parse
from report_operator.domain.schedules.clock_changes import UpcomingSlot, upcoming

COUNT_LIMIT = 100
DEFAULT_ZONE = "Etc/UTC"


class NextSlotsQuery(BaseModel):
    """Of which schedule, and how many."""

    model_config = ConfigDict(extra="forbid")

    schedule: Name = Field(description="The ReportSchedule's name.")
    namespace: Name | None = Field(default=None, description="Where several have the name.")
    count: int = Field(default=10, ge=1, le=COUNT_LIMIT)


class NextSlot(BaseModel):
    """One slot."""

    slot: Instant
    local: str = Field(
        examples=["Sun 2027-03-28 06:00 CEST"], description="In the schedule's zone."
    )
    note: str | None = Field(
        default=None, description="What a change of the clocks does at this slot or before it."
    )


class NextSlots(BaseModel):
    """The next slots, the first one first."""

    namespace: str
    schedule: str
    cron: str = Field(description="spec.schedule")
    time_zone: str
    note: str | None = Field(default=None, description="Why these slots may get no run.")
    slots: list[NextSlot]


def add(app: FastAPI, cluster: Cluster, clock: Callable[[], datetime]) -> None:
    """Attach the endpoint."""

    @app.get(f"{SCHEDULER}/next-slots", tags=["read"])
    async def next_slots(query: Annotated[NextSlotsQuery, Query()]) -> NextSlots:
        """When a schedule is due next, with what a change of the clocks does to it."""
        schedules = (await cluster.snapshot()).schedules
        found = named(schedules, query.schedule, query.namespace)
        return slots_of(found, query.count, clock())


def named(
    schedules: Sequence[ScheduleSummary], name: str, namespace: str | None
) -> ScheduleSummary:
    """The one that is meant. Raises RefusedError."""
    found = [s for s in schedules if s.name == name and namespace in (None, s.namespace)]
    if not found:
        place = f" in the namespace {namespace}" if namespace else ""
        raise RefusedError(404, f"there is no ReportSchedule {name}{place}")
    if len(found) > 1:
        places = ", ".join(schedule.namespace for schedule in found[:10])
        raise RefusedError(409, f"several namespaces have a {name}: say which ({places})")
    return found[0]


def slots_of(schedule: ScheduleSummary, count: int, now: datetime) -> NextSlots:
    """Raises RefusedError where the schedule cannot be read."""
    zone_name = schedule.time_zone or DEFAULT_ZONE
    try:
        cron, zone = parse(schedule.cron), load_zone(zone_name)
    except ScheduleError as error:
        raise RefusedError(409, f"{schedule.namespace}/{schedule.name}: {error}") from error
    if problem := interval_problem(cron.rule):
        raise RefusedError(409, f"{schedule.namespace}/{schedule.name}: {problem}")
    after = now
    upcoming_slot = schedule.status.next_schedule_time
    if isinstance(cron.rule, Every) and upcoming_slot is not None:
        # It counts from its last slot, which the operator knows.
        interval = timedelta(seconds=cron.rule.seconds)
        passed = max((now - upcoming_slot) // interval + 1, 0)
        after = upcoming_slot + (passed - 1) * interval
    return NextSlots(
        namespace=schedule.namespace,
        schedule=schedule.name,
        cron=schedule.cron,
        time_zone=zone_name,
        note=_note(schedule),
        slots=[_slot(found) for found in upcoming(cron, zone, after, count)],
    )


def _note(schedule: ScheduleSummary) -> str | None:
    if schedule.suspended:
        return "spec.suspend is true: none of these slots gets a run until it is false"
    ready = next((c for c in schedule.status.conditions if c.type == "Ready"), None)
    if ready is None or ready.status != "True":
        why = f" ({ready.reason}: {ready.message})" if ready else ""
        return f"not Ready{why}: until it is, the last definition that was right goes on, if any"
    return None


def _slot(found: UpcomingSlot) -> NextSlot:
    return NextSlot(
        slot=found.slot, local=f"{found.local:%a %Y-%m-%d %H:%M:%S %Z}", note=found.note or None
    )
