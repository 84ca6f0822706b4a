"""Pages that show. Fragments are their parts that refresh themselves."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from admin_api import runbook
from admin_api.dependencies import (
    ClusterDep,
    FilesDep,
    HistoryDep,
    NowDep,
    PagesDep,
    SnapshotsDep,
)
from admin_api.errors import UNREACHABLE, reason_of
from admin_api.schemas.jobs import JobDetail, Jobs, JobsQuery, JobStatus
from admin_api.services.attempt_rules import attempts_of
from admin_api.services.cluster import Cluster
from admin_api.services.files import FileServers
from admin_api.services.history_client import HistoryClient
from admin_api.services.job_lists import find_job, select
from admin_api.services.job_queries import detail_of, get_job, list_jobs
from admin_api.services.output_files import with_states
from admin_api.web import view
from admin_api.web.forms import read_query
from admin_api.web.snapshot_cache import PAGE_TIMEOUT, DashboardSnapshot

RECENT = 25  # runs on one page
SHOWN = 20  # entries of a list on the first page; the rest is counted
MEMBERS = 8  # schedules of one group; the rest is counted
TYPES = 200  # suggestions in the filter

router = APIRouter(include_in_schema=False)


class HomeQuery(JobsQuery):
    """Filter of the recent runs; `retried` and the next are the result of the form before."""

    limit: int = Field(default=RECENT, ge=1, le=RECENT)
    retried: int | None = Field(default=None, ge=0)
    refused: int | None = Field(default=None, ge=0)
    cleared: int | None = Field(default=None, ge=0)
    before: int | None = Field(default=None, ge=0)  # left alone: tried again before
    purged: int | None = Field(default=None, ge=0)
    left: int | None = Field(default=None, ge=0)  # not purged: they do not wait any more


@router.get("/")
async def home(
    request: Request,
    snapshots: SnapshotsDep,
    cluster: ClusterDep,
    history: HistoryDep,
    pages: PagesDep,
) -> Response:
    query = read_query(HomeQuery, request)
    seen, runs = await asyncio.gather(snapshots.get(), _list_recent(cluster, history, query))
    types = {s.report_type for s in seen.snapshot.schedules} if seen.snapshot else set()
    return pages.show(
        "home.html",
        **_dashboard(seen),
        **_recent_runs(runs, seen, query),
        statuses=list(JobStatus),
        types=sorted(types)[:TYPES],
    )


@router.get("/fragments/now")
async def dashboard_fragment(snapshots: SnapshotsDep, pages: PagesDep) -> Response:
    return pages.show("_dashboard.html", **_dashboard(await snapshots.get()))


@router.get("/fragments/runs")
async def runs_fragment(
    request: Request,
    snapshots: SnapshotsDep,
    cluster: ClusterDep,
    history: HistoryDep,
    pages: PagesDep,
) -> Response:
    query = read_query(HomeQuery, request)
    seen, runs = await asyncio.gather(snapshots.get(), _list_recent(cluster, history, query))
    return pages.show("_runs.html", **_recent_runs(runs, seen, query))


@router.get("/runs/{identity}")
async def run(
    identity: str,
    snapshots: SnapshotsDep,
    cluster: ClusterDep,
    history: HistoryDep,
    servers: FilesDep,
    pages: PagesDep,
    now: NowDep,
) -> Response:
    seen = await snapshots.get()
    return pages.show("run.html", **await _one_run(identity, seen, cluster, history, servers, now))


@router.get("/fragments/runs/{identity}")
async def run_fragment(
    identity: str,
    snapshots: SnapshotsDep,
    cluster: ClusterDep,
    history: HistoryDep,
    servers: FilesDep,
    pages: PagesDep,
    now: NowDep,
) -> Response:
    seen = await snapshots.get()
    return pages.show("_run.html", **await _one_run(identity, seen, cluster, history, servers, now))


def _dashboard(seen: DashboardSnapshot) -> dict[str, Any]:
    dashboard = None
    if seen.leader is not None and seen.snapshot is not None and seen.queue is not None:
        dashboard = view.describe_dashboard(
            seen.leader, seen.snapshot, seen.checks, seen.queue, seen.starts, seen.admission_problem
        )
    return {"seen": seen, "dashboard": dashboard, "shown": SHOWN, "members": MEMBERS}


async def _list_recent(cluster: Cluster, history: HistoryClient, query: HomeQuery) -> Jobs | str:
    """The runs, or the reason why they cannot be read."""
    try:
        async with asyncio.timeout(PAGE_TIMEOUT):
            return await list_jobs(cluster, history, query)
    except UNREACHABLE as error:
        return reason_of(error)


def _recent_runs(runs: Jobs | str, seen: DashboardSnapshot, query: HomeQuery) -> dict[str, Any]:
    problem = ""
    if isinstance(runs, str):
        problem = runs
        runs = select(seen.snapshot.jobs if seen.snapshot else (), query)
    schedules = seen.snapshot.schedules if seen.snapshot else ()
    zones = {(s.namespace, s.name): s.time_zone for s in schedules}
    return {"recent": runs, "recent_problem": problem, "query": query, "zones": zones}


async def _one_run(
    identity: str,
    seen: DashboardSnapshot,
    cluster: Cluster,
    history: HistoryClient,
    servers: FileServers,
    now: datetime,
) -> dict[str, Any]:
    snapshot = seen.snapshot
    problem = ""
    try:
        async with asyncio.timeout(PAGE_TIMEOUT):
            job = await get_job(cluster, history, identity)
    except UNREACHABLE as error:
        if snapshot is None:
            raise
        problem = reason_of(error)
        job = detail_of(find_job(snapshot.jobs, identity), [])
    job = await with_states(job, servers.exists)
    known = snapshot.jobs if snapshot else [job]
    runs = snapshot.runs if snapshot else ()
    live = next((r for r in runs if (r.namespace, r.name) == (job.namespace, job.job)), None)
    return {
        "job": job,
        "problem": problem,
        "seen": seen,
        "remedy": _remedy(job),
        "stages": view.stage_spans(job, live, now),
        "attempts": job.attempts or attempts_of(job.namespace, job.schedule, job.slot, known)[::-1],
        "commands": view.commands_for(job),
        "zone": next(
            (
                s.time_zone
                for s in (snapshot.schedules if snapshot else ())
                if (s.namespace, s.name) == (job.namespace, job.schedule)
            ),
            None,
        ),
    }


def _remedy(job: JobDetail) -> runbook.Remedy | None:
    if job.reason is None:
        return None
    return runbook.FAILURES[job.reason].of(job.namespace, job.schedule, job.job)
