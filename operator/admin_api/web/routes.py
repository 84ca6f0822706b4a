"""The pages that tell. Fragments are the parts of them that refresh themselves."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from admin_api import runbook
from admin_api.errors import UNREACHABLE, reason_of
from admin_api.routes.files import FileServers
from admin_api.routes.scheduler import detail_of, list_jobs, one_job
from admin_api.schemas.scheduler import JobDetail, Jobs, JobsQuery, JobStatus
from admin_api.services.attempt_rules import attempts_of
from admin_api.services.cluster import Cluster
from admin_api.services.history_client import HistoryClient
from admin_api.services.jobs import find_job, select
from admin_api.services.output_files import with_states
from admin_api.web import view
from admin_api.web.html import Pages
from admin_api.web.snapshot_cache import PATIENCE, DashboardSnapshot, SnapshotCache

Q = TypeVar("Q", bound=BaseModel)

RECENT = 25  # runs in one page
SHOWN = 20  # entries of a list on the first page; the rest is counted
TYPES = 200  # suggestions in the filter
SCHEDULES = 100  # in one page


class HomeQuery(JobsQuery):
    """Which recent runs; and what a form has just done."""

    limit: int = Field(default=RECENT, ge=1, le=RECENT)
    retried: int | None = Field(default=None, ge=0)
    refused: int | None = Field(default=None, ge=0)
    cleared: int | None = Field(default=None, ge=0)


class SchedulesQuery(BaseModel):
    """Which schedules: those with the text in namespace, name or type, after another."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(default="", max_length=300)
    after: str = Field(default="", max_length=400)


def add(
    app: FastAPI, lookout: SnapshotCache, past: HistoryClient, servers: FileServers, pages: Pages
) -> None:
    """Attach them."""
    cluster = lookout.cluster

    @app.get("/", include_in_schema=False)
    async def home(request: Request) -> Response:
        query = _read(HomeQuery, request)
        (sight, recent) = await asyncio.gather(lookout.look(), _recent(cluster, past, query))
        types = {s.report_type for s in sight.snapshot.schedules} if sight.snapshot else set()
        return pages.show(
            "home.html",
            **_now(sight),
            **_runs(recent, sight, query),
            statuses=list(JobStatus),
            types=sorted(types)[:TYPES],
        )

    @app.get("/fragments/now", include_in_schema=False)
    async def now() -> Response:
        return pages.show("_now.html", **_now(await lookout.look()))

    @app.get("/fragments/runs", include_in_schema=False)
    async def runs(request: Request) -> Response:
        query = _read(HomeQuery, request)
        (sight, recent) = await asyncio.gather(lookout.look(), _recent(cluster, past, query))
        return pages.show("_runs.html", **_runs(recent, sight, query))

    @app.get("/runs/{identity}", include_in_schema=False)
    async def run(identity: str) -> Response:
        return pages.show("run.html", **await _one(lookout, past, servers, pages, identity))

    @app.get("/fragments/runs/{identity}", include_in_schema=False)
    async def run_fragment(identity: str) -> Response:
        return pages.show("_run.html", **await _one(lookout, past, servers, pages, identity))

    @app.get("/schedules", include_in_schema=False)
    async def schedules(request: Request) -> Response:
        query = _read(SchedulesQuery, request)
        sight = await lookout.look()
        listed = view.list_schedules(
            sight.snapshot.schedules if sight.snapshot else (), query.text, query.after
        )
        return pages.show(
            "schedules.html", sight=sight, query=query, rows=listed[:SCHEDULES],
            more=len(listed) > SCHEDULES,
        )  # fmt: skip


def _read(model: type[Q], request: Request) -> Q:
    """The query of a form: what was left empty was not said."""
    try:
        return model.model_validate({k: v for k, v in request.query_params.items() if v})
    except ValidationError as error:
        problems = [{**item, "loc": ("query", *item["loc"])} for item in error.errors()]
        raise RequestValidationError(problems) from error


def _now(sight: DashboardSnapshot) -> dict[str, Any]:
    found = None
    if sight.leader is not None and sight.snapshot is not None and sight.queue is not None:
        found = view.describe_dashboard(
            sight.leader, sight.snapshot, sight.dependencies, sight.queue, sight.starts,
            sight.admission_trouble,
        )  # fmt: skip
    return {"sight": sight, "found": found, "shown": SHOWN}


async def _recent(cluster: Cluster, past: HistoryClient, query: HomeQuery) -> Jobs | str:
    """The page, or why there is none."""
    try:
        async with asyncio.timeout(PATIENCE):
            return await list_jobs(cluster, past, query)
    except UNREACHABLE as error:
        return reason_of(error)


def _runs(recent: Jobs | str, sight: DashboardSnapshot, query: HomeQuery) -> dict[str, Any]:
    problem = ""
    if isinstance(recent, str):
        problem = recent
        known = sight.snapshot.jobs if sight.snapshot else ()
        recent = select(known, query)
    return {"recent": recent, "recent_problem": problem, "query": query}


async def _one(
    lookout: SnapshotCache,
    past: HistoryClient,
    servers: FileServers,
    pages: Pages,
    identity: str,
) -> dict[str, Any]:
    sight = await lookout.look()
    snapshot = sight.snapshot
    problem = ""
    try:
        async with asyncio.timeout(PATIENCE):
            job = await one_job(lookout.cluster, past, identity)
    except UNREACHABLE as error:
        if snapshot is None:
            raise
        problem = reason_of(error)
        job = detail_of(find_job(snapshot.jobs, identity), [])
    job = await with_states(job, servers.exists)
    known = snapshot.jobs if snapshot else [job]
    runs = snapshot.runs if snapshot else ()
    body = next((r for r in runs if (r.namespace, r.name) == (job.namespace, job.job)), None)
    return {
        "job": job,
        "problem": problem,
        "sight": sight,
        "remedy": _remedy(job),
        "steps": view.stage_spans(job, body, pages.clock()),
        "attempts": job.attempts or attempts_of(job.namespace, job.schedule, job.slot, known)[::-1],
        "commands": view.commands_for(job),
    }


def _remedy(job: JobDetail) -> runbook.Remedy | None:
    if job.reason is None:
        return None
    return runbook.FAILURES[job.reason].of(job.namespace, job.schedule, job.job)
