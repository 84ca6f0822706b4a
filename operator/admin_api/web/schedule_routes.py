"""Pages of schedules: the list of all, and one."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from admin_api.dependencies import ClusterDep, HistoryDep, NowDep, PagesDep, SnapshotsDep
from admin_api.errors import UNREACHABLE, RefusedError, reason_of
from admin_api.schemas.jobs import Job, JobsQuery
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.job_lists import merge_jobs
from admin_api.services.jobs import ScheduleSummary
from admin_api.web import schedule_list, schedule_page
from admin_api.web.definition_text import definition_text
from admin_api.web.forms import read_query
from admin_api.web.problems import problems_of
from admin_api.web.schedule_list import Filter, ScheduleState, SortOrder
from admin_api.web.snapshot_cache import PAGE_TIMEOUT, DashboardSnapshot
from report_operator.api.v1alpha1.spec import Tier
from report_operator.domain.schedules.calendar import Calendar

PAGE = 100  # schedules on one page
STORED = 100  # runs that are read from history

router = APIRouter(include_in_schema=False)


class SchedulesQuery(BaseModel):
    """Which schedules to list, how sorted, and which page of them."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=300)
    state: ScheduleState | None = None
    reason: str = Field(default="", max_length=100)
    tier: Tier | None = None
    sort: SortOrder = SortOrder.NAME
    page: int = Field(default=1, ge=1, le=10_000)


@router.get("/schedules")
async def schedules(request: Request, snapshots: SnapshotsDep, pages: PagesDep) -> Response:
    query = read_query(SchedulesQuery, request)
    seen = await snapshots.get()
    known = seen.snapshot.schedules if seen.snapshot else ()
    rows = [schedule_list.row_of(schedule) for schedule in known]
    wanted = Filter(query.text, query.state, query.reason, query.tier)
    found = schedule_list.choose_rows(rows, wanted, query.sort)
    first = (query.page - 1) * PAGE
    return pages.show(
        "schedules.html",
        seen=seen,
        query=query,
        filters=query.model_dump(mode="json", exclude={"page"}, exclude_defaults=True),
        counts=schedule_list.count_states(rows),
        total=len(rows),
        found=len(found),
        first=first,
        rows=found[first : first + PAGE],
        states=list(ScheduleState),
        orders=list(SortOrder),
        tiers=list(Tier),
    )


@router.get("/schedules/{namespace}/{name}")
async def schedule(
    namespace: str,
    name: str,
    snapshots: SnapshotsDep,
    cluster: ClusterDep,
    history: HistoryDep,
    pages: PagesDep,
    now: NowDep,
) -> Response:
    values = await _one_schedule(namespace, name, await snapshots.get(), cluster, history, now)
    definition, problem = await _definition(cluster, namespace, name)
    return pages.show("schedule.html", **values, definition=definition, definition_problem=problem)


@router.get("/fragments/schedules/{namespace}/{name}")
async def schedule_fragment(
    namespace: str,
    name: str,
    snapshots: SnapshotsDep,
    cluster: ClusterDep,
    history: HistoryDep,
    pages: PagesDep,
    now: NowDep,
) -> Response:
    values = await _one_schedule(namespace, name, await snapshots.get(), cluster, history, now)
    return pages.show("_schedule.html", **values)


async def _one_schedule(
    namespace: str,
    name: str,
    seen: DashboardSnapshot,
    cluster: Cluster,
    history: HistoryClient,
    now: datetime,
) -> dict[str, Any]:
    snapshot = seen.snapshot
    if snapshot is None:
        raise RefusedError(503, f"the Kubernetes API does not serve: {seen.problem}")
    found = next(
        (s for s in snapshot.schedules if (s.namespace, s.name) == (namespace, name)), None
    )
    if found is None:
        raise RefusedError(404, f"there is no ReportSchedule {namespace}/{name}")
    stored, degraded = await _stored(found, history)
    jobs = merge_jobs(snapshot.of_schedule(namespace, name), stored)
    strip = schedule_page.strip_of(found, jobs, now, await _calendar(cluster, found))
    return {
        "seen": seen,
        "schedule": found,
        "row": schedule_list.row_of(found),
        "problems": problems_of(found),
        "strip": strip,
        "slot_counts": schedule_page.count_slots(strip),
        "chart": schedule_page.times_chart(jobs),
        "with_files": schedule_page.files_of(jobs),
        "jobs": jobs[: schedule_page.RUNS],
        "commands": schedule_page.commands_for(found),
        "degraded": degraded,
    }


async def _calendar(cluster: Cluster, schedule: ScheduleSummary) -> Calendar | None:
    """With the dates of a ConfigMap, where the CronJob that has them can be read."""
    try:
        async with asyncio.timeout(PAGE_TIMEOUT):
            return await cluster.calendar(schedule)
    except UNREACHABLE:
        return schedule.calendar


async def _stored(schedule: ScheduleSummary, history: HistoryClient) -> tuple[list[Job], list[str]]:
    """The schedule's newest runs in history, and what is missing."""
    query = JobsQuery(namespace=schedule.namespace, schedule=schedule.name, limit=STORED)
    try:
        async with asyncio.timeout(PAGE_TIMEOUT):
            jobs, degraded = await history.page(query)
    except UNREACHABLE as error:
        return [], [f"history: {reason_of(error)}"]
    return jobs, degraded


async def _definition(cluster: Cluster, namespace: str, name: str) -> tuple[str, str]:
    """The definition as text, or the reason why it cannot be read."""
    try:
        async with asyncio.timeout(PAGE_TIMEOUT):
            return definition_text(await cluster.spec_of(namespace, name)), ""
    except UNREACHABLE as error:
        return "", reason_of(error)
