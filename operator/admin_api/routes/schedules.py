"""Endpoints: schedules, and what is wrong with one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from admin_api.auth.visibility import without_messages
from admin_api.dependencies import AuditDep, CallerDep, ClusterDep
from admin_api.paths import SCHEDULES
from admin_api.schemas.common import NoQuery
from admin_api.schemas.schedules import (
    Acknowledged,
    AcknowledgeRequest,
    ScheduleDetail,
    Schedules,
    SchedulesQuery,
)
from admin_api.services import acknowledgement
from admin_api.services.explain import explain
from admin_api.services.schedules import find_schedule, list_schedules, stale_notes

router = APIRouter()

ObjectName = Annotated[str, Path(max_length=253)]


@router.get(SCHEDULES, tags=["read"])
async def schedules(
    query: Annotated[SchedulesQuery, Query()], caller: CallerDep, cluster: ClusterDep
) -> Schedules:
    """Schedules with their health; 404 where a filter names what no schedule has."""
    degraded = stale_notes(await cluster.leader())
    page = list_schedules((await cluster.snapshot()).schedules, query, degraded)
    hidden = await caller.hidden(schedule.namespace for schedule in page.schedules)
    shown = [without_messages(s) if s.namespace in hidden else s for s in page.schedules]
    return page.model_copy(update={"schedules": shown})


@router.get(f"{SCHEDULES}/{{namespace}}/{{name}}", tags=["read"])
async def schedule(
    namespace: ObjectName, name: ObjectName, _: NoQuery, caller: CallerDep, cluster: ClusterDep
) -> ScheduleDetail:
    """One schedule: what is wrong, since when, who is affected, and what to do."""
    snapshot = await cluster.snapshot()
    found = find_schedule(snapshot.schedules, namespace, name)
    degraded = stale_notes(await cluster.leader())
    messages = await caller.may_see(namespace)
    detail = explain(found, degraded, messages=messages)
    return detail if messages else without_messages(detail)


@router.post(f"{SCHEDULES}/{{namespace}}/{{name}}/acknowledge", tags=["act"])
async def acknowledge(
    namespace: ObjectName,
    name: ObjectName,
    wanted: AcknowledgeRequest,
    _: NoQuery,
    caller: CallerDep,
    cluster: ClusterDep,
    audit: AuditDep,
) -> Acknowledged:
    """The failed slot and those before need no report any more; repeated, it is said once."""
    through = await acknowledgement.acknowledge(
        cluster, audit, (namespace, name), wanted.through, caller.name
    )
    return Acknowledged(namespace=namespace, name=name, acknowledged_through=through)
