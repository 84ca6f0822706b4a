"""Endpoint: the next slots of a schedule."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from admin_api.dependencies import ClusterDep, NowDep
from admin_api.paths import SCHEDULER
from admin_api.schemas.next_slots import NextSlots, NextSlotsQuery
from admin_api.services.next_slots import find_schedule, slots_of

router = APIRouter()


@router.get(f"{SCHEDULER}/next-slots", tags=["read"])
async def next_slots(
    query: Annotated[NextSlotsQuery, Query()], cluster: ClusterDep, now: NowDep
) -> NextSlots:
    """When a schedule is due next, with what its calendar and a change of the clocks make of it."""
    schedules = (await cluster.snapshot()).schedules
    schedule = find_schedule(schedules, query.schedule, query.namespace)
    calendar = await cluster.calendar(schedule)
    return slots_of(schedule, query.count, now, calendar)
